"""What an industry's shop starts with; whatever shop.yaml says itself goes before it."""

from collections.abc import Mapping
from typing import Any, Literal

from resources.config.sensitive_terms import HEALTH_TERMS, SENSITIVE_TERMS

Industry = Literal["e-commerce", "education", "health", "luxury", "catering", "entertainment"]

# By industry, section and key: the length of the buying cycle, how fast interest fades, when a
# product is wanted again, how often, when and with what a member is messaged.
PRESETS: Mapping[Industry, Mapping[str, Mapping[str, Any]]] = {
    "e-commerce": {},
    "education": {
        "interest": {"half_life_days": 45},
        "lifecycle": {"active_days": 14, "dormant_days": 45, "lost_days": 120},
        # Who has taken a course does not take it again.
        "recommend": {"repurchase_days": "never"},
    },
    "health": {
        "interest": {
            "half_life_days": 60,
            "sensitive_tags": (*SENSITIVE_TERMS, *HEALTH_TERMS),
        },
        "lifecycle": {"active_days": 30, "dormant_days": 90, "lost_days": 365},
        # Health is sensitive personal information: its consent is given, and separately.
        "consent": {"may_be_assumed": False},
        # What is inferred from behaviour may tell of an illness.
        "push": {"withheld_variables": ("tag", "product_reason")},
    },
    "luxury": {
        "interest": {"half_life_days": 120},
        "lifecycle": {"active_days": 180, "dormant_days": 365, "lost_days": 730},
        # A month without an order says nothing of a shop whose members order twice a year.
        "clv": {"max_idle_days": 180},
        "push": {"caps": ({"messages": 2, "days": 30},)},
        # Few order within two weeks: the difference to the holdout would be noise.
        "measure": {"window_days": 60},
    },
    "catering": {
        "interest": {"half_life_days": 14},
        "lifecycle": {"active_days": 7, "dormant_days": 21, "lost_days": 60},
        # A dish may be ordered again at once.
        "recommend": {"repurchase_days": 0},
        # Before lunch and before dinner.
        "push": {"send_hours": (11, 17)},
    },
    "entertainment": {
        "interest": {"half_life_days": 14},
        "lifecycle": {"active_days": 30, "dormant_days": 90, "lost_days": 180},
    },
}


def with_preset(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What shop.yaml says, with the industry's starting values where it says nothing."""
    merged = dict(content)
    presets: Mapping[Any, Mapping[str, Mapping[str, Any]]] = PRESETS
    industry = content.get("industry")
    for section, values in presets.get(industry, {}).items() if isinstance(industry, str) else ():
        own = content.get(section, {})
        if isinstance(own, Mapping):
            merged[section] = {**values, **own}
    return merged
