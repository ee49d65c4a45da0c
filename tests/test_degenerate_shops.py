"""Whole runs of shops of which little can be said: every table is there, and nothing fails."""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.absences import absence_of, empty_tables
from pipelines.catalogue import contracts
from resources.home import Home
from resources.warehouse import Database, Session
from tests.sizes import sized
from tests.small_shop import new_home, run, small_config

# Ten in the morning in Shanghai; the file of a day arrives on it.
FIRST_MORNING = dt.datetime(2026, 7, 6, 2, tzinfo=dt.UTC)
PRODUCTS = ("tea", "mat", "lamp")


@dataclass
class Log:
    """What happened in a shop, by day from 0."""

    days: dict[int, list[dict[str, Any]]] = field(default_factory=dict[int, list[dict[str, Any]]])
    members: set[str] = field(default_factory=set[str])
    referred: set[str] = field(default_factory=set[str])
    n_events: int = 0
    has_catalogue: bool = True

    def event(self, name: str, member: str | None, day: int, device: str = "", **said: Any) -> None:
        """One event of a member, a minute after the one before; without a name, of a device."""
        self.n_events += 1
        at = FIRST_MORNING + dt.timedelta(days=day, minutes=self.n_events)
        self.members |= {member} if member else set()
        self.days.setdefault(day, []).append(
            {
                "messageId": f"m{self.n_events}",
                "type": "track",
                "event": name,
                "anonymousId": device or f"device of {member}",
                "userId": member,
                "originalTimestamp": at.isoformat(),
                "sentAt": at.isoformat(),
                "receivedAt": at.isoformat(),
                "context": {"channel": "app", "country": "CN", "timezone": "Asia/Shanghai"},
                "properties": said,
            }
        )

    def view(self, member: str, day: int, product: str = "tea") -> None:
        self.event("Product Viewed", member, day, product_id=product)

    def order(self, order_id: str, member: str, day: int, quantity: int = 1) -> None:
        lines = [{"product_id": "tea", "quantity": quantity, "price": 20.0}]
        said = {"order_id": order_id, "currency": "CNY", "products": lines}
        self.event("Order Completed", member, day, **said)

    def refund(self, order_id: str, member: str, day: int) -> None:
        self.event(
            "Order Refunded",
            member,
            day,
            order_id=order_id,
            currency="CNY",
            products=[{"product_id": "tea", "quantity": 1, "price": 20.0}],
        )

    def refer(self, sharer: str, member: str, day: int) -> None:
        """A share, a click on it on a new device, and the first login there."""
        code, device = f"code of {sharer}", f"device of {member}"
        self.referred.add(member)
        self.event("Product Shared", sharer, day, product_id="tea", share_code=code)
        self.event("Product Viewed", None, day, device, product_id="tea", share_code=code)
        self.view(member, day)

    def write(self, landing: Path) -> None:
        """The files of the events, and of the catalogue and the members on the first day."""
        files = {f"events/{_date(day)}.jsonl": events for day, events in self.days.items()}
        catalogue = PRODUCTS if self.has_catalogue else ()
        files[f"products/{_date(0)}.jsonl"] = [
            {
                "product_id": product,
                "kind": "product",
                "title": f"A {product}",
                "category": "home",
                "tags": [product],
                "price": 20.0,
                "currency": "CNY",
                "stock": 5,
                "is_hidden": False,
            }
            for product in catalogue
        ]
        files[f"members/{_date(0)}.jsonl"] = [
            {"user_id": member, "signed_up_at": FIRST_MORNING.isoformat(), "channel": "app"}
            for member in sorted(self.members - self.referred)
        ]
        for name, lines in files.items():
            path = landing / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _date(day: int) -> str:
    return str(FIRST_MORNING.date() + dt.timedelta(days=day))


def no_events(log: Log) -> None:
    log.members.add("ann")


def no_orders(log: Log) -> None:
    """Nor a catalogue."""
    log.has_catalogue = False
    for day, member in enumerate(("ann", "bea", "cleo", "ann")):
        log.view(member, day)
        log.event("Product Added", member, day, product_id="mat")


def one_order(log: Log) -> None:
    no_orders(log)
    log.has_catalogue = True
    log.order("o1", "ann", 3)


