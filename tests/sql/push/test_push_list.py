"""The outbound list: once, in her language, with what the text needs."""

import datetime as dt
import hashlib
import json
from decimal import Decimal

import pytest

import assets.clean.contracts as clean
from assets.push import contracts

DAY = dt.date(2026, 9, 15)
NOON = dt.datetime(2026, 9, 15, 4)  # noqa: DTZ001


@pytest.fixture
def listed(world):
    """The list for one member with the given locale, and the texts by locale."""
    tables = world.tables
    for contract in (contracts.TEMPLATES, contracts.VARIABLES):
        tables.given(contract)

    def make(locale, texts, run_date=DAY, slot=DAY, variables=("tag",), **campaign):
        for contract in (
            clean.MEMBERS,
            contracts.CAMPAIGNS,
            contracts.TEMPLATES,
            contracts.VARIABLES,
            contracts.DECISIONS,
        ):
            tables.session.execute(f"delete from {contract.name}")
        world.campaign(**{"fallback_locale": next(iter(texts)), **campaign})
        tables.given(clean.MEMBERS, [{"member_id": 1, "locale": locale}])
        tables.given(
            contracts.TEMPLATES,
            [
                {
                    "campaign_id": "spring",
                    "arm": "treatment",
                    "locale": name,
                    "template": text,
                    "variables": list(variables),
                }
                for name, text in texts.items()
            ],
        )
        tables.given(contracts.VARIABLES, [{"member_id": 1, "tag": '"茶" {stage}', "stage": "new"}])
        tables.given(
            contracts.DECISIONS,
            [
                {
                    "run_date": run_date,
                    "campaign_id": "spring",
                    "version": campaign.get("version", 1),
                    "member_id": 1,
                    "outcome": "sent",
                    "reason": "sent",
                    "arm": "treatment",
                    "channel": "sms",
                    "slot": str(slot),
                    "send_at": NOON,
                }
            ],
        )
        return world.run(contracts.PUSH_LIST, run_date)

    return make


def test_a_message_has_all_it_needs_and_nothing_else(listed, world):
    rows = listed("en", {"en": "For you: {tag}"}, unit_cost=Decimal("0.05"), expires_hours=6)
    key = hashlib.sha256(b"spring|1|1|sms|2026-09-15").hexdigest()
    assert rows == [
        {
            "dedupe_key": key,
            "run_date": DAY,
            "campaign_id": "spring",
            "version": 1,
            "member_id": 1,
            "channel": "sms",
            "slot": "2026-09-15",
            "arm": "treatment",
            "product_id": None,
            "template": "For you: {tag}",
            "variables": '{"tag":"\\"茶\\" {stage}"}',
            "locale": "en",
            "send_at": NOON,
            "unit_cost": Decimal("0.05"),
            "expires_at": NOON + dt.timedelta(hours=6),
        }
    ]
    assert world.tables.offending(contracts.PUSH_LIST) == {}


def test_the_offer_is_the_campaigns(listed):
    (row,) = listed("en", {"en": "{offer}"}, variables=("offer", "stage"), offer="5 % off")
    assert json.loads(row["variables"]) == {"offer": "5 % off", "stage": "new"}


def test_a_text_without_variables_has_an_empty_object(listed):
    (row,) = listed("en", {"en": "Hello"}, variables=())
    assert json.loads(row["variables"]) == {}


@pytest.mark.parametrize(
    ("hers", "expected"),
    [
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-CN", "zh"),
        ("zh_CN", "zh"),
        ("ZH", "zh"),
        ("en-GB", "en-GB"),
        ("en-US", "ja"),
        ("zhx", "ja"),
        (None, "en-GB"),
    ],
)
def test_the_text_is_hers_else_its_parents_else_the_fallback(listed, world, hers, expected):
    world.shop = world.shop.model_copy(update={"default_locale": "en-GB"})
    texts = {name: f"text in {name}" for name in ("ja", "zh", "zh-Hant", "en-GB")}
    (row,) = listed(hers, texts)
    assert (row["locale"], row["template"]) == (expected, f"text in {expected}")


def test_a_text_in_no_said_language_goes_out_under_her_locale(listed):
    (row,) = listed("ja-JP", {"und": "OK"})
    assert (row["locale"], row["template"]) == ("ja-JP", "OK")


def test_only_what_is_sent_is_listed(listed, world):
    listed("en", {"en": "Hello"})
    world.tables.session.execute("update push.decisions set outcome = 'refused'")
    assert world.run(contracts.PUSH_LIST, DAY) == []


def test_what_another_run_listed_is_not_repeated(listed):
    first = listed("en", {"en": "Hello"})
    assert listed("en", {"en": "Hello"}) == first
    again = listed("en", {"en": "Hello"}, run_date=DAY + dt.timedelta(days=1))
    assert again == first
    tomorrow = DAY + dt.timedelta(days=1)
    assert len(listed("en", {"en": "Hello"}, run_date=tomorrow, slot=tomorrow)) == 2


def test_another_version_is_another_message(listed):
    (first,) = listed("en", {"en": "Hello"})
    (second,) = listed("en", {"en": "Hello"}, version=2)
    assert first["dedupe_key"] != second["dedupe_key"]
