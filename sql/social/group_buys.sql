-- One row per group order (拼团): several members order at the invitation of one, its leader, who
-- shared it or ordered in it first.
-- Complete as soon as $group_size members have ordered, if that is within $group_hours of the
-- opening. Cancelled orders are none, so a group that failed and was cancelled has no members; who
-- gave hers back later had joined nevertheless, and takes from the revenue alone.
-- New members order for the first time.
with touches as (
    select message_id, kind, share_code, group_id, member_id, product_id, order_id, occurred_at
    from features.share_touches
    where group_id is not null and kind in ('share', 'order')
),

orders as (
    select
        order_id,
        member_id,
        ordered_at,
        net_revenue,
        ordered_at = min(ordered_at) over (partition by member_id) as is_first
    from clean.orders
    where status <> 'cancelled' and member_id is not null and order_date < $run_date
),

-- Orders tell of several products and of no code: arg_min passes over NULLs.
openings as (
    select
        group_id,
        arg_min(member_id, (occurred_at, message_id)) as leader_id,
        arg_min(product_id, (occurred_at, message_id)) as product_id,
        arg_min(share_code, (occurred_at, message_id)) as share_code,
        min(occurred_at) as opened_at
    from touches
    group by group_id
),

-- An order names one group; should two of its messages differ, the first is believed.
named as (
    select order_id, arg_min(group_id, (occurred_at, message_id)) as group_id
    from touches
    where kind = 'order' and order_id is not null
    group by order_id
),

orders_within as (
    select n.group_id, o.member_id, o.ordered_at, o.net_revenue, o.is_first
    from named as n
    join orders as o on o.order_id = n.order_id
),

joinings as (
    select
        group_id,
        member_id,
        min(ordered_at) as joined_at,
        bool_or(is_first) as is_new,
        sum(net_revenue) as net_revenue
    from orders_within
    group by group_id, member_id
),

ranked as (
    select
        group_id,
        joined_at,
        is_new,
        net_revenue,
        row_number() over (partition by group_id order by joined_at, member_id) as place
    from joinings
),

totals as (
    select
        group_id,
        min(joined_at) filter (where place = $group_size) as full_at,
        count(*) as n_members,
        count(*) filter (where is_new) as n_new_members,
        sum(net_revenue) as revenue
    from ranked
    group by group_id
),

judged as (
    select
        o.group_id,
        o.leader_id,
        o.product_id,
        o.share_code,
        o.opened_at,
        case when t.full_at <= o.opened_at + $group_hours * interval 1 hour then t.full_at end
            as completed_at,
        coalesce(t.n_members, 0) as n_members,
        coalesce(t.n_new_members, 0) as n_new_members,
        coalesce(t.revenue, 0) as revenue
    from openings as o
    left join totals as t on t.group_id = o.group_id
)

select
    group_id,
    leader_id,
    product_id,
    share_code,
    opened_at,
    completed_at,
    n_members,
    n_new_members,
    $group_size as group_size,
    completed_at is not null as is_complete,
    revenue
from judged
