"""The gates before the arm, one by one and in their order."""

import datetime as dt

import pytest

import assets.clean.contracts as clean
from assets.push import contracts

LOAD_DATE = dt.date(2026, 9, 14)
ME = {
    "member_id": 1,
    "is_identified": True,
    "is_minor": False,
    "consented_channels": ["sms"],
    "addressable_channels": ["email", "sms"],
}
INPUTS = (contracts.CAMPAIGNS, contracts.AUDIENCES, contracts.VARIABLES)


@pytest.fixture
def verdict(tables):
    """Reason and rule for a member with the given differences from one whom no gate stops."""

    def decide(
        is_selected=True, needs=(), missing=(), braced=(), without_meaning=(), **differences
    ):
        for contract in (clean.MEMBERS, clean.MEMBER_ADDRESSES, *INPUTS):
            tables.given(contract)
            tables.session.execute(f"delete from {contract.name}")
        tables.given(clean.MEMBERS, [{**ME, "time_zone": "Asia/Shanghai", **differences}])
        tables.given(
            contracts.CAMPAIGNS,
            [
                {
                    "campaign_id": "spring",
                    "channel": "sms",
                    "is_running": True,
                    "variables": list(needs),
                }
            ],
        )
        selected = [{"campaign_id": "spring", "member_id": 1}]
        tables.given(contracts.AUDIENCES, selected if is_selected else [])
        lists = {
            "missing": list(missing),
            "with_braces": list(braced),
            "without_meaning": list(without_meaning),
        }
        tables.given(contracts.VARIABLES, [{"member_id": 1, **lists}])
        rows = tables.run(contracts.ELIGIBILITY, LOAD_DATE)
        assert tables.offending(contracts.ELIGIBILITY) == {}
        return [(row["reason"], row["rule"]) for row in rows]

    return decide


def test_whom_no_gate_stops_is_eligible(verdict):
    assert verdict() == [(None, None)]


def test_no_consent_on_the_channel(verdict):
    assert verdict(consented_channels=["email"]) == [("no consent", None)]


def test_what_is_not_known_is_no_consent(verdict):
    assert verdict(consented_channels=[None]) == [("no consent", None)]


def test_minors_are_suppressed(verdict):
    assert verdict(is_minor=True) == [("suppressed", "minor")]


def test_no_address_on_the_channel(verdict):
    assert verdict(addressable_channels=["email"]) == [("no address", None)]


def test_not_in_audience(verdict):
    assert verdict(is_selected=False) == [("not in audience", None)]


def test_whom_a_text_has_nothing_to_say_to_is_out_of_the_audience(verdict):
    assert verdict(needs=["product_title", "tag"], missing=["stage", "tag"]) == [
        ("not in audience", "no value for {tag}")
    ]


def test_a_variable_that_no_text_needs_may_be_missing(verdict):
    assert verdict(needs=["product_title"], missing=["tag"]) == [(None, None)]


@pytest.mark.parametrize(
    ("needs", "lists", "expected"),
    [
        (["tag"], {"braced": ["tag"]}, ("unfit text", "{tag} holds a brace")),
        (["tag"], {"without_meaning": ["tag"]}, ("unfit text", "{tag} says nothing")),
        (["stage"], {"braced": ["tag"], "without_meaning": ["product_title"]}, (None, None)),
        (["stage", "tag"], {"missing": ["stage"], "braced": ["tag"]}, None),
    ],
)
def test_a_value_that_cannot_be_sent_shuts_the_gate_of_the_text(verdict, needs, lists, expected):
    expected = expected or ("not in audience", "no value for {stage}")
    assert verdict(needs=needs, **lists) == [expected]


def test_the_first_gate_that_shuts_is_the_reason(verdict):
    everything = {
        "consented_channels": [],
        "is_minor": True,
        "addressable_channels": [],
        "is_selected": False,
    }
    reasons = []
    for gate in list(everything):
        reasons += verdict(**everything)
        everything.pop(gate)
    assert [reason for reason, _ in reasons] == [
        "no consent",
        "suppressed",
        "no address",
        "not in audience",
    ]


