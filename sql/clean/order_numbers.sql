-- One row per order number that more than one namespace uses, and namespace: which order it is there.
-- A namespace is what sources declare as their order_namespace, else the source.
--
-- Two sources that declare none tell one order where they agree, as a shop's own events and its ERP
-- do: on the member, or on the money (of the lines, or what the message says of the whole) and the
-- day, or within an hour. Else they tell two. A declared namespace is never another one's. The first
-- order keeps the number (of namespaces that are not declared, if there are such; then by instant and
-- name); any other is called by its namespace and number.
-- Of touched orders alone.
with touched as (
    select order_number
    from touched_orders
),
events as (
    select e.message_id, e.namespace, e.order_number, e.member_id, e.visitor_id, e.is_logged_in,
        e.occurred_at, e.product_id, e.amount, coalesce(e.n_products, 0) as n_products
    from clean.order_events as e
    join touched as t on t.order_number = e.order_number
    where e.event_name = 'Order Completed'
),
used_again as (
    select order_number
    from events
    group by order_number
    having min(namespace) <> max(namespace)
),
declared as (
    select distinct order_namespace as namespace
    from raw.loads
    where order_namespace is not null
),
messages as (
    select e.message_id, e.namespace, e.order_number, e.occurred_at, e.amount, e.product_id,
        e.n_products,
        first_value(e.member_id) over (
            partition by e.namespace, e.order_number
            order by e.member_id is null, not e.is_logged_in,
                not (e.is_logged_in and e.visitor_id = e.member_id), e.occurred_at, e.message_id
        ) as member_id,
        row_number() over (
            partition by e.namespace, e.order_number
            order by e.n_products = 0, e.occurred_at, e.message_id
        ) as turn
    from events as e
    join used_again as u on u.order_number = e.order_number
),
listed as (
    select message_id, cast(sum(amount) as decimal(18, 4)) as amount
    from clean.order_products
    group by message_id
),
amounts as (
    select message_id, goods, total
    from clean.order_amounts
),
tellers as (
    select m.namespace, m.order_number,
        min(m.member_id) as member_id,
        min(m.occurred_at) as told_at,
        coalesce(
            cast(sum(case when m.turn = 1 and m.n_products > 0 then l.amount end) as decimal(18, 4)),
            cast(sum(case when m.product_id is not null then m.amount end) as decimal(18, 4))
        ) as of_lines,
        max(case when m.turn = 1 then a.goods end) as goods,
        max(case when m.turn = 1 then a.total end) as total
    from messages as m
    left join listed as l on l.message_id = m.message_id
    left join amounts as a on a.message_id = m.message_id
    group by m.namespace, m.order_number
),
ranked as (
    select t.namespace, t.order_number, t.member_id, t.told_at, t.of_lines, t.goods, t.total,
        d.namespace is not null as is_declared,
        cast(from_utc_timestamp(t.told_at, $time_zone) as date) as told_on,
        row_number() over (
            partition by t.order_number order by d.namespace is not null, t.told_at, t.namespace
        ) as place
    from tellers as t
    left join declared as d on d.namespace = t.namespace
),
pairs as (
    select b.namespace, b.order_number, b.place, a.place as of_place,
        coalesce(a.member_id = b.member_id, false) as is_same_member,
        coalesce(
            (a.told_on = b.told_on or abs(unix_timestamp(a.told_at) - unix_timestamp(b.told_at)) <= 3600)
            and least(
                abs(a.of_lines - b.of_lines), abs(a.of_lines - b.goods), abs(a.of_lines - b.total),
                abs(a.goods - b.of_lines), abs(a.goods - b.goods), abs(a.goods - b.total),
                abs(a.total - b.of_lines), abs(a.total - b.goods), abs(a.total - b.total)
            ) <= 0.01,
            false
        ) as is_same_money
    from ranked as b
    join ranked as a on a.order_number = b.order_number and a.place < b.place
    where not a.is_declared and not b.is_declared
),
agreed as (
    select order_number, namespace,
        min(of_place) as of_place,
        bool_or(is_same_member) as is_same_member
    from pairs
    where is_same_member or is_same_money
    group by order_number, namespace
),
linked as (
    select r.namespace, r.order_number, r.place, r.is_declared, a.is_same_member,
        coalesce(a.of_place, r.place) as of_place
    from ranked as r
    left join agreed as a on a.order_number = r.order_number and a.namespace = r.namespace
),
rooted as (
    select l.namespace, l.order_number, l.place, l.is_declared, l.is_same_member,
        least(l.of_place, n.of_place) as of_place
    from linked as l
    join linked as n on n.order_number = l.order_number and n.place = l.of_place
)
select r.namespace,
    r.order_number,
    case
        when r.of_place = 1 then r.order_number
        else f.namespace || ':' || r.order_number
    end as order_id,
    case
        when r.place = 1 then 'first'
        when r.is_declared then 'declared'
        when r.is_same_member then 'same_member'
        when r.is_same_member is not null then 'same_money'
        else 'differs'
    end as verdict
from rooted as r
join ranked as f on f.order_number = r.order_number and f.place = r.of_place
