"""What is planted can be found in the files as the truth says, and changes nothing else."""

import datetime as dt
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from resources.simulation import simulate

from .conftest import SMALL, Landing, instant, simulated

WEEK = dt.timedelta(days=7)


@pytest.fixture(scope="module")
def frauds(landing: Landing) -> pl.DataFrame:
    return pl.read_parquet(landing.truth / "frauds.parquet")


@pytest.fixture(scope="module")
def longer(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    """Forty days, in which every newcomer left alone had opened a link long before."""
    dirt = SMALL.dirt.model_copy(update={"stale_click_share": 1, "n_visitors_per_member": 0})
    settings = SMALL.model_copy(update={"days": 40, "dirt": dirt})
    return simulated(tmp_path_factory.mktemp("longer"), settings)


@pytest.fixture(scope="module")
def messages(landing: Landing) -> list[dict[str, Any]]:
    return [message for _, message in landing.first_copies().values()]


@pytest.fixture(scope="module")
def signed_up_at(landing: Landing) -> dict[str, dt.datetime]:
    return {r["user_id"]: instant(r["signed_up_at"]) for _, r in landing.records("members")}


@pytest.fixture(scope="module")
def users(messages: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Who is named on each device."""
    found: dict[str, set[str]] = defaultdict(set)
    for message in messages:
        if message["userId"]:
            found[message["anonymousId"]].add(message["userId"])
    return found


def clicks(messages: list[dict[str, Any]], code: str) -> list[tuple[str, str | None]]:
    """Device and user of each click on a link."""
    return [
        (message["anonymousId"], message["userId"])
        for message in messages
        if message["type"] == "page" and message["properties"].get("share_code") == code
    ]


def happened_at(message: dict[str, Any]) -> dt.datetime:
    """When it happened, whatever the device's clock said."""
    waited = instant(message["sentAt"]) - instant(message["originalTimestamp"])
    return instant(message["receivedAt"]) - waited


def kind(frauds: pl.DataFrame, name: str) -> list[dict[str, Any]]:
    rows = frauds.filter(pl.col("kind") == name).to_dicts()
    assert rows, name
    return rows


def test_a_farm_signs_up_on_one_device_by_one_link(
    frauds: pl.DataFrame,
    messages: list[dict[str, Any]],
    signed_up_at: dict[str, dt.datetime],
    users: dict[str, set[str]],
) -> None:
    farms: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in kind(frauds, "device_farm"):
        farms[row["share_code"]].append(row)
        assert row["clicked_at"] < signed_up_at[row["member_id"]]
    for code, rows in farms.items():
        accounts = {row["member_id"] for row in rows}
        assert len(accounts) == len(rows) >= 3
        (device,) = (device for device, named in users.items() if accounts <= named)
        assert clicks(messages, code).count((device, None)) == len(accounts)
        joined = [signed_up_at[account] for account in accounts]
        assert max(joined) - min(joined) < WEEK


def test_sharers_try_their_links_and_come_again(
    frauds: pl.DataFrame, messages: list[dict[str, Any]], users: dict[str, set[str]]
) -> None:
    n_again = n_tried = 0
    for row in kind(frauds, "self_referral"):
        (device,) = (
            message["anonymousId"]
            for message in messages
            if message.get("event") == "Product Shared"
            and message["properties"]["share_code"] == row["share_code"]
        )
        if row["member_id"] == row["sharer_id"]:
            assert (device, row["sharer_id"]) in clicks(messages, row["share_code"])
            n_tried += 1
        else:
            assert {row["member_id"], row["sharer_id"]} <= users[device]
            assert (device, None) in clicks(messages, row["share_code"])
            n_again += 1
    assert n_again and n_tried


def test_the_last_of_a_ring_came_by_the_link_of_its_first(longer: Landing) -> None:
    signed_up_at = {r["user_id"]: instant(r["signed_up_at"]) for _, r in longer.records("members")}
    shares = pl.read_parquet(longer.truth / "shares.parquet")
    referrals = shares.filter(pl.col("referred_id").is_not_null())
    referrer = dict(zip(referrals["referred_id"], referrals["sharer_id"], strict=True))
    sizes: set[int] = set()
    for row in kind(pl.read_parquet(longer.truth / "frauds.parquet"), "cycle"):
        assert row["member_id"] not in referrer
        ring = [row["sharer_id"]]
        while ring[-1] != row["member_id"]:
            assert signed_up_at[ring[-1]] < signed_up_at[referrer[ring[-1]]]
            assert row["clicked_at"] < signed_up_at[ring[-1]]
            ring.append(referrer[ring[-1]])
        assert signed_up_at[ring[-1]] - row["clicked_at"].astimezone(dt.UTC) < WEEK
        sizes.add(len(ring))
    assert sizes == {2, 3}


def test_stale_clicks_came_more_than_a_week_before_the_sign_up(longer: Landing) -> None:
    messages = [message for _, message in longer.first_copies().values()]
    signed_up_at = {r["user_id"]: instant(r["signed_up_at"]) for _, r in longer.records("members")}
    counted = set(pl.read_parquet(longer.truth / "shares.parquet")["referred_id"].drop_nulls())
    counted |= set(pl.read_parquet(longer.truth / "frauds.parquet")["member_id"])
    owner = {
        message["anonymousId"]: message["userId"]
        for message in messages
        if message["type"] == "identify" and message["userId"] not in counted
    }
    waited = [
        signed_up_at[owner[message["anonymousId"]]] - happened_at(message)
        for message in messages
        if message["type"] == "page"
        and "share_code" in message["properties"]
        and not message["userId"]
        and message["anonymousId"] in owner
    ]
    before = [wait for wait in waited if wait > dt.timedelta()]
    assert len(before) > 3
    assert all(wait > WEEK for wait in before)


def test_members_orders_and_referrals_are_the_same_without(
    landing: Landing, tmp_path: Path
) -> None:
    none = {"self_click_share": 0, "stale_click_share": 0, "second_accounts": 0}
    none |= {"referral_rings": 0, "device_farms": 0}
    honest = SMALL.model_copy(
        update={
            "dirt": SMALL.dirt.model_copy(update=none),
            "groups": SMALL.groups.model_copy(update={"group_share": 0}),
        }
    )
    simulate(honest, tmp_path / "landing", tmp_path / "truth")
    for name in ("members", "orders", "products"):
        path = f"{name}.parquet"
        assert pl.read_parquet(tmp_path / "truth" / path).equals(
            pl.read_parquet(landing.truth / path)
        )
    assert not len(pl.read_parquet(tmp_path / "truth" / "frauds.parquet"))
    assert not len(pl.read_parquet(tmp_path / "truth" / "groups.parquet"))
    columns = ["share_code", "sharer_id", "shared_at", "referred_id"]
    theirs = pl.read_parquet(tmp_path / "truth" / "shares.parquet").select(columns)
    ours = pl.read_parquet(landing.truth / "shares.parquet").select(columns)
    assert theirs.join(ours, on=columns, nulls_equal=True, how="anti").is_empty()
