"""shop.yaml: what a shop may say of value, retention, sharing, and what it is told if it errs."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.config.loading import ConfigError
from resources.config.shop import Shop, load_shop

WHO = {
    "name": "shop",
    "time_zone": "Asia/Shanghai",
    "base_currency": "CNY",
    "first_load_date": dt.date(2026, 1, 1),
}


def loaded(tmp_path: Path, **sections: Mapping[str, Any]) -> Shop:
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(WHO | sections), encoding="utf-8")
    return load_shop(tmp_path)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"clv": {"risk_bands": [0.7, 0.3]}}, "'clv': expected 'risk_bands' to rise"),
        ({"clv": {"cohort_column": "shoe size"}}, "'clv.cohort_column': String should match"),
        ({"retention": {"brackets": [3, 1]}}, "'retention': expected rising 'brackets'"),
        ({"retention": {"brackets": [1, 1]}}, "'retention': expected rising 'brackets'"),
        ({"retention": {"segments": ["country", "country"]}}, "expected different 'segments'"),
        ({"retention": {"segments": ["member.email"]}}, "String should match pattern"),
        ({"lifecycle": {"strategies": {"lost": "spam"}}}, "Input should be 'acquisition'"),
        (
            {"social": {"commission": {"rates": [0.1, 0.1, 0.1]}}},
            "Tuple should have at most 2 items",
        ),
        ({"social": {"commission": {"rates": [0.4, 0.2]}}}, "add up to 0.6; expected 0.5 at most"),
        ({"social": {"window_days": 30}}, "'social': expected 'k_maturity_days' of 30 or more"),
        ({"social": {"group_size": 1}}, "greater than or equal to 2"),
        ({"time_zone": "CST"}, "'time_zone': expected an IANA time zone such as Asia/Shanghai"),
        ({"time_zone": "GMT+8"}, "abbreviations such as CST mean several zones"),
    ],
)
def test_a_mistake_names_its_key_and_what_was_expected(tmp_path, sections, expected):
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, **sections)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("asia/shanghai", "Asia/Shanghai"),
        (" America/New York ", "America/New_York"),
        ("prc", "PRC"),
    ],
)
def test_a_time_zone_is_found_whatever_its_case_and_spaces(tmp_path, said, zone):
    assert loaded(tmp_path, time_zone=said).time_zone == zone


def test_an_identifier_may_be_written_as_a_number(tmp_path):
    assert loaded(tmp_path, identity={"persons": [0, "-1"]}).identity.persons == ("0", "-1")


def test_nobody_earns_unless_the_shop_says_so(shop):
    assert shop.parameters(dt.date(2026, 1, 1))["commission_rates"] == []


def test_every_stage_has_the_strategy_that_the_shop_gives_it(tmp_path):
    declared = loaded(tmp_path, lifecycle={"strategies": {"lost": "retention"}})
    parameters = declared.parameters(dt.date(2026, 1, 1))
    by_stage = dict(zip(parameters["stages"], parameters["strategies"], strict=True))
    assert by_stage["lost"] == "retention"
    assert by_stage["prospect"] == "acquisition"
    assert len(by_stage) == 7
