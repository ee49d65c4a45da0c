-- One row per refund line and the order line it is set against: 'Order Refunded' messages that list
-- products, name one, or name none. Quantities and amounts are positive, however they were sent.
-- Line 0 is the money of a message whose list tells pieces alone.
--
-- Pieces and money are two stocks of an order: neither gives back more than was ordered or paid. A
-- refund of money alone takes no pieces, unless it takes the last money of its product or order, for
-- then the goods are taken to be back. What finds no stock is unmatched, with its amount.
--
-- referenced: the message names a known order (of its namespace, else of its member, else the first
-- of that number). Its pieces are set against the order's lines of the product, in line order. Its
-- money too, where it names a product; else it is shared over what the lines have left, in
-- proportion. Told amounts come first, by instant; then pieces without one, at the value of their
-- line; a refund that tells neither product nor amount takes all that is left, and later ones nothing.
-- A product that the order does not list is set against an order that lists none.
-- inferred: the order is unknown or not named; the pieces are set, first in, first out, against
-- what the same member bought of the product until then and what no other refund has taken, in
-- orders that were not cancelled.
-- unmatched: what is left over, with order_id '' and order_line 0.
--
-- An amount that is told and not understood, or of a currency without a rate, is unmatched too.
--
-- Of a message that says what was given back in all, the lines are worth no more together; one that
-- says a discount instead gives back its lines less that. A foreign
-- amount is converted at the rate of the order's date. Shares are differences of two rounded running
-- sums, so that they add up exactly.
--
-- How first in, first out becomes windows: along the time of a member and product let S be the
-- pieces supplied and D the pieces demanded. Demand that finds no stock is lost, so up to refund j
-- the lost pieces are L(j) = max(0, max over i <= j of D(i) - S(i)) and the pieces taken are
-- D(j) - L(j): each refund takes an interval of the supply, and the overlap is the match.
with amounts as (
    select message_id, goods, abs(discount) as discount, native_amount, is_unread
    from clean.order_amounts
),
events as (
    select e.message_id, e.namespace, e.member_id, e.occurred_at, e.order_number, e.currency,
        nullif(e.product_id, '') as product_id, e.quantity,
        coalesce(e.n_products, 0) as n_products, abs(a.goods) as goods, a.discount,
        case when abs(a.goods) < abs(e.amount) then abs(a.goods) else abs(e.amount) end as amount,
        case
            when abs(a.goods) < abs(e.amount)
                then abs(a.native_amount) * cast(abs(a.goods) as double) / cast(abs(e.amount) as double)
            else abs(a.native_amount)
        end as native_amount,
        coalesce(a.is_unread, false) as is_unread
    from clean.order_events as e
    left join amounts as a on a.message_id = e.message_id
    where e.event_name = 'Order Refunded'
),
order_products as (
    select p.message_id, p.line, nullif(p.product_id, '') as product_id, p.quantity,
        abs(p.amount) - coalesce(p.discount, 0) as amount, p.discount,
        abs(p.native_amount) as native_amount
    from clean.order_products as p
    join events as e on e.message_id = p.message_id
),
order_lines as (
    select order_number, order_id, line, member_id, product_id, ordered_at, quantity, amount,
        is_unpriced, is_cancelled
    from clean.order_lines
),
numbers as (
    select namespace, order_number, order_id
    from clean.order_numbers
),
fx_rates as (
    select currency, valid_from, valid_to, rate
    from raw.fx_rates
),
named_orders as (
    select distinct order_number
    from events
    where order_number is not null
),
candidates as (
    select l.order_number, l.order_id, min(l.member_id) as member_id,
        min(l.ordered_at) as ordered_at
    from order_lines as l
    join named_orders as n on n.order_number = l.order_number
    group by l.order_number, l.order_id
),
named as (
    select e.message_id,
        coalesce(n.order_id, m.order_id, e.order_number) as order_id
    from events as e
    left join numbers as n on n.namespace = e.namespace and n.order_number = e.order_number
    left join candidates as m
        on n.order_id is null and m.order_number = e.order_number and m.member_id = e.member_id
    where e.order_number is not null
),
known_orders as (
    select r.message_id, c.order_id, c.member_id, c.ordered_at
    from (
        select message_id, min(order_id) as order_id from named group by message_id
    ) as r
    join candidates as c on c.order_id = r.order_id
),
list_sums as (
    select message_id, count(*) as n_lines, count(amount) as n_priced,
        count(discount) as n_discounted, cast(sum(amount) as decimal(28, 4)) as amount
    from order_products
    group by message_id
),
listed as (
    select p.message_id, p.line, p.product_id, p.quantity, p.amount, p.native_amount,
        case
            when e.goods is null and s.n_priced = s.n_lines and s.n_discounted = 0
                and e.discount < s.amount then s.amount - e.discount
            else e.goods
        end as goods,
        e.native_amount as native_goods, s.n_lines, s.n_priced, s.amount as amount_all,
        cast(sum(p.amount) over (
            partition by p.message_id order by p.line rows unbounded preceding
        ) as decimal(28, 4)) as amount_to
    from order_products as p
    join events as e on e.message_id = p.message_id
    join list_sums as s on s.message_id = p.message_id
),
lines as (
    select message_id, line, product_id, quantity,
        case
            when n_lines = 1 and amount is null then goods
            when n_priced = 0 and goods is not null then cast(0 as decimal(28, 4))
            when n_priced = n_lines and goods < amount_all then
                cast(cast(
                    cast(goods as double) * cast(amount_to as double) / cast(amount_all as double)
                as decimal(28, 10)) as decimal(28, 4))
                - cast(cast(
                    cast(goods as double) * cast(amount_to - amount as double)
                        / cast(amount_all as double)
                as decimal(28, 10)) as decimal(28, 4))
            else amount
        end as amount,
        case
            when n_lines = 1 and amount is null then native_goods
            when n_priced = n_lines and goods < amount_all
                then native_amount * cast(goods as double) / cast(amount_all as double)
            else native_amount
        end as native_amount,
        false as is_bare
    from listed
    union all
    select e.message_id, 0 as line, cast(null as string) as product_id, 0 as quantity,
        e.goods as amount, e.native_amount, false as is_bare
    from events as e
    join list_sums as s on s.message_id = e.message_id
    where e.goods is not null and s.n_lines > 1 and s.n_priced = 0
    union all
    select message_id, 1 as line, product_id, coalesce(quantity, 0) as quantity, amount,
        native_amount, product_id is null and amount is null and not is_unread as is_bare
    from events
    where n_products = 0
),
order_day as (
    select message_id, order_id, member_id,
        cast(from_utc_timestamp(ordered_at, $time_zone) as date) as order_date
    from known_orders
),
rated as (
    select l.message_id, l.line, e.occurred_at as refunded_at, l.product_id,
        abs(l.quantity) as quantity, e.currency, l.native_amount, l.is_bare,
        k.order_id, coalesce(k.member_id, e.member_id) as member_id,
        case
            when l.native_amount is not null and f.rate is not null then
                cast(
                    floor(
                        cast(l.native_amount as double) * f.rate * power(10, $base_minor_units)
                        + 0.5000001
                    ) / power(10, $base_minor_units)
                as decimal(28, 4))
            else l.amount
        end as amount
    from lines as l
    join events as e on e.message_id = l.message_id
    left join order_day as k on k.message_id = l.message_id
    left join fx_rates as f
        on l.native_amount is not null and f.currency = e.currency
        and k.order_date >= f.valid_from
        and (f.valid_to is null or k.order_date < f.valid_to)
),
order_scopes as (
    select distinct l.order_id, l.product_id
    from order_lines as l
    join known_orders as k on k.order_id = l.order_id
),
asked as (
    select a.message_id, a.line, a.refunded_at, a.product_id, a.quantity, a.currency,
        a.native_amount, a.amount, a.order_id, a.member_id,
        case
            when a.product_id is null then null
            when p.product_id is null and u.product_id is not null then ''
            else a.product_id
        end as scope,
        a.order_id is not null and a.is_bare as is_whole,
        coalesce(max(case when a.is_bare then 1 else 0 end) over (
            partition by a.order_id order by a.refunded_at, a.message_id, a.line
            rows between unbounded preceding and 1 preceding
        ), 0) = 1 as is_too_late
    from rated as a
    left join order_scopes as p on p.order_id = a.order_id and p.product_id = a.product_id
    left join order_scopes as u on u.order_id = a.order_id and u.product_id = ''
),
known_lines as (
    select l.order_id, l.line, l.product_id, l.quantity, l.amount, l.is_unpriced,
        cast(sum(l.quantity) over (
            partition by l.order_id, l.product_id order by l.line rows unbounded preceding
        ) as decimal(28, 4)) as quantity_to,
        cast(sum(l.amount) over (
            partition by l.order_id, l.product_id order by l.line rows unbounded preceding
        ) as decimal(28, 4)) as amount_to,
        cast(sum(l.amount) over (partition by l.order_id, l.product_id) as decimal(28, 4))
            as amount_all
    from order_lines as l
    join (select distinct order_id from known_orders) as k on k.order_id = l.order_id
    where l.quantity >= 0 and l.amount >= 0
),
-- Pieces and money of refunds that name a product.
by_product as (
    select message_id, line, refunded_at, order_id, scope, quantity, amount,
        cast(sum(quantity) over (
            partition by order_id, scope order by refunded_at, message_id, line
            rows unbounded preceding
        ) as decimal(28, 4)) as quantity_to,
        cast(coalesce(sum(amount) over (
            partition by order_id, scope order by refunded_at, message_id, line
            rows unbounded preceding
        ), 0) as decimal(28, 4)) as amount_to
    from asked
    where order_id is not null and scope is not null and not is_too_late
),
pieces as (
    select d.message_id, d.line, d.refunded_at, s.order_id, s.line as order_line,
        d.amount is null as is_untold,
        greatest(d.quantity_to - d.quantity, s.quantity_to - s.quantity)
            - (s.quantity_to - s.quantity) as piece_from,
        least(d.quantity_to, s.quantity_to) - (s.quantity_to - s.quantity) as piece_to
    from by_product as d
    join known_lines as s on s.order_id = d.order_id and s.product_id = d.scope
    where d.quantity_to - d.quantity < s.quantity_to
        and s.quantity_to - s.quantity < d.quantity_to
),
product_money as (
    select d.message_id, d.line, s.order_id, s.line as order_line,
        least(d.amount_to, s.amount_to)
            - greatest(d.amount_to - d.amount, s.amount_to - s.amount) as amount
    from by_product as d
    join known_lines as s on s.order_id = d.order_id and s.product_id = d.scope
    where d.amount > 0 and d.amount_to - d.amount < s.amount_to
        and s.amount_to - s.amount < d.amount_to
),
-- Money of refunds that name an order alone.
product_money_by_line as (
    select order_id, order_line, cast(sum(amount) as decimal(28, 4)) as amount
    from product_money
    group by order_id, order_line
),
first_left as (
    select s.order_id, s.line, s.amount - coalesce(m.amount, 0) as amount,
        cast(sum(s.amount - coalesce(m.amount, 0)) over (
            partition by s.order_id order by s.line rows unbounded preceding
        ) as decimal(28, 4)) as amount_to,
        cast(sum(s.amount - coalesce(m.amount, 0)) over (
            partition by s.order_id
        ) as decimal(28, 4)) as amount_all
    from known_lines as s
    left join product_money_by_line as m on m.order_id = s.order_id and m.order_line = s.line
),
by_order as (
    select message_id, line, order_id, amount,
        cast(sum(amount) over (
            partition by order_id order by refunded_at, message_id, line rows unbounded preceding
        ) as decimal(28, 4)) as amount_to
    from asked
    where order_id is not null and scope is null and amount is not null and not is_too_late
),
order_shares as (
    select d.message_id, d.line, s.order_id, s.line as order_line, s.amount_all,
        d.amount_to - d.amount as asked_from, d.amount_to as asked_to,
        cast(cast(
            cast(least(d.amount_to, s.amount_all) as double) * cast(s.amount_to as double)
                / cast(s.amount_all as double)
        as decimal(28, 10)) as decimal(28, 4))
        - cast(cast(
            cast(least(d.amount_to - d.amount, s.amount_all) as double)
                * cast(s.amount_to as double) / cast(s.amount_all as double)
        as decimal(28, 10)) as decimal(28, 4)) as share_to
    from by_order as d
    join first_left as s on s.order_id = d.order_id
    where d.amount > 0 and s.amount_all > 0 and d.amount_to - d.amount < s.amount_all
),
rising_shares as (
    select message_id, line, order_id, order_line, amount_all, asked_from, asked_to,
        max(share_to) over (
            partition by message_id, line order by order_line rows unbounded preceding
        ) as share_to
    from order_shares
),
order_money as (
    select message_id, line, order_id, order_line,
        asked_from < amount_all and asked_to >= amount_all as is_closing,
        share_to - lag(share_to, 1, cast(0 as decimal(28, 4))) over (
            partition by message_id, line order by order_line
        ) as amount
    from rising_shares
),
order_money_by_line as (
    select order_id, order_line, cast(sum(amount) as decimal(28, 4)) as amount
    from order_money
    group by order_id, order_line
),
second_left as (
    select s.order_id, s.line, greatest(s.amount - coalesce(m.amount, 0), 0) as amount
    from first_left as s
    left join order_money_by_line as m on m.order_id = s.order_id and m.order_line = s.line
),
-- Pieces without an amount are worth what their line is, as far as it has any left.
valued_pieces as (
    select p.message_id, p.line, p.refunded_at, p.order_id, p.order_line,
        cast(cast(
            cast(s.amount as double) * cast(p.piece_to as double) / cast(s.quantity as double)
        as decimal(28, 10)) as decimal(28, 4))
        - cast(cast(
            cast(s.amount as double) * cast(p.piece_from as double) / cast(s.quantity as double)
        as decimal(28, 10)) as decimal(28, 4)) as amount
    from pieces as p
    join known_lines as s on s.order_id = p.order_id and s.line = p.order_line
    where p.is_untold and s.quantity > 0
),
running_pieces as (
    select message_id, line, order_id, order_line, amount,
        cast(sum(amount) over (
            partition by order_id, order_line order by refunded_at, message_id, line
            rows unbounded preceding
        ) as decimal(28, 4)) as amount_to
    from valued_pieces
),
piece_money as (
    select r.message_id, r.line, r.order_id, r.order_line,
        least(r.amount_to, s.amount) - least(r.amount_to - r.amount, s.amount) as amount
    from running_pieces as r
    join second_left as s on s.order_id = r.order_id and s.line = r.order_line
),
piece_money_by_line as (
    select order_id, order_line, cast(sum(amount) as decimal(28, 4)) as amount
    from piece_money
    group by order_id, order_line
),
-- Who takes what is left: of a product's pieces, of an order's pieces, of an order's money.
pieces_by_line as (
    select order_id, order_line, cast(sum(piece_to - piece_from) as decimal(28, 4)) as quantity
    from pieces
    group by order_id, order_line
),
product_closings as (
    select d.message_id, d.line, s.order_id, s.line as order_line,
        s.quantity - coalesce(p.quantity, 0) as quantity
    from by_product as d
    join known_lines as s on s.order_id = d.order_id and s.product_id = d.scope
    left join pieces_by_line as p on p.order_id = s.order_id and p.order_line = s.line
    where d.quantity = 0 and d.amount > 0
        and d.amount_to - d.amount < s.amount_all and d.amount_to >= s.amount_all
),
closings as (
    select message_id, line, order_id, 0 as step
    from order_money
    where is_closing
    union
    select message_id, line, order_id, 1 as step
    from asked
    where is_whole and not is_too_late
),
first_closings as (
    select order_id, message_id, line,
        row_number() over (partition by order_id order by step, message_id, line) as turn
    from closings
),
order_closings as (
    select c.message_id, c.line, s.order_id, s.line as order_line,
        s.quantity - coalesce(p.quantity, 0) - coalesce(o.quantity, 0) as quantity
    from first_closings as c
    join known_lines as s on s.order_id = c.order_id
    left join pieces_by_line as p on p.order_id = s.order_id and p.order_line = s.line
    left join product_closings as o on o.order_id = s.order_id and o.order_line = s.line
    where c.turn = 1
),
rest_money as (
    select a.message_id, a.line, s.order_id, s.line as order_line,
        s.amount - coalesce(m.amount, 0) as amount
    from asked as a
    join second_left as s on s.order_id = a.order_id
    left join piece_money_by_line as m on m.order_id = s.order_id and m.order_line = s.line
    where a.is_whole and not a.is_too_late
),
set_against as (
    select message_id, line, order_id, order_line, piece_to - piece_from as quantity, 0 as amount
    from pieces
    union all
    select message_id, line, order_id, order_line, quantity, 0 as amount from product_closings
    union all
    select message_id, line, order_id, order_line, quantity, 0 as amount from order_closings
    union all
    select message_id, line, order_id, order_line, 0 as quantity, amount from product_money
    union all
    select message_id, line, order_id, order_line, 0 as quantity, amount from order_money
    union all
    select message_id, line, order_id, order_line, 0 as quantity, amount from piece_money
    union all
    select message_id, line, order_id, order_line, 0 as quantity, amount from rest_money
),
referenced as (
    select message_id, line, order_id, order_line,
        cast(sum(quantity) as decimal(28, 4)) as quantity,
        cast(sum(amount) as decimal(28, 4)) as amount
    from set_against
    group by message_id, line, order_id, order_line
    having sum(quantity) > 0 or sum(amount) > 0
),
referenced_by_line as (
    select order_id, order_line, cast(sum(quantity) as decimal(28, 4)) as quantity,
        cast(sum(amount) as decimal(28, 4)) as amount
    from referenced
    group by order_id, order_line
),
-- First in, first out.
inferred_demand as (
    select message_id, line, refunded_at, member_id, product_id, quantity, amount, native_amount,
        currency
    from asked
    where order_id is null and member_id is not null and product_id is not null and quantity > 0
),
inferred_keys as (
    select distinct member_id, product_id
    from inferred_demand
),
inferred_supply as (
    select l.order_id, l.line, l.member_id, l.product_id, l.ordered_at,
        l.amount as line_amount, l.quantity as line_quantity,
        coalesce(r.quantity, 0) as taken,
        l.quantity - coalesce(r.quantity, 0) as quantity,
        greatest(l.amount - coalesce(r.amount, 0), 0) as amount_left
    from order_lines as l
    join inferred_keys as k on k.member_id = l.member_id and k.product_id = l.product_id
    left join referenced_by_line as r on r.order_id = l.order_id and r.order_line = l.line
    where l.quantity > 0 and l.amount >= 0 and not l.is_cancelled
),
steps as (
    select member_id, product_id, ordered_at as step_at, 0 as is_demand, order_id as id, line,
        quantity as supply, cast(0 as decimal(28, 4)) as demand
    from inferred_supply
    union all
    select member_id, product_id, refunded_at as step_at, 1 as is_demand, message_id as id, line,
        cast(0 as decimal(28, 4)) as supply, quantity as demand
    from inferred_demand
),
totals as (
    select member_id, product_id, step_at, is_demand, id, line, supply, demand,
        cast(sum(supply) over (
            partition by member_id, product_id order by step_at, is_demand, id, line
            rows unbounded preceding
        ) as decimal(28, 4)) as supplied,
        cast(sum(demand) over (
            partition by member_id, product_id order by step_at, is_demand, id, line
            rows unbounded preceding
        ) as decimal(28, 4)) as demanded
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
    select s.order_id, s.line, s.member_id, s.product_id, s.ordered_at, s.line_amount,
        s.line_quantity, s.amount_left, s.taken, t.supplied - t.supply as supplied_from,
        t.supplied as supplied_to
    from totals as t
    join inferred_supply as s on s.order_id = t.id and s.line = t.line
    where t.is_demand = 0
),
inferred_pieces as (
    select d.message_id, d.line, s.order_id, s.line as order_line, s.line_amount, s.line_quantity,
        s.amount_left, cast(from_utc_timestamp(s.ordered_at, $time_zone) as date) as order_date,
        s.taken + greatest(d.taken_from, s.supplied_from) - s.supplied_from as piece_from,
        s.taken + least(d.taken_to, s.supplied_to) - s.supplied_from as piece_to
    from taken as d
    join supply_intervals as s on s.member_id = d.member_id and s.product_id = d.product_id
    where d.taken_from < s.supplied_to and s.supplied_from < d.taken_to
),
inferred_by_refund as (
    select message_id, line, cast(sum(piece_to - piece_from) as decimal(28, 4)) as quantity
    from inferred_pieces
    group by message_id, line
),
inferred_parts as (
    select p.message_id, p.line, p.order_id, p.order_line, p.line_amount, p.line_quantity,
        p.amount_left, p.piece_from, p.piece_to, d.refunded_at, d.quantity as asked_quantity,
        cast(sum(p.piece_to - p.piece_from) over (
            partition by p.message_id, p.line order by p.order_id, p.order_line
            rows unbounded preceding
        ) as decimal(28, 4)) as quantity_to,
        case
            when d.native_amount is not null and f.rate is not null then
                cast(
                    floor(
                        cast(d.native_amount as double) * f.rate * power(10, $base_minor_units)
                        + 0.5000001
                    ) / power(10, $base_minor_units)
                as decimal(28, 4))
            else d.amount
        end as total
    from inferred_pieces as p
    join inferred_demand as d on d.message_id = p.message_id and d.line = p.line
    left join fx_rates as f
        on d.native_amount is not null and f.currency = d.currency
        and p.order_date >= f.valid_from
        and (f.valid_to is null or p.order_date < f.valid_to)
),
inferred_wanted as (
    select message_id, line, order_id, order_line, refunded_at, amount_left,
        piece_to - piece_from as quantity,
        case
            when total is null then
                cast(cast(
                    cast(line_amount as double) * cast(piece_to as double)
                        / cast(line_quantity as double)
                as decimal(28, 10)) as decimal(28, 4))
                - cast(cast(
                    cast(line_amount as double) * cast(piece_from as double)
                        / cast(line_quantity as double)
                as decimal(28, 10)) as decimal(28, 4))
            else
                cast(cast(
                    cast(total as double) * cast(quantity_to as double)
                        / cast(asked_quantity as double)
                as decimal(28, 10)) as decimal(28, 4))
                - cast(cast(
                    cast(total as double)
                        * cast(quantity_to - (piece_to - piece_from) as double)
                        / cast(asked_quantity as double)
                as decimal(28, 10)) as decimal(28, 4))
        end as wanted
    from inferred_parts
),
inferred_running as (
    select message_id, line, order_id, order_line, amount_left, quantity, wanted,
        cast(sum(wanted) over (
            partition by order_id, order_line order by refunded_at, message_id, line
            rows unbounded preceding
        ) as decimal(28, 4)) as wanted_to
    from inferred_wanted
),
inferred as (
    select message_id, line, order_id, order_line, quantity, wanted,
        least(wanted_to, amount_left) - least(wanted_to - wanted, amount_left) as amount
    from inferred_running
),
matched as (
    select message_id, line, order_id, order_line, quantity, amount, 'referenced' as match
    from referenced
    union all
    select message_id, line, order_id, order_line, quantity, amount, 'inferred' as match
    from inferred
),
matched_by_refund as (
    select message_id, line, cast(sum(quantity) as decimal(28, 4)) as quantity,
        cast(sum(amount) as decimal(28, 4)) as amount
    from matched
    group by message_id, line
),
-- What the parts of an inferred refund were to be, at their orders' rates, and what is left of it.
inferred_sums as (
    select message_id, line, cast(sum(wanted) as decimal(28, 4)) as wanted,
        cast(sum(quantity) as decimal(28, 4)) as quantity
    from inferred
    group by message_id, line
),
told as (
    select a.message_id, a.line, a.quantity,
        case
            when a.amount is null then null
            when i.message_id is null then a.amount
            when i.quantity >= a.quantity then i.wanted
            when a.native_amount is null then a.amount
            else i.wanted + cast(cast(
                cast(a.amount as double)
                    * (1 - cast(i.quantity as double) / cast(a.quantity as double))
            as decimal(28, 10)) as decimal(28, 4))
        end as amount
    from asked as a
    left join inferred_sums as i on i.message_id = a.message_id and i.line = a.line
),
remainders as (
    select a.message_id, a.line, a.product_id, a.amount is null and not a.is_whole as is_unpriced,
        m.message_id is null as is_all,
        greatest(a.quantity - coalesce(m.quantity, 0), 0) as quantity,
        greatest(coalesce(t.amount, 0) - coalesce(m.amount, 0), 0) as amount
    from asked as a
    join told as t on t.message_id = a.message_id and t.line = a.line
    left join matched_by_refund as m on m.message_id = a.message_id and m.line = a.line
),
parts as (
    select m.message_id, m.line, m.order_id, m.order_line, coalesce(a.product_id, l.product_id)
        as product_id, m.quantity, m.amount, l.is_unpriced and a.amount is null as is_unpriced,
        m.match
    from matched as m
    join asked as a on a.message_id = m.message_id and a.line = m.line
    join order_lines as l on l.order_id = m.order_id and l.line = m.order_line
    union all
    select message_id, line, '' as order_id, 0 as order_line, product_id, quantity, amount,
        is_unpriced, 'unmatched' as match
    from remainders
    where is_all or quantity > 0 or amount > 0
)
select p.message_id,
    p.line,
    a.member_id,
    p.product_id,
    a.refunded_at,
    p.quantity,
    p.amount,
    p.order_id,
    p.order_line,
    p.product_id is not null and p.product_id <> ''
        and regexp_like(p.product_id, $adjustment_products) as is_adjustment,
    p.is_unpriced,
    p.match
from parts as p
join asked as a on a.message_id = p.message_id and a.line = p.line
