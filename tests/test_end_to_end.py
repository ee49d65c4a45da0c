"""The whole way on a small simulated shop, and what must not change its outcome."""

import contextlib
import datetime as dt
import json
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

from benchmarks.truth import compare_sharing
from pipelines.catalogue import STAGES, contracts
from pipelines.cli import main
from pipelines.runs import RunFailed
from resources.home import Home
from resources.keys import Keys
from resources.sources.files import SourceError
from resources.warehouse import Database
from tests.checksums import fingerprints
from tests.small_shop import new_home, run, run_until

KEEPING_HISTORY = {contract.name for contract in contracts() if contract.keeps_history}


def test_every_stage_has_rows(finished: Home) -> None:
    made = fingerprints(finished.warehouse, list(STAGES))
    empty = {name for name, (n_rows, _) in made.items() if n_rows == 0}
    # No window after an assignment is over on its own day; one source numbers the orders; and
    # every value that the simulation writes is understood.
    assert empty <= {"measure.campaign_lift", "clean.order_numbers", "raw.unread_values"}


def test_nothing_is_lost_on_the_way_in(finished: Home, landing: Path) -> None:
    lines = sum(
        len(file.read_bytes().splitlines()) for file in (landing / "events").glob("*.jsonl")
    )
    with Database(finished.warehouse).connect() as session:
        accepted = session.scalar("select count(*) from raw.events where source = 'events'")
        rejected = session.scalar("select count(*) from raw.rejected_records")
    assert accepted + rejected == lines
    assert rejected > 0


def test_dirt_is_found_in_the_amounts_that_were_put_in(finished: Home, landing: Path) -> None:
    truth = pl.read_json(landing.parent / "truth" / "dirt.json")
    with Database(finished.warehouse).connect() as session:
        rejected = session.scalar("select count(*) from raw.rejected_records")
        copies = session.scalar(
            "select count(*) - count(distinct message_id) from raw.events where source = 'events'"
        )
    totals = truth["totals"][0]
    assert rejected == totals["broken_lines"]
    assert copies == totals["duplicates"]


def test_who_brought_whom_is_as_it_truly_was(finished: Home, landing: Path) -> None:
    keys = Keys.derived_from((finished.folder / "secret").read_text(encoding="utf-8").strip())
    with Database(finished.warehouse).connect(read_only=True) as session:
        found = list(compare_sharing(landing.parent / "truth", keys, session))
    assert sum("refused" in what for what, _, _ in found) == 3
    for what, true, told in found:
        assert true > 0, what
        assert 0.95 <= told / true <= 1, what


def test_running_again_changes_nothing(
    tmp_path: Path, config: Path, landing: Path, finished: Home
) -> None:
    before = fingerprints(finished.warehouse, list(STAGES))
    report = run(config, finished)
    assert report.n_new_files == 0
    assert fingerprints(finished.warehouse, list(STAGES)) == before


def test_days_in_another_order_end_in_the_same_tables(
    tmp_path: Path, config: Path, landing: Path, finished: Home
) -> None:
    home = new_home(tmp_path / "home", landing)
    days = sorted({file.stem for file in (landing / "events").glob("*.jsonl")})
    # Two nights instead of one, and the oldest days come last.
    run(config, home, first=dt.date.fromisoformat(days[3]), last=dt.date.fromisoformat(days[6]))
    run(config, home)
    found, whole = (fingerprints(each.warehouse, list(STAGES)) for each in (home, finished))
    differing = {name for name in found if found[name] != whole[name]}
    assert differing <= KEEPING_HISTORY
    # So the declaration is no excuse for tables that need none.
    assert {"recommend.als_model", "recommend.model_metrics", "push.decisions"} <= differing


def test_split_renamed_and_resent_files_end_in_the_same_events(
    tmp_path: Path, config: Path, landing: Path, finished: Home
) -> None:
    home = new_home(tmp_path / "home", landing, is_copied=True)
    folder = home.landing / "events"
    chance = random.Random(7)
    for file in sorted(folder.glob("*.jsonl")):
        lines = file.read_bytes().splitlines(keepends=True)
        chance.shuffle(lines)
        half = len(lines) // 2
        (folder / f"{file.stem}-a.jsonl").write_bytes(b"".join(lines[:half]))
        (folder / f"{file.stem}-b.jsonl").write_bytes(b"".join(lines[half:]))
        file.unlink()
    stages = ["features", "tags", "value", "social"]
    run_until(config, home, "clean", *stages)
    assert fingerprints(home.warehouse, stages) == fingerprints(finished.warehouse, stages)


