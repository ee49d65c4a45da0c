"""What a run tells of records that wait, that contradict another, or that it could not read."""

import datetime as dt

import pytest

from assets.clean.contracts import DUPLICATES
from assets.clean.contracts import LOADS as CLEAN_LOADS
from assets.raw.contracts import CONSENTS, LOADS, MEMBERS, UNREAD_VALUES
from pipelines.findings import findings
from resources.warehouse import read_sql

AS_OF, LATER = dt.datetime(2026, 7, 31, 16), dt.datetime(2026, 8, 2, 10)  # noqa: DTZ001


def conflicts(n, message_id):
    return [
        {
            "source": "app",
            "path": f"{message_id}.jsonl",
            "line": line,
            "message_id": message_id,
            "kind": "conflicting",
            "differs_in": "event",
        }
        for line in range(1, n + 1)
    ]


@pytest.fixture
def log(tables):
    """Two sources of 1,000 records: one with waiting, contradicting and unread ones."""
    tables.given(
        LOADS,
        [{"source": name, "path": "a", "n_records": 1000} for name in ("app", "erp")],
    )
    tables.given(
        CLEAN_LOADS,
        [
            {"source": "app", "path": "a", "n_waiting": 2, "waits_until": LATER, "as_of": AS_OF},
            {"source": "erp", "path": "a", "as_of": AS_OF},
        ],
    )
    tables.given(MEMBERS, [{"source": "erp", "path": "a", "signed_up_at": LATER}])
    tables.given(CONSENTS)
    repeated = {"source": "erp", "path": "a", "kind": "repeated", "message_id": "m"}
    tables.given(DUPLICATES, [*conflicts(1, "rare"), *conflicts(3, "constant"), repeated])
    unread = {"source": "erp", "path": "a", "field": "price"}
    tables.given(
        UNREAD_VALUES,
        [{**unread, "value": "aaa", "n_records": 12}, {**unread, "value": "a9", "n_records": 3}],
    )
    return tables


def test_what_waits_is_named_with_its_source_and_until_when(log):
    assert log.session.rows(read_sql("questions/waiting_records.sql")) == [
        ("app", 2, LATER),
        ("erp", 1, LATER),
    ]


@pytest.mark.parametrize(("limit", "n_found"), [(0.003, 1), (0.004, 0)])
def test_contradicting_records_above_the_limit_are_shown_with_their_most_frequent_id(
    log, limit, n_found
):
    found = log.session.rows(read_sql("questions/conflicting_messages.sql"), {"limit": limit})
    assert found == [("app", 4, 1000, "constant", 3, "constant.jsonl", 1)][:n_found]


@pytest.mark.parametrize(("limit", "n_found"), [(0.014, 1), (0.015, 0)])
def test_fields_above_the_limit_are_shown_with_their_most_frequent_value(log, limit, n_found):
    found = log.session.rows(read_sql("questions/values_not_read.sql"), {"limit": limit})
    assert found == [("erp", "price", 15, 1000, "aaa")][:n_found]


def test_a_run_tells_all_of_it(log):
    words = "\n".join(findings(log.session))
    assert "2 records of app wait" in words
    assert "until 2026-08-02 10:00 UTC" in words
    assert "4 records of app have another message's id" in words
    assert "15 values of price in erp" in words
