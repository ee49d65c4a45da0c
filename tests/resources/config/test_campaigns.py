"""campaigns.yaml: every mistake is one clear line, and a campaign is what it says."""

import copy
import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from resources.config.campaigns import (
    Campaign,
    Campaigns,
    check_against_shop,
    load_campaigns,
)
from resources.config.loading import ConfigError
from resources.config.push import Push
from resources.config.shop import Shop
from resources.config.templates import template_variables

ROOT = Path(__file__).resolve().parents[3]
SPRING: dict[str, Any] = {
    "id": "spring",
    "version": 1,
    "operation": "sales_promotion",
    "goal": "retention",
    "audience": "select member_id from value.lifecycle where stage = 'lost'",
    "channel": "wechat",
    "template": "Come back: {product_title}",
    "priority": 1,
    "unit_cost": 0.05,
    "holdout": 0.1,
    "starts_on": dt.date(2026, 1, 1),
    "ends_on": dt.date(2026, 12, 31),
}
HALVES = {
    "a": {"share": 0.5, "template": {"en": "A {tag}", "zh": "甲 {tag}"}},
    "b": {"share": 0.5, "template": {"en": "B {stage}", "zh": "乙"}},
}


def declared(**changes) -> dict[str, Any]:
    content = copy.deepcopy(SPRING) | changes
    return {key: value for key, value in content.items() if value is not None}


def campaign(**changes) -> Campaign:
    return Campaign.model_validate(declared(**changes))