def test_no_identifier_stands_in_clear(finished: Home, landing: Path) -> None:
    found: set[str | None] = set()
    for file in (landing / "members").glob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            member = json.loads(line)
            found |= {member[key] for key in ("user_id", "phone", "email", "openid")}
    for file in (landing / "events").glob("*.jsonl"):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                event = json.loads(line)
                traits = event.get("traits") or {}
                found |= {event.get("anonymousId"), event.get("userId")}
                found |= {traits.get(key) for key in ("phone", "email", "openid")}
    secrets = sorted(value for value in found if value)
    assert {"@" in secret for secret in secrets} == {True, False}

    def shown(texts: pl.Series) -> list[str]:
        return texts.filter(texts.str.contains_any(secrets).fill_null(False)).to_list()

    # DuckDB compresses strings: what its files hold is seen by asking, not by their bytes.
    for path in (finished.warehouse, finished.analytics, finished.vault):
        with Database(path).connect(read_only=True) as session:
            columns = session.rows(
                "select schema_name, table_name, column_name from duckdb_columns()"
                " where not internal and database_name = current_database()"
                " and data_type <> 'BLOB'"
            )
            assert columns
            for schema, table, column in columns:
                texts = session.frame(
                    f'select distinct "{column}"::varchar as text from "{schema}"."{table}"'
                )
                assert not shown(texts["text"]), (path.name, schema, table, column)
    own_secret = (finished.folder / "secret").read_text(encoding="utf-8").strip()
    assert list(finished.models.rglob("*"))
    assert list(finished.logs.rglob("*"))
    for path in finished.folder.rglob("*"):
        # Lists for upload hold addresses: that is what they are for.
        if path.is_file() and path.name != "secret":
            content = path.read_bytes().decode("latin-1")
            assert own_secret not in content, path
            if finished.outbound not in path.parents:
                assert not shown(pl.Series([content])), path


def test_the_push_list_respects_consent_caps_and_slots(finished: Home) -> None:
    with Database(finished.analytics).connect(read_only=True) as session:
        n_sent = session.scalar("select count(*) from push.push_list")
        without_consent = session.scalar(
            "select count(*) from push.push_list join clean.members using (member_id)"
            " where not list_contains(consented_channels, push_list.channel)"
        )
        twice = session.rows(
            "select member_id, channel, slot from push.push_list group by all having count(*) > 1"
        )
        most = session.scalar(
            "select max(n) from (select count(*) as n from push.push_list group by member_id, slot)"
        )
        undecided = session.scalar(
            "select count(*) from push.eligibility anti join push.decisions"
            " using (campaign_id, member_id)"
        )
    assert n_sent > 0
    assert (without_consent, twice, undecided) == (0, [], 0)
    assert most <= 2


def test_lists_for_upload_are_for_the_owner_alone(finished: Home) -> None:
    files = [path for path in finished.outbound.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".csv", ".jsonl"}
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    listed = pl.concat(
        [pl.read_csv(path, infer_schema=False) for path in files if path.suffix == ".csv"]
    )
    with Database(finished.analytics).connect(read_only=True) as session:
        keys = {key for (key,) in session.rows("select dedupe_key from push.push_list")}
    assert set(listed["dedupe_key"]) == keys
    assert listed["address"].null_count() == 0
    assert not listed["text"].str.contains(r"\{|\}").any()


def test_published_tables_carry_their_meaning(finished: Home) -> None:
    with Database(finished.analytics).connect(read_only=True) as session:
        silent = session.rows("select table_name from duckdb_tables() where comment is null")
        mute = session.rows(
            "select column_name from duckdb_columns() where not internal and comment is null"
        )
        schemas = {
            name for (name,) in session.rows("select distinct schema_name from duckdb_tables()")
        }
        raw = session.rows("select table_name from duckdb_tables() where schema_name = 'raw'")
    assert (silent, mute) == ([], [])
    assert schemas == set(STAGES)
    assert raw == [("products",)]


