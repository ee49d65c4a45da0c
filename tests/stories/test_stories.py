"""Stories: landing files as they come, and the rows that they must end in.

A story is a folder beside this file: `landing/`, `sources.yaml`, `expected.yaml` and, where the
story needs another shop, what differs in `shop.yaml`. Stories that need the same shop are run
together, by the jobs of `siyu run`, once: sources and paths get the story's name in front.
So no two stories may name the same person, order, product or message.
"""

import datetime as dt
import itertools
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
import yaml

from pipelines.catalogue import STAGES, contracts
from resources.home import Home
from resources.keys import SECRET_VARIABLE, Keys
from resources.warehouse import Database, Session
from tests.small_shop import new_home, run_until

HERE = Path(__file__).resolve().parent
SHOP = HERE / "_shop"
# The load dates of every story's shop: all is told as of the end of the last.
FIRST_DATE = "2026-07-01"
LAST_DATE = "2026-07-31"
SECRET = "0123456789abcdef" * 4
_NAMED = re.compile(r"\b(?:member|pseudonym)\('((?:[^']|'')*)'\)")
_MACROS = """
create or replace temp macro pseudonym(said) as
    (select any_value(pseudonym) from people where name = said);
create or replace temp macro member(said) as
    (select any_value(member_id) from people where name = said);
"""
# What names something in the tables, by what it names; `source` says whose story it is.
_IDENTIFIERS = {
    "person": (
        "select source, unnest([user_id, anonymous_id]) as named from raw.events"
        " union all select source, user_id from raw.members"
        " union all select source, identifier from raw.consents"
    ),
    "message": "select source, message_id as named from clean.events",
    "order": "select source, order_id as named from clean.events",
    "product": (
        "select source, product_id as named from raw.product_records"
        " union all select source, product_id from clean.events"
        " union all select source, p.product_id from clean.order_products as p"
        " join clean.events using (message_id)"
    ),
}


@dataclass(frozen=True)
class Story:
    """A story's folder, read."""

    name: str

    @property
    def folder(self) -> Path:
        return HERE / self.name

    def read(self, file: str) -> dict[str, Any]:
        path = self.folder / file
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}

    @cached_property
    def shop(self) -> dict[str, Any]:
        """What of the shop is the story's own."""
        return self.read("shop.yaml")

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The story's sources, named and placed so that they may stand beside others'."""
        return [
            {
                **source,
                "id": f"{self.name}_{source['id']}",
                "path": f"{self.name}/{source['path']}",
            }
            for source in self.read("sources.yaml")["sources"]
        ]

    @cached_property
    def expectations(self) -> list[tuple[str, list[list[Any]]]]:
        """Queries, and the rows that each must find."""
        return [(each["query"], each["rows"]) for each in self.read("expected.yaml")["expect"]]


STORIES = [Story(path.parent.name) for path in sorted(HERE.glob("*/expected.yaml"))]


@pytest.fixture(scope="module")
def homes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Home]:
    """The home in which each of the selected stories has been run."""
    # The stories are of a real shop: its secret comes from the environment.
    patch = pytest.MonkeyPatch()
    request.addfinalizer(patch.undo)
    patch.setenv(SECRET_VARIABLE, SECRET)
    selected = {
        cast("pytest.Function", item).callspec.params["story"].name
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec")
    }
    # A shop of its own may need what all of its stories declare.
    others = [story.shop for story in STORIES if story.name in selected and story.shop]
    stories = [story for story in STORIES if story.name in selected or story.shop in others]
    by_shop = sorted(stories, key=_shop_key)
    homes: dict[str, Home] = {}
    for _, group in itertools.groupby(by_shop, key=_shop_key):
        told = list(group)
        home = _run_together(told, tmp_path_factory.mktemp("stories"))
        homes |= {story.name: home for story in told}
    return homes


def _shop_key(story: Story) -> str:
    return json.dumps(story.shop, sort_keys=True, default=str)


def _run_together(stories: Sequence[Story], folder: Path) -> Home:
    config = folder / "config"
    shutil.copytree(SHOP, config)
    shop = yaml.safe_load((SHOP / "shop.yaml").read_text(encoding="utf-8"))
    _write(config / "shop.yaml", _merged(shop, stories[0].shop))
    anchor = {
        "id": "anchor",
        "kind": "files",
        "entity": "events",
        "format": "jsonl",
        "layout": "segment",
        "path": "anchor/*.jsonl",
    }
    sources = [source for story in stories for source in story.sources]
    _write(config / "sources.yaml", {"sources": [anchor, *sources]})
    landing = folder / "landing"
    for story in stories:
        shutil.copytree(story.folder / "landing", landing / story.name)
    (landing / "anchor").mkdir()
    last_event = {
        "type": "track",
        "event": "Page Closed",
        "messageId": "anchor",
        "anonymousId": "anchor",
        "timestamp": f"{LAST_DATE}T04:00:00Z",
    }
    (landing / "anchor" / f"{LAST_DATE}.jsonl").write_text(json.dumps(last_event) + "\n")
    home = new_home(folder / "home", landing)
    dates = (dt.date.fromisoformat(FIRST_DATE), dt.date.fromisoformat(LAST_DATE))
    run_until(config, home, *STAGES, dates=dates)
    with Database(home.warehouse, threads=2).connect() as session:
        _check_apart(session, stories)
        _check_contracts(session)
    return home


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in own.items():
        before = merged.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        merged[key] = _merged(before, value) if both else value
    return merged


def _write(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def _check_apart(session: Session, stories: Sequence[Story]) -> None:
    """Makes sure that no two stories name the same thing: one would change the other's rows."""
    owners = pl.DataFrame(
        [(source["id"], story.name) for story in stories for source in story.sources],
        schema=["source", "story"],
        orient="row",
    )
    for kind, named in _IDENTIFIERS.items():
        with session.offering(owners=owners):
            shared = session.rows(
                "select string_agg(distinct story, ', ' order by story), any_value(named)"
                f" from (select distinct story, named from ({named}) join owners using (source)"
                " where named is not null and named <> '')"
                " group by named having count(*) > 1 order by all"
            )
        assert not shared, f"stories name the same {kind}: {shared}"