def mistake(folder: Path, *campaigns: dict[str, Any]) -> str:
    text = yaml.safe_dump({"campaigns": list(campaigns)}, allow_unicode=True)
    (folder / "campaigns.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_campaigns(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'campaigns.yaml'}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("shop", ["demo", "online_retail"])
def test_the_shops_here_are_sound(shop):
    campaigns = load_campaigns(ROOT / "config" / shop).campaigns
    assert all(one.holdout == 0.1 for one in campaigns)


def test_the_demo_has_every_goal_and_operation():
    campaigns = load_campaigns(ROOT / "config" / "demo").campaigns
    assert {one.goal for one in campaigns} == {
        "acquisition",
        "retention",
        "conversion",
        "loyalty",
    }
    assert {one.operation for one in campaigns} == {
        "content_push",
        "interaction_marketing",
        "sales_promotion",
    }
    assert {one.channel for one in campaigns} == {"sms", "email", "wechat", "app_push"}


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such folder; set SIYU_CONFIG"):
        load_campaigns(tmp_path / "nowhere")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"campaigns\.yaml: cannot be read"):
        load_campaigns(tmp_path)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"chanel": "sms"}, "'campaigns.0.chanel' is not known"),
        ({"goal": None}, "'campaigns.0.goal' is missing"),
        ({"goal": "fame"}, "'acquisition', 'retention', 'conversion' or 'loyalty'"),
        ({"operation": "spam"}, "'content_push', 'interaction_marketing' or 'sales_promotion'"),
        ({"id": "Spring 1"}, "'campaigns.0.id'"),
        ({"channel": "../sms"}, "'campaigns.0.channel'"),
        ({"goal": "retentoin"}, "(did you mean 'retention'?), found 'retentoin'"),
        ({"operation": "Sales_Promotion"}, "(did you mean 'sales_promotion'?)"),
        ({"send_hour": 1200}, "expected a whole hour from 0 to 23, such as 20 for 20:00"),
        ({"send_hour": True}, "expected a whole hour from 0 to 23"),
        ({"quiet_hours": {"from_hour": 22, "until_hour": 24}}, "(midnight is 0), found 24"),
        ({"starts_on": "2026-02-30"}, "'campaigns.0.starts_on'"),
        ({"offer": "“立减15元”", "template": "{offer}"}, "stands in “ and ”"),
        ({"offer": "{tag}"}, "expected no brace in what is said as it stands"),
        ({"offer": "None"}, "expected what is said to the member, found 'None'"),
        ({"template": "\u200b "}, "the text for und is empty"),
        ({"version": 0}, "greater than or equal to 1"),
        ({"holdout": 0.6}, "less than or equal to 0.5"),
        ({"send_hour": 24}, "expected a whole hour from 0 to 23"),
        ({"unit_cost": -1}, "greater than or equal to 0"),
        ({"caps": [{"messages": 1, "days": 31}]}, "'campaigns.0.caps.0.days'"),
        ({"ends_on": dt.date(2025, 1, 1)}, "expected 'ends_on' on or after 'starts_on'"),
        ({"template": None}, "expected either 'template' or 'variants'"),
        ({"variants": HALVES}, "expected either 'template' or 'variants'"),
        ({"template": " "}, "the text for und is empty"),
        ({"template": {"english": "x", "中文": "y"}}, "expected a BCP 47 locale such as zh-CN"),
        ({"template": {"en": "x", "EN": "y"}}, "locale en is there twice"),
        ({"template": {"en": "x", "zh": "y"}}, "'fallback_locale' beside several texts: en or zh"),
        ({"fallback_locale": "zh"}, "'fallback_locale' is zh; expected a text for it"),
        ({"template": "{offer}"}, "expected 'offer': the text says {offer}"),
        ({"channel": "sms"}, "expected every sms to say how to opt out"),
    ],
)
def test_a_wrong_value_is_one_clear_line(tmp_path, changes, expected):
    assert expected in mistake(tmp_path, declared(**changes))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{prodct_title}", "{prodct_title} is not known; did you mean {product_title}?"),
        ("{balance}", "{balance} is not known; expected product_title, product_reason, tag"),
        ("{}", "{} is not known"),
        ("{tag.__class__}", "{tag.__class__} is not known"),
        ("{tag[0]}", "{tag[0]} is not known"),
        ("{tag!r}", "expected {tag} without a format"),
        ("{tag:>9}", "expected {tag} without a format"),
        ("{tag", "expected {variable}"),
        ("tag}", "expected {variable}"),
        ("好茶 ｛product_title｝", "found '｛product_title｝', which nothing fills"),
        ("好茶 {product_title｝", "found '｝', which nothing fills"),
        ("{{tag}}", "expected single braces such as {tag}, found double ones"),
        ("{{{tag}}}", "expected single braces"),
        ("${tag}", "expected {tag} alone, found '${'"),
        ("%{tag}", "expected {tag} alone, found '%{'"),
        ("%tag%", "'%tag%' is filled by other tools, not here; did you mean {tag}?"),
        ("Hello %FIRST_NAME%", "'%FIRST_NAME%' is filled by other tools"),
        ("[tag] for you", "'[tag]' is filled by other tools"),
        ("<tag> for you", "'<tag>' is filled by other tools"),
        ("【first_name】", "'【first_name】' is filled by other tools"),
        ("Dear [name]", "'[name]' is filled by other tools"),
        ("Dear $name", "'$name' is filled by other tools"),
        ("Dear *|FNAME|*", "'*|FNAME|*' is filled by other tools"),
        ("Dear <%= name %>", "'<%= name %>' is filled by other tools"),
        ("see product_title", "says product_title outside of braces; expected {product_title}"),
        ("看 ｐｒｏｄｕｃｔ＿ｔｉｔｌｅ", "says product_title outside of braces"),
        ("{product\u200b_title}", "{product_title} holds the invisible character U+200B"),
        ("{ tag }", "{ tag } is not known; did you mean {tag}?"),
        ("{Product Title}", "did you mean {product_title}?"),
        ("{ｔａｇ}", "did you mean {tag}?"),
        ("“好茶 {product_title}”", "the text for und stands in “ and ”, which would be sent too"),
        ("「{tag}」", "stands in 「 and 」"),
        ('"Hello {tag}"', 'stands in " and "'),
    ],
)
def test_a_template_may_say_only_what_the_pipeline_knows(tmp_path, text, expected):
    message = mistake(tmp_path, declared(template=text))
    assert "'campaigns.0.template'" in message
    assert expected in message


def test_the_variables_of_a_template_are_found():
    assert template_variables("{tag} {product_title} {tag}") == ("product_title", "tag")


