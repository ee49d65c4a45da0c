-- One row per member and calendar date of the shop on which they did something or ordered.
-- A deliberate act of the member that is not a bot's makes a day active (is_deliberate of
-- clean.events: never what the shop or its servers sent), and so does an order that was not cancelled,
-- whoever tells of it: the member pays for it, be it a renewal that the shop's server placed.
-- Orders count on the day they were placed, with what they are worth today: n_orders counts those
-- with net revenue above 0, so that an order given back in full and a free one keep their day
-- active, but are no order.
-- Beside each day stands what retention and growth ask of the days around it, so that they need no
-- look at any other row. period_marks is the sum of
--      1  her last day
--      2  active the day before         4  not active the day after
--      8  active on every day since her first
--     16  her first day in its week    32  active the week before
--     64  her last day in its week, and not active the week after
--    128  as 16, and active in every week since her first
--    256  her first day in its month  512  active the month before
--   1024  her last day in its month, and not active the month after
--   2048  as 256, and active in every month since her first
-- 32 and 512 stand beside 16 and 256 only. Weeks are ISO weeks, from Monday.
with events as (
    select member_id, event_name, event_date
    from clean.events
    where
        is_deliberate
        and not is_bot
        and member_id is not null
        and event_date < $run_date
),

sessions as (
    select member_id, session_date
    from clean.sessions
    where not is_bot and session_date < $run_date
),

orders as (
    select member_id, order_date, net_revenue, margin
    from clean.orders
    where status <> 'cancelled' and member_id is not null and order_date < $run_date
),

event_days as (
    select
        member_id,
        event_date as date,
        count(*) filter (where event_name = 'Product Viewed') as n_views,
        count(*) filter (
            where event_name in ('Product Added', 'Product Added to Wishlist')
        ) as n_carts,
        count(*) filter (where event_name in ('Product Shared', 'Cart Shared')) as n_shares
    from events
    group by member_id, event_date
),

session_days as (
    select member_id, session_date as date, count(*) as n_sessions
    from sessions
    group by member_id, session_date
),

order_days as (
    select
        member_id,
        order_date as date,
        count(*) filter (where net_revenue > 0) as n_orders,
        sum(net_revenue) as net_revenue,
        sum(margin) as margin
    from orders
    group by member_id, order_date
),

days as (
    select member_id, date from event_days
    union
    select member_id, date from order_days
),

dated as (
    select
        member_id,
        date,
        min(date) over by_date as first_date,
        lag(date) over by_date as previous_date,
        lead(date) over by_date as next_date,
        row_number() over by_date as nth
    from days
    window by_date as (partition by member_id order by date)
),

-- Weeks and months by number. Monday, 5 January 1970 begins week 0.
numbered as (
    select
        member_id,
        date,
        first_date,
        previous_date,
        next_date,
        nth,
        floor(datediff(date, date '1970-01-05') / 7) as week,
        floor(datediff(first_date, date '1970-01-05') / 7) as first_week,
        floor(datediff(previous_date, date '1970-01-05') / 7) as previous_week,
        floor(datediff(next_date, date '1970-01-05') / 7) as next_week,
        12 * year(date) + month(date) as month,
        12 * year(first_date) + month(first_date) as first_month,
        12 * year(previous_date) + month(previous_date) as previous_month,
        12 * year(next_date) + month(next_date) as next_month
    from dated
),

-- What one look at the days beside her tells, and how many periods her days have begun.
looked_around as (
    select
        member_id,
        date,
        first_date,
        previous_date,
        case when next_date is null then 1 else 0 end
        + case when datediff(date, previous_date) = 1 then 2 else 0 end
        + case when next_date is null or datediff(next_date, date) > 1 then 4 else 0 end
        + case when nth - 1 = datediff(date, first_date) then 8 else 0 end
        + case when previous_week = week - 1 then 32 else 0 end
        + case when next_week is null or next_week > week + 1 then 64 else 0 end
        + case when previous_month = month - 1 then 512 else 0 end
        + case when next_month is null or next_month > month + 1 then 1024 else 0 end as marks,
        case when previous_week is null or previous_week < week then 1 else 0 end as begins_week,
        case when previous_month is null or previous_month < month then 1 else 0 end
            as begins_month,
        week - first_week as weeks_since,
        month - first_month as months_since
    from numbered
),

counted as (
    select
        member_id,
        date,
        first_date,
        previous_date,
        marks,
        begins_week,
        begins_month,
        weeks_since,
        months_since,
        sum(begins_week) over so_far as nth_week,
        sum(begins_month) over so_far as nth_month
    from looked_around
    window so_far as (partition by member_id order by date rows unbounded preceding)
),

marked as (
    select
        member_id,
        date,
        first_date,
        previous_date,
        marks
        + 16 * begins_week
        + 256 * begins_month
        + case when begins_week = 1 and nth_week - 1 = weeks_since then 128 else 0 end
        + case when begins_month = 1 and nth_month - 1 = months_since then 2048 else 0 end
            as period_marks
    from counted
)

select
    marked.member_id,
    marked.date,
    coalesce(event_days.n_views, 0) as n_views,
    coalesce(event_days.n_carts, 0) as n_carts,
    coalesce(order_days.n_orders, 0) as n_orders,
    coalesce(event_days.n_shares, 0) as n_shares,
    coalesce(session_days.n_sessions, 0) as n_sessions,
    coalesce(order_days.net_revenue, 0) as net_revenue,
    coalesce(order_days.margin, 0) as margin,
    marked.first_date,
    marked.previous_date,
    marked.period_marks
from marked
left join event_days on event_days.member_id = marked.member_id and event_days.date = marked.date
left join session_days on session_days.member_id = marked.member_id and session_days.date = marked.date
left join order_days on order_days.member_id = marked.member_id and order_days.date = marked.date
