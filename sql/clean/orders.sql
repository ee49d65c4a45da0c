-- One row per order: clean.order_items together. revenue is the amount of its product lines (not
-- what the message says of itself); adjustments (postage, fees, corrections) are apart, less what
-- was given back of them. A cancelled order brings 0 everywhere.
--
-- status: refunded when all of its revenue was given back, partially_refunded when some was.
-- margin: what each product line kept, less the cost of the part that was kept; where its cost is
-- not known, what it kept times the shop's margin rate.
with touched as (
    select order_id
    from valued_orders
),
order_items as (
    select i.order_id, i.member_id, i.ordered_at, i.channel, i.amount, i.refunded, i.cost,
        i.is_adjustment, i.is_unpriced, i.is_cancelled
    from clean.order_items as i
    join touched as t on t.order_id = i.order_id
),
valued as (
    select order_id, member_id, ordered_at, channel, is_adjustment, is_unpriced, is_cancelled,
        amount - refunded as kept,
        case when not is_cancelled and not is_adjustment then amount else 0 end as revenue,
        case when not is_cancelled and not is_adjustment then refunded else 0 end as given_back,
        case
            when is_cancelled or is_adjustment or is_unpriced then 0.0
            when cost is null then cast(amount - refunded as double) * $margin_rate
            when amount > 0
                then cast(amount - refunded as double) - cast(cost as double)
                    * (1 - cast(refunded as double) / cast(amount as double))
            else cast(amount as double) - cast(cost as double)
        end as margin
    from order_items
),
grouped as (
    select order_id,
        min(member_id) as member_id,
        min(ordered_at) as ordered_at,
        min(channel) as channel,
        bool_or(is_cancelled) as is_cancelled,
        count(*) filter (where not is_adjustment) as n_items,
        count(*) filter (where is_unpriced) as n_unpriced,
        cast(sum(revenue) as decimal(18, 4)) as revenue,
        cast(sum(given_back) as decimal(18, 4)) as refunded,
        cast(sum(cast(cast(margin as decimal(28, 10)) as decimal(18, 4))) as decimal(18, 4))
            as margin,
        cast(
            sum(case when is_adjustment and not is_cancelled then kept else 0 end)
            as decimal(18, 4)
        ) as adjustments
    from valued
    group by order_id
)
select order_id,
    member_id,
    ordered_at,
    cast(from_utc_timestamp(ordered_at, $time_zone) as date) as order_date,
    case
        when is_cancelled then 'cancelled'
        when refunded > 0 and refunded >= revenue then 'refunded'
        when refunded > 0 then 'partially_refunded'
        else 'completed'
    end as status,
    channel,
    n_items,
    n_unpriced,
    revenue,
    refunded,
    revenue - refunded as net_revenue,
    margin,
    adjustments
from grouped
