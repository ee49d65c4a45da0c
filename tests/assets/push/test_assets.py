"""From campaigns.yaml to the files for upload, through the assets themselves."""

import datetime as dt
import json
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
import yaml
from pydantic import ValidationError

import assets.clean.contracts as clean
import assets.features.contracts as features
import assets.measure.assets as measure
import assets.measure.contracts as measure_contracts
import assets.push.assets as push
import assets.raw.contracts as raw
import assets.recommend.contracts as recommend
import assets.tags.contracts as tags
import assets.value.contracts as value
from assets.push import contracts
from assets.push.assets import AudienceError
from pipelines.catalogue import contracts as every_contract
from resources.config.campaigns import Campaign
from resources.config.loading import ConfigError
from resources.config.push import Push
from resources.home import Home
from resources.keys import Keyring
from resources.shop import ShopConfig
from resources.vault import Addresses, Vault

LOAD_DATE = dt.date(2026, 9, 14)
SPRING = {
    "id": "spring",
    "version": 1,
    "operation": "content_push",
    "goal": "loyalty",
    "audience": "select member_id from value.lifecycle where stage = 'active'",
    "channel": "email",
    "template": {"zh": "你好 {product_title}", "en": "Hello {product_title}"},
    "fallback_locale": "en",
    "priority": 1,
    "unit_cost": 0.01,
    "holdout": 0,
    "starts_on": dt.date(2026, 9, 1),
    "ends_on": dt.date(2026, 9, 30),
    "send_hour": 9,
}
STAGE = [
    push.campaigns,
    push.arms,
    push.templates,
    push.caps,
    push.audiences,
    push.variables,
    push.eligibility,
    push.assignments,
    push.decisions,
    push.push_list,
    push.outbox,
    measure.campaign_lift,
]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A shop's folder with one campaign."""
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = {
        "name": "test",
        "time_zone": "Asia/Shanghai",
        "base_currency": "CNY",
        "first_load_date": LOAD_DATE,
    }
    (folder / "shop.yaml").write_text(yaml.safe_dump(shop), encoding="utf-8")
    declare(folder, SPRING)
    return folder


def declare(folder, *campaigns):
    text = yaml.safe_dump({"campaigns": list(campaigns)}, allow_unicode=True)
    (folder / "campaigns.yaml").write_text(text, encoding="utf-8")


@pytest.fixture
def resources(tmp_path, folder, warehouse, monkeypatch):
    """The resources of a home with two members, of whom the second has no address."""
    monkeypatch.setenv("SIYU_SECRET", "0123456789abcdef")
    keyring = Keyring(home=str(tmp_path), is_simulated=False)
    vault = Vault(path=str(tmp_path / "vault.duckdb"), keyring=keyring)
    rows = pl.DataFrame(
        {
            "identifier": ["u1"],
            "channel": ["email"],
            "address": ["a@example.com"],
            "path": ["m"],
            "line": [1],
            "load_date": [LOAD_DATE],
        }
    )
    vault.store(Addresses("members", ["m"], rows))
    return {
        "shop": ShopConfig(folder=str(folder)),
        "warehouse": warehouse,
        "vault": vault,
        "home": Home(path=str(tmp_path)),
    }


