"""How raw is cut: by the day on which a file or page arrived."""

import dagster as dg

from resources.config.shop import Shop


def load_dates(shop: Shop) -> dg.DailyPartitionsDefinition:
    """One partition per load date in the shop's time zone, today's included."""
    return dg.DailyPartitionsDefinition(
        start_date=shop.first_load_date.isoformat(), timezone=shop.time_zone, end_offset=1
    )
