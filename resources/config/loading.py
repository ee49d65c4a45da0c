"""Reads a YAML file into a model; a mistake is one line naming file, key and what was expected."""

import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from resources.failure import Failure

VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")


class ConfigError(Failure):
    """A configuration file is wrong; the message says where, what was expected, what to do."""


class Declared(BaseModel):
    """Base of all configuration models: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ModelT = TypeVar("ModelT", bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, but a key that stands twice is a mistake, not the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node.

        Raises:
            ConstructorError: a key stands twice.
        """
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{name}' stands twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


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
        content = yaml.load(text, _Loader)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; correct the date or number") from error
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
        if not environment.get(name):
            raise ConfigError(
                f"{text!r} needs the environment variable {name}, which is not set or empty; "
                "set it and run again"
            )
        return environment[name]

    return VARIABLE.sub(value, text)


def _first_mistake(path: Path, error: ValidationError, model: type[BaseModel]) -> str:
    # A misspelt key is also a missing one: the misspelling is what there is to correct.
    details = sorted(
        error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden"
    )
    first = details[0]
    # Of several kinds of a thing the one meant stands in the way to it, but not in the file.
    path_to, known = _walk(model, first["loc"][:-1])
    key = ".".join([*path_to, *map(str, first["loc"][-1:])]) or "the file"
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"known keys: {', '.join(known)}"
        message = f"{path}: key '{key}' is not known; {hint}"
    elif first["type"] in ("missing", "union_tag_not_found"):
        lacking = key if first["type"] == "missing" else f"{key}.kind"
        message = f"{path}: key '{lacking}' is missing; add it"
    elif first["type"] == "union_tag_invalid":
        context = first.get("ctx", {})
        message = (
            f"{path}: key '{key}.kind': expected one of {context.get('expected_tags')}, "
            f"found '{context.get('tag')}'"
        )
    else:
        problem = first["msg"].removeprefix("Value error, ") + _nearest(first)
        shown = "" if isinstance(first["input"], dict) else f", found {first['input']!r:.60}"
        message = f"{path}: key '{key}': {problem}{shown}"
    more = len(details) - 1
    return f"{message} (and {more} more)" if more else message


def _nearest(detail: ErrorDetails) -> str:
    """Of a word that is none of those expected, the one that is meant."""
    if detail["type"] != "literal_error" or not isinstance(detail["input"], str):
        return ""
    expected = re.findall(r"'([^']+)'", detail.get("ctx", {}).get("expected", ""))
    close = difflib.get_close_matches(detail["input"].casefold(), expected, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _walk(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The keys on the way to a place in the file, and those that are known there."""
    current: Any = model
    keys: list[str] = []
    for part in location:
        field = current.model_fields.get(part) if _is_model(current) else None
        if field is None and isinstance(part, str) and (kinds := _models_within(current)):
            meant = next((each for each in kinds if part in _kinds_of(each)), None)
            if meant is not None:
                current = meant
                continue
        keys.append(str(part))
        if field is not None:
            within = _models_within(field.annotation)
            current = within[0] if len(within) == 1 else field.annotation
    return keys, sorted(current.model_fields) if _is_model(current) else []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _kinds_of(model: type[BaseModel]) -> tuple[str, ...]:
    return get_args(model.model_fields["kind"].annotation) if "kind" in model.model_fields else ()


def _models_within(annotation: Any) -> list[type[BaseModel]]:
    if _is_model(annotation):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_within(argument)]