@pytest.mark.parametrize(
    "text",
    [
        "“想看”就回复“想看”",
        "「{tag}」新上榜：{product_title}",
        "[Shiwu] 50% off, 100 % cotton, CNY 15 or $15 <b>now</b> 【拾物小铺】",
        "#{tag}# 你好\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "A special (offer) of the next stage",
    ],
)
def test_a_text_may_quote_and_count(text):
    assert campaign(template=text).texts["treatment"]["und"] == text


@pytest.mark.parametrize(
    ("sections", "changes", "expected"),
    [
        ({}, {"channel": "weixin"}, "'weixin', which is not known; did you mean 'wechat'?"),
        ({}, {"channel": "微信"}, "did you mean 'wechat'?"),
        ({}, {"channel": "企业微信"}, "did you mean 'wecom'?"),
        ({}, {"channel": "E-Mail"}, "did you mean 'email'?"),
        ({}, {"channel": "app_pusch"}, "did you mean 'app_push'?"),
        ({}, {"channel": "fax"}, "'fax', which is not known; known are sms, email"),
        ({}, {"send_hour": 23}, "send_hour 23 is quiet (from 22 until 8)"),
        ({}, {"send_hour": 7}, "send_hour 7 is quiet"),
        (
            {},
            {"send_hour": 12, "quiet_hours": {"from_hour": 12, "until_hour": 14}},
            "send_hour 12 is quiet (from 12 until 14)",
        ),
        ({"industry": "health"}, {"template": "{tag}"}, "{tag} is inferred from behaviour"),
        ({"industry": "health"}, {"template": "{stage}"}, None),
        ({"industry": "health", "push": {"withheld_variables": []}}, {"template": "{tag}"}, None),
        ({"consent": {"channels": ["fax"]}}, {"channel": "fax"}, None),
        ({}, {"send_hour": 22, "quiet_hours": {"from_hour": 23, "until_hour": 7}}, None),
        ({}, {"send_hour": 8}, None),
    ],
)
def test_a_campaign_is_held_against_its_shop(tmp_path, sections, changes, expected):
    who = {"name": "x", "time_zone": "UTC", "base_currency": "CNY", "first_load_date": "2026-01-01"}
    shop = Shop.model_validate(who | sections)
    campaigns = Campaigns(campaigns=(campaign(**changes),))
    if expected is None:
        check_against_shop(tmp_path, campaigns, shop)
        return
    with pytest.raises(ConfigError) as caught:
        check_against_shop(tmp_path, campaigns, shop)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'campaigns.yaml'}: campaign spring: ")
    assert expected in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        ("selec member_id", "not one SELECT"),
        ("delete from clean.members", "not one SELECT"),
        ("select 1; select 2", "several statements"),
        ("select 1 as member_id", "reads no table"),
        ("select member_id from 'clean.parquet'", "reads no table"),
        ("select member_id from raw.members", "reads raw.members; expected only clean.*"),
        (
            "select member_id from clean.members where member_id in"
            " (select member_id from push.decisions)",
            "reads push.decisions; expected only",
        ),
        ("select member_id from clean.members where first_seen_at < $today", "$today is not known"),
        ("select member_id from clean.members where signed_up_at < now()", "now()"),
        ("select member_id from clean.members where first_seen_at < CURRENT_DATE", "CURRENT_DATE"),
        ("select member_id from clean.members where random() < 0.1", "random()"),
    ],
)
def test_an_audience_is_one_select_over_published_tables(tmp_path, audience, expected):
    message = mistake(tmp_path, declared(audience=audience))
    assert "'campaigns.0.audience'" in message
    assert expected in message


@pytest.mark.parametrize(
    "audience",
    [
        "select member_id from clean.members;",
        "with a as (select * from value.rfm) select member_id from a where segment = 'now()'",
        "select member_id from recommend.member_products join raw.products using (product_id)",
        "select member_id from clean.members where signed_up_at < $as_of - interval 7 days",
        "select member_id from features.members -- today() is $run_date\n",
    ],
)
def test_audiences_may_read_what_is_published(audience):
    assert not campaign(audience=audience).audience.endswith(";")


