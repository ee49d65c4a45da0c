"""Whatever dirt.json says is wrong with the files can be counted in the files."""

import csv
import datetime as dt
import json
from bisect import bisect_left
from collections import Counter, defaultdict

from .conftest import SMALL, Landing, instant

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


def counted(landing: Landing) -> dict[str, Counter[str]]:
    """Lines per load date of every kind that a line of the files shows by itself."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    n_whole: Counter[str] = Counter()
    for line in landing.lines:
        counts["lines"][line.load_date] += 1
        if line.message:
            n_whole[line.load_date] += 1
            continue
        counts["broken_lines"][line.load_date] += 1
        try:
            kind = "bad_timestamp" if "type" in json.loads(line.text) else "no_type"
        except json.JSONDecodeError:
            kind = "truncated" if line.text.startswith('{"messageId') else "not_json"
            # A line can be cut within its first word.
            if kind == "not_json" and '{"messageId'.startswith(line.text):
                kind = "truncated"
        counts[f"broken_{kind}"][line.load_date] += 1
    for load_date, message in landing.first_copies().values():
        counts["messages"][load_date] += 1
        happened, sent, received = (
            instant(message[name]) for name in ("originalTimestamp", "sentAt", "receivedAt")
        )
        counts["late"][load_date] += sent - happened > HOUR
        counts["clock_skewed"][load_date] += abs(received - sent) > MINUTE
        agent = message["context"]["userAgent"].lower()
        counts["bot_events_agent"][load_date] += "bot" in agent or "spider" in agent
        counts["cancelled"][load_date] += message.get("event") == "Order Cancelled"
    counts["duplicates"] = n_whole - counts["messages"]
    return counts


def test_lines_tell_the_same_as_the_truth(landing: Landing) -> None:
    dirt, counts = landing.dirt(), counted(landing)
    for kind, by_date in counts.items():
        truth = {date: row[kind] for date, row in dirt["by_load_date"].items() if row[kind]}
        assert {date: count for date, count in by_date.items() if count} == truth, kind
        assert dirt["totals"][kind] == sum(by_date.values()) > 0, kind


def test_shares_are_about_as_asked(landing: Landing) -> None:
    totals, asked = landing.dirt()["totals"], SMALL.dirt
    n = totals["messages"]
    assert 0.5 < totals["duplicates"] / n / asked.duplicate_share < 1.5
    assert 0.4 < totals["late"] / n / asked.late_share < 1.5
    assert 0 < totals["broken_lines"] / n < 0.01


def test_late_messages_lie_in_a_later_file_within_three_days(landing: Landing) -> None:
    n_late = 0
    shanghai = dt.timezone(8 * HOUR)
    for load_date, message in landing.first_copies().values():
        waited = instant(message["sentAt"]) - instant(message["originalTimestamp"])
        if waited > HOUR:
            happened = instant(message["receivedAt"]) - waited
            assert happened.astimezone(shanghai).date().isoformat() < load_date
            assert waited < dt.timedelta(days=3)
            n_late += 1
    assert n_late > 20


def test_a_wrong_clock_is_the_devices(landing: Landing) -> None:
    skews: dict[str, list[dt.timedelta]] = defaultdict(list)
    for _, message in landing.first_copies().values():
        skews[message["anonymousId"]].append(
            instant(message["sentAt"]) - instant(message["receivedAt"])
        )
    wrong = {device for device, skew in skews.items() if max(map(abs, skew)) > MINUTE}
    assert len(wrong) == landing.dirt()["totals"]["skewed_devices"]
    for device in wrong:
        assert max(skews[device]) - min(skews[device]) < MINUTE
        assert min(map(abs, skews[device])) > 4 * MINUTE


def test_copies_say_the_same_as_the_first(landing: Landing) -> None:
    first = landing.first_copies()
    for _, message in landing.messages():
        original = first[message["messageId"]][1]
        moved = {"sentAt", "receivedAt"}
        assert {k: v for k, v in message.items() if k not in moved} == {
            k: v for k, v in original.items() if k not in moved
        }
        assert message["receivedAt"] >= original["receivedAt"]


def test_fast_bots_are_those_over_sixty_views_a_minute(landing: Landing) -> None:
    views: dict[str, list[dt.datetime]] = defaultdict(list)
    agents: dict[str, str] = {}
    dates: dict[str, Counter[str]] = defaultdict(Counter)
    for load_date, message in landing.first_copies().values():
        if message.get("event") == "Product Viewed":
            views[message["anonymousId"]].append(instant(message["originalTimestamp"]))
            agents[message["anonymousId"]] = message["context"]["userAgent"].lower()
            dates[message["anonymousId"]][load_date] += 1
    fast = set[str]()
    for device, instants in views.items():
        instants.sort()
        most = max(k - bisect_left(instants, at - MINUTE) + 1 for k, at in enumerate(instants))
        if most > 60:
            fast.add(device)
        else:
            assert most < 45, "nobody else comes near"
    assert len(fast) == SMALL.dirt.n_fast_bots
    assert not any("bot" in agents[device] or "spider" in agents[device] for device in fast)
    dirt = landing.dirt()
    assert sum((dates[device] for device in fast), Counter()) == {
        date: row["bot_events_fast"]
        for date, row in dirt["by_load_date"].items()
        if row["bot_events_fast"]
    }
    crawlers = {device for device, agent in agents.items() if "bot" in agent or "spider" in agent}
    assert len(crawlers | fast) == dirt["totals"]["bot_visitors"]


def test_refunds_give_back_part_or_all_of_an_order(landing: Landing) -> None:
    ordered: Counter[str] = Counter()
    with (landing.folder / "orders_history" / "2026-07-03.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            ordered[row["order_id"]] += int(row["quantity"])
    dirt = landing.dirt()["totals"]
    n_part = n_all = 0
    copies = sorted(
        (message for _, message in landing.first_copies().values()), key=lambda m: m["receivedAt"]
    )
    for message in copies:
        if message.get("event") == "Order Completed":
            for product in message["properties"]["products"]:
                ordered[message["properties"]["order_id"]] += int(product["quantity"])
    for message in copies:
        if message.get("event") in {"Order Refunded", "Order Cancelled"}:
            assert message["properties"]["order_id"] in ordered
        if message.get("event") == "Order Refunded":
            products = message["properties"]["products"]
            returned = sum(int(product["quantity"]) for product in products)
            n_all += returned == ordered[message["properties"]["order_id"]]
            n_part += 0 < returned < ordered[message["properties"]["order_id"]]
    assert (n_part, n_all) == (dirt["refunds_partial"], dirt["refunds_full"])
    assert n_part > 0 and n_all > 0


def test_linked_visitors_are_counted(landing: Landing) -> None:
    named, nameless = set[str](), set[str]()
    for _, message in landing.first_copies().values():
        (named if message["userId"] else nameless).add(message["anonymousId"])
    assert len(named & nameless) == landing.dirt()["totals"]["anonymous_linked"] > 10
    assert len(nameless - named) > 50
