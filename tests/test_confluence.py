"""However files arrive, in the end the clean tables are those of one load of the final files."""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from assets.clean.contracts import DUPLICATES, EVENTS, LOADS, MEMBER_ADDRESSES, SIGHTINGS
from assets.clean.rewriting import TABLES as CLEAN
from assets.clean.rewriting import rewrite
from assets.raw.assets import TABLES, exchange_rates
from assets.raw.contracts import FX_RATES, PRODUCTS
from resources.config.shop import FxRate, Identity, Quality, Shop
from resources.config.source import FileSource
from resources.keys import Keyring
from resources.sources.collection import changed, collect, take_back
from resources.sources.files import find_arrivals
from resources.vault import Vault
from resources.warehouse import Session, Warehouse, read_sql
from tests.sizes import sized

FIRST = dt.date(2026, 7, 1)
DAYS = [FIRST + dt.timedelta(days=number) for number in (1, 3, 5)]
LAST = len(DAYS) - 1
# Shortly before midnight of the shop, whose zone this is.
EVENING = dt.datetime(2026, 7, 1, 15, 40, tzinfo=dt.UTC)
SHOP = Shop(
    name="t",
    time_zone="Asia/Shanghai",
    base_currency="CNY",
    first_load_date=FIRST,
    fx_rates=(
        FxRate(currency="JPY", valid_from=dt.date(2026, 1, 1), rate=0.0471),
        FxRate(currency="JPY", valid_from=dt.date(2026, 7, 3), rate=0.0513),
        FxRate(currency="USD", valid_from=dt.date(2026, 7, 2), rate=7.1),
    ),
    # Low enough for a handful of events.
    quality=Quality(bot_views_per_minute=2, bot_clicks_per_10_seconds=1),
    identity=Identity(max_devices=2),
)
CAP = {"session_cap_seconds": 2400}


def source(name: str, entity: str, layout: str, amounts: str = "major") -> FileSource:
    return FileSource.model_validate(
        {
            "id": name,
            "kind": "files",
            "entity": entity,
            "format": "jsonl",
            "layout": layout,
            "amounts": amounts,
            "path": f"{name}/*.jsonl",
        }
    )


SOURCES = [
    source("app", "events", "segment"),
    # A till that counts in cents, and in yen.
    source("till", "events", "segment", "minor"),
    source("members", "members", "members"),
    source("consents", "consents", "consents"),
    source("products", "products", "catalogue"),
]
# What tells how records arrived, not what they say.
OF_ARRIVAL = {DUPLICATES.name, LOADS.name, SIGHTINGS.name}
COLUMNS_OF_ARRIVAL = {"source", "path", "line"}


@dataclass(frozen=True)
class Record:
    """A line of a source, and the first load date (of DAYS) on which it may arrive.

    Of records that say the same thing of one member or product the one that arrived last counts:
    such a record `is_dated` and arrives on that day in any case.
    """

    source: str
    day: int
    line: str
    is_dated: bool = False


USERS, DEVICES, PRODUCT_IDS = ("u1", "u2", "u3"), ("d1", "d2", "d3", "d4"), ("p1", "p2")
NAMES = (
    *("Product Viewed", "Product Viewed", "Product Viewed", "Email Link Clicked", "Signed In"),
    "Email Unsubscribed",
    *("Order Completed", "Order Completed", "Order Refunded", "Order Refunded", "Order Cancelled"),
)
NUMBERS = st.integers(0, 59)
prices = st.sampled_from([None, 1, 9.99, 33.335, 120])
listed = st.fixed_dictionaries(
    {
        "product_id": st.sampled_from(PRODUCT_IDS),
        "quantity": st.integers(1, 3),
        "price": prices,
    }
)
said_of_orders = st.fixed_dictionaries(
    {"order_id": st.sampled_from([None, "o1", "o1", "o1", "o2", "o2", "o3", "TEST-1"])},
    optional={
        "products": st.lists(listed, max_size=2),
        "product_id": st.sampled_from(PRODUCT_IDS),
        "quantity": st.integers(-1, 3),
        "price": prices,
        "revenue": prices,
        "currency": st.sampled_from(["JPY", "JPY", "USD", "CNY", "CNY", "XXX"]),
        "coupon": st.sampled_from(["", "", "", "test"]),
    },
)
said_of_others = st.fixed_dictionaries(
    {"product_id": st.sampled_from(PRODUCT_IDS)}, optional={"price": prices}
)
contexts = st.fixed_dictionaries(
    {"channel": st.sampled_from(["app", "web"])},
    optional={
        "country": st.sampled_from(["CN", "JP"]),
        "locale": st.sampled_from(["zh-CN", "en"]),
        "timezone": st.sampled_from(["Asia/Tokyo", "Europe/Paris", "nowhere"]),
        "userAgent": st.just("curl/8"),
    },
)