def _check_contracts(session: Session) -> None:
    """Makes sure that every table keeps its contract, as a run's blocking checks would."""
    failing: dict[tuple[str, str], int] = {}
    for contract in contracts():
        names, counts = zip(*contract.checks().items(), strict=True)
        found = session.rows(f"select {', '.join(counts)} from {contract.name}")[0]
        failing |= {(contract.name, name): n for name, n in zip(names, found, strict=True) if n}
    assert failing == {}


@pytest.fixture
def session(story: Story, homes: dict[str, Home]) -> Iterator[Session]:
    """The warehouse of the story's shop, where member('…') and pseudonym('…') can be asked."""
    home = homes[story.name]
    keys = Keys.derived_from(SECRET)
    queries = " ".join(query for query, _ in story.expectations)
    names = sorted({found.replace("''", "'") for found in _NAMED.findall(queries)})
    known = pl.DataFrame(
        {"name": names, "pseudonym": keys.pseudonyms(names)},
        schema={"name": pl.String, "pseudonym": pl.String},
    )
    with Database(home.warehouse, threads=2).connect() as session:
        with session.offering(known=known):
            session.execute(
                "create or replace temp table people as select name, pseudonym, member_id"
                " from known left join clean.identities on identifier = pseudonym"
            )
        session.execute(_MACROS)
        yield session


def _plain(value: object) -> object:
    """A value as YAML would write it: numbers as numbers, times as ISO texts."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("Sequence[object]", value)]
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dt.date):
        return str(value)
    return value


def _approximately(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [
        [pytest.approx(value) if isinstance(value, float) else value for value in row]
        for row in cast("list[list[Any]]", _plain(rows))
    ]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story(story: Story, session: Session) -> None:
    for query, expected in story.expectations:
        assert _plain(session.rows(query)) == _approximately(expected), query


def test_every_story_says_what_it_is_about() -> None:
    folders = {path.name for path in HERE.iterdir() if path.is_dir() and path.name[0] not in "_."}
    assert folders == {story.name for story in STORIES}
    assert [story.name for story in STORIES if not story.read("expected.yaml").get("story")] == []
