"""Configuration: a mistake is one line that names file, key and what was expected."""

import datetime as dt
import json
from pathlib import Path

import pytest

from resources.config.loading import ConfigError, expand
from resources.config.presets import PRESETS
from resources.config.shop import FxRate, Shop, load_shop
from resources.config.sources import load_sources

ROOT = Path(__file__).resolve().parents[3]
SHOP = "name: x\ntime_zone: Asia/Shanghai\nbase_currency: CNY\nfirst_load_date: 2026-07-03\n"
SOURCE = "sources:\n  - {id: a, kind: files, entity: events, format: csv, path: x.csv"


@pytest.mark.parametrize("name", ["demo", "online_retail"])
def test_the_shipped_shops_are_valid(name: str) -> None:
    folder = ROOT / "config" / name
    assert load_shop(folder).name
    assert load_sources(folder).sources


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SHOP + "half_life: 3\n", "key 'half_life' is not known"),
        (SHOP + "lifecycle: {actve_days: 3}\n", "did you mean 'active_days'?"),
        (SHOP.replace("Asia/Shanghai", "Asia/Shangai"), "expected an IANA time zone"),
        (SHOP.replace("CNY", "yuan"), "key 'base_currency'"),
        (SHOP.replace("name: x\n", ""), "key 'name' is missing; add it"),
        (SHOP + "lifecycle: {active_days: 99}\n", "active_days < dormant_days < lost_days"),
        (SHOP + "consent: {assumed_channels: [file]}\n", "say why consent may be assumed"),
        (SHOP + "quality: {reject_limit: 7}\n", "less than or equal to 1, found 7"),
        (SHOP + "  bad: [\n", "line 5"),
        ("- a\n", "expected keys and values at the top"),
    ],
)
def test_a_mistake_in_shop_yaml_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_shop(tmp_path)
    message = str(caught.value)
    assert words in message
    assert str(tmp_path / "shop.yaml") in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOURCE + "}\n", "expected 'layout', or 'map.event_name': events cannot do without it"),
        (SOURCE + ", map: {evnt: a}}\n", "'map' has no 'evnt'"),
        (SOURCE + ", layout: segment}\n", "expected 'map', not 'layout'"),
        (SOURCE.replace("csv,", "jsonl,") + "}\n", "expected 'layout', or 'map.event_name'"),
        (
            SOURCE.replace("files", "ftp") + "}\n",
            "'sources.0.kind': expected one of 'files', 'web_log', 'rest_api', 'wechat', "
            "'postgres', 'mongodb', found 'ftp'",
        ),
        (SOURCE.replace("kind: files, ", "") + "}\n", "'sources.0.kind' is missing"),
        (SOURCE + ", layuot: segment}\n", "'sources.0.layuot' is not known; did you mean 'layout'"),
    ],
)
def test_a_mistake_in_sources_yaml_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "sources.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_sources(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        ("at", '"at"'),
        (" order ", '"order"'),
        ("订单号", '"订单号"'),
        ("NULL", "NULL"),
        ('"at"', '"at"'),
        ("'Booked'", "'Booked'"),
        ("records.at", "records.at"),
        ("1", "1"),
    ],
)
def test_a_single_word_of_a_mapping_is_a_column(tmp_path: Path, expression: str, read: str) -> None:
    mapping = json.dumps({"event_name": "what", "occurred_at": expression})
    text = f"{SOURCE}, group_by: 'day, at', map: {mapping}}}\n"
    (tmp_path / "sources.yaml").write_text(text, encoding="utf-8")
    source = load_sources(tmp_path).sources[0]
    assert source.map == {"event_name": '"what"', "occurred_at": read}
    assert source.group_by == '"day", "at"'


def test_a_missing_folder_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set SIYU_CONFIG"):
        load_shop(tmp_path / "nowhere")


def test_environment_variables_are_filled_in_or_asked_for() -> None:
    assert expand("${A}/x", {"A": "/data"}) == "/data/x"
    with pytest.raises(ConfigError, match="needs the environment variable A"):
        expand("${A}/x", {})


@pytest.mark.parametrize("industry", sorted(PRESETS))
def test_a_preset_gives_way_to_what_is_declared(industry: str) -> None:
    declared = {
        "name": "x",
        "time_zone": "UTC",
        "base_currency": "EUR",
        "first_load_date": "2026-01-01",
        "industry": industry,
        "interest": {"half_life_days": 7},
    }
    shop = Shop.model_validate(declared)
    assert shop.interest.half_life_days == 7
    for name, value in PRESETS[industry].get("lifecycle", {}).items():
        assert getattr(shop.lifecycle, name) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("starts_on: 2027-02-30\n", "day is out of range"),
        ("name: a\ntime_zone: UTC\nname: b\n", "line 3: key 'name' stands twice"),
        (SHOP.replace("CNY", "RMB"), "expected an ISO 4217 currency such as CNY, found 'RMB'"),
    ],
)
def test_what_yaml_alone_would_take_is_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "shop.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_shop(tmp_path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rate_for_the_base_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="a rate for the base currency CNY"):
        Shop(
            name="a",
            time_zone="UTC",
            base_currency="CNY",
            first_load_date=dt.date(2026, 1, 1),
            fx_rates=(FxRate(currency="CNY", valid_from=dt.date(2026, 1, 1), rate=7.1),),
        )
