-- One row per order line: clean.order_lines with what was given back of it and what it cost.
--
-- refunded, returned: the money and the pieces of refunds set against the line; what is more than
-- the line had stands in clean.refunds as unmatched.
-- Of touched orders alone.
-- cost: quantity times the catalogue's cost, in base currency at the rate of the order's date.
with touched as (
    select order_id
    from valued_orders
),
order_lines as (
    select l.order_id, l.line, l.member_id, l.product_id, l.ordered_at, l.channel, l.quantity,
        l.price, l.amount, l.discount, l.is_adjustment, l.is_unpriced, l.is_cancelled,
        l.is_disputed, l.visitor_id, l.member_known_at, l.cancelled_at
    from clean.order_lines as l
    join touched as t on t.order_id = l.order_id
),
refunds as (
    select r.order_id, r.order_line, cast(sum(r.amount) as decimal(18, 4)) as refunded,
        cast(sum(r.quantity) as decimal(18, 4)) as returned
    from clean.refunds as r
    join touched as t on t.order_id = r.order_id
    group by r.order_id, r.order_line
),
fx_rates as (
    select currency, valid_from, valid_to, rate
    from raw.fx_rates
),
products as (
    select product_id, cast(cost as double) as cost, nullif(currency, $base_currency) as currency
    from raw.products
    where cost is not null
),
foreign_costs as (
    select p.product_id, p.cost * f.rate as cost, f.valid_from, f.valid_to
    from products as p
    join fx_rates as f on f.currency = p.currency
),
costed as (
    select l.order_id, l.line, l.member_id, l.product_id, l.ordered_at, l.channel, l.quantity,
        l.price, l.amount, l.discount, l.is_adjustment, l.is_unpriced, l.is_cancelled,
        l.is_disputed, l.visitor_id, l.member_known_at, l.cancelled_at,
        case when p.currency is null then p.cost else f.cost end as unit_cost
    from order_lines as l
    left join products as p on p.product_id = l.product_id
    left join foreign_costs as f
        on f.product_id = l.product_id
        and cast(from_utc_timestamp(l.ordered_at, $time_zone) as date) >= f.valid_from
        and (
            f.valid_to is null
            or cast(from_utc_timestamp(l.ordered_at, $time_zone) as date) < f.valid_to
        )
)
select c.order_id,
    c.line,
    c.member_id,
    c.product_id,
    c.ordered_at,
    c.channel,
    c.quantity,
    c.price,
    c.amount,
    c.discount,
    least(coalesce(r.refunded, 0), greatest(c.amount, 0)) as refunded,
    least(coalesce(r.returned, 0), greatest(c.quantity, 0)) as returned,
    try_cast(try_cast(c.unit_cost * cast(c.quantity as double) as decimal(28, 10)) as decimal(16, 4)) as cost,
    c.is_adjustment,
    c.is_unpriced,
    c.is_cancelled,
    c.is_disputed,
    c.visitor_id,
    c.member_known_at,
    c.cancelled_at
from costed as c
left join refunds as r on r.order_id = c.order_id and r.order_line = c.line
