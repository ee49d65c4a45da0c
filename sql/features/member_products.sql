-- One row per member and product with which she had to do: the interaction matrix.
-- An interaction is a view, a cart or wishlist addition, a share, or an order line; what was given
-- back of an order line counts against it. weight = sum of w * 0.5^(age in days / half-life), w by
-- kind from shop.yaml; forward_weight is the same sum with ages taken from the epoch, so that sums
-- of different days just add: weight = forward_weight * 2^((epoch - as_of) / half-life).
-- A refund counts in proportion: w of a refund times its part of the line's money (of its pieces
-- where the line brought no money). So all refunds of a line that was given back in full count w
-- once, however they are split, and goodwill counts as little as it is.
-- Cancelled orders and adjustments are no interest. n_orders and last_ordered_at are of what was
-- ordered, also where it was given back since: the member did decide to buy it.
-- All is as it was known at as_of, which may be an instant of the past: whose a device was by what
-- clean.merge_log says of that time, orders that were cancelled later stand, and an order is the
-- member's once a message has named the member. features.past_member_products is this at the start
-- of the holdout window; holdout_weight is what has come in it, without what was given back.
-- Contributions are added as decimals, so that the order of rows cannot change the last digit.
with identities as (
    select identifier, member_id, visitor_id
    from clean.identities
),

links as (
    select anonymous_id, user_id
    from clean.merge_log
    where known_at < $as_of and (known_until is null or known_until >= $as_of)
),

-- Devices that were another's at as_of than clean.events says: none, as of the run.
moved as (
    select i.visitor_id, coalesce(u.member_id, i.visitor_id) as member_id
    from identities as i
    left join links as l on l.anonymous_id = i.identifier
    left join identities as u on u.identifier = l.user_id
    where coalesce(u.member_id, i.visitor_id) <> i.member_id
),

events as (
    select
        coalesce(m.member_id, e.member_id) as member_id,
        e.product_id,
        e.event_name,
        e.occurred_at
    from clean.events as e
    left join moved as m on m.visitor_id = e.visitor_id and not e.is_logged_in
    where
        not e.is_bot
        and e.member_id is not null
        and e.product_id is not null
        and e.occurred_at < $as_of
        and e.event_name in (
            'Product Viewed',
            'Product Added',
            'Product Added to Wishlist',
            'Product Shared',
            'Cart Shared'
        )
),

order_lines as (
    select
        i.order_id,
        i.line,
        coalesce(m.member_id, i.member_id) as member_id,
        i.product_id,
        i.ordered_at,
        i.quantity,
        i.amount
    from clean.order_items as i
    left join moved as m on m.visitor_id = i.visitor_id
    where
        not i.is_adjustment
        and i.product_id <> ''
        and i.member_id is not null
        and i.ordered_at < $as_of
        and (i.member_known_at is null or i.member_known_at < $as_of)
        and (i.cancelled_at is null or i.cancelled_at >= $as_of)
),

refunds as (
    select order_id, order_line, refunded_at, quantity, amount
    from clean.refunds
    where match <> 'unmatched' and refunded_at < $as_of
),

interactions as (
    select
        member_id,
        product_id,
        occurred_at,
        case
            when event_name = 'Product Viewed' then 'view'
            when event_name in ('Product Added', 'Product Added to Wishlist') then 'cart'
            else 'share'
        end as kind,
        1e0 as part
    from events
    union all
    select member_id, product_id, ordered_at as occurred_at, 'order' as kind, 1e0 as part
    from order_lines
    union all
    select
        l.member_id,
        l.product_id,
        r.refunded_at as occurred_at,
        'refund' as kind,
        case
            when l.amount > 0 then cast(r.amount as double) / cast(l.amount as double)
            when l.quantity > 0 then cast(r.quantity as double) / cast(l.quantity as double)
            else 0e0
        end as part
    from refunds as r
    join order_lines as l on l.order_id = r.order_id and l.line = r.order_line
),

weighed as (
    select
        member_id,
        product_id,
        kind,
        occurred_at,
        case kind
            when 'view' then $weight_view
            when 'cart' then $weight_cart
            when 'share' then $weight_share
            when 'order' then $weight_order
            else $weight_refund
        end * part as weight,
        (unix_timestamp($as_of) - unix_timestamp(occurred_at)) / 86400e0 as age_days
    from interactions
),

decayed as (
    select
        member_id,
        product_id,
        kind,
        occurred_at,
        cast(weight * power(2e0, -age_days / $half_life_days) as decimal(38, 18)) as weight
    from weighed
),

pairs as (
    select
        member_id,
        product_id,
        cast(sum(weight) as double) as weight,
        cast(sum(abs(weight)) as double) as turnover,
        cast(
            sum(weight) filter (where occurred_at >= $holdout_start and weight > 0) as double
        ) as weight_in_holdout,
        count(*) filter (where kind = 'view') as n_views,
        count(*) filter (where kind = 'cart') as n_carts,
        count(*) filter (where kind = 'order') as n_orders,
        count(*) filter (where kind = 'share') as n_shares,
        min(occurred_at) filter (where kind <> 'refund') as first_at,
        max(occurred_at) filter (where kind <> 'refund') as last_at,
        max(occurred_at) filter (where kind = 'order') as last_ordered_at,
        min(occurred_at) filter (where kind = 'view') as first_viewed_at,
        count(distinct cast(occurred_at as date)) filter (where kind = 'order') as n_order_days,
        min(occurred_at) filter (where kind = 'order') as first_ordered_at
    from decayed
    group by member_id, product_id
),

-- Parts that make a whole leave no rounding behind, which would pass for interest.
rounded as (
    select
        member_id,
        product_id,
        case when abs(weight) > 1e-12 * turnover then weight else 0e0 end as weight,
        coalesce(weight_in_holdout, 0e0) as weight_in_holdout,
        n_views,
        n_carts,
        n_orders,
        n_shares,
        first_at,
        last_at,
        last_ordered_at,
        first_viewed_at,
        n_order_days,
        first_ordered_at
    from pairs
)

select
    member_id,
    product_id,
    weight,
    weight * power(
        2e0, (unix_timestamp($as_of) - unix_timestamp($epoch)) / 86400e0 / $half_life_days
    ) as forward_weight,
    n_views,
    n_carts,
    n_orders,
    n_shares,
    first_at,
    last_at,
    last_ordered_at,
    first_viewed_at,
    n_order_days,
    first_ordered_at,
    weight_in_holdout as holdout_weight
from rounded
