"""Group orders are orders that were placed anyway, for one product, within a day, by one link."""

import datetime as dt
from typing import Any

import polars as pl
import pytest

from .conftest import Landing, instant

DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def by_event(landing: Landing) -> dict[str, list[dict[str, Any]]]:
    """Messages that name a group, by event."""
    found: dict[str, list[dict[str, Any]]] = {"Product Shared": [], "Order Completed": []}
    for _, message in landing.first_copies().values():
        if "group_id" in message.get("properties", {}):
            found[message["event"]].append(message)
    return found


def test_the_files_hold_the_true_groups(
    landing: Landing, by_event: dict[str, list[dict[str, Any]]]
) -> None:
    orders = pl.read_parquet(landing.truth / "orders.parquet")
    placed = {row["order_id"]: row for row in orders.iter_rows(named=True)}
    said = {message["properties"]["order_id"]: message for message in by_event["Order Completed"]}
    shared = {message["properties"]["group_id"]: message for message in by_event["Product Shared"]}
    groups = pl.read_parquet(landing.truth / "groups.parquet").to_dicts()
    assert {group["is_complete"] for group in groups} == {True, False}
    assert set(shared) == {group["group_id"] for group in groups}
    assert set(said) == {order_id for group in groups for order_id in group["order_ids"]}
    for group in groups:
        theirs = [placed[order_id] for order_id in group["order_ids"]]
        assert [order["user_id"] for order in theirs] == group["member_ids"]
        assert group["leader_id"] == group["member_ids"][0]
        assert len(set(group["member_ids"])) == len(theirs)
        opened_at = theirs[0]["ordered_at"]
        assert group["opened_at"] == opened_at
        assert all(opened_at <= order["ordered_at"] < opened_at + DAY for order in theirs)
        for order_id in group["order_ids"]:
            properties = said[order_id]["properties"]
            assert properties["group_id"] == group["group_id"]
            assert group["product_id"] in {line["product_id"] for line in properties["products"]}
        is_cancelled = [order["status"] == "cancelled" for order in theirs]
        if group["is_complete"]:
            assert len(theirs) >= 2
            assert not any(is_cancelled)
        else:
            assert is_cancelled == [True]


def test_leaders_share_and_the_others_come_by_their_links(
    landing: Landing, by_event: dict[str, list[dict[str, Any]]]
) -> None:
    groups = pl.read_parquet(landing.truth / "groups.parquet").to_dicts()
    leaders = {group["group_id"]: group["leader_id"] for group in groups}
    codes: dict[str, str] = {}
    for message in by_event["Product Shared"]:
        group_id = message["properties"]["group_id"]
        assert message["userId"] == leaders[group_id]
        codes[message["properties"]["share_code"]] = group_id
    arrivals = [
        (codes[message["properties"]["share_code"]], instant(message["receivedAt"]))
        for _, message in landing.first_copies().values()
        if message["type"] == "page" and message["properties"].get("share_code") in codes
    ]
    n_joining = {group["group_id"]: len(group["order_ids"]) - 1 for group in groups}
    assert {
        group_id: sum(1 for other, _ in arrivals if other == group_id) for group_id in n_joining
    } == n_joining
