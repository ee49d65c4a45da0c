"""When jobs run by the clock, in the shop's time zone."""

import datetime as dt

import dagster as dg

from pipelines.jobs import nightly, retrain
from resources.config.shop import Shop


def schedules(shop: Shop) -> list[dg.ScheduleDefinition]:
    """Nightly after the shop's midnight, for the day just ended; weekly before Monday's."""

    @dg.schedule(  # pyright: ignore[reportUnknownMemberType]
        name="nightly_after_midnight",
        job=nightly,
        cron_schedule="30 0 * * *",
        execution_timezone=shop.time_zone,
        description="Collects yesterday and refreshes everything after it.",
    )
    def nightly_after_midnight(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        yesterday = context.scheduled_execution_time.date() - dt.timedelta(days=1)
        key = yesterday.isoformat()
        return dg.RunRequest(run_key=key, partition_key=key)

    weekly = dg.ScheduleDefinition(
        name="weekly_retrain",
        job=retrain,
        cron_schedule="0 3 * * 0",
        execution_timezone=shop.time_zone,
        description="Full retraining with a search for settings.",
    )
    return [nightly_after_midnight, weekly]