@pytest.fixture
def filled(tables, warehouse):
    """A warehouse with what the push stage reads."""
    members = [
        {
            "member_id": number,
            "is_identified": True,
            "time_zone": "Asia/Shanghai",
            "locale": locale,
            "consented_channels": ["email"],
            "addressable_channels": ["email"],
        }
        for number, locale in ((1, "zh-CN"), (2, "en-US"))
    ]
    tables.given(raw.LOADS, [{"load_date": LOAD_DATE}])
    tables.given(clean.MEMBERS, members)
    tables.given(
        clean.MEMBER_ADDRESSES,
        [
            {
                "member_id": number,
                "channel": "email",
                "address_hash": f"h{number}",
                "identifier": f"u{number}",
                "source": "members",
                "path": "m",
                "line": number,
            }
            for number in (1, 2)
        ],
    )
    tables.given(value.LIFECYCLE, [{"member_id": number, "stage": "active"} for number in (1, 2)])
    tables.given(
        recommend.MEMBER_PRODUCTS,
        [{"member_id": number, "rank": 1, "product_id": "p"} for number in (1, 2)],
    )
    for catalogue in (raw.PRODUCTS, clean.PRODUCTS):
        tables.given(catalogue, [{"product_id": "p", "title": '茶 "50g"'}])
    for contract in (
        *(features.MEMBERS, features.MEMBER_PRODUCTS, value.CLV, clean.ORDERS),
        *(tags.MEMBER_TAGS, tags.PRODUCT_TAGS, tags.PRODUCTS, tags.BROWSE_TO_BUY),
    ):
        tables.given(contract)
    tables.session.connection.close()
    return warehouse


def make(resources, selection=STAGE):
    return dg.materialize(selection, resources=resources, raise_on_error=True)


def rows(warehouse, contract):
    with warehouse.connect() as session:
        names = contract.column_names
        found = session.rows(f"select {', '.join(names)} from {contract.name} order by all")
        return [dict(zip(names, row, strict=True)) for row in found]


def test_the_whole_stage(filled, resources, tmp_path):
    result = make(resources)
    folder = tmp_path / "outbound" / "2026-09-15"
    (message,) = [json.loads(line) for line in (folder / "email.jsonl").open(encoding="utf-8")]
    assert len(message.pop("dedupe_key")) == 64
    assert message == {
        "campaign_id": "spring",
        "address": "a@example.com",
        "locale": "zh",
        "text": '你好 茶 "50g"',
        "send_at": "2026-09-15T01:00:00Z",
        "expires_at": "2026-09-16T01:00:00Z",
    }
    assert pl.read_csv(folder / "email.csv").columns == ["dedupe_key", *message]
    (written,) = result.asset_materializations_for_node("push__outbox")
    assert written.metadata["dagster/row_count"].value == 1
    assert written.metadata["without_address"].value == 1
    assert "a@example.com" not in str(written)
    assert b"a@example.com" not in Path(filled.path).read_bytes()
    assert len(rows(filled, contracts.PUSH_LIST)) == 2
    (lift,) = rows(filled, measure_contracts.CAMPAIGN_LIFT)
    assert (lift["assigned"], lift["waiting"], lift["rate"], lift["roi"]) == (0, 2, None, None)


def test_doing_it_twice_changes_nothing(filled, resources, tmp_path):
    stage = (contracts.ASSIGNMENTS, contracts.DECISIONS, contracts.PUSH_LIST)
    make(resources)
    before = [rows(filled, contract) for contract in stage]
    written = (tmp_path / "outbound" / "2026-09-15" / "email.csv").read_bytes()
    make(resources)
    assert [rows(filled, contract) for contract in stage] == before
    assert (tmp_path / "outbound" / "2026-09-15" / "email.csv").read_bytes() == written


def test_declared_tables_keep_their_promises(filled, resources, folder):
    halves = {name: {"share": 0.5, "template": {"en": "{tag}", "zh": name}} for name in ("a", "b")}
    split = {key: value for key, value in SPRING.items() if key != "template"}
    declare(folder, {**split, "variants": halves, "holdout": 0.2}, {**SPRING, "id": "other"})
    make(resources, STAGE[:4])
    with filled.connect() as session:
        for contract in (contracts.CAMPAIGNS, contracts.ARMS, contracts.TEMPLATES, contracts.CAPS):
            for name, expression in contract.checks().items():
                assert session.scalar(f"select {expression} from {contract.name}") == 0, name
    arms = {
        (row["campaign_id"], row["arm"]): row["propensity"] for row in rows(filled, contracts.ARMS)
    }
    assert arms == {
        ("other", "treatment"): 1.0,
        ("spring", "a"): 0.4,
        ("spring", "b"): 0.4,
        ("spring", "holdout"): 0.2,
    }
    assert len(rows(filled, contracts.TEMPLATES)) == 6
    assert {row["rule"] for row in rows(filled, contracts.CAPS)} == {
        "1 message in 1 day",
        "3 messages in 7 days",
    }


