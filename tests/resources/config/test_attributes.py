"""Members' own attributes: which are mapped, and what is told to who names another."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from resources.config.attributes import attributes_mapped, check_attributes
from resources.config.loading import ConfigError
from resources.config.shop import Shop
from resources.config.source import FileSource

FOLDER = Path("config")
MAPPED = {"map": {"user_id": "id"}}


def members(**said: Any) -> FileSource:
    base = {"id": "crm", "kind": "files", "entity": "members", "format": "jsonl", "path": "*"}
    return FileSource.model_validate(base | said)


def shop(**sections: Any) -> Shop:
    who = {"name": "s", "time_zone": "Asia/Shanghai", "base_currency": "CNY"}
    return Shop.model_validate(who | {"first_load_date": "2026-01-01"} | sections)


def test_attributes_are_those_that_a_source_names():
    source = members(**MAPPED, attributes={"income": "income_band", "家庭人数": "n"})
    assert attributes_mapped(source) == ("income", "家庭人数")
    expression = "json_object('scene', record->>'$.scene', 'phone', phone, 'name', name)"
    source = members(map={"user_id": "id", "attributes": expression})
    assert set(attributes_mapped(source)) == {"scene"}
    assert attributes_mapped(members(layout="members", attributes={"income": "income"})) == (
        "income",
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (MAPPED | {"attributes": {"email": "mail"}}, "'email' names a person"),
        (MAPPED | {"attributes": {"Name": "name"}}, "'Name' names a person"),
        (MAPPED | {"attributes": {"house hold": "n"}}, "expected letters, digits and underscores"),
        (
            {"map": {"user_id": "id", "attributes": "x"}, "attributes": {"income": "income"}},
            "expected either 'attributes' or 'map.attributes'",
        ),
        ({"layout": "members", "attributes": {"income": "a || b"}}, "a key of the record's own"),
        (
            {"entity": "events", "layout": "segment", "attributes": {"income": "income"}},
            "expected 'attributes' on members only",
        ),
    ],
)
def test_a_mistake_says_what_was_expected(said, expected):
    with pytest.raises(ValidationError, match=expected.replace("|", "[|]")):
        members(**said)


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"retention": {"segments": ["incom"]}}, "key 'retention.segments': 'incom' is neither"),
        (
            {"retention": {"segments": ["attributes.incom"]}},
            "'attributes.incom' is neither a column (channel, ",
        ),
        ({"clv": {"cohort_column": "brand"}}, "key 'clv.cohort_column': 'brand' is neither"),
    ],
)
def test_an_attribute_that_no_source_maps_is_told_in_one_line(sections, told):
    sources = [members(**MAPPED, attributes={"income": "income"})]
    with pytest.raises(ConfigError) as caught:
        check_attributes(FOLDER, shop(**sections), sources)
    message = str(caught.value)
    assert told in message and "maps (attributes.income); correct it" in message
    assert message.startswith("config/shop.yaml, key") and "\n" not in message


def test_columns_and_mapped_attributes_pass():
    declared = shop(
        retention={"segments": ["channel", "income", "attributes.size"]},
        clv={"cohort_column": "income"},
    )
    source = members(**MAPPED, attributes={"income": "income", "size": "n"})
    check_attributes(FOLDER, declared, [source])
    check_attributes(FOLDER, shop(retention={"segments": ["city"]}), [members(layout="members")])
