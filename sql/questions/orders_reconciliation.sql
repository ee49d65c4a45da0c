-- How does what arrived become what orders say? One row per part; the parts add up to the value of
-- every order line that arrived, less discounts, refunds counting negative, in base currency.
--
-- orders: product lines of members. cancelled orders: the same, of orders that were cancelled.
-- cancellations: what was given back to members for products, matched to an order or not.
-- adjustments: postage, fees and corrections, ordered and given back. anonymous: product lines,
-- ordered and given back, without a member. unpriced: lines whose money is not known, counted as 0.
with order_items as (
    select member_id, amount, is_adjustment, is_unpriced, is_cancelled
    from clean.order_items
),
refunds as (
    select message_id, line, member_id, amount, is_adjustment, is_unpriced
    from clean.refunds
),
refund_lines as (
    select message_id, line,
        min(member_id) as member_id,
        sum(amount) as amount,
        bool_and(is_adjustment) as is_adjustment,
        bool_and(is_unpriced) as is_unpriced
    from refunds
    group by message_id, line, is_adjustment
),
parted as (
    select
        case
            when is_unpriced then 'unpriced'
            when is_adjustment then 'adjustments'
            when member_id is null then 'anonymous'
            when is_cancelled then 'cancelled orders'
            else 'orders'
        end as part,
        amount
    from order_items
    union all
    select
        case
            when is_unpriced then 'unpriced'
            when is_adjustment then 'adjustments'
            when member_id is null then 'anonymous'
            else 'cancellations'
        end as part,
        -amount as amount
    from refund_lines
),
part_names as (
    select part, position
    from (
        values
            ('orders', 1), ('cancellations', 2), ('cancelled orders', 3), ('adjustments', 4),
            ('anonymous', 5), ('unpriced', 6)
    ) as named (part, position)
)
select n.part,
    count(p.part) as n_lines,
    cast(coalesce(sum(p.amount), 0) as decimal(18, 4)) as amount
from part_names as n
left join parted as p on p.part = n.part
group by n.part, n.position
order by n.position
