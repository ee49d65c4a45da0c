-- One row per member with behaviour: what she prefers when she buys.
-- Price band, brand and category: of the products she had to do with, by their decayed weights (a
-- view counts 1, an order 5; what was given back counts against it). The winner has the largest
-- sum, the first by name on a tie; its share is of her products that have one at all; its support
-- is the interactions behind it. A product's price band is its place among the prices of its own
-- category and currency: low below a third of them, high from two thirds on, equal prices alike.
-- Hour (of her own time zone) and channel: of her orders that were not cancelled, each halved every
-- half-life, ties to the earlier hour and to the first by name. Who has not ordered has those of
-- her sessions, with no orders in support.
with member_products as (
    select
        member_id,
        product_id,
        weight,
        n_views + n_carts + n_shares + n_orders as n_interactions
    from features.member_products
    where weight > 0
),

products as (
    select
        product_id,
        nullif(trim(brand), '') as brand,
        nullif(trim(category), '') as category,
        price,
        currency
    from clean.products
),

orders as (
    select member_id, ordered_at, nullif(trim(channel), '') as channel
    from clean.orders
    where member_id is not null and status <> 'cancelled' and ordered_at < $as_of
),

members as (
    select member_id, time_zone
    from clean.members
),

habits as (
    select member_id, best_hour, main_channel, main_channel_share
    from features.members
),

prices as (
    select
        product_id,
        (
            rank() over (partition by category, currency order by price) - 1
            + count(*) over (partition by category, currency order by price)
        ) / (2 * count(*) over (partition by category, currency)) as place
    from products
    where price is not null
),

traits as (
    select product_id, 'brand' as kind, brand as trait
    from products
    where brand is not null
    union all
    select product_id, 'category' as kind, category as trait
    from products
    where category is not null
    union all
    select
        product_id,
        'price_band' as kind,
        case when place * 3 < 1 then 'low' when place * 3 < 2 then 'middle' else 'high' end as trait
    from prices
),

-- Summed as decimals, so that the order of rows cannot change the last digit.
product_traits as (
    select
        mp.member_id,
        t.kind,
        t.trait,
        sum(cast(mp.weight as decimal(38, 18))) as strength,
        cast(sum(mp.n_interactions) as bigint) as support
    from member_products as mp
    join traits as t on t.product_id = mp.product_id
    group by mp.member_id, t.kind, t.trait
),

order_traits as (
    select
        o.member_id,
        hour(from_utc_timestamp(o.ordered_at, m.time_zone)) as local_hour,
        o.channel,
        cast(
            power(2, (epoch(o.ordered_at) - epoch($as_of)) / 86400 / $half_life_days)
            as decimal(38, 18)
        ) as strength
    from orders as o
    join members as m on m.member_id = o.member_id
),

strengths as (
    select member_id, kind, trait, strength, support
    from product_traits
    where strength > 0
    union all
    select
        member_id,
        'hour' as kind,
        lpad(cast(local_hour as varchar), 2, '0') as trait,
        sum(strength) as strength,
        count(*) as support
    from order_traits
    group by member_id, local_hour
    union all
    select member_id, 'channel' as kind, channel as trait, sum(strength), count(*) as support
    from order_traits
    where channel is not null
    group by member_id, channel
),

totals as (
    select member_id, kind, cast(sum(strength) as double) as total
    from strengths
    group by member_id, kind
),

-- Ranked on keys alone, the rest joined afterwards: a window over wide rows is ten times as slow.
ranked as (
    select
        member_id,
        kind,
        trait,
        row_number() over (partition by member_id, kind order by strength desc, trait) as rank
    from strengths
),

preferred as (
    select r.member_id, r.kind, r.trait, cast(s.strength as double) / t.total as share, s.support
    from ranked as r
    join strengths as s on s.member_id = r.member_id and s.kind = r.kind and s.trait = r.trait
    join totals as t on t.member_id = r.member_id and t.kind = r.kind
    where r.rank = 1 and t.total > 0
),

preferences as (
    select
        member_id,
        max(trait) filter (where kind = 'price_band') as price_band,
        max(share) filter (where kind = 'price_band') as price_band_share,
        max(support) filter (where kind = 'price_band') as price_band_support,
        max(trait) filter (where kind = 'brand') as brand,
        max(share) filter (where kind = 'brand') as brand_share,
        max(support) filter (where kind = 'brand') as brand_support,
        max(trait) filter (where kind = 'category') as category,
        max(share) filter (where kind = 'category') as category_share,
        max(support) filter (where kind = 'category') as category_support,
        cast(max(trait) filter (where kind = 'hour') as integer) as order_hour,
        max(share) filter (where kind = 'hour') as order_hour_share,
        max(support) filter (where kind = 'hour') as order_hour_support,
        max(trait) filter (where kind = 'channel') as order_channel,
        max(share) filter (where kind = 'channel') as order_channel_share,
        max(support) filter (where kind = 'channel') as order_channel_support
    from preferred
    group by member_id
)

select
    coalesce(p.member_id, h.member_id) as member_id,
    p.price_band,
    p.price_band_share,
    coalesce(p.price_band_support, 0) as price_band_support,
    p.brand,
    p.brand_share,
    coalesce(p.brand_support, 0) as brand_support,
    p.category,
    p.category_share,
    coalesce(p.category_support, 0) as category_support,
    coalesce(p.order_hour, h.best_hour) as best_hour,
    p.order_hour_share as best_hour_share,
    coalesce(p.order_hour_support, 0) as best_hour_support,
    coalesce(p.order_channel, h.main_channel) as channel,
    case
        when p.order_channel is not null then p.order_channel_share
        else h.main_channel_share
    end as channel_share,
    coalesce(p.order_channel_support, 0) as channel_support
from preferences as p
full join habits as h on h.member_id = p.member_id
where p.member_id is not null or h.best_hour is not null or h.main_channel is not null