@st.composite
def events(draw: st.DrawFn, number: int, name: str | None = None) -> dict[str, Any]:
    """A call of one of three people on one of four devices, on time or up to two days late."""
    name = name or draw(st.sampled_from(NAMES))
    is_order = name.startswith("Order")
    happened = EVENING + dt.timedelta(days=draw(st.integers(0, 3)), seconds=20 * draw(NUMBERS))
    happened += dt.timedelta(minutes=draw(st.sampled_from([0, 0, 25])))
    sent = happened + dt.timedelta(hours=draw(st.sampled_from([0, 0, 0, 3, 48])))
    skew = dt.timedelta(minutes=draw(st.sampled_from([0, 0, -20])))
    kind = draw(st.sampled_from(["track", "track", "track", "track", "identify", "alias"]))
    people = {
        "anonymousId": draw(st.sampled_from([None, *DEVICES, *DEVICES])),
        "userId": draw(st.sampled_from([None, None, None, *USERS])),
    }
    if kind == "alias":
        people = {"previousId": draw(st.sampled_from(DEVICES)), "userId": people["userId"] or "u1"}
    elif kind == "identify" and not any(people.values()):
        people["userId"] = "u2"
    call = {"type": kind} if kind != "track" and not is_order else {"type": "track", "event": name}
    return {
        **{"messageId": f"m{number}", **call, **people},
        "originalTimestamp": (happened + skew).isoformat(),
        "sentAt": draw(st.sampled_from([(sent + skew).isoformat()] * 3 + [None])),
        "receivedAt": (sent + dt.timedelta(seconds=draw(st.sampled_from([1, 2])))).isoformat(),
        "context": draw(contexts),
        "properties": draw(said_of_orders if is_order else said_of_others),
    }


def lying(event: Mapping[str, Any], name: str) -> Record:
    """An event as a record; a file cannot tell of what was received a day after its date."""
    received = dt.datetime.fromisoformat(event["receivedAt"]).astimezone(ZoneInfo(SHOP.time_zone))
    earliest = received.date() - dt.timedelta(days=1)
    day = LAST if name == "till" else next(n for n, day in enumerate(DAYS) if day >= earliest)
    return Record(name, day, json.dumps(event))


def later(event: Mapping[str, Any], **interval: int) -> dict[str, Any]:
    """An event as it would be, had it happened and come some time later."""
    clocks = ("originalTimestamp", "sentAt", "receivedAt")
    return {
        **event,
        **{
            clock: (dt.datetime.fromisoformat(event[clock]) + dt.timedelta(**interval)).isoformat()
            for clock in clocks
            if event[clock]
        },
    }


