"""What sources.yaml may say of an HTTP API: a mistake is one line, a secret is never shown."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from resources.config.loading import ConfigError, Declared, load
from resources.config.rest_api_source import RestApiSource
from resources.config.wechat_source import WechatSource

PAGE = Path(__file__).resolve().parents[3] / "docs" / "sources" / "rest_api.md"

GOOD = """
source:
  id: crm
  kind: rest_api
  entity: members
  layout: members
  url: https://crm.example.com/v1/members
"""


class Holder(Declared):
    """A file with one source."""

    source: RestApiSource


def read(folder: Path, more: str = "") -> RestApiSource:
    lines = "".join(f"  {line}\n" for line in more.splitlines())
    # What is given takes the place of what is good.
    given = {line.split(":")[0] for line in lines.splitlines()}
    good = "".join(line for line in GOOD.splitlines(True) if line.split(":")[0] not in given)
    (folder / "sources.yaml").write_text(good + lines, encoding="utf-8")
    return load(folder / "sources.yaml", Holder).source


def test_the_least_that_is_needed(tmp_path: Path) -> None:
    source = read(tmp_path)
    assert (source.method, source.records, source.timeout_seconds) == ("GET", "", 30)
    assert source.retries.attempts == 6


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("pagination: {}", "expected exactly one of cursor, page, offset or link"),
        (
            "pagination: {link: {}, page: {}}",
            "expected exactly one of cursor, page, offset or link",
        ),
        ("pagination: {page: {size: 10}}", "expected 'size_parameter' and 'size' together"),
        ("pagination: {offset: {size_parameter: n}}", "expected 'size_parameter' and 'size'"),
        ("pagination: {cursor: {path: next}}", "parameter' is missing; add it"),
        ("auth: {}", "expected exactly one of bearer, hmac or header"),
        ("auth: {bearer: {token: hunter2}}", "expected 'token' to be ${NAME}"),
        ("auth: {hmac: {key_id: k, secret: hunter2}}", "expected 'secret' to be ${NAME}"),
        ("auth: {header: {name: X, value: hunter2}}", "expected 'value' to be ${NAME}"),
        ("headers: {Authorization: hunter2}", "expected 'headers.Authorization' to be ${NAME}"),
        ("params: {api_key: hunter2}", "expected 'params.api_key' to be ${NAME}"),
        ("method: POST\nbody: {password: hunter2}", "expected 'body.password' to be ${NAME}"),
        ("body: {x: 1}", "expected 'body' with 'method: POST' only"),
        ("rate_limit: 0", "greater than 0"),
        ("retries: {attempts: 0}", "greater than or equal to 1"),
        ("timeout_secs: 3", "is not known; did you mean 'timeout_seconds'?"),
        (
            "incremental: {parameter: s, path: id, format: number, overlap_seconds: 5}",
            "expected 'overlap_seconds' only where 'format' is iso8601, seconds or milliseconds",
        ),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, more)
    line = str(caught.value)
    assert said in line
    assert "\n" not in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://crm.example.com/", "expected 'url' with https://"),
        ("ftp://crm.example.com/", "to begin with https:// and a host"),
        ("crm.example.com", "to begin with https:// and a host"),
        ("https://", "to begin with https:// and a host"),
        ("https://user:hunter2@crm.example.com/", "expected no user or password in 'url'"),
        ("https://crm.example.com/?key=hunter2", "expected no '?' in 'url'; give 'params'"),
        ("https://crm.example.com/#x", "expected no '#' in 'url'"),
    ],
)
def test_an_address_over_which_secrets_would_leak_is_refused(
    tmp_path: Path, url: str, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"url: {url}")
    assert said in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        "url: http://localhost:8080/x",
        "url: http://127.0.0.1/x",
        "url: http://crm.internal/x\nallow_http: true",
        "headers: {Authorization: 'Basic ${CRM_BASIC}', X-Author: li}",
        "params: {author: li, page_kind: all}",
        "method: POST\nbody: {filter: {status: [on, '${STATUS}']}}",
    ],
)
def test_what_is_safe_is_taken(tmp_path: Path, more: str) -> None:
    read(tmp_path, more)


def test_an_unquoted_time_is_one(tmp_path: Path) -> None:
    new: Any = read(
        tmp_path, "incremental: {parameter: s, path: at, start: 2026-01-01T00:00:00Z}"
    ).incremental
    assert new.start == "2026-01-01T00:00:00+00:00"


def test_a_declaration_never_holds_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "hunter2")
    source = read(tmp_path, "auth: {bearer: {token: '${CRM_TOKEN}'}}")
    assert "hunter2" not in repr(source) + source.model_dump_json()
    before = source.fingerprint
    monkeypatch.setenv("CRM_TOKEN", "hunter3")
    assert source.fingerprint == before


class Documented(Declared):
    """A file like those of the documentation."""

    sources: tuple[RestApiSource | WechatSource, ...] = Field(min_length=1)


EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_documented_examples_are_taken(tmp_path: Path, example: str) -> None:
    (tmp_path / "sources.yaml").write_text(example, encoding="utf-8")
    assert load(tmp_path / "sources.yaml", Documented).sources


def test_there_are_documented_examples() -> None:
    assert len(EXAMPLES) == 3
