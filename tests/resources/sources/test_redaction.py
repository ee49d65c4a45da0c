"""Masking: a rejected record shows what is wrong with it and nobody's name."""

import json

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resources.sources.redaction import MACROS, masked

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bea-user-77,Li Mei,2026-07-01 08:00:00", "***-***-***,*** ***,2026-07-01 08:00:00"),
        ("{userId: ann-li}", "{***: ***-***}"),
        ('{"names": ["Ann Li", "李娜"], "x": null}', '{"names": ["*** ***", "***"], "x": null}'),
        ('{"Ann Li": 1, "oX8kz9": 2}', '{"*** ***": ***, "***": ***}'),
        ('{"event": "Product, userId: ann', '{"event": "***, ***: ***'),
        ('{"event": "Viewed, userId: ann", "price": 1}', '{"event": "***", "price": 1}'),
        ("<html>502 Bad Gateway</html>", "<html>*** *** ***</html>"),
        ("2026-07-03T19900001234,1990-05-01", "***-***-***,***-***-***"),
    ],
)
def test_text_of_unknown_form_keeps_no_word(text: str, shown: str) -> None:
    assert masked(text) == shown


def redacted(text: str, macro: str = "redacted") -> str:
    with duckdb.connect() as connection:
        connection.execute(MACROS)
        row = connection.execute(f"select {macro}(said) from (select $1 as said)", [text])
        found = row.fetchone()
    assert found
    json.loads(found[0])
    return found[0]


@pytest.mark.parametrize(
    "key",
    [
        *("phoneNumber", "phone_number", "PHONE", "userId", "user_id", "username", "userName"),
        *("nickname", "ipAddress", "wechat_openid", "openId", "unionId", "idCard", "fullName"),
        *("realName", "receiver", "recipient", "contact", "shippingAddress", "receiver_phone"),
        *("customer_email", "手机号"),
    ],
)
@pytest.mark.parametrize(
    "value",
    ["Ann Li", 12, ["Ann", {"of": "Li"}], {"a": {"b": {"c": 'x"}]'}}}],
)
def test_a_direct_key_loses_its_value(key: str, value: object) -> None:
    said = {"product_id": "p1", "products": [{"name": "Cup", key: value, "sku": "s"}]}
    kept = {"product_id": "p1", "products": [{"name": "Cup", key: None, "sku": "s"}]}
    assert json.loads(redacted(json.dumps(said, ensure_ascii=False))) == kept


def test_what_is_nested_too_deep_to_be_told_apart_is_dropped() -> None:
    assert redacted('{"address":{"a":{"b":{"c":{"d":{"e":"Li"}}}}}}') == "{}"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ('"note":"电话13812345678,13912345678"', '"note":"电话***,***"'),
        ('"note":"138 1234 5678\\n+1 415 555 0100."', '"note":"***\\n***."'),
        ('"n":13812345678,"l":[13812345678,13912345678]', '"n":null,"l":[null,null]'),
    ],
)
def test_a_phone_number_is_masked(said: str, kept: str) -> None:
    assert redacted("{" + said + "}") == "{" + kept + "}"


@pytest.mark.parametrize(
    "said",
    [
        '"order_id":"13812345678","orderNo":"SO-13812345678","sku":13812345678',
        '"rate":0.13812345678,"price":13812345678.5,"at_ms":1752000000000',
        '"name":"Cup","code":"+12345678901","file":"a13812345678"',
        '"ship":"fast","tip":3,"recipe":"soup","category":"phones"',
    ],
)
def test_what_is_no_person_stays(said: str) -> None:
    assert redacted("{" + said + "}") == "{" + said + "}"


def test_of_traits_only_harmless_keys_are_kept() -> None:
    traits = {
        "name": "Ann Li",
        "id": "u1",
        "city": {"of": "Ann"},
        "plan": None,
        "level": 3,
        "tags": ["new", "13812345678"],
        "locale": "zh-CN",
    }
    kept = {"locale": "zh-CN", "level": 3, "tags": ["new", "***"]}
    assert json.loads(redacted(json.dumps(traits), "harmless")) == kept


@pytest.mark.parametrize("text", ["", "Ann Li", "[1]", '"Ann"', "null"])
def test_traits_that_are_no_object_are_dropped(text: str) -> None:
    assert redacted(text, "harmless") == "{}"


@given(st.text())
def test_masking_never_fails_and_never_grows_without_bound(text: str) -> None:
    assert len(masked(text)) <= 10_000


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (r'{"note":"hello\nmei.lin@example.com"}', r'{"note":"hello\n***"}'),
        (r'{"note":"so\u001fmei@example.com"}', r'{"note":"so\u001f***"}'),
        (r'{"note":"b\\nmei@example.com"}', r'{"note":"b\\***"}'),
        (r'{"note":"call\u000013812345678"}', r'{"note":"call\u0000***"}'),
        (r'{"note":"call\u000b13812345678"}', r'{"note":"call\u000b***"}'),
        # What cannot be told apart cleanly goes whole, before it breaks the JSON.
        (r'{"note":"\\\nmei@example.com"}', "{}"),
    ],
)
def test_an_escape_is_not_the_beginning_of_a_word(said: str, kept: str) -> None:
    assert redacted(said) == kept