def test_without_campaigns_tables_are_empty_and_no_file_is_left(
    filled, resources, folder, tmp_path
):
    make(resources)
    declare(folder)
    make(resources)
    for contract in (contracts.CAMPAIGNS, contracts.CAPS, contracts.DECISIONS, contracts.PUSH_LIST):
        assert rows(filled, contract) == []
    assert list((tmp_path / "outbound" / "2026-09-15").iterdir()) == []


def test_an_audience_waits_for_whatever_it_may_read():
    waits_for = push.audiences.dependency_keys
    read: set[str] = set()
    for table in every_contract():
        audience = f"select member_id from {table.name}"
        try:
            Campaign.model_validate({**SPRING, "audience": audience})
        except ValidationError:
            continue
        if table.is_published:
            read.add(table.schema)
            assert table.asset_key in waits_for, table.name
    assert read == {"raw", "clean", "features", "tags", "recommend", "value", "social"}


def test_a_campaign_that_changed_needs_a_new_version(filled, resources, folder):
    make(resources, STAGE[:1])
    declare(folder, {**SPRING, "priority": 9})
    with pytest.raises(ConfigError, match="spring: it has changed, but still is version 1"):
        make(resources, STAGE[:1])
    assert rows(filled, contracts.CAMPAIGNS)[0]["priority"] == 1
    declare(folder, {**SPRING, "priority": 9, "version": 2})
    make(resources, STAGE[:1])
    assert rows(filled, contracts.CAMPAIGNS)[0]["priority"] == 9


@pytest.mark.parametrize(
    ("audience", "reason"),
    [
        ("select nothing from clean.members", "nothing"),
        ("select stage as member_id from value.lifecycle", "active"),
        ("select member_id from clean.members join read_csv('/etc/passwd') on true", "disabled"),
        ("select member_id from clean.unknown", "unknown"),
    ],
)
def test_an_audience_that_fails_names_its_campaign_and_why(
    filled, resources, folder, audience, reason
):
    declare(folder, {**SPRING, "audience": audience})
    with pytest.raises(AudienceError) as caught:
        make(resources, [push.campaigns, push.audiences])
    message = str(caught.value)
    assert message.startswith("campaign spring: its audience cannot be selected (")
    assert reason in message
    assert "\n" not in message


