"""The whole way on two years of a real wholesaler: what went in, what came out, what is true."""

from collections.abc import Generator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.runs import RunReport
from resources.home import Home
from resources.warehouse import Database, Session, read_sql
from tests.small_shop import ROOT, run

FILE = "online_retail_ii/online_retail_ii.parquet"
N_LINES = 1_044_847
# Lines of the file that say the same as another one: they count, as the source counts them.
N_REPEATED = 11_812
N_CUSTOMERS = 5_942
VALUE = Decimal("18909744.1180")


@dataclass(frozen=True)
class Trial:
    """One whole run over the real file."""

    file: Path
    home: Home
    report: RunReport


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    # The fixture `shared_data` lives for one test; the run is shared by all of them.
    file = ROOT.parent / "shared" / "data" / FILE
    if not file.exists():
        pytest.skip(f"needs the shared data file {FILE}, which is not here")
    home = Home(path=str(tmp_path_factory.mktemp("online_retail")))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("ONLINE_RETAIL_PATH", str(file))
        environment.setenv("SIYU_SECRET", "0123456789abcdef" * 4)
        return Trial(file, home, run(ROOT / "config" / "online_retail", home))


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
    assert pq.read_metadata(trial.file).num_rows == N_LINES
    accepted, rejected = (
        warehouse_session.scalar(f"select count(*) from raw.{table} where source = 'order_lines'")
        for table in ("events", "rejected_records")
    )
    assert accepted + rejected == N_LINES


def test_repeated_lines_count_as_often_as_they_stand_there(
    trial: Trial, warehouse_session: Session
) -> None:
    distinct = warehouse_session.scalar(
        f"select count(*) from (select distinct * from read_parquet('{trial.file}'))"
    )
    assert N_LINES - distinct == N_REPEATED
    assert warehouse_session.rows(
        "select count(*), count(distinct message_id) from clean.events where source = 'order_lines'"
    ) == [(N_LINES, N_LINES)]


def test_the_money_that_arrived_is_the_money_accounted_for(
    warehouse_session: Session, published: Session
) -> None:
    arrived = warehouse_session.scalar(
        "select control_total from raw.loads where source = 'order_lines'"
    )
    parts = published.rows(read_sql("questions/orders_reconciliation.sql"))
    assert arrived == VALUE
    assert sum(amount for _, _, amount in parts) == VALUE
    assert {name for name, n_lines, _ in parts if n_lines} >= {"orders", "cancellations"}


def test_every_customer_is_an_identified_member(published: Session) -> None:
    assert published.scalar("select count(*) from clean.members where is_identified") == N_CUSTOMERS


def test_the_blend_is_no_worse_than_als_and_als_beats_popularity(published: Session) -> None:
    rows = published.frame(read_sql("questions/models_compared.sql")).to_dicts()
    found = {row["model"]: row for row in rows if row["segment"] == "all"}
    for metric in ("recall", "ndcg"):
        als = found["als"]
        assert found["blend"][metric] >= als[metric] > als[f"popularity_{metric}"] > 0, metric
    cold = {row["segment"]: row for row in rows if row["model"] in ("content", "popular")}
    assert cold["new_products"]["ndcg"] > cold["new_products"]["popularity_ndcg"]
    assert cold["new_members"]["n_members"] > 0


def test_no_message_is_there_that_should_not_be(published: Session) -> None:
    assert published.scalar("select count(*) from push.push_list") > 0
    assert published.rows(read_sql("questions/forbidden_messages.sql")) == []


def test_lists_for_upload_are_for_the_owner_alone(trial: Trial) -> None:
    files = [path for path in trial.home.outbound.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".csv", ".jsonl"}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
