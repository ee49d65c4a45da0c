"""Masking: a rejected record shows what is wrong with it and nobody's name."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.redaction import masked

PEOPLE = ("u-10293", "a-77f1c2", "19900001234", "li.na@example.com", "203.0.113.9", "oX8kz-9pQ")


@pytest.mark.parametrize("cut", range(10, 300, 7))
def test_a_truncated_event_names_nobody(cut: int) -> None:
    user, device, phone, email, ip, openid = PEOPLE
    record = {
        "event": "Product Viewed",
        "userId": user,
        "anonymousId": device,
        "context": {"ip": ip, "locale": "zh-CN"},
        "traits": {"phone": phone, "email": email, "openid": openid},
        "originalTimestamp": "2026-07-03T01:02:03.456Z",
        "properties": {"product_id": "P001", "price": 12.5},
    }
    shown = masked(json.dumps(record)[:cut])
    for name in PEOPLE:
        assert name not in shown
    if cut > 30:
        assert '"event": "Product Viewed"' in shown


def test_what_is_harmless_stays_readable() -> None:
    shown = masked('{"originalTimestamp": "2026-07-03T01:02:03Z", "userId": "u1", "price": 12.5\n')
    assert shown == '{"originalTimestamp": "2026-07-03T01:02:03Z", "userId": "***", "price": 12.5'


@given(st.text())
def test_masking_never_fails_and_never_grows_without_bound(text: str) -> None:
    assert len(masked(text)) <= 10_000
