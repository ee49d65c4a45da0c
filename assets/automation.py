"""The one automation policy."""

from typing import Any, cast

import dagster as dg


def after_upstream() -> dg.AutomationCondition[Any]:
    """Refresh a table once something above it changed and every blocking check above it passed.

    Below daily partitions `eager()` would wait for ever while any old load date is missing, so
    that condition is left out: a shop may begin on any day and skip some.
    """
    eager = cast(Any, dg.AutomationCondition.eager())
    missing = dg.AutomationCondition.any_deps_missing()
    checked = dg.AutomationCondition.all_deps_blocking_checks_passed()
    return (eager.without(~missing) & checked).with_label("after_upstream")