def test_an_id_may_be_declared_once(tmp_path):
    message = mistake(tmp_path, declared(), declared(version=2))
    assert "expected different ids; 'spring' is declared twice" in message


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ({"holdout": {"share": 1, "template": "x"}}, "a variant cannot be called holdout"),
        ({"a": {"share": 1, "template": "{product_titel}"}}, "product_titel"),
        ({"a": {"share": None, "template": "x"}}, "campaigns.0.variants.a.share"),
        ({"a": {"share": 0.4, "template": "x"}}, "add up to 0.4; expected 1"),
        (
            {
                "a": {"share": 0.99999, "template": "x"},
                "b": {"share": 0.00001, "template": "y"},
            },
            "the share of b is too small",
        ),
        (
            {"a": {"share": 0.5, "template": {"en": "x"}}, "b": {"share": 0.5, "template": "y"}},
            "'fallback_locale' is en; expected a text for it",
        ),
    ],
)
def test_variants_share_what_is_not_held_out(tmp_path, variants, expected):
    assert expected in mistake(tmp_path, declared(template=None, variants=variants))


def test_arms_tile_the_buckets():
    assert campaign().arms == (("holdout", 0, 1000), ("treatment", 1000, 9000))
    assert campaign(holdout=0).arms == (("treatment", 0, 10_000),)
    assert campaign(template=None, variants=HALVES, fallback_locale="en").arms == (
        ("holdout", 0, 1000),
        ("a", 1000, 4500),
        ("b", 5500, 4500),
    )


@given(
    holdout=st.floats(0, 0.5),
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=5),
)
def test_any_arms_tile_the_buckets(holdout, weights):
    variants = {
        f"v{number}": {"share": weight / sum(weights), "template": "x"}
        for number, weight in enumerate(weights)
    }
    arms = campaign(holdout=holdout, template=None, variants=variants).arms
    edges = [0]
    for arm in arms:
        assert arm.first_bucket == edges[-1]
        edges.append(arm.first_bucket + arm.n_buckets)
    assert edges[-1] == 10_000
    held = sum(arm.n_buckets for arm in arms if arm.name == "holdout")
    assert abs(held - holdout * 10_000) <= 0.5


def test_texts_and_variables_are_by_arm_and_locale():
    spring = campaign(template=None, variants=HALVES, fallback_locale="zh")
    assert spring.texts["b"] == {"en": "B {stage}", "zh": "乙"}
    assert (spring.variables, spring.fallback) == (("stage", "tag"), "zh")
    assert campaign().texts == {"treatment": {"und": "Come back: {product_title}"}}


def test_the_fingerprint_is_of_the_content():
    keys = list(SPRING)
    turned = Campaign.model_validate({key: SPRING[key] for key in reversed(keys)})
    assert turned.fingerprint == campaign().fingerprint
    assert campaign(priority=2).fingerprint != campaign().fingerprint
    assert campaign(template="Come back {product_title}").fingerprint != campaign().fingerprint


def test_the_shops_caps_bind_with_the_campaigns_own():
    push = Push.model_validate(
        {
            "caps": [
                {"messages": 1, "days": 1, "channel": "sms"},
                {"messages": 2, "days": 1, "channel": "wechat"},
                {"messages": 4, "days": 7},
            ]
        }
    )
    rules = campaign(caps=[{"messages": 1, "days": 14}]).caps_within(push)
    assert [(cap.counts, cap.messages, cap.days) for cap in rules] == [
        ("channel", 2, 1),
        ("all", 4, 7),
        ("campaign", 1, 14),
    ]
    assert [cap.rule for cap in rules] == [
        "2 messages on this channel in 1 day",
        "4 messages in 7 days",
        "1 message of this campaign in 14 days",
    ]


def test_own_quiet_hours_go_before_the_shops():
    push = Push(quiet_from_hour=22, quiet_until_hour=8)
    own = campaign(quiet_hours={"from_hour": 20, "until_hour": 9}).quiet_hours_within(push)
    assert (own.from_hour, own.until_hour) == (20, 9)
    assert campaign().quiet_hours_within(push).until_hour == 8


def test_no_campaigns_are_fine():
    assert Campaigns.model_validate({"campaigns": []}).campaigns == ()