@st.composite
def refunded_orders(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Orders of which one message speaks, and what is given back of each, half a day later."""
    told: list[dict[str, Any]] = []
    for number in (4, 5):
        order = draw(events(0, "Order Completed"))
        lines = draw(st.lists(listed, min_size=1, max_size=2))
        said = {"order_id": f"o{number}", "products": lines}
        back = {**said, "products": lines[:1]} if draw(st.booleans()) else said
        if draw(st.booleans()):
            # Which order it was must be found out.
            back = {"products": back["products"]}
        refund = {**later(order, hours=12), "event": "Order Refunded", "properties": back}
        told += [
            {**order, "messageId": f"o{number}", "properties": said},
            {**refund, "messageId": f"r{number}"},
        ]
    return told


@st.composite
def bursts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Views or clicks of one device at a pace near what no human has."""
    name = draw(st.sampled_from(["Product Viewed", "Email Link Clicked"]))
    first = {**draw(events(0)), "type": "track", "event": name, "anonymousId": "d1"}
    seconds = draw(st.lists(st.integers(0, 40), min_size=2, max_size=4))
    # Some came late, and so in another file.
    return [
        {
            **later(first, seconds=each),
            "messageId": f"b{number}",
            "receivedAt": later(first, seconds=50, hours=draw(st.sampled_from([0, 0, 7])))[
                "receivedAt"
            ],
        }
        for number, each in enumerate(seconds)
    ]


@st.composite
def of_events(draw: st.DrawFn, n_events: int) -> list[Record]:
    """Some events, and copies of some, received later: what these say may be something else."""
    drawn = [draw(events(number)) for number in range(n_events)]
    drawn += draw(refunded_orders())
    drawn += draw(bursts())
    for number, each in enumerate(draw(st.lists(st.sampled_from(drawn), max_size=6))):
        if draw(st.booleans()):
            drawn.append(each)
            continue
        copy = draw(events(0)) if draw(st.booleans()) else each
        received = dt.datetime.fromisoformat(each["receivedAt"])
        # No two copies at one instant: which of them counts would be told by their files.
        received += dt.timedelta(minutes=30, seconds=number)
        drawn.append({**copy, "messageId": each["messageId"], "receivedAt": received.isoformat()})
    tills = [draw(st.booleans()) and draw(st.booleans()) for _ in drawn]
    of_till = {each["messageId"] for each, is_till in zip(drawn, tills, strict=True) if is_till}
    return [lying(each, "till" if each["messageId"] in of_till else "app") for each in drawn]


@st.composite
def of_members(draw: st.DrawFn) -> list[Record]:
    """What is said of the three people and of two who never came."""
    said = st.fixed_dictionaries(
        {"user_id": st.sampled_from([*USERS, "u4", "u5"])},
        optional={
            "signed_up_at": st.sampled_from(["2026-06-01T00:00:00Z", "2026-07-02T10:00:00Z"]),
            "locale": st.sampled_from(["zh-CN", "en"]),
            "time_zone": st.sampled_from(["Asia/Tokyo", "Asia/Seoul"]),
            "birth_year": st.sampled_from([1990, 2012]),
            "email": st.sampled_from(["a@example.org", "A@example.org ", "b@example.org"]),
        },
    )
    days = st.integers(0, LAST)
    drawn = draw(
        st.lists(
            st.tuples(days, said),
            min_size=2,
            max_size=5,
            unique_by=lambda each: (each[0], each[1]["user_id"]),
        )
    )
    return [Record("members", day, json.dumps(each), is_dated=True) for day, each in drawn]


@st.composite
def of_consents(draw: st.DrawFn) -> list[Record]:
    said = st.fixed_dictionaries(
        {
            "user_id": st.sampled_from([*USERS, "u4", "a@example.org"]),
            "channel": st.sampled_from(["sms", "email", "E-Mail", "*"]),
            "status": st.sampled_from(["granted", "granted", "denied", "STOP"]),
        },
        optional={
            "at": st.sampled_from([f"{day}T08:00:00Z" for day in (*DAYS, "2026-07-09")]),
            "purpose": st.sampled_from(["marketing", "service"]),
            "email": st.just("b@example.org"),
        },
    )
    # Without a time it counts from the end of its load date.
    return [
        Record("consents", draw(st.integers(0, LAST)), json.dumps(each), "at" not in each)
        for each in draw(st.lists(said, max_size=5))
    ]


@st.composite
def of_products(draw: st.DrawFn) -> list[Record]:
    said = st.fixed_dictionaries(
        {"product_id": st.sampled_from(PRODUCT_IDS), "price": st.just(10)},
        optional={
            "cost": st.sampled_from([3, 4.5, 60]),
            "currency": st.sampled_from(["CNY", "JPY"]),
        },
    )
    drawn = draw(
        st.lists(
            st.tuples(st.integers(0, LAST - 1), said),
            max_size=3,
            unique_by=lambda each: (each[0], each[1]["product_id"]),
        )
    )
    # The newest load date, which says as of when everything is, is there in the end.
    last = Record("products", LAST, '{"product_id": "p9"}', is_dated=True)
    dated = [Record("products", day, json.dumps(each), is_dated=True) for day, each in drawn]
    return [*dated, last]


@st.composite
def histories(draw: st.DrawFn, n_events: int) -> list[Record]:
    """All that is to be told in the end."""
    return [
        *draw(of_events(n_events)),
        *draw(of_members()),
        *draw(of_consents()),
        *draw(of_products()),
    ]


# A file's name, and its content or None where it is taken back.
Arrival = tuple[str, str | None]


def name_of(record: Record, day: int) -> str:
    return f"{record.source}/{DAYS[day]}"


def text(records: Iterable[Record]) -> str:
    return "".join(record.line + "\n" for record in records)


def in_plain_files(records: Iterable[Record]) -> dict[str, str]:
    """One file for each source and load date."""
    files: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        files[name_of(record, record.day)].append(record)
    return {f"{name}.jsonl": text(lines) for name, lines in files.items()}


@st.composite
def arrivals(draw: st.DrawFn, records: Sequence[Record]) -> list[list[Arrival]]:
    """Night by night what comes: the records as files, in any order, not always right at once."""
    files: dict[str, list[Record]] = defaultdict(list)
    for record in draw(st.permutations(records)):
        later = 0 if record.is_dated else draw(st.sampled_from([0, 0, 0, 1, 2]))
        files[name_of(record, min(record.day + later, LAST))].append(record)
    versions: dict[str, list[str | None]] = {}
    for name, lines in files.items():
        half = draw(st.integers(0, len(lines)))
        start, end, whole = text(lines[:half]), text(lines[half:]), text(lines)
        ways: Mapping[str, dict[str, list[str | None]]] = {
            "once": {"": [whole]},
            "repeated": {"": [whole, whole]},
            "again under another name": {"": [whole], "-b": [whole]},
            "renamed": {"": [whole, None], "-b": [whole]},
            "taken back at first": {"": [whole, None, whole]},
            "split": {"-a": [start], "-b": [end]},
            "grown": {"": [start, whole]},
            "shrunk": {"": [whole + draw(mistakes(name)), whole]},
            "corrected": {"": [start + draw(mistakes(name)), whole]},
            "wrong in between": {"": [whole, end + draw(mistakes(name)), whole]},
            "never meant": {"": [whole], "-x": [draw(mistakes(name)), None]},
        }
        way = ways[draw(st.sampled_from(sorted(ways)))]
        versions |= {f"{name}{suffix}.jsonl": each for suffix, each in way.items()}
    order = draw(st.permutations([name for name, each in versions.items() for _ in each]))
    nights: list[list[Arrival]] = [[]]
    for name in order:
        if draw(st.booleans()):
            nights.append([])
        nights[-1].append((name, versions[name].pop(0)))
    return nights


@st.composite
def mistakes(draw: st.DrawFn, name: str) -> str:
    """Lines that a file should not have had; of events under ids that others have too."""
    entity = name.partition("/")[0]
    if entity in ("app", "till"):
        return text(lying(draw(events(draw(NUMBERS) // 3)), entity) for _ in range(2))
    strategies = {"members": of_members, "consents": of_consents, "products": of_products}
    return text(draw(strategies[entity]()))


class House:
    """A landing folder, and the warehouse that is filled from it."""

    def __init__(self, folder: Path, session: Session) -> None:
        self.landing = folder / "landing"
        for each in SOURCES:
            (self.landing / each.id).mkdir(parents=True)
        (folder / "secret").write_text("0123456789abcdef" * 4, encoding="utf-8")
        self.session = session
        self.keyring = Keyring(home=str(folder), is_simulated=True)
        self.vault = Vault(path=str(folder / "vault.duckdb"), keyring=self.keyring)
        session.write_frame(FX_RATES, exchange_rates(SHOP))
        for table in TABLES.all:
            session.create_empty(table)

    def receives(self, name: str, content: str | None) -> None:
        """A file arrives, or (None) is taken back."""
        path = self.landing / name
        if content is None:
            path.unlink()
            take_back(self.session, TABLES, path.parent.name, [f"{path.parent.name}/{path.name}"])
        else:
            path.write_text(content, encoding="utf-8")

    def takes_in(self) -> None:
        """Collects what is new or changed, and brings the clean tables up to date."""
        collect(
            self.session,
            self.vault,
            TABLES,
            changed(self.session, TABLES, find_arrivals(SOURCES, self.landing, {})),
            keys=self.keyring.unlock(),
            base_currency=SHOP.base_currency,
            loaded_at=dt.datetime(2026, 7, 9),  # noqa: DTZ001 - stored timestamps are naive UTC
            time_zone=SHOP.time_zone,
        )
        newest = self.session.scalar("select max(load_date) from raw.loads")
        if newest is None:
            return
        parameters = {**SHOP.parameters(newest), **CAP}
        self.session.create_table(PRODUCTS, read_sql("raw/products.sql"), parameters)
        with self.session.transaction():
            rewrite(self.session, parameters)

    def tables(self, *, is_arrival_told: bool) -> dict[str, list[tuple[Any, ...]]]:
        """The rows of the clean tables, with or without what tells how records arrived."""
        found: dict[str, list[tuple[Any, ...]]] = {}
        for table in CLEAN:
            names = table.column_names
            if not is_arrival_told:
                if table.name in OF_ARRIVAL:
                    continue
                if table in (EVENTS, MEMBER_ADDRESSES):
                    names = [name for name in names if name not in COLUMNS_OF_ARRIVAL]
            columns = ", ".join(f'"{name}"' for name in names)
            found[table.name] = self.session.rows(
                f"select {columns} from {table.name} order by all"
            )
        return found


@contextmanager
def new_house() -> Generator[House]:
    with TemporaryDirectory() as folder, Warehouse(path=":memory:", threads=1).connect() as session:
        yield House(Path(folder), session)


def loaded_at_once(
    files: Mapping[str, str], *, is_arrival_told: bool
) -> dict[str, list[tuple[Any, ...]]]:
    with new_house() as house:
        for name, content in files.items():
            house.receives(name, content)
        house.takes_in()
        return house.tables(is_arrival_told=is_arrival_told)


def differences(
    one: Mapping[str, list[tuple[Any, ...]]], other: Mapping[str, list[tuple[Any, ...]]]
) -> dict[str, tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]]:
    """By table, the rows that only the one has, and those that only the other has."""
    return {
        name: (
            [row for row in rows if row not in other[name]],
            [row for row in other[name] if row not in rows],
        )
        for name, rows in one.items()
        if rows != other[name]
    }


def check(records: Sequence[Record], nights: Sequence[Sequence[Arrival]]) -> None:
    """Takes in each night's arrivals by themselves, then compares with one load of what is left."""
    final: dict[str, str] = {}
    with new_house() as house:
        for night in nights:
            for name, content in night:
                house.receives(name, content)
                final.pop(name, None)
                if content is not None:
                    final[name] = content
            house.takes_in()
        everything = house.tables(is_arrival_told=True)
        facts = house.tables(is_arrival_told=False)
    assert differences(everything, loaded_at_once(final, is_arrival_told=True)) == {}
    plain = in_plain_files(records)
    assert differences(facts, loaded_at_once(plain, is_arrival_told=False)) == {}


@settings(
    max_examples=sized(2, 8),
    # Shrinking would take many minutes at some seconds an example.
    phases=[Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_the_way_of_arrival_does_not_matter(data: st.DataObject) -> None:
    records = data.draw(histories(16))
    check(records, data.draw(arrivals(records)))