def all_on_one_day(log: Log) -> None:
    for number in range(30):
        log.view(f"member {number}", 0, PRODUCTS[number % 3])
        log.order(f"o{number}", f"member {number}", 0)


def all_refunded(log: Log) -> None:
    log.refer("ann", "member 1", 0)
    for number in range(6):
        member = f"member {number % 3}"
        log.view(member, number)
        log.order(f"o{number}", member, number)
        log.refund(f"o{number}", member, number)


def negative_revenue(log: Log) -> None:
    """Who is referred buys, and then gives back more; another one does nothing else."""
    for number in range(4):
        log.refer("ann", f"member {number}", number)
        log.order(f"o{number}", f"member {number}", number)
        log.order(f"-{number}", f"member {number}", number + 1, quantity=-3)
        log.order(f"--{number}", "bea", number, quantity=-2)


def single_member(log: Log) -> None:
    log.event("Product Shared", "ann", 0, product_id="tea", share_code="c1")
    # Her own link, on another device, before and after she logs in there.
    log.event("Page", None, 1, device="tablet", share_code="c1")
    log.event("Page", "ann", 2, device="tablet", share_code="c1")
    for day in range(0, 40, 10):
        log.view("ann", day)
        log.order(f"o{day}", "ann", day)


SHOPS: tuple[Callable[[Log], None], ...] = (
    no_events,
    one_order,
    no_orders,
    all_on_one_day,
    all_refunded,
    negative_revenue,
    single_member,
)


@dataclass(frozen=True)
class Made:
    """A shop after one whole run, which no blocking check has stopped."""

    name: str
    home: Home


@pytest.fixture(scope="module", params=sized(SHOPS[::2], SHOPS), ids=lambda shop: shop.__name__)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp(request.param.__name__)
    config = small_config(folder / "config")
    shop = yaml.safe_load((config / "shop.yaml").read_text(encoding="utf-8"))
    shop["first_load_date"] = FIRST_MORNING.date()
    (config / "shop.yaml").write_text(yaml.safe_dump(shop, allow_unicode=True), encoding="utf-8")
    log = Log()
    request.param(log)
    log.write(folder / "landing")
    home = new_home(folder / "home", folder / "landing")
    run(config, home)
    return Made(request.param.__name__, home)


@pytest.fixture
def session(made: Made) -> Iterator[Session]:
    with Database(made.home.warehouse, threads=2).connect() as session:
        yield session


def test_every_table_is_there_and_published(made: Made, session: Session) -> None:
    assert [contract.name for contract in contracts() if not session.exists(contract)] == []
    with Database(made.home.analytics, threads=2).connect(read_only=True) as published:
        missing = [
            contract.name
            for contract in contracts()
            if contract.is_published and not published.exists(contract)
        ]
    assert missing == []


def test_no_published_table_is_empty_for_a_reason_nobody_foresaw(session: Session) -> None:
    """Whatever little the shop has told, its contract says why there is no row."""
    why = {
        contract.name: absence_of(session, contract)
        for contract in contracts()
        if contract.is_published
    }
    unforeseen = [
        name
        for name, absence in why.items()
        if absence is not None and absence.reason.startswith("for no reason")
    ]
    assert unforeseen == []


def test_what_cannot_be_said_is_null(session: Session) -> None:
    """No number is infinite or none at all."""
    said = [
        (contract.name, column.name)
        for contract in contracts()
        for column in contract.columns
        if column.type == "double"
        and session.scalar(
            f"select count(*) from {contract.name}"
            f" where isnan({column.quoted}) or isinf({column.quoted})"
        )
    ]
    assert said == []


