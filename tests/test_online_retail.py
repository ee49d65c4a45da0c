"""The whole way on two years of a real wholesaler: what went in, what came out, what is true."""

from collections.abc import Generator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines import definitions
from pipelines.runs import RunReport
from resources.home import Home
from resources.warehouse import Database, Session, Warehouse, read_sql
from tests.sizes import sized
from tests.small_shop import ROOT, run

FILE = "online_retail_ii/online_retail_ii.parquet"


@dataclass(frozen=True)
class Facts:
    """What a file holds, as it is known or counted apart from the pipeline."""

    n_lines: int
    # Lines that say the same as another one: they count, as the source counts them.
    n_repeated: int
    n_customers: int
    value: Decimal


PUBLISHED = Facts(1_044_847, 11_812, 5_942, Decimal("18909744.1180"))


@dataclass(frozen=True)
class Trial:
    """One whole run over the real file, or every day over what a third of its customers bought."""

    file: Path
    facts: Facts
    home: Home
    report: RunReport


def a_third(file: Path, target: Path) -> Facts:
    """Writes the lines of every third customer, and of every third invoice of nobody."""
    lines = pl.read_parquet(file)
    number = pl.coalesce(
        pl.col("customer_id"), pl.col("invoice_no").str.extract(r"(\d+)").cast(pl.Int32)
    )
    kept = lines.filter(number % 3 == 0)
    kept.write_parquet(target)
    # A price has four digits behind the point.
    value = (pl.col("quantity") * (pl.col("unit_price") * 10_000).round().cast(pl.Int64)).sum()
    return Facts(
        n_lines=len(kept),
        n_repeated=len(kept) - len(kept.unique()),
        n_customers=kept["customer_id"].drop_nulls().n_unique(),
        value=Decimal(kept.select(value).item()) / 10_000,
    )


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    # The fixture `shared_data` lives for one test; the run is shared by all of them.
    file = ROOT.parent / "shared" / "data" / FILE
    if not file.exists():
        pytest.skip(f"needs the shared data file {FILE}, which is not here")
    facts = PUBLISHED
    if sized(everyday=True, full=False):
        part = tmp_path_factory.mktemp("part") / file.name
        file, facts = part, a_third(file, part)
    home = Home(path=str(tmp_path_factory.mktemp("online_retail")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONLINE_RETAIL_PATH", str(file))
        patch.setenv("SIYU_SECRET", "0123456789abcdef" * 4)
        # Tests at work beside this one need memory too.
        patch.setattr(definitions, "Warehouse", partial(Warehouse, memory_limit="600MB"))
        return Trial(file, facts, home, run(ROOT / "config" / "online_retail", home))


@pytest.fixture
def warehouse_session(trial: Trial) -> Generator[Session]:
    with Database(trial.home.warehouse).connect() as session:
        yield session


@pytest.fixture
def published(trial: Trial) -> Generator[Session]:
    with Database(trial.home.analytics).connect(read_only=True) as session:
        yield session


def test_every_check_that_can_stop_a_run_passed(trial: Trial) -> None:
    # A failed blocking check raises in the fixture; here it is that there were any, per stage.
    stages = ("raw", "clean", "features", "tags", "recommend", "value", "social", "push")
    assert {stage for stage in stages if trial.report.checks_passed[stage] == 0} == set()


def test_no_line_of_the_file_is_lost(trial: Trial, warehouse_session: Session) -> None:
    assert pq.read_metadata(trial.file).num_rows == trial.facts.n_lines
    accepted, rejected = (
        warehouse_session.scalar(f"select count(*) from raw.{table} where source = 'order_lines'")
        for table in ("events", "rejected_records")
    )
    assert accepted + rejected == trial.facts.n_lines


def test_repeated_lines_count_as_often_as_they_stand_there(
    trial: Trial, warehouse_session: Session
) -> None:
    distinct = warehouse_session.scalar(
        f"select count(*) from (select distinct * from read_parquet('{trial.file}'))"
    )
    n_lines = trial.facts.n_lines
    assert n_lines - distinct == trial.facts.n_repeated
    assert warehouse_session.rows(
        "select count(*), count(distinct message_id) from clean.events where source = 'order_lines'"
    ) == [(n_lines, n_lines)]


def test_the_money_that_arrived_is_the_money_accounted_for(
    trial: Trial, warehouse_session: Session, published: Session
) -> None:
    arrived = warehouse_session.scalar(
        "select control_total from raw.loads where source = 'order_lines'"
    )
    parts = published.rows(read_sql("questions/orders_reconciliation.sql"))
    assert arrived == trial.facts.value
    assert sum(amount for _, _, amount in parts) == trial.facts.value
    assert {name for name, n_lines, _ in parts if n_lines} >= {"orders", "cancellations"}


def test_every_customer_is_an_identified_member(trial: Trial, published: Session) -> None:
    found = published.scalar("select count(*) from clean.members where is_identified")
    assert found == trial.facts.n_customers


def test_als_and_the_lists_as_served_beat_popularity(published: Session) -> None:
    rows = published.frame(read_sql("questions/models_compared.sql")).to_dicts()
    found = {row["model"]: row for row in rows if row["segment"] == "all"}
    for metric in ("recall", "ndcg"):
        for model in ("als", "served"):
            row = found[model]
            assert row[metric] > row[f"popularity_{metric}"] > 0, (model, metric)
    cold = {row["segment"]: row for row in rows if row["model"] in ("content", "popular")}
    assert cold["new_products"]["ndcg"] > cold["new_products"]["popularity_ndcg"]
    assert cold["new_members"]["n_members"] > 0


def test_no_message_is_there_that_should_not_be(warehouse_session: Session) -> None:
    assert warehouse_session.scalar("select count(*) from push.push_list") > 0
    assert warehouse_session.rows(read_sql("questions/forbidden_messages.sql")) == []


def test_lists_for_upload_are_for_the_owner_alone(trial: Trial) -> None:
    files = [path for path in trial.home.outbound.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".csv", ".jsonl"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