# Member 1 cares for the sensitive tag 孕妈, which product p carries, and for tea, as q does.
@pytest.fixture
def sensitive(filled):
    """The warehouse of `filled`, with tags of which one is not to be spoken of."""
    with filled.connect() as session:
        for table in ("raw.products", "clean.products"):
            session.execute(
                f"insert into {table} select * replace ('q' as product_id, 'Tea' as title)"
                f" from {table}"
            )
        subjects = (("p", "孕妈", True), ("q", "tea", False))
        for rank, (product_id, tag, is_sensitive) in enumerate(subjects, 2):
            values = f"'{tag}' as tag, {is_sensitive} as is_sensitive, 0.5 as score"
            session.execute(
                "insert into tags.product_tags by name"
                f" select '{product_id}' as product_id, 'catalogue' as source, {values}"
            )
            session.execute(
                f"insert into tags.products values ('{product_id}', {is_sensitive}, "
                + (f"'{tag}', ['tag'])" if is_sensitive else "null, [])")
            )
            for table in ("raw.products", "clean.products"):
                session.execute(
                    f"update {table} set tags = [' {tag} '], category = 'of {tag}'"
                    f" where product_id = '{product_id}'"
                )
            session.execute(
                "insert into tags.browse_to_buy"
                f" values ('product', '{product_id}', 2, 1, 0.5, 0.1, 0.9)"
            )
            session.execute(
                f"insert into tags.member_tags by name select 1 as member_id, {values}, 1 as lift,"
                " 1 as rank, 1 as support, 0.5 as confidence, $at as first_seen_at,"
                " $at as last_seen_at, $at + interval 60 days as expires_at",
                {"at": dt.datetime(2026, 9, 1)},  # noqa: DTZ001 - stored timestamps are naive UTC
            )
            session.execute(
                f"insert into tags.browse_to_buy values ('tag', '{tag}', 2, 1, 0.5, 0.1, 0.9)"
            )
            session.execute(
                "insert into recommend.member_products"
                f" select * replace ({rank} as rank, 'popular in {tag}' as reason,"
                f" '{product_id}' as product_id)"
                " from recommend.member_products where member_id = 1 and rank = 1"
            )
            session.execute(
                f"insert into features.member_products by name select 1 as member_id,"
                f" '{product_id}' as product_id, 1 as weight, 1 as forward_weight, 1 as n_views,"
                " 0 as n_carts, 0 as n_orders, 0 as n_shares, $at as first_at, $at as last_at,"
                " 0 as n_order_days, 0 as holdout_weight",
                {"at": dt.datetime(2026, 9, 1)},  # noqa: DTZ001
            )
    return filled


@pytest.mark.parametrize(
    "audience",
    [
        "select member_id from tags.member_tags where tag = '{tag}'",
        "select m.member_id from tags.member_tags as m where m.tag = '{tag}' and m.rank = 1",
        "select member_tags.member_id from tags.member_tags where member_tags.tag = '{tag}'",
        "select member_id from warehouse.tags.member_tags where tag = '{tag}'",
        "with hers as (from tags.member_tags) select member_id from hers where tag = '{tag}'",
        "select member_id from value.lifecycle where member_id in"
        " (select member_id from tags.member_tags where tag = '{tag}' and expires_at > $as_of)",
        "select member_id from features.member_products join tags.product_tags using (product_id)"
        " where tag = '{tag}'",
        "select member_id from features.member_products join raw.products using (product_id)"
        " where list_contains(list_transform(tags, lambda tag: trim(tag)), '{tag}')",
        "select member_id from features.member_products join clean.products using (product_id)"
        " where list_contains(list_transform(tags, lambda tag: trim(tag)), '{tag}')",
        "select member_id from recommend.member_products where reason = 'popular in {tag}'",
        "select member_id from clean.members, tags.browse_to_buy"
        " where member_id = 1 and kind = 'tag' and subject = '{tag}'",
        "select member_id from features.member_products where product_id = '{product_id}'",
        "select member_id from recommend.member_products where product_id = '{product_id}'"
        " and rank > 1",
        "select member_id from features.member_products join clean.products using (product_id)"
        " where category = 'of {tag}'",
        "select 1 as member_id from tags.products where product_id = '{product_id}'",
        "select 1 as member_id from tags.browse_to_buy where subject = '{product_id}'",
    ],
)
def test_nobody_is_selected_by_a_sensitive_tag(sensitive, resources, folder, audience):
    campaigns = [
        {**SPRING, "id": name, "audience": audience.format(tag=tag, product_id=product_id)}
        for name, tag, product_id in (("of_tea", "tea", "q"), ("of_the_pregnant", "孕妈", "p"))
    ]
    declare(folder, *campaigns)
    make(resources, [push.campaigns, push.audiences])
    assert rows(sensitive, contracts.AUDIENCES) == [{"campaign_id": "of_tea", "member_id": 1}]


