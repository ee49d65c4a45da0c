-- One row per order: clean.order_items together. revenue is the amount of its product lines, less
-- discounts, without shipping and tax (which of what a message says is believed: order_lines.sql);
-- adjustments (postage, fees, corrections) are apart, less what was given back of them. A cancelled
-- order brings 0 everywhere.
--
-- status: refunded when all of its revenue was given back, partially_refunded when some was.
-- margin: what each product line kept, less the cost of the pieces that were kept: money given back
-- without pieces lowers it in full. Where the cost is not known, it is taken to be what the shop's
-- margin rate leaves of the line's amount.
with touched as (
    select order_id
    from valued_orders
),
order_items as (
    select i.order_id, i.member_id, i.ordered_at, i.channel, i.quantity, i.amount, i.discount,
        i.refunded, i.returned, i.cost, i.is_adjustment, i.is_unpriced, i.is_cancelled,
        i.is_disputed, i.cancelled_at
    from clean.order_items as i
    join touched as t on t.order_id = i.order_id
),
valued as (
    select order_id, member_id, ordered_at, channel, is_adjustment, is_unpriced, is_cancelled,
        is_disputed, cancelled_at,
        amount - refunded as kept,
        case when not is_cancelled and not is_adjustment then amount else 0 end as revenue,
        case when not is_cancelled and not is_adjustment then refunded else 0 end as given_back,
        case when not is_cancelled and not is_adjustment then discount else 0 end as discount,
        case
            when is_cancelled or is_adjustment or is_unpriced then 0e0
            else cast(amount - refunded as double)
                - coalesce(cast(cost as double), cast(amount as double) * (1 - $margin_rate))
                * (1 - coalesce(
                    cast(returned as double) / nullif(cast(quantity as double), 0e0), 0e0
                ))
        end as margin
    from order_items
),
grouped as (
    select order_id,
        min(member_id) as member_id,
        min(ordered_at) as ordered_at,
        min(channel) as channel,
        bool_or(is_cancelled) as is_cancelled,
        min(cancelled_at) as cancelled_at,
        count(*) filter (where not is_adjustment) as n_items,
        count(*) filter (where is_unpriced) as n_unpriced,
        bool_or(is_disputed) as is_disputed,
        cast(sum(revenue) as decimal(18, 4)) as revenue,
        cast(sum(discount) as decimal(18, 4)) as discount,
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
    is_disputed,
    revenue,
    discount,
    refunded,
    revenue - refunded as net_revenue,
    margin,
    adjustments,
    cancelled_at
from grouped
