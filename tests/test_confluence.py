"""However the same messages arrive, split, repeated or in another order, they end the same."""

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assets.clean import contracts as clean
from assets.raw import contracts as raw
from assets.raw.assets import TABLES
from resources.config.shop import Shop
from resources.config.source import FileSource
from resources.keys import Keyring
from resources.sources.collection import changed, collect
from resources.sources.files import find_arrivals
from resources.vault import Vault
from resources.warehouse import Session, Warehouse, read_sql

SOURCE = FileSource(
    id="events", kind="files", entity="events", format="jsonl", layout="segment", path="*.jsonl"
)
FIRST = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)
DAYS = [FIRST.date() + dt.timedelta(days=number) for number in range(4)]
SHOP = Shop(name="t", time_zone="Asia/Shanghai", base_currency="CNY", first_load_date=DAYS[0])
# The latest of the late messages is there by then.
NEWEST = DAYS[-1] + dt.timedelta(days=2)
MADE = (
    *(raw.PRODUCTS, clean.IDENTITIES, clean.EVENTS, clean.SESSIONS, clean.MEMBERS),
    *(clean.ORDER_LINES, clean.REFUNDS, clean.ORDER_ITEMS, clean.ORDERS),
)
# Which file a message lies in is how it arrived, not what it says.
ARRIVAL_COLUMNS = {"source", "path", "line"}
NAMES = ["Product Viewed", "Signed In", "Order Completed", "Order Refunded", "Order Cancelled"]
PRICES = st.sampled_from([0.1, 9.99, 33.335])
ITEM = {"product_id": st.sampled_from(["p1", "p2"]), "quantity": st.integers(1, 3), "price": PRICES}
products = st.lists(st.fixed_dictionaries(ITEM), min_size=1, max_size=2)


@st.composite
def messages(draw: st.DrawFn, name: str | None = None) -> dict[str, Any]:
    """A track of one of three people on one of three devices, on time or up to two days late."""
    name = name or draw(st.sampled_from(NAMES))
    happened = FIRST + dt.timedelta(days=draw(st.integers(0, 3)), minutes=draw(st.integers(0, 90)))
    sent = happened + dt.timedelta(hours=draw(st.sampled_from([0, 0, 3, 48])))
    skew = dt.timedelta(minutes=draw(st.sampled_from([0, 0, -20])))
    of_order = {"order_id": draw(st.sampled_from(["o1", "o2", "o3"])), "products": draw(products)}
    return {
        "type": "track",
        "event": name,
        "anonymousId": draw(st.sampled_from(["d1", "d2", "d3"])),
        "userId": draw(st.sampled_from([None, "u1", "u2", "u3"])),
        "originalTimestamp": (happened + skew).isoformat(),
        "sentAt": (sent + skew).isoformat(),
        "receivedAt": (sent + dt.timedelta(seconds=1)).isoformat(),
        "context": {"country": draw(st.sampled_from(["CN", "JP"])), "channel": "app"},
        "properties": of_order if name.startswith("Order") else {"product_id": "p1"},
    }


@st.composite
def histories(draw: st.DrawFn) -> list[str]:
    """About forty lines; some messages are there twice, the second time received later or not."""
    drawn = draw(st.lists(messages(), min_size=30, max_size=30))
    drawn += [draw(messages("Order Completed")), draw(messages("Order Refunded"))]
    numbered = [{"messageId": f"m{number}"} | each for number, each in enumerate(drawn)]
    for each in draw(st.lists(st.sampled_from(numbered), min_size=8, max_size=8)):
        received = dt.datetime.fromisoformat(each["receivedAt"])
        later = received + dt.timedelta(minutes=draw(st.sampled_from([0, 90])))
        numbered.append(each | {"receivedAt": later.isoformat()})
    return [json.dumps(each) + "\n" for each in numbered]


@st.composite
def deliveries(draw: st.DrawFn, lines: Sequence[str]) -> list[tuple[str, str]]:
    """The lines as files, each a name and a content, in an order of arrival."""
    shuffled = draw(st.permutations(lines))
    dates = draw(st.lists(st.integers(0, 3), min_size=len(lines), max_size=len(lines)))
    versions: dict[str, list[str]] = {}
    for number, day in enumerate(DAYS):
        own = [line for line, date in zip(shuffled, dates, strict=True) if date == number]
        half = draw(st.integers(0, len(own)))
        start, end, whole = "".join(own[:half]), "".join(own[half:]), "".join(own)
        arrivals: dict[str, dict[str, list[str]]] = {
            "once": {"": [whole]},
            "repeated": {"": [whole, whole]},
            "renamed": {"": [whole], "-again": [whole]},
            "split": {"-a": [start], "-b": [end]},
            "grown": {"": [start, whole]},
        }
        way = draw(st.sampled_from(sorted(arrivals)))
        versions |= {f"{day}{suffix}.jsonl": each for suffix, each in arrivals[way].items()}
    visits = draw(st.permutations([name for name, each in versions.items() for _ in each]))
    return [(name, versions[name].pop(0)) for name in visits]


def collected(folder: Path, files: Sequence[tuple[str, str]]) -> dict[str, list[tuple[Any, ...]]]:
    """Collects each file as it arrives; the rows of the clean tables made of them all."""
    landing = folder / "landing"
    landing.mkdir()
    keyring = Keyring(home=str(folder), is_simulated=True)
    (folder / "secret").write_text("0123456789abcdef" * 4, encoding="utf-8")
    vault = Vault(path=str(folder / "vault.duckdb"), keyring=keyring)
    circumstances = {"base_currency": "CNY", "loaded_at": FIRST.replace(tzinfo=None)}
    with Warehouse(path=str(folder / "warehouse.duckdb"), threads=2).connect() as session:
        for name, content in files:
            (landing / name).write_text(content, encoding="utf-8")
            new = changed(session, TABLES, find_arrivals([SOURCE], landing, {}))
            collect(session, vault, TABLES, new, keys=keyring.unlock(), **circumstances)
        assert session.scalar("select count(*) from raw.rejected_records") == 0
        session.create_empty(raw.FX_RATES)
        for contract in MADE:
            select = read_sql(f"{contract.schema}/{contract.table}.sql")
            session.create_table(contract, select, SHOP.parameters(NEWEST))
        return {contract.name: content_of(session, contract) for contract in MADE[1:]}


def content_of(session: Session, contract: clean.Contract) -> list[tuple[Any, ...]]:
    kept = ", ".join(
        column.quoted
        for column in contract.columns
        if contract is not clean.EVENTS or column.name not in ARRIVAL_COLUMNS
    )
    return session.rows(f"select {kept} from {contract.name} order by all")


# Shrinking would take minutes at two seconds an example.
@settings(
    max_examples=6,
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_the_way_of_arrival_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    lines = data.draw(histories())
    everything = [(f"{DAYS[-1]}.jsonl", "".join(lines))]
    expected = collected(tmp_path_factory.mktemp("clean"), everything)
    assert not [name for name, rows in expected.items() if not rows]
    files = data.draw(deliveries(lines))
    assert collected(tmp_path_factory.mktemp("drawn"), files) == expected
