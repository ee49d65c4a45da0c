"""shop.yaml's `activity`: names by channel, and what is told to who errs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from resources.config.activity import ACTS, ANSWERS, AUTOMATIC, Activity, squashed

PAGE = Path(__file__).resolve().parents[3] / "docs" / "activity.md"


def fits(name: str, parameter: str, channel: str = "", **declared: Any) -> bool:
    pattern = Activity(**declared).parameters()[parameter]
    return re.search(pattern, f"{squashed(channel)}/{squashed(name)}") is not None


def test_the_documented_example_loads():
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    declared = yaml.safe_load(block)["activity"]
    assert fits("lesson_finished", "acts_of_shop", **declared)
    assert fits("Coupon Claimed", "acts_of_shop", "Mini Program", **declared)
    assert not fits("Coupon Claimed", "acts_of_shop", "app", **declared)
    assert fits("Anything", "automatic_of_shop", "till", **declared)


def test_the_documented_defaults_are_the_defaults():
    page = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.*) \| (.*) \|$", page, re.MULTILINE)
    answers, automatic, acts = (
        re.findall(r"`([^`]+)`", row)
        for row, _ in rows
        if row.startswith(("an answer", "a message", "what only a member can do ("))
    )
    for names, parameter in (
        (answers, "answers"),
        (automatic, "automatic_events"),
        (acts, "acts"),
    ):
        for name in names:
            assert fits(name.replace("… ", "Anything "), parameter), name


@pytest.mark.parametrize(
    "name",
    [
        *("Email Delivered", "email_delivered", "EmailDelivered", "users.messages.email.Delivery"),
        *("Email Bounced", "Email Opened", "EmailOpen", "Received Email", "EmailNotSent"),
        *("Push Notification Received", "push.received", "PushSent", "notification_receive"),
        *("Sent Email", "SpamComplaint", "Delivery Failed", "mautic.email_on_send", "推送接收"),
        *("SMS Delivered", "sms-failed", "WeChat Message Delivered", "In-App Message Impression"),
        *(
            "Template Message Sent",
            "Newsletter Sent",
            "Failed to Deliver SMS",
            "email_spam_reported",
        ),
        *("Order Updated", "Order Cancelled", "Order Shipped", "Order Delivered", "Cart Abandoned"),
        *("Points Expired", "Coupon Issued", "Membership Renewed", "Back in Stock"),
        *("first_visit", "scroll", "page_ping", "$pageleave", "$WebStay", "ad_impression"),
        *("Identify", "Alias", "Group", "Request", "短信送达", "优惠券到期", "邮件打开"),
    ],
)
def test_what_nobody_did(name):
    assert fits(name, "automatic_events") and not fits(name, "answers")


@pytest.mark.parametrize(
    "name",
    [
        *("Product Viewed", "Email Link Clicked", "Push Notification Tapped", "Push Opened"),
        *("Cookie Consent", "Email Consent", "Continue Shopping", "Message Sent", "领取优惠券"),
        *("Yoga Session Started", "Order Completed", "Order Reviewed", "Gift Received", "签到"),
        *("Application Opened", "$AppStart", "$MPShow", "$autocapture", "Plan Selected"),
    ],
)
def test_what_members_do_is_not_taken_for_automatic(name):
    assert not fits(name, "automatic_events")


def test_no_default_contradicts_another():
    assert set(ANSWERS).isdisjoint(AUTOMATIC)
    assert set(ACTS).isdisjoint(AUTOMATIC)


def test_without_a_declaration_nothing_is_the_shops_own():
    assert not fits("", "acts_of_shop") and not fits("Product Viewed", "automatic_of_shop", "app")


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ({"deliberate": "Lesson Finished"}, "valid tuple"),
        ({"deliberate": [" - "]}, "should match pattern"),
        ({"automatic": [{"events": []}]}, "at least 1 item"),
        ({"automatic": [{"event": "x"}]}, "events"),
        (
            {"deliberate": ["Lesson Finished"], "automatic": ["lesson_finished"]},
            "'lessonfinished' is both 'deliberate' and 'automatic'; expected it in one",
        ),
    ],
)
def test_a_mistake_says_what_was_expected(declared, expected):
    with pytest.raises(ValidationError, match=re.escape(expected)):
        Activity.model_validate(declared)
