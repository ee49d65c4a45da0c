"""funnels.yaml: what it may say, and that every mistake is one clear line."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from resources.config.funnels import Funnel, load_funnels
from resources.config.loading import ConfigError

ROOT = Path(__file__).resolve().parents[3]
PURCHASE: dict[str, Any] = {
    "id": "purchase",
    "steps": [
        {"name": "viewed", "events": "Product Viewed"},
        {"name": "added", "events": ["Product Added", "Product Added to Wishlist"]},
        {"name": "ordered", "events": "Order Completed"},
    ],
}


def declared(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(PURCHASE) | changes


def funnel(**changes: Any) -> Funnel:
    return Funnel.model_validate(declared(**changes))


def mistake(folder: Path, *funnels: dict[str, Any]) -> str:
    (folder / "funnels.yaml").write_text(yaml.safe_dump({"funnels": list(funnels)}), "utf-8")
    with pytest.raises(ConfigError) as caught:
        load_funnels(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'funnels.yaml'}: ")
    assert "\n" not in message
    return message


def test_defaults():
    plain = funnel()
    assert (plain.order, plain.window_days) == ("ordered", 14)
    assert plain.step_names == ("viewed", "added", "ordered")
    assert plain.exclusions == ()


def test_a_shop_without_the_file_has_no_funnels(tmp_path: Path):
    assert load_funnels(tmp_path).funnels == ()
    with pytest.raises(ConfigError, match="no such folder"):
        load_funnels(tmp_path / "elsewhere")


def test_the_demo_shop_shows_every_order():
    funnels = load_funnels(ROOT / "config" / "demo").funnels
    assert {each.order for each in funnels} == {"ordered", "strict", "any"}
    assert any(each.exclude for each in funnels)


def test_matches_are_every_kind_of_event_once():
    where = {"channel": ["app", "web"], "country": "CN"}
    steps = [{"name": "seen", "events": ["A", "B"], "where": where}, {"name": "had", "events": "C"}]
    found = funnel(steps=steps, exclude=[{"events": "D"}]).matches
    assert [tuple(each) for each in found] == [
        (1, "A", "app", "CN", None),
        (1, "A", "web", "CN", None),
        (1, "B", "app", "CN", None),
        (1, "B", "web", "CN", None),
        (2, "C", None, None, None),
        (-1, "D", None, None, None),
    ]


def test_exclusions_lie_between_the_first_and_the_last_step_unless_said():
    removed = {"events": "Product Removed"}
    rules = [removed, removed | {"after": "added"}, removed | {"before": "added"}]
    assert funnel(exclude=rules).exclusions == ((1, 3), (2, 3), (1, 2))


def test_in_any_order_a_step_is_how_many_were_taken():
    assert funnel(order="any").step_names == ("1 of 3", "2 of 3", "3 of 3")


def test_one_event_with_other_values_may_be_another_step_in_any_order():
    steps = [
        {"name": channel, "events": "Page", "where": {"channel": channel}}
        for channel in ("app", "web")
    ]
    assert len(funnel(order="any", steps=steps).matches) == 2


def test_a_step_elsewhere_may_exclude():
    steps = [
        {"name": "viewed", "events": "Page", "where": {"channel": "app"}},
        {"name": "ordered", "events": "Order Completed"},
    ]
    elsewhere = {"events": "Page", "where": {"channel": "web"}}
    assert funnel(steps=steps, exclude=[elsewhere]).exclusions == ((1, 2),)


REMOVED = {"events": "Product Removed"}
VIEWED_IN_APP = {"name": "app", "events": "Product Viewed", "where": {"channel": "app"}}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"id": "Two words"}, "String should match"),
        ({"window_days": 0}, "greater than 0"),
        ({"order": "loose"}, "'ordered', 'strict' or 'any'"),
        ({"steps": PURCHASE["steps"][:1]}, "at least 2 items"),
        ({"steps": [{"name": str(n), "events": "A"} for n in range(11)]}, "at most 10 items"),
        ({"steps": [*PURCHASE["steps"][:2], PURCHASE["steps"][0]]}, "'viewed' stands twice"),
        ({"steps": [PURCHASE["steps"][0], {"name": "a", "events": []}]}, "at least 1 item"),
        (
            {"steps": [PURCHASE["steps"][0], {"name": "a", "events": ["A", "A"]}]},
            "'A' stands twice in 'events'",
        ),
        (
            {"exclude": [REMOVED | {"where": {"channel": ["app", "app"]}}]},
            "'app' stands twice in 'where.channel'",
        ),
        ({"exclude": [REMOVED | {"where": {"color": "red"}}]}, "key 'funnels.0.exclude.0.where"),
        ({"exclude": [REMOVED | {"after": "paid"}]}, "'paid' is no step; expected one of viewed"),
        ({"exclude": [REMOVED | {"after": "ordered"}]}, "an earlier step than 'before', ordered"),
        ({"exclude": [{"events": "Product Added"}]}, "a step's event; it cannot exclude"),
        ({"exclude": [REMOVED], "order": "strict"}, "every other event excludes"),
        ({"exclude": [REMOVED | {"after": "added"}], "order": "any"}, "no step is next"),
        ({"order": "any", "steps": [*PURCHASE["steps"], VIEWED_IN_APP]}, "both 'viewed' and 'app'"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, changes: dict[str, Any], told: str):
    assert told in mistake(tmp_path, declared(**changes))


def test_two_funnels_of_one_name_are_refused(tmp_path: Path):
    assert "'purchase' is declared twice" in mistake(tmp_path, declared(), declared())
