-- One row per session of clean.events: what a member did deliberately, with what a bot did in the
-- member's name between. It is a bot's when all of its events are, so that none with a completed order
-- is; of any other, only what is not a bot's gives its date and what is counted of it, but for
-- n_events. It is engaged with two views or more, with an order, or when it lasts 20 seconds or
-- more. Its channel is that of its first event. is_quarantined: longer than the cap, so that all of it
-- but orders is a bot's. Of the sessions that were cut anew alone.
with events as (
    select session_id, is_session_start, member_id, event_name, occurred_at, event_date, channel,
        is_bot, is_test
    from rewritten
    where session_id is not null
),
verdicts as (
    select session_id, bool_and(is_bot) as is_bot
    from events
    group by session_id
),
counted as (
    select e.session_id,
        min(e.member_id) as member_id,
        min(e.occurred_at) as started_at,
        max(e.occurred_at) as ended_at,
        min(case when e.is_bot = v.is_bot then e.event_date end) as session_date,
        count(*) as n_events,
        count(*) filter (where e.event_name = 'Product Viewed' and e.is_bot = v.is_bot) as n_views,
        bool_or(e.event_name = 'Order Completed' and not e.is_test) as has_order,
        max(case when e.is_bot = v.is_bot then e.occurred_at end)
            - min(case when e.is_bot = v.is_bot then e.occurred_at end) >= interval '20' second
            as is_lasting,
        bool_and(e.is_bot) as is_bot,
        min(case when e.is_session_start then e.channel end) as channel
    from events as e
    join verdicts as v on v.session_id = e.session_id
    group by e.session_id
)
select session_id,
    member_id,
    started_at,
    ended_at,
    session_date,
    n_events,
    n_views,
    n_views >= 2 or has_order or is_lasting as is_engaged,
    has_order,
    is_bot,
    ended_at - started_at > $session_cap_seconds * interval '1' second as is_quarantined,
    channel
from counted
