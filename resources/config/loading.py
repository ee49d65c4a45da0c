"""Reads a YAML file into a model; a mistake is one line naming file, key and what was expected."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from resources.failure import Failure

_VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


class ConfigError(Failure):
    """A configuration file is wrong; the message says where, what was expected, what to do."""


class Declared(BaseModel):
    """Base of all configuration models: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ModelT = TypeVar("ModelT", bound=BaseModel)


def load(path: Path, model: type[ModelT]) -> ModelT:
    """The file's content as a model.

    Raises:
        ConfigError: missing or unreadable file, bad YAML, unknown key or wrong value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from error
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); "
            "SIYU_CONFIG must name a folder with shop.yaml, sources.yaml and campaigns.yaml"
        ) from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(f"{path}{line}: {problem}; correct the YAML") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values at the top, found {content!r:.40}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_first_mistake(path, error, model)) from error


def expand(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Replaces `${NAME}` by the environment's value.

    Raises:
        ConfigError: a named variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in environment:
            raise ConfigError(
                f"{text!r} needs the environment variable {name}; set it and run again"
            )
        return environment[name]

    return _VARIABLE.sub(value, text)


def _first_mistake(path: Path, error: ValidationError, model: type[BaseModel]) -> str:
    # A misspelt key is also a missing one: the misspelling is what there is to correct.
    details = sorted(
        error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden"
    )
    first = details[0]
    key = ".".join(str(part) for part in first["loc"]) or "the file"
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
        message = f"{path}: key '{key}' is not known; {hint}"
    elif first["type"] == "missing":
        message = f"{path}: key '{key}' is missing; add it"
    else:
        problem = first["msg"].removeprefix("Value error, ")
        shown = "" if isinstance(first["input"], dict) else f", found {first['input']!r:.60}"
        message = f"{path}: key '{key}': {problem}{shown}"
    more = len(details) - 1
    return f"{message} (and {more} more)" if more else message


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    current: Any = model
    for part in location:
        if isinstance(part, str) and isinstance(current, type) and issubclass(current, BaseModel):
            field = current.model_fields.get(part)
            current = _model_within(field.annotation) if field else None
    if isinstance(current, type) and issubclass(current, BaseModel):
        return sorted(current.model_fields)
    return []


def _model_within(annotation: Any) -> Any:
    if isinstance(annotation, type):
        return annotation
    for argument in cast("tuple[Any, ...]", getattr(annotation, "__args__", ())):
        found = _model_within(argument)
        if isinstance(found, type) and issubclass(found, BaseModel):
            return found
    return None