# What must be so in each shop, as a query and its rows.
FACTS: dict[str, dict[str, list[tuple[Any, ...]]]] = {
    "no_events": {
        "select count(*) from clean.members": [(1,)],
        "select count(*) from features.member_days": [(0,)],
        "select count(*) from value.clv": [(0,)],
        "select stage, previous_stage from value.lifecycle": [("prospect", None)],
    },
    "no_orders": {
        "select count(*) from clean.orders": [(0,)],
        "select count(*) from value.clv": [(0,)],
        "select count(*) from value.rfm": [(0,)],
        "select product_id, title, told_by from clean.products order by all": [
            ("mat", None, "events"),
            ("tea", None, "events"),
        ],
        # A view is enough to recommend by, for lack of a catalogue too.
        "select count(distinct member_id), count(distinct product_id)"
        " from recommend.member_products": [(3, 2)],
        "select distinct stage from value.lifecycle": [("prospect",)],
        "select step, entered, converted, rate_step from value.funnels where funnel = 'purchase'"
        " order by step": [(1, 3, 3, 1.0), (2, 3, 3, 1.0), (3, 3, 0, 0.0)],
    },
    "one_order": {
        "select frequency, monetary_value, method from value.clv": [(0, 0, "fallback")],
        "select p_alive, churn_risk, churn_risk_by from value.clv": [(None, "unknown", "no_model")],
        "select bucket, n_members, error_rate, verdict from value.clv_backtest": [
            ("all", 0, None, "cannot_tell")
        ],
        "select stage, count(*) from value.lifecycle group by all order by all": [
            ("new", 1),
            ("prospect", 2),
        ],
        "select r, f, m from value.rfm": [(5, 3, 3)],
    },
    "all_on_one_day": {
        "select distinct frequency, method from value.clv": [(0, "fallback")],
        "select distinct r, f, m from value.rfm": [(5, 3, 3)],
        "select distinct stage from value.lifecycle": [("new",)],
    },
    "all_refunded": {
        "select sum(net_revenue), count(*) from clean.orders": [(0, 6)],
        "select sum(n_orders) from features.member_days": [(0,)],
        "select count(*) from value.clv": [(0,)],
        "select distinct stage from value.lifecycle": [("prospect",)],
        "select n_orders, revenue from social.referrals": [(0, 0)],
        "select distinct amount, status from social.commissions": [(0, "void")],
        "select reach, conversions, referred_buyers, score from social.advocates": [
            (1, 1, 0, None)
        ],
    },
    "negative_revenue": {
        "select sum(net_revenue) from clean.orders": [(4 * 20 - 4 * 60 - 4 * 40,)],
        "select n_orders, revenue, count(*) from social.referrals group by all": [(1, -40, 4)],
        "select sum(amount) from social.commissions": [(-4 * 40 / 20,)],
        "select referred_buyers, referred_revenue, score, rank from social.advocates": [
            (4, -160, 0, 1)
        ],
        "select distinct stage from value.lifecycle order by stage": [("new",), ("prospect",)],
        "select distinct f, m from value.rfm": [(3, 3)],
    },
    "single_member": {
        "select count(*) from clean.members where is_identified": [(1,)],
        "select frequency, recency, method from value.clv": [(3, 30, "fallback")],
        "select r, f, m from value.rfm": [(5, 3, 3)],
        "select count(*) from social.referrals": [(0,)],
        "select distinct outcome from social.share_clicks": [("refused",)],
        "select reach, conversion_rate, page_rank, score, rank from social.advocates": [
            (0, None, 1.0, None, None)
        ],
    },
}


# Of some shops which tables are named together, by what their closing words say.
NAMED = {
    "no_events": ("no event is counted", ["value.clv", "value.growth_accounting"]),
    "no_orders": ("no source tells of the catalogue", ["raw.products"]),
    "one_order": ("buyers are too few", ["value.clv_parameters", "value.clv_tracking"]),
    "all_on_one_day": ("history is too short", ["tags.propensity_metrics"]),
    "all_refunded": ("an order that is worth something", ["features.order_days", "value.rfm"]),
    "negative_revenue": ("buyers are too few", ["value.clv_tracking"]),
    "single_member": ("no click on a share has brought a member", ["social.referrals"]),
}


def test_the_closing_words_name_what_is_empty_and_why(made: Made, session: Session) -> None:
    reason, names = NAMED[made.name]
    (line,) = [line for line in empty_tables(session, contracts()) if reason in line]
    assert [name for name in names if name not in line] == []


def test_the_facts_are_told(made: Made, session: Session) -> None:
    found = {query: session.rows(query) for query in FACTS[made.name]}
    assert found == FACTS[made.name]
