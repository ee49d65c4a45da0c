-- One row per referred member: who brought her, by which click, and where in the tree she stands.
-- depth counts the referrals from the root, whom nobody brought, down to her; what she has ordered
-- since she was bound counts as it stands today (cancelled orders not at all, those given back in
-- full with what they cost).
with recursive
bindings as (
    select
        c.member_id,
        c.referrer_id,
        c.share_code,
        c.clicked_at,
        greatest(c.known_at, c.clicked_at) as bound_at,
        t.channel
    from social.share_clicks as c
    join features.share_touches as t on t.message_id = c.message_id
    where c.outcome = 'bound'
),

tree as (
    select b.member_id, 1 as depth, b.referrer_id as root_id
    from bindings as b
    where not exists (select 1 from bindings as above where above.member_id = b.referrer_id)
    union all
    select b.member_id, t.depth + 1, t.root_id
    from tree as t
    join bindings as b on b.referrer_id = t.member_id
),

orders as (
    select member_id, ordered_at, net_revenue, margin
    from clean.orders
    where status <> 'cancelled' and order_date < $run_date
),

orders_since as (
    select
        b.member_id,
        count(*) filter (where o.net_revenue > 0) as n_orders,
        sum(o.net_revenue) as revenue,
        sum(o.margin) as margin
    from bindings as b
    join orders as o on o.member_id = b.member_id and o.ordered_at >= b.bound_at
    group by b.member_id
)

select
    b.member_id,
    b.referrer_id,
    b.share_code,
    b.clicked_at,
    b.bound_at,
    t.depth,
    t.root_id,
    coalesce(o.n_orders, 0) as n_orders,
    coalesce(o.revenue, 0) as revenue,
    coalesce(o.margin, 0) as margin,
    b.channel as via
from bindings as b
join tree as t on t.member_id = b.member_id
left join orders_since as o on o.member_id = b.member_id