def test_only_identified_members_are_candidates(verdict):
    assert verdict(is_identified=False) == []


def test_every_identified_member_is_a_candidate_of_every_running_campaign(tables):
    tables.given(
        clean.MEMBERS,
        [{**ME, "member_id": number, "time_zone": "Asia/Shanghai"} for number in (1, 2)],
    )
    tables.given(
        contracts.CAMPAIGNS,
        [
            {"campaign_id": "a", "channel": "sms", "is_running": True},
            {"campaign_id": "b", "channel": "email", "is_running": True},
            {"campaign_id": "over", "channel": "sms", "is_running": False},
        ],
    )
    tables.given(contracts.AUDIENCES, [{"campaign_id": "a", "member_id": 2}])
    tables.given(contracts.VARIABLES)
    tables.given(clean.MEMBER_ADDRESSES)
    rows = tables.run(contracts.ELIGIBILITY, LOAD_DATE)
    assert [(row["campaign_id"], row["member_id"], row["reason"]) for row in rows] == [
        ("a", 1, "not in audience"),
        ("a", 2, None),
        ("b", 1, "no consent"),
        ("b", 2, "no consent"),
    ]


def test_nobody_gives_an_empty_table(tables):
    for contract in (clean.MEMBERS, clean.MEMBER_ADDRESSES, *INPUTS):
        tables.given(contract)
    assert tables.run(contracts.ELIGIBILITY, LOAD_DATE) == []


@pytest.fixture
def at_one_address(tables):
    """Reasons and rules of members 1, 2, … who have one phone number, by their differences."""

    def decide(*differences, selected=None):
        tables.given(
            clean.MEMBERS,
            [
                {**ME, "member_id": number, "time_zone": "Asia/Shanghai", **each}
                for number, each in enumerate(differences, 1)
            ],
        )
        members = range(1, len(differences) + 1)
        address = {"channel": "sms", "address_hash": "h"}
        tables.given(clean.MEMBER_ADDRESSES, [{"member_id": n, **address} for n in members])
        for campaign_id, channel in (("spring", "sms"), ("mail", "email")):
            tables.given(
                contracts.CAMPAIGNS,
                [{"campaign_id": campaign_id, "channel": channel, "is_running": True}],
            )
        for member_id in members if selected is None else selected:
            for campaign_id in ("spring", "mail"):
                row = {"campaign_id": campaign_id, "member_id": member_id}
                tables.given(contracts.AUDIENCES, [row])
        tables.given(contracts.VARIABLES)
        rows = tables.run(contracts.ELIGIBILITY, LOAD_DATE)
        found = [(row["reason"], row["rule"]) for row in rows if row["campaign_id"] == "spring"]
        others = {row["reason"] for row in rows if row["campaign_id"] == "mail"}
        return found, others

    return decide


EMAIL = {"consented_channels": ["email", "sms"]}


def test_one_member_stands_for_an_address(at_one_address):
    assert at_one_address(EMAIL, EMAIL, EMAIL) == (
        [
            (None, None),
            *[("shared address", "another member stands for the address")] * 2,
        ],
        {None},
    )


def test_who_is_stopped_does_not_stand_for_the_address(at_one_address):
    found, _ = at_one_address({"consented_channels": []}, {}, {}, selected=[1, 3])
    assert [reason for reason, _ in found] == ["no consent", "not in audience", None]


def test_who_withdraws_shuts_the_channel_of_the_address_for_all(at_one_address):
    withdrawn = {"consented_channels": ["email"], "withdrawn_channels": ["sms"]}
    assert at_one_address(EMAIL, withdrawn) == (
        [("no consent", "withdrawn by another member of the address"), ("no consent", None)],
        {None},
    )


def test_who_shares_an_address_with_a_minor_is_suppressed(at_one_address):
    assert at_one_address(EMAIL, EMAIL | {"is_minor": True})[0] == [
        ("suppressed", "a minor has the address too"),
        ("suppressed", "minor"),
    ]
