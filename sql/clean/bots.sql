-- One row per visitor, date and rule that no human pace explains. Of the touched dates alone.
-- many_views: more than $bot_views_per_minute products viewed by a device (without one: a user)
-- within a minute; everything it did on that date is a bot's.
-- many_clicks: more than $bot_clicks_per_10_seconds links clicked by a user (not logged in: by a
-- device) within ten seconds, as mail gateways do that open every link of a message; only the
-- clicks of that date are a bot's, for the user may be there herself.
-- n_events: how many views, or clicks, on that date.
with touched as (
    select visitor_id, event_date
    from touched_visitor_dates
),
acts as (
    select e.message_id, e.visitor_id, e.event_date, e.occurred_at, 'many_views' as rule
    from clean.events as e
    join touched as t on t.visitor_id = e.visitor_id and t.event_date = e.event_date
    where e.event_name = 'Product Viewed'
    union all
    select m.message_id, m.visitor_id, m.event_date, m.occurred_at, 'many_views' as rule
    from messages as m
    join touched as t on t.visitor_id = m.visitor_id and t.event_date = m.event_date
    where m.event_name = 'Product Viewed'
    union all
    select e.message_id, t.visitor_id, e.event_date, e.occurred_at, 'many_clicks' as rule
    from clean.events as e
    join touched as t
        on t.visitor_id = case when e.is_logged_in then e.member_id else e.visitor_id end
        and t.event_date = e.event_date
    where e.event_name like '%Clicked'
    union all
    select m.message_id, t.visitor_id, m.event_date, m.occurred_at, 'many_clicks' as rule
    from messages as m
    join touched as t
        on t.visitor_id = case when m.is_logged_in then m.member_id else m.visitor_id end
        and t.event_date = m.event_date
    where m.event_name like '%Clicked'
),
counted as (
    select visitor_id, event_date, rule, count(*) as n_events
    from acts
    group by visitor_id, event_date, rule
),
busy as (
    select visitor_id, event_date, rule, n_events
    from counted
    where n_events > least($bot_views_per_minute, $bot_clicks_per_10_seconds)
),
paced as (
    select a.visitor_id, a.event_date, a.rule, a.occurred_at,
        lag(a.occurred_at, $bot_views_per_minute) over (
            partition by a.visitor_id, a.event_date, a.rule order by a.occurred_at, a.message_id
        ) as view_before,
        lag(a.occurred_at, $bot_clicks_per_10_seconds) over (
            partition by a.visitor_id, a.event_date, a.rule order by a.occurred_at, a.message_id
        ) as click_before
    from acts as a
    join busy as b
        on b.visitor_id = a.visitor_id and b.event_date = a.event_date and b.rule = a.rule
),
over_pace as (
    select visitor_id, event_date, rule
    from paced
    where (rule = 'many_views' and occurred_at - view_before < interval '1' minute)
        or (rule = 'many_clicks' and occurred_at - click_before < interval '10' second)
    group by visitor_id, event_date, rule
)
select o.visitor_id,
    o.event_date,
    o.rule,
    c.n_events
from over_pace as o
join counted as c
    on c.visitor_id = o.visitor_id and c.event_date = o.event_date and c.rule = o.rule
