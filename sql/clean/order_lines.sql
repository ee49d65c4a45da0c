-- One row per order line, as ordered: the products that the order's 'Order Completed' messages
-- list. An order sent several times counts once: the first message with a list gives the lines;
-- without any list, every message that names a product is one line (by instant, then message); with
-- neither, the first message is one line of product '' and its amount is the order's.
--
-- The member, channel and instant of a line are its order's: should its messages differ, the
-- smallest. quantity is 1 where none can be read. The only line of an order without a price of its
-- own takes the amount of the message. A line that has no price even so, or only one in a currency
-- without a rate, is unpriced: its price and amount are 0, and it is never dropped.
-- A cancelled order is one that any 'Order Cancelled' message names.
-- Of touched orders alone.
with touched as (
    select order_id
    from touched_orders
),
events as (
    select e.message_id, e.event_name, e.member_id, e.occurred_at, e.channel, e.product_id,
        e.quantity, e.price, e.amount, e.n_products, e.order_id
    from clean.order_events as e
    join touched as t on t.order_id = e.order_id
    where e.event_name in ('Order Completed', 'Order Cancelled')
),
order_products as (
    select message_id, line, product_id, quantity, price, amount
    from clean.order_products
),
messages as (
    select message_id, order_id, member_id, occurred_at, channel, product_id, quantity, price,
        amount, n_products,
        case when n_products > 0 then 1 when product_id is not null then 2 else 3 end as form
    from events
    where event_name = 'Order Completed'
),
cancelled as (
    select distinct order_id
    from events
    where event_name = 'Order Cancelled'
),
orders as (
    select order_id,
        min(form) as form,
        count(*) filter (where form = 2) as n_flat,
        min(member_id) as member_id,
        min(occurred_at) as ordered_at,
        min(channel) as channel
    from messages
    group by order_id
),
whole_messages as (
    select m.message_id, m.order_id, m.amount, m.n_products, m.form,
        row_number() over (
            partition by m.order_id order by m.occurred_at, m.message_id
        ) as turn
    from messages as m
    join orders as o on o.order_id = m.order_id and o.form = m.form
    where m.form <> 2
),
lines as (
    select w.order_id, p.line, coalesce(p.product_id, '') as product_id, p.quantity, p.price,
        p.amount,
        case when w.n_products = 1 then w.amount end as order_amount
    from whole_messages as w
    join order_products as p on p.message_id = w.message_id
    where w.turn = 1 and w.form = 1
    union all
    select m.order_id,
        row_number() over (
            partition by m.order_id order by m.occurred_at, m.message_id
        ) as line,
        m.product_id, m.quantity, m.price,
        case when m.price is not null then m.amount end as amount,
        case when o.n_flat = 1 then m.amount end as order_amount
    from messages as m
    join orders as o on o.order_id = m.order_id and o.form = m.form
    where m.form = 2
    union all
    select order_id, 1 as line, '' as product_id, 1 as quantity,
        cast(null as decimal(18, 4)) as price, cast(null as decimal(18, 4)) as amount,
        amount as order_amount
    from whole_messages
    where turn = 1 and form = 3
)
select l.order_id,
    l.line,
    o.member_id,
    l.product_id,
    o.ordered_at,
    o.channel,
    l.quantity,
    coalesce(
        l.price,
        cast(cast(cast(l.order_amount as double) / nullif(l.quantity, 0) as decimal(28, 10))
            as decimal(16, 4)),
        0
    ) as price,
    coalesce(l.amount, l.order_amount, 0) as amount,
    l.product_id <> '' and regexp_like(l.product_id, $adjustment_products) as is_adjustment,
    coalesce(l.amount, l.order_amount) is null as is_unpriced,
    c.order_id is not null as is_cancelled
from lines as l
join orders as o on o.order_id = l.order_id
left join cancelled as c on c.order_id = l.order_id
