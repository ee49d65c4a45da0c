-- One row per identified member: exactly one stage, the one of value.lifecycle_history that she has
-- not left. entered_at is the shop's midnight at which she first stood in it, NULL for a prospect of
-- whom only the id is known. Strategy, of the article's four goals, is shop.yaml's for the stage: by
-- default acquisition wins a first order (prospect) or a lost member anew, conversion makes a first
-- order a habit (new), loyalty keeps it up (active), retention holds who is slipping away or has
-- just come back (dormant, churn_risk, resurrected).
with history as not materialized (
    select member_id, stage, previous_stage, entered_date
    from value.lifecycle_history
    where left_date is null
),

strategies as (
    select unnest($stages) as stage, unnest($strategies) as strategy
),

undated as (
    select member_id
    from clean.members
    where signed_up_at is null and first_seen_at is null
),

-- Of many members few dates: what a midnight is in UTC is looked up once for each.
midnights as (
    select
        entered_date,
        to_utc_timestamp(cast(entered_date as timestamp), $time_zone) as midnight
    from (select distinct entered_date from history)
),

last_orders as (
    select member_id, date
    from features.order_days
    where next_order_date is null
)

select
    h.member_id,
    h.stage,
    h.previous_stage,
    case when u.member_id is null or h.stage <> 'prospect' then m.midnight end as entered_at,
    s.strategy,
    $run_date - o.date as days_since_last_order
from history as h
join strategies as s on s.stage = h.stage
join midnights as m on m.entered_date = h.entered_date
left join undated as u on u.member_id = h.member_id
left join last_orders as o on o.member_id = h.member_id
