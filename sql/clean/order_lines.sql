-- One row per order line, as ordered: the products that the order's 'Order Completed' messages
-- list. An order sent several times counts once: the first message with a list gives the lines;
-- without any list, every message that names a product is one line (by instant, then message; of
-- several namespaces, those of the first); with neither, the first message is one line of product ''
-- and its amount is the order's. First come those that also say the money or discount of the whole.
--
-- The member of a line is its order's: of the messages with a user, the server's (which have no
-- device) come first, then the earliest; without a user, the earliest message that has a member:
-- then visitor_id is the device to which the order is owed, else member_known_at is when a message
-- first named this user. cancelled_at: when it was first told. The
-- channel and instant are the smallest. quantity is 1 where none can be read. What the message says
-- of its goods beyond the lines that have money of their own is of those that have none, by quantity.
-- A line that has no money even so, or only in a currency without a rate, is unpriced: its price and
-- amount are 0, and it is never dropped. A cancelled order is one that any 'Order Cancelled' message
-- names (that of its own namespace, else of the same member).
--
-- amount: price times quantity less discount: the line's own, and its share of the order's, which is
-- spread over product lines in proportion to their money, rounded to what can be paid, the rest on
-- the last. Whether prices and revenue are before or after the discount, the message's own figures
-- show: where one of them (total less shipping and tax, revenue, subtotal) is the lines less the
-- discount, it is taken off; where they say that the lines are net, it is not; else it is. Without a
-- discount, a message that says less than its lines is believed, as after an untold discount, or
-- without the tax; one that says more is not, as that may be shipping or tax.
-- is_disputed: what the message says of its revenue and its lines cannot both be so.
-- Of touched orders alone.
with touched as (
    select order_number
    from touched_orders
),
numbers as (
    select namespace, order_number, order_id
    from clean.order_numbers
),
events as (
    select e.message_id, e.namespace, e.event_name, e.member_id, e.visitor_id, e.is_logged_in,
        e.occurred_at, e.channel, e.product_id, e.quantity, e.price, e.amount, e.n_products,
        e.order_number, n.order_id as own_order_id
    from clean.order_events as e
    join touched as t on t.order_number = e.order_number
    left join numbers as n on n.namespace = e.namespace and n.order_number = e.order_number
    where e.event_name in ('Order Completed', 'Order Cancelled')
),
order_products as (
    select message_id, line, product_id, quantity, price, amount, discount
    from clean.order_products
),
order_amounts as (
    select message_id, goods, revenue, subtotal, abs(discount) as discount,
        abs(coalesce(shipping, 0)) as shipping, abs(coalesce(tax, 0)) as tax,
        total - abs(coalesce(shipping, 0)) - abs(coalesce(tax, 0)) as net_total
    from clean.order_amounts
),
messages as (
    select message_id, namespace, coalesce(own_order_id, order_number) as order_id, order_number,
        occurred_at, channel, product_id, quantity, price, amount, n_products,
        case when n_products > 0 then 1 when product_id is not null then 2 else 3 end as form,
        case when is_logged_in then member_id end as named_member_id,
        first_value(member_id) over by_weight as member_id,
        first_value(case when member_id is not null and not is_logged_in then visitor_id end)
            over by_weight as visitor_id
    from events
    where event_name = 'Order Completed'
    window by_weight as (
        partition by coalesce(own_order_id, order_number)
        order by member_id is null, not is_logged_in,
            not (is_logged_in and visitor_id = member_id), occurred_at, message_id
    )
),
orders as (
    select order_id,
        min(order_number) as order_number,
        min(form) as form,
        min(member_id) as member_id,
        min(visitor_id) as visitor_id,
        min(case when named_member_id = member_id then occurred_at end) as member_known_at,
        min(occurred_at) as ordered_at,
        min(channel) as channel
    from messages
    group by order_id
),
cancelled as (
    select coalesce(e.own_order_id, o.order_id, e.order_number) as order_id,
        min(e.occurred_at) as cancelled_at
    from events as e
    left join orders as o
        on e.own_order_id is null and o.order_number = e.order_number
        and o.member_id = e.member_id
    where e.event_name = 'Order Cancelled'
    group by coalesce(e.own_order_id, o.order_id, e.order_number)
),
whole_messages as (
    select m.message_id, m.order_id, m.amount, m.n_products, m.form,
        row_number() over (
            partition by m.order_id
            order by coalesce(a.goods, a.discount) is null, m.occurred_at, m.message_id
        ) as turn
    from messages as m
    join orders as o on o.order_id = m.order_id and o.form = m.form
    left join order_amounts as a on a.message_id = m.message_id
    where m.form <> 2
),
flat_messages as (
    select m.message_id, m.order_id, m.occurred_at, m.product_id, m.quantity, m.price, m.amount,
        m.namespace,
        first_value(m.namespace) over (
            partition by m.order_id order by m.occurred_at, m.message_id
        ) as first_namespace
    from messages as m
    join orders as o on o.order_id = m.order_id and o.form = m.form
    where m.form = 2
),
flat_lines as (
    select message_id, order_id, product_id, quantity, price, amount,
        row_number() over (partition by order_id order by occurred_at, message_id) as line,
        count(*) over (partition by order_id) as n_flat
    from flat_messages
    where namespace = first_namespace
),
listed as (
    select w.order_id, w.message_id, w.amount as told, p.line,
        coalesce(p.product_id, '') as product_id, p.quantity, p.price, p.amount, p.discount,
        coalesce(
            p.product_id <> '' and regexp_like(p.product_id, $adjustment_products), false
        ) as is_adjustment
    from whole_messages as w
    join order_products as p on p.message_id = w.message_id
    where w.turn = 1 and w.form = 1
),
lacking as (
    select order_id, line, amount, is_adjustment,
        case when quantity > 0 then cast(quantity as double) else 1e0 end as weight,
        told - sum(case when is_adjustment then 0 else coalesce(amount, 0) end) over (
            partition by order_id
        ) as rest,
        count(*) over (partition by order_id) as n_lines
    from listed
),
weighted as (
    select order_id, line, rest,
        sum(weight) over (partition by order_id) as weight_all,
        sum(weight) over (
            partition by order_id order by line rows unbounded preceding
        ) as weight_to,
        line = max(line) over (partition by order_id) as is_last
    from lacking
    where amount is null and (n_lines = 1 or (rest >= 0 and not is_adjustment))
),
running as (
    select order_id, line,
        case when is_last then cast(rest as decimal(18, 4)) else cast(floor(
            cast(rest as double) * weight_to / weight_all * power(10, $base_minor_units) + 0.5000001
        ) / power(10, $base_minor_units) as decimal(18, 4)) end as share_to
    from weighted
),
lent as (
    select order_id, line,
        share_to - lag(share_to, 1, 0) over (partition by order_id order by line) as share
    from running
),
lines as (
    select p.order_id, p.line, p.product_id, p.quantity, p.price, p.amount, p.discount,
        p.message_id, l.share as order_amount
    from listed as p
    left join lent as l on l.order_id = p.order_id and l.line = p.line
    union all
    select f.order_id, f.line, f.product_id, coalesce(f.quantity, 1) as quantity, f.price,
        case when f.price is not null and f.quantity is not null then f.amount end as amount,
        case when f.n_flat > 1 and a.discount <= f.amount then a.discount end as discount,
        case when f.n_flat = 1 then f.message_id end as message_id,
        case when f.n_flat = 1 then f.amount end as order_amount
    from flat_lines as f
    left join order_amounts as a on a.message_id = f.message_id
    union all
    select order_id, 1 as line, '' as product_id, 1 as quantity,
        cast(null as decimal(18, 4)) as price, cast(null as decimal(18, 4)) as amount,
        cast(null as decimal(18, 4)) as discount, cast(null as string) as message_id,
        amount as order_amount
    from whole_messages
    where turn = 1 and form = 3
),
valued as (
    select order_id, line, product_id, quantity, price, message_id, order_amount,
        coalesce(discount, 0) as discount,
        coalesce(amount, order_amount, 0) as gross,
        amount is null as is_borrowed,
        coalesce(amount, order_amount) is null as is_unpriced,
        product_id <> '' and regexp_like(product_id, $adjustment_products) as is_adjustment
    from lines
),
sums as (
    select order_id,
        min(message_id) as message_id,
        cast(sum(case when is_adjustment then 0 else gross end) as double) as gross,
        cast(sum(case when is_adjustment then gross else 0 end) as double) as adjustments,
        cast(sum(case when is_adjustment then 0 else least(gross, 0) end) as double) as negative,
        cast(sum(case when is_adjustment then 0 else discount end) as double) as by_line,
        sum(case
            when is_adjustment then 0 else cast(discount as double) * cast(quantity as double)
        end) as by_piece,
        bool_or(is_unpriced and not is_adjustment) as is_unpriced,
        bool_or(is_borrowed and not is_unpriced) as is_borrowed,
        (count(*) + 1) * 0.51e0 * power(10, -$base_minor_units) as leeway
    from valued
    group by order_id
),
told as (
    select s.order_id, s.gross, s.adjustments, s.negative, s.by_line, s.by_piece, s.is_unpriced, s.leeway,
        cast(coalesce(a.discount, 0) as double) as discount,
        cast(a.revenue as double) as revenue,
        cast(a.subtotal as double) as subtotal,
        cast(a.net_total as double) as net_total,
        cast(coalesce(a.shipping, 0) as double) as shipping,
        cast(coalesce(a.tax, 0) as double) as tax
    from sums as s
    left join order_amounts as a on a.message_id = s.message_id
    where not s.is_borrowed and s.gross > 0 and (a.message_id is not null or s.by_line > 0)
),
figures as (
    select order_id, 1 as kind, revenue as figure from told where revenue is not null
    union all
    select order_id, 2 as kind, subtotal as figure from told where subtotal is not null
    union all
    select order_id, 3 as kind, net_total as figure from told where net_total is not null
),
agreed as (
    select t.order_id,
        bool_or(abs(f.figure - t.gross) <= t.leeway) as is_gross,
        bool_or(abs(f.figure - t.gross) <= t.leeway and f.kind <> 1) as is_net,
        bool_or(abs(f.figure - (t.gross - t.discount)) <= t.leeway) as is_by_order,
        bool_or(abs(f.figure - (t.gross - t.by_line)) <= t.leeway) as is_by_line,
        bool_or(abs(f.figure - (t.gross - t.by_piece)) <= t.leeway) as is_by_piece,
        bool_or(abs(f.figure - (t.gross - t.by_line - t.discount)) <= t.leeway) as is_by_both
    from told as t
    join figures as f on f.order_id = t.order_id
    group by t.order_id
),
weighed as (
    select t.order_id, t.gross, t.adjustments, t.negative, t.by_line, t.by_piece, t.is_unpriced, t.leeway,
        t.discount, t.revenue, t.subtotal, t.net_total, t.shipping, t.tax,
        case
            when t.discount = 0 and t.by_line = 0 then 'none'
            when t.discount > 0 and a.is_by_order then 'order'
            when t.by_line > 0 and a.is_by_line then 'line'
            when t.by_line > 0 and a.is_by_piece then 'piece'
            when t.discount > 0 and t.by_line > 0 and a.is_by_both then 'both'
            when a.is_net then 'net'
            when t.discount > 0 and t.by_line > 0
                and abs(t.by_line - t.discount) > t.leeway
                and abs(t.by_piece - t.discount) > t.leeway then 'both'
            when t.discount > 0 then 'order'
            else 'line'
        end as way,
        coalesce(a.is_gross, false) as is_gross
    from told as t
    left join agreed as a on a.order_id = t.order_id
),
settled as (
    select order_id, gross, adjustments, negative, is_unpriced, leeway, revenue, subtotal, shipping,
        tax, way,
        greatest(case
            when way = 'order' then gross - discount
            when way = 'line' then gross - by_line
            when way = 'piece' then gross - by_piece
            when way = 'both' then gross - by_line - discount
            when way = 'net' or is_unpriced or is_gross then gross
            when coalesce(revenue, net_total, subtotal) >= 0
                then least(coalesce(revenue, net_total, subtotal), gross)
            else gross
        end, 0e0) as goods
    from weighed
),
judged as (
    select order_id, way, goods - negative as goods,
        -- A figure may be what the lines say before or after the discount, with or without what is
        -- no product.
        not is_unpriced and coalesce(
            (way = 'none' and gross - goods > leeway and abs(gross - goods - tax) > leeway)
            or least(
                abs(coalesce(revenue, subtotal) - goods),
                abs(coalesce(revenue, subtotal) - gross),
                abs(coalesce(revenue, subtotal) - goods - adjustments),
                abs(coalesce(revenue, subtotal) - goods - shipping - tax),
                abs(coalesce(revenue, subtotal) - goods - shipping),
                abs(coalesce(revenue, subtotal) - goods - tax)
            ) > leeway,
            false
        ) as is_disputed
    from settled
),
bases as (
    select v.order_id, v.line, j.goods,
        v.gross - cast(case
            when j.way in ('line', 'both') then v.discount
            when j.way = 'piece' then v.discount * v.quantity
            else 0
        end as decimal(18, 4)) as base
    from valued as v
    join judged as j on j.order_id = v.order_id
    where not v.is_adjustment and v.gross > 0
),
placed as (
    select order_id, line, base,
        cast(sum(base) over (partition by order_id) as decimal(18, 4)) as base_all,
        cast(sum(base) over (
            partition by order_id order by line rows unbounded preceding
        ) as decimal(18, 4)) as base_to,
        line = max(line) over (partition by order_id) as is_last,
        cast(goods as decimal(18, 4)) as goods
    from bases
    where base > 0
),
reduced as (
    select order_id, line, base, base_all, base_to, is_last, base_all - goods as reduction
    from placed
    where base_all > goods
),
shares as (
    select order_id, line, base, is_last, reduction,
        cast(floor(
            cast(reduction as double) * cast(base as double) / cast(base_all as double)
                * power(10, $base_minor_units) + 0.5000001
        ) / power(10, $base_minor_units) as decimal(18, 4)) as share,
        case when is_last then reduction else cast(floor(
            cast(reduction as double) * cast(base_to as double) / cast(base_all as double)
                * power(10, $base_minor_units) + 0.5000001
        ) / power(10, $base_minor_units) as decimal(18, 4)) end as share_to
    from reduced
),
rests as (
    select order_id, line, base, is_last, share, share_to,
        reduction - cast(sum(case when is_last then 0 else share end) over (
            partition by order_id
        ) as decimal(18, 4)) as rest,
        max(case when is_last then base end) over (partition by order_id) as last_base,
        lag(share_to, 1, 0) over (partition by order_id order by line) as share_from
    from shares
),
spread as (
    select order_id, line,
        -- Of very many small lines the rest of the rounding may be more than the last one.
        case
            when rest < 0 or rest > last_base then least(share_to - share_from, base)
            when is_last then rest
            else least(share, base)
        end as share
    from rests
),
discounted as (
    select v.order_id, v.line, v.product_id, v.quantity, v.price, v.order_amount, v.gross,
        v.is_unpriced, v.is_adjustment,
        case
            when j.order_id is null then 0
            else v.gross - coalesce(b.base, v.gross) + coalesce(s.share, 0)
        end as discount,
        coalesce(j.is_disputed, false) as is_disputed
    from valued as v
    left join judged as j on j.order_id = v.order_id
    left join bases as b on b.order_id = v.order_id and b.line = v.line
    left join spread as s on s.order_id = v.order_id and s.line = v.line
)
select o.order_number,
    l.order_id,
    l.line,
    o.member_id,
    l.product_id,
    o.ordered_at,
    o.channel,
    l.quantity,
    coalesce(
        l.price,
        cast(cast(
            cast(l.order_amount as double) / nullif(cast(l.quantity as double), 0)
        as decimal(28, 10)) as decimal(16, 4)),
        0
    ) as price,
    l.gross - l.discount as amount,
    l.discount,
    l.is_adjustment,
    l.is_unpriced,
    c.order_id is not null as is_cancelled,
    l.is_disputed,
    o.visitor_id,
    o.member_known_at,
    c.cancelled_at
from discounted as l
join orders as o on o.order_id = l.order_id
left join cancelled as c on c.order_id = l.order_id
