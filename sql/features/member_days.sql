-- One row per member and calendar date of the shop on which she did something or ordered.
-- Any event that is not a bot's makes a day active, and so does an order that was not cancelled.
-- Orders count on the day they were placed, with what they are worth today: an order given back
-- in full keeps its day but is no order (n_orders counts orders with net revenue above 0).
with events as (
    select member_id, event_name, event_date
    from clean.events
    where not is_bot and member_id is not null and event_date < $run_date
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
    select member_id, date from session_days
    union
    select member_id, date from order_days
)

select
    days.member_id,
    days.date,
    coalesce(event_days.n_views, 0) as n_views,
    coalesce(event_days.n_carts, 0) as n_carts,
    coalesce(order_days.n_orders, 0) as n_orders,
    coalesce(event_days.n_shares, 0) as n_shares,
    coalesce(session_days.n_sessions, 0) as n_sessions,
    coalesce(order_days.net_revenue, 0) as net_revenue,
    coalesce(order_days.margin, 0) as margin
from days
left join event_days on event_days.member_id = days.member_id and event_days.date = days.date
left join session_days on session_days.member_id = days.member_id and session_days.date = days.date
left join order_days on order_days.member_id = days.member_id and order_days.date = days.date