@pytest.mark.parametrize(
    "hidden", ["query_table('tags.member_tags')", "query('from tags.member_tags')"]
)
def test_an_audience_may_not_hide_what_it_reads(sensitive, resources, folder, hidden):
    audience = f"select lifecycle.member_id from value.lifecycle, {hidden} as other"
    declare(folder, {**SPRING, "audience": audience})
    with pytest.raises(AudienceError, match="hides which table it reads"):
        make(resources, [push.campaigns, push.audiences])


def test_a_message_of_a_sensitive_product_is_never_handed_out(sensitive, resources):
    """Of member 1 the tea is told, of 2 nothing; were p told of, nothing would be exported."""
    make(resources)
    (listed,) = rows(sensitive, contracts.PUSH_LIST)
    assert (listed["member_id"], listed["product_id"]) == (1, "q")
    assert json.loads(listed["variables"]) == {"product_title": "Tea"}
    with sensitive.connect() as session:
        session.execute("update tags.products set is_sensitive = false")
    make(resources)
    assert len(rows(sensitive, contracts.PUSH_LIST)) == 2
    with sensitive.connect() as session:
        session.execute("update tags.products set is_sensitive = true where product_id = 'p'")
    with pytest.raises(push.ForbiddenMessages, match="of a sensitive tag"):
        make(resources, [push.outbox])


def test_a_title_that_cannot_be_sent_blocks_its_message(filled, resources, tmp_path):
    """A brace in a title is taken for a variable that was not filled in; None is no title."""
    for title, rule in (
        ("茶｛50g｝", "{product_title} holds a brace"),
        ("tea {50g", "{product_title} holds a brace"),
        (" NaN ", "{product_title} says nothing"),
        ("\u200b", "{product_title} says nothing"),
    ):
        with filled.connect() as session:
            session.execute("update clean.products set title = $title", {"title": title})
        make(resources)
        assert rows(filled, contracts.PUSH_LIST) == []
        assert {
            (row["outcome"], row["reason"], row["rule"], row["arm"])
            for row in rows(filled, contracts.DECISIONS)
        } == {("blocked", "unfit text", rule, None)}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("茶 ｛50g｝", "unfit text"),
        ("{tag}", "unfit text"),
        ("", "unfit text"),
        ("None", "unfit text"),
    ],
)
def test_no_unfit_text_is_handed_out(filled, resources, said, wrong):
    make(resources)
    with filled.connect() as session:
        session.execute(
            "update push.push_list set variables = $said",
            {"said": json.dumps({"product_title": said}, ensure_ascii=False)},
        )
    with pytest.raises(push.ForbiddenMessages, match=wrong):
        make(resources, [push.outbox])


def test_a_tag_that_is_not_its_products_is_never_handed_out(sensitive, resources, folder):
    text = "{tag}: {product_title}"
    declare(folder, {**SPRING, "template": text, "fallback_locale": None})
    make(resources)
    (listed,) = rows(sensitive, contracts.PUSH_LIST)
    assert json.loads(listed["variables"]) == {"product_title": "Tea", "tag": "tea"}
    with sensitive.connect() as session:
        session.execute("update push.push_list set variables = replace(variables, 'tea', 'run')")
    with pytest.raises(push.ForbiddenMessages, match="of another tag than its product's"):
        make(resources, [push.outbox])


def test_an_audience_may_know_the_run_date(filled, resources, folder):
    audience = "select member_id from clean.members where $run_date = date '2026-09-15'"
    declare(folder, {**SPRING, "audience": audience})
    make(resources, [push.campaigns, push.audiences])
    assert [row["member_id"] for row in rows(filled, contracts.AUDIENCES)] == [1, 2]


def test_running_is_between_its_dates_both_included():
    campaign = Campaign.model_validate(SPRING)
    running = {
        day: push.campaign_row(campaign, Push(), day)["is_running"]
        for day in (
            dt.date(2026, 8, 31),
            dt.date(2026, 9, 1),
            dt.date(2026, 9, 30),
            dt.date(2026, 10, 1),
        )
    }
    assert list(running.values()) == [False, True, True, False]
