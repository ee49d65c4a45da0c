"""The examples of the pages on files and web logs are declarations that load."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.config.source import FIELDS, FileSource
from resources.config.web_log_source import WebLogSource
from resources.sources.web_log import variables

PAGES = Path(__file__).resolve().parents[3] / "docs" / "sources"
MODELS = {"files": FileSource, "web_log": WebLogSource}


def examples(page: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", (PAGES / page).read_text(encoding="utf-8"), re.S)
    return [source for block in blocks for source in yaml.safe_load(block)["sources"]]


@pytest.mark.parametrize(("page", "n_sources"), [("files.md", 8), ("web_log.md", 2)])
def test_every_example_loads(page: str, n_sources: int) -> None:
    declared = examples(page)
    assert len(declared) == n_sources
    for each in declared:
        MODELS[each["kind"]].model_validate(each)


def test_the_documented_format_has_the_cookie() -> None:
    log = WebLogSource.model_validate(examples("web_log.md")[0])
    assert variables(log.log_format)[-1] == "cookie_siyu_id"


@pytest.mark.parametrize("entity", sorted(FIELDS))
def test_every_field_of_a_map_is_on_the_page(entity: str) -> None:
    page = (PAGES.parent / "sources.md").read_text(encoding="utf-8")
    (row,) = re.findall(rf"^\| `{entity}` \| (.*) \|$", page, re.MULTILINE)
    told = {
        name.strip("*"): name.startswith("*") for name in re.sub(r" \([^)]*\)", "", row).split(", ")
    }
    assert told == FIELDS[entity]
