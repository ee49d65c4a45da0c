-- One row per member, date, device or order, and stretch of time in which this was known: what
-- features.member_days was at any earlier instant. At an instant t stands what has known_at < t and
-- no known_until < t; of an identified member that adds up to features.member_days, for every
-- date before it. Models learn from this at past cuts, for what became known later is the future
-- there: a login that tied a device to a member, a refund, a cancellation.
--
-- Known: by the times of the events that say so, never by when their files arrived, for a history
-- that is imported in one day would be known at no cut. So late records count as if on time.
-- kind act: the deliberate acts of a date by a user, or without one on a device that is or was
-- taken for the user's (clean.merge_log), for as long as it was.
-- kind order: an order, from when it was placed and its member known, until it was cancelled;
-- anew with every refund, with what it was worth then.
with identities as (
    select identifier, kind, member_id, visitor_id, known_at
    from clean.identities
),

merge_log as (
    select anonymous_id, user_id, known_at, known_until
    from clean.merge_log
    where known_at is not null
),

events as (
    select
        case when is_logged_in then member_id else visitor_id end as visitor_id,
        event_name,
        event_date
    from clean.events
    where
        is_deliberate
        and not is_bot
        and member_id is not null
        and event_date < $run_date
),

order_items as (
    select
        order_id,
        line,
        member_id,
        visitor_id,
        member_known_at,
        ordered_at,
        cancelled_at,
        is_adjustment,
        amount
    from clean.order_items
    where member_id is not null
),

refunds as (
    select order_id, order_line, refunded_at, amount
    from clean.refunds
    where match <> 'unmatched'
),

-- Whose acts those of a visitor were taken for, and when. Users are visitors too.
owners as (
    select
        visitor_id,
        member_id,
        coalesce(known_at, timestamp '1970-01-01 00:00:00') as known_at,
        cast(null as timestamp) as known_until
    from identities
    where kind = 'user_id'
    union all
    select d.visitor_id, u.member_id, l.known_at, l.known_until
    from merge_log as l
    join identities as d on d.identifier = l.anonymous_id
    join identities as u on u.identifier = l.user_id
),

act_days as (
    select
        visitor_id,
        event_date as date,
        count(*) filter (where event_name = 'Product Viewed') as n_views,
        count(*) filter (
            where event_name in ('Product Added', 'Product Added to Wishlist')
        ) as n_carts,
        count(*) filter (where event_name in ('Product Shared', 'Cart Shared')) as n_shares
    from events
    group by visitor_id, event_date
),

orders as (
    select
        order_id,
        min(member_id) as member_id,
        min(visitor_id) as visitor_id,
        min(member_known_at) as member_known_at,
        min(ordered_at) as ordered_at,
        min(cancelled_at) as cancelled_at,
        cast(from_utc_timestamp(min(ordered_at), $time_zone) as date) as date,
        cast(sum(case when is_adjustment then 0 else amount end) as decimal(18, 4)) as revenue
    from order_items
    group by order_id
),

changes as (
    select order_id, ordered_at as known_at, cast(0 as decimal(18, 4)) as refunded
    from orders
    union all
    select i.order_id, greatest(r.refunded_at, i.ordered_at) as known_at, r.amount as refunded
    from refunds as r
    join order_items as i on i.order_id = r.order_id and i.line = r.order_line
    where not i.is_adjustment
),

moments as (
    select order_id, known_at, cast(sum(refunded) as decimal(18, 4)) as refunded
    from changes
    group by order_id, known_at
),

worths as (
    select
        order_id,
        known_at,
        lead(known_at) over (partition by order_id order by known_at) as known_until,
        cast(sum(refunded) over (
            partition by order_id order by known_at rows unbounded preceding
        ) as decimal(18, 4)) as refunded
    from moments
),

order_owners as (
    select order_id, member_id, member_known_at as known_at, cast(null as timestamp) as known_until
    from orders
    where visitor_id is null
    union all
    select o.order_id, w.member_id, w.known_at, w.known_until
    from orders as o
    join owners as w on w.visitor_id = o.visitor_id
),

order_days as (
    select
        w.member_id,
        o.date,
        o.order_id,
        greatest(s.known_at, w.known_at) as known_at,
        least(s.known_until, w.known_until, o.cancelled_at) as known_until,
        o.revenue - s.refunded as net_revenue
    from worths as s
    join orders as o on o.order_id = s.order_id
    join order_owners as w on w.order_id = s.order_id
    where o.date < $run_date
)

select
    o.member_id,
    a.date,
    'act' as kind,
    cast(a.visitor_id as varchar) as subject,
    o.known_at,
    o.known_until,
    a.n_views,
    a.n_carts,
    a.n_shares,
    0 as n_orders,
    0 as net_revenue
from act_days as a
join owners as o on o.visitor_id = a.visitor_id
union all
select
    member_id,
    date,
    'order' as kind,
    order_id as subject,
    known_at,
    known_until,
    0 as n_views,
    0 as n_carts,
    0 as n_shares,
    case when net_revenue > 0 then 1 else 0 end as n_orders,
    net_revenue
from order_days
where known_until is null or known_at < known_until