def test_too_many_rejects_stop_the_run_before_anything_changes(
    tmp_path: Path, config: Path, finished: Home
) -> None:
    shutil.copytree(finished.folder, tmp_path / "home")
    home = Home(path=str(tmp_path / "home"))
    before = fingerprints(home.warehouse, STAGES)
    after_raw = [stage for stage in STAGES if stage != "raw"]
    made = fingerprints(home.warehouse, after_raw)
    published = home.analytics.read_bytes()
    last = max((home.landing / "events").glob("*.jsonl"))
    lines = last.read_bytes().splitlines(keepends=True)
    last.write_bytes(b"".join(lines) + b'{"oops\n' * (len(lines) // 10))
    with pytest.raises(RunFailed) as caught:
        run(config, home)
    message = str(caught.value)
    assert "source 'events'" in message
    assert "not a JSON object" in message
    assert last.name in message
    assert "\n" not in message
    assert fingerprints(home.warehouse, after_raw) == made
    assert home.analytics.read_bytes() == published
    last.write_bytes(b"".join(lines))
    run_until(config, home, "clean")
    assert fingerprints(home.warehouse, STAGES) == before


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The error a person sees of `siyu run`: one line, and a failing exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["siyu", "run"])
        with pytest.raises(SystemExit) as caught:
            main()
    error = capsys.readouterr().err
    assert caught.value.code == 1
    assert error.count("\n") == 1, error
    assert error.startswith("siyu: ")
    return error


BROKEN: list[tuple[str, Callable[[Path, Path], None], str]] = [
    (
        "unknown key",
        lambda config, _: (config / "shop.yaml").write_text(
            (config / "shop.yaml").read_text(encoding="utf-8").replace("time_zone:", "timezone:"),
            encoding="utf-8",
        ),
        "did you mean 'time_zone'?",
    ),
    (
        "bad YAML",
        lambda config, _: (config / "sources.yaml").write_text("sources: [", encoding="utf-8"),
        "sources.yaml, line 1",
    ),
    (
        "wrong column",
        lambda config, _: (config / "sources.yaml").write_text(
            (config / "sources.yaml").read_text(encoding="utf-8").replace("ordered_at", "orderd"),
            encoding="utf-8",
        ),
        "the file's columns are: order_id, user_id, ordered_at",
    ),
    (
        "missing file",
        lambda config, _: (config / "sources.yaml").write_text(
            (config / "sources.yaml")
            .read_text(encoding="utf-8")
            .replace("orders_history/*.csv", "nowhere.csv"),
            encoding="utf-8",
        ),
        "no such file",
    ),
    (
        "another secret",
        lambda _, home: (home / "secret").write_text("f" * 64, encoding="utf-8"),
        "made with another SIYU_SECRET",
    ),
]


@pytest.mark.parametrize(("name", "breaks", "words"), BROKEN, ids=[case[0] for case in BROKEN])
def test_bad_input_is_one_line_and_harms_nothing(
    name: str,
    breaks: Callable[[Path, Path], None],
    words: str,
    tmp_path: Path,
    config: Path,
    landing: Path,
    finished: Home,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_config, own_home = tmp_path / "config", tmp_path / "home"
    shutil.copytree(config, own_config)
    shutil.copytree(finished.folder, own_home, symlinks=True)
    history = own_home / "warehouse.duckdb"
    with Database(history).connect() as session:
        session.execute("delete from raw.loads where source = 'orders_history'")
    before = fingerprints(history, list(STAGES))
    published = (own_home / "analytics.duckdb").read_bytes()
    breaks(own_config, own_home)
    monkeypatch.setenv("SIYU_CONFIG", str(own_config))
    monkeypatch.setenv("SIYU_HOME", str(own_home))
    line = one_line(capsys)
    assert words in line
    assert fingerprints(history, list(STAGES)) == before
    assert (own_home / "analytics.duckdb").read_bytes() == published


def test_a_real_shop_without_a_secret_is_refused(
    tmp_path: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = tmp_path / "config"
    shutil.copytree(config, shop)
    text = (shop / "shop.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    del content["simulation"]
    (shop / "shop.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setenv("SIYU_CONFIG", str(shop))
    monkeypatch.setenv("SIYU_HOME", str(tmp_path / "home"))
    line = one_line(capsys)
    assert "SIYU_SECRET is not set; make one with" in line


def test_an_empty_landing_folder_is_told_what_to_do(tmp_path: Path, config: Path) -> None:
    with pytest.raises(SourceError, match="`siyu simulate`"):
        run(config, Home(path=str(tmp_path)))
