"""What analysts may ask of activity."""

from assets.clean.contracts import EVENTS
from resources.warehouse import read_sql


def test_what_does_not_count_comes_first(tables):
    events = [("Email Delivered", "email", False)] * 2 + [("Page", "web", True)] * 3
    tables.given(
        EVENTS,
        [
            {
                "message_id": str(number),
                "event_name": name,
                "channel": channel,
                "is_deliberate": is_deliberate,
                "member_id": number % 2,
            }
            for number, (name, channel, is_deliberate) in enumerate(events)
        ],
    )
    assert tables.session.rows(read_sql("questions/what_counts_as_activity.sql")) == [
        ("Email Delivered", "email", 2, 0, 2),
        ("Page", "web", 3, 3, 2),
    ]
