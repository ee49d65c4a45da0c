-- One row per session of clean.events. It is engaged with two views or more, with an order, or
-- when it lasts 20 seconds or more. Its date and channel are those of its first event; it is a
-- bot's when any of its events is. is_quarantined: longer than the cap, so that all of it is a bot's.
-- Of the sessions that were cut anew alone.
with events as (
    select session_id, is_session_start, member_id, event_name, occurred_at, event_date, channel,
        is_bot, is_test
    from rewritten
    where session_id is not null
),
counted as (
    select session_id,
        min(member_id) as member_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        min(case when is_session_start then event_date end) as session_date,
        count(*) as n_events,
        count(*) filter (where event_name = 'Product Viewed') as n_views,
        bool_or(event_name = 'Order Completed' and not is_test) as has_order,
        bool_or(is_bot) as is_bot,
        min(case when is_session_start then channel end) as channel
    from events
    group by session_id
)
select session_id,
    member_id,
    started_at,
    ended_at,
    session_date,
    n_events,
    n_views,
    n_views >= 2 or has_order or ended_at - started_at >= interval '20' second as is_engaged,
    has_order,
    is_bot,
    ended_at - started_at > $session_cap_seconds * interval '1' second as is_quarantined,
    channel
from counted
