import json

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.thing_ids import MACROS, PLAIN_IDS


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        connection.execute(MACROS)
        yield connection


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("a-1", "a-1"),
        (" a-1\t", "a-1"),
        ("\u00a0a 1\u3000", "a 1"),
        ("1001.0", "1001"),
        ("-7.00", "-7"),
        *((text, text) for text in ("1001", "007", "1001.5", "v1.0", "NA-12", "nano", "null-a")),
        *((text, None) for text in ("", " ", "undefined", "NULL", "None", "(not set)", "N/A")),
        *((text, None) for text in ("[object Object]", "{}", '{"id": 7}', "[1,2]", "\\N", "<nil>")),
    ],
)
def test_ids_in_one_spelling(connection, said, read):
    found = connection.execute("select read_id($1), read_order_id($1)", [said]).fetchone()
    assert found == (read, read)


@pytest.mark.parametrize("said", ["0", "0.0", "-1", "true", "False", "00000000-0000-0000"])
def test_some_ids_name_a_product_and_no_order(connection, said):
    product, order = connection.execute("select read_id($1), read_order_id($1)", [said]).fetchone()
    assert (product is None, order) == (False, None)


def _plainly(connection, said):
    connection.execute(
        "create or replace temp table staged as"
        " select 'a' as path, 1 as line, null as reason, $1 as properties",
        [said],
    )
    connection.execute(PLAIN_IDS)
    return connection.execute("select properties from staged").fetchone()[0]


def _written(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        (1001.0, "1001"),
        ("1001.0", "1001"),
        (" x\u00a0", "x"),
        ("x\t", "x"),
        ("undefined", None),
        ({"id": 7}, None),
        (["a"], None),
        (0, None),
        (True, None),
    ],
)
def test_the_ids_of_an_event(connection, said, plain):
    def event(order, product):
        lines = [{"product_id": product, "price": 1001.0}, {"product_id": "b"}]
        return {"order_id": order, "products": lines, "note": 'said "order_id":"null",'}

    found = json.loads(_plainly(connection, _written(event(said, " p "))))
    assert found == event(plain, "p")


@given(
    st.dictionaries(
        st.sampled_from(["order_id", "product_id", "note", "price"]),
        st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()),
    )
)
def test_whatever_stands_there_stays_json_and_else_unchanged(connection, event):
    found = json.loads(_plainly(connection, _written(event)))
    assert found.keys() == event.keys()
    for key in event.keys() - {"order_id", "product_id"}:
        assert found[key] == event[key]
    again = _plainly(connection, _written(found))
    assert json.loads(again) == found
