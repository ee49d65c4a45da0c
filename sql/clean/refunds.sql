-- One row per refund line and the order line it is set against: 'Order Refunded' messages that list
-- products, name one, or name none. Quantities and amounts are positive, however they were sent.
--
-- referenced: the message names a known order; its pieces are set against the order's lines of the
-- same product, in line order. Without any product it gives back all that is left of the order,
-- at the value of the lines, or for the message's amount if that is less, shared by line value.
-- inferred: the order is unknown or not named; the pieces are set, first in, first out, against
-- what the same member bought of the product until then and what no other refund has taken, in
-- orders that were not cancelled.
-- unmatched: the pieces for which nothing is left, with order_id '' and order_line 0.
--
-- A line's own price counts, even where the order line had another; without one it is worth what
-- the order line was. The money of a line is shared over its parts by pieces, each part being the
-- difference of two rounded running shares, so that the parts add up to it exactly.
--
-- How first in, first out becomes windows: along the time of a member and product let S be the
-- pieces supplied and D the pieces demanded. Demand that finds no stock is lost, so up to refund j
-- the lost pieces are L(j) = max(0, max over i <= j of D(i) - S(i)) and the pieces taken are
-- D(j) - L(j): each refund takes an interval of the supply, and the overlap is the match.
with events as (
    select message_id, member_id, occurred_at, order_id, product_id, quantity, amount, n_products
    from clean.order_events
    where event_name = 'Order Refunded'
),
order_products as (
    select message_id, line, product_id, quantity, amount
    from clean.order_products
),
order_lines as (
    select order_id, line, member_id, product_id, ordered_at, quantity, amount, is_unpriced,
        is_cancelled
    from clean.order_lines
),
named_orders as (
    select distinct order_id
    from events
    where order_id is not null
),
known_orders as (
    select l.order_id, min(l.member_id) as member_id
    from order_lines as l
    join named_orders as n on n.order_id = l.order_id
    group by l.order_id
),
lines as (
    select e.message_id, p.line, p.product_id, p.quantity,
        coalesce(p.amount, case when e.n_products = 1 then e.amount end) as amount
    from events as e
    join order_products as p on p.message_id = e.message_id
    where e.n_products > 0
    union all
    select message_id, 1 as line, product_id, coalesce(quantity, 0) as quantity, amount
    from events
    where coalesce(n_products, 0) = 0
),
asked as (
    select l.message_id, l.line, e.occurred_at as refunded_at, l.product_id,
        abs(l.quantity) as quantity, abs(l.amount) as amount,
        k.order_id,
        coalesce(k.member_id, e.member_id) as member_id,
        k.order_id is not null and coalesce(e.n_products, 0) = 0 and e.product_id is null
            as is_whole
    from lines as l
    join events as e on e.message_id = l.message_id
    left join known_orders as k on k.order_id = e.order_id
),
known_lines as (
    select l.order_id, l.line, l.product_id, l.quantity, l.amount, l.is_unpriced,
        cast(sum(l.quantity) over (
            partition by l.order_id, l.product_id order by l.line rows unbounded preceding
        ) as bigint) as supplied
    from order_lines as l
    join known_orders as k on k.order_id = l.order_id
    where l.quantity > 0 and l.amount >= 0
),
referenced_demand as (
    select message_id, line, refunded_at, order_id, product_id, quantity
    from asked
    where order_id is not null and not is_whole
    union all
    select a.message_id, a.line, a.refunded_at, a.order_id, k.product_id,
        cast(sum(k.quantity) as bigint) as quantity
    from asked as a
    join known_lines as k on k.order_id = a.order_id
    where a.is_whole
    group by a.message_id, a.line, a.refunded_at, a.order_id, k.product_id
),
referenced_intervals as (
    select message_id, line, order_id, product_id, quantity,
        cast(sum(quantity) over (
            partition by order_id, product_id order by refunded_at, message_id, line
            rows unbounded preceding
        ) as bigint) as demanded
    from referenced_demand
),
referenced as (
    select d.message_id, d.line, s.order_id, s.line as order_line, s.product_id, s.is_unpriced,
        s.amount as line_amount, s.quantity as line_quantity,
        least(d.demanded, s.supplied)
            - greatest(d.demanded - d.quantity, s.supplied - s.quantity) as quantity
    from referenced_intervals as d
    join known_lines as s on s.order_id = d.order_id and s.product_id = d.product_id
    where d.demanded - d.quantity < s.supplied and s.supplied - s.quantity < d.demanded
),
referenced_by_line as (
    select order_id, order_line, cast(sum(quantity) as bigint) as quantity
    from referenced
    group by order_id, order_line
),
inferred_demand as (
    select message_id, line, refunded_at, member_id, product_id, quantity
    from asked
    where order_id is null and member_id is not null and product_id is not null and quantity > 0
),
inferred_keys as (
    select distinct member_id, product_id
    from inferred_demand
),
inferred_supply as (
    select l.order_id, l.line, l.member_id, l.product_id, l.ordered_at, l.is_unpriced,
        l.amount as line_amount, l.quantity as line_quantity,
        l.quantity - coalesce(r.quantity, 0) as quantity
    from order_lines as l
    join inferred_keys as k on k.member_id = l.member_id and k.product_id = l.product_id
    left join referenced_by_line as r on r.order_id = l.order_id and r.order_line = l.line
    where l.quantity > 0 and l.amount >= 0 and not l.is_cancelled
),
steps as (
    select member_id, product_id, ordered_at as step_at, 0 as is_demand, order_id as id, line,
        quantity as supply, 0 as demand
    from inferred_supply
    union all
    select member_id, product_id, refunded_at as step_at, 1 as is_demand, message_id as id, line,
        0 as supply, quantity as demand
    from inferred_demand
),
totals as (
    select member_id, product_id, step_at, is_demand, id, line, supply, demand,
        cast(sum(supply) over (
            partition by member_id, product_id order by step_at, is_demand, id, line
            rows unbounded preceding
        ) as bigint) as supplied,
        cast(sum(demand) over (
            partition by member_id, product_id order by step_at, is_demand, id, line
            rows unbounded preceding
        ) as bigint) as demanded
    from steps
),
losses as (
    select member_id, product_id, step_at, id, line, demand, demanded,
        max(greatest(demanded - supplied, 0)) over (
            partition by member_id, product_id order by step_at, id, line
            rows unbounded preceding
        ) as lost
    from totals
    where is_demand = 1
),
taken as (
    select member_id, product_id, id as message_id, line,
        demanded - lost as taken_to,
        demanded - demand - lag(lost, 1, 0) over (
            partition by member_id, product_id order by step_at, id, line
        ) as taken_from
    from losses
),
supply_intervals as (
    select s.order_id, s.line, s.member_id, s.product_id, s.is_unpriced, s.line_amount,
        s.line_quantity, t.supplied - t.supply as supplied_from, t.supplied as supplied_to
    from totals as t
    join inferred_supply as s on s.order_id = t.id and s.line = t.line
    where t.is_demand = 0
),
inferred as (
    select d.message_id, d.line, s.order_id, s.line as order_line, s.product_id, s.is_unpriced,
        s.line_amount, s.line_quantity,
        least(d.taken_to, s.supplied_to) - greatest(d.taken_from, s.supplied_from) as quantity
    from taken as d
    join supply_intervals as s on s.member_id = d.member_id and s.product_id = d.product_id
    where d.taken_from < s.supplied_to and s.supplied_from < d.taken_to
),
matched as (
    select message_id, line, order_id, order_line, product_id, is_unpriced, quantity,
        cast(cast(cast(line_amount as double) * quantity / line_quantity as decimal(28, 10))
            as decimal(18, 4)) as line_value,
        'referenced' as match
    from referenced
    union all
    select message_id, line, order_id, order_line, product_id, is_unpriced, quantity,
        cast(cast(cast(line_amount as double) * quantity / line_quantity as decimal(28, 10))
            as decimal(18, 4)) as line_value,
        'inferred' as match
    from inferred
),
matched_by_line as (
    select message_id, line, cast(sum(quantity) as bigint) as quantity
    from matched
    group by message_id, line
),
parts as (
    select message_id, line, order_id, order_line, product_id, is_unpriced, quantity, line_value,
        match
    from matched
    union all
    select a.message_id, a.line, '' as order_id, 0 as order_line, a.product_id,
        not a.is_whole as is_unpriced,
        a.quantity - coalesce(m.quantity, 0) as quantity,
        cast(0 as decimal(18, 4)) as line_value, 'unmatched' as match
    from asked as a
    left join matched_by_line as m on m.message_id = a.message_id and m.line = a.line
    where m.message_id is null or (not a.is_whole and m.quantity < a.quantity)
),
weighted as (
    select p.message_id, p.line, p.order_id, p.order_line, p.product_id, p.quantity, p.match,
        p.line_value, a.member_id, a.refunded_at, a.amount, a.is_whole,
        p.is_unpriced and a.amount is null as is_unpriced,
        case
            when a.is_whole or a.amount is null then p.line_value
            else cast(p.quantity as decimal(18, 4))
        end as weight
    from parts as p
    join asked as a on a.message_id = p.message_id and a.line = p.line
),
shared as (
    select message_id, line, order_id, order_line, product_id, quantity, match, member_id,
        refunded_at, is_unpriced, amount, is_whole, weight,
        sum(line_value) over (partition by message_id, line) as value,
        sum(weight) over (partition by message_id, line) as weight_all,
        sum(weight) over (
            partition by message_id, line order by match = 'unmatched', order_id, order_line
            rows unbounded preceding
        ) as weight_to
    from weighted
),
totalled as (
    select message_id, line, order_id, order_line, product_id, quantity, match, member_id,
        refunded_at, is_unpriced,
        cast(case
            when amount is null then value
            when is_whole then least(amount, value)
            else amount
        end as double) as total,
        coalesce(
            cast(weight_to - weight as double) / nullif(cast(weight_all as double), 0), 0.0
        ) as share_from,
        coalesce(cast(weight_to as double) / nullif(cast(weight_all as double), 0), 1.0) as share_to
    from shared
)
select message_id,
    line,
    member_id,
    product_id,
    refunded_at,
    quantity,
    cast(cast(total * share_to as decimal(28, 10)) as decimal(18, 4))
        - cast(cast(total * share_from as decimal(28, 10)) as decimal(18, 4)) as amount,
    order_id,
    order_line,
    product_id is not null and product_id <> ''
        and regexp_like(product_id, $adjustment_products) as is_adjustment,
    is_unpriced,
    match
from totalled
