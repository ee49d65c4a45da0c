-- One row per member who shared or referred: what came of it, in all and lately. What came lately
-- is halved every half-life of an advocate, by the age of the click or the order: recent_reach of
-- each clicker's last click, recent_conversions of the clicks that count, recent_revenue of the
-- orders of whom she referred since they were bound. Reach are all who clicked on her shares in good
-- faith; clicks that were refused as her own, her device's, a farm's or a ring's reach nobody.
with shares as (
    select distinct member_id
    from features.share_touches
    where kind = 'share'
),

clicks as (
    select member_id, referrer_id, clicked_at
    from social.share_clicks
    where
        referrer_id is not null
        and referrer_id <> member_id
        and coalesce(reason, '') not in ('own_code', 'same_device', 'device_farm', 'cycle')
),

referrals as (
    select member_id, referrer_id, clicked_at, bound_at, n_orders, revenue
    from social.referrals
),

orders as (
    select member_id, ordered_at, net_revenue
    from clean.orders
    where status <> 'cancelled' and order_date < $run_date
),

last_clicks as (
    select referrer_id, member_id, max(clicked_at) as clicked_at
    from clicks
    group by referrer_id, member_id
),

reached as (
    select
        referrer_id,
        count(*) as reach,
        sum(
            cast(
                power(2, -(epoch($as_of) - epoch(clicked_at)) / 86400 / $advocate_half_life_days)
                as decimal(38, 18)
            )
        ) as recent_reach
    from last_clicks
    group by referrer_id
),

converted as (
    select
        referrer_id,
        count(*) as conversions,
        count(*) filter (where n_orders > 0) as referred_buyers,
        sum(revenue) as referred_revenue,
        sum(
            cast(
                power(2, -(epoch($as_of) - epoch(clicked_at)) / 86400 / $advocate_half_life_days)
                as decimal(38, 18)
            )
        ) as recent_conversions
    from referrals
    group by referrer_id
),

earned as (
    select
        r.referrer_id,
        sum(
            cast(
                o.net_revenue
                * power(2, -(epoch($as_of) - epoch(o.ordered_at)) / 86400 / $advocate_half_life_days)
                as decimal(38, 9)
            )
        ) as recent_revenue
    from referrals as r
    join orders as o on o.member_id = r.member_id and o.ordered_at >= r.bound_at
    group by r.referrer_id
),

advocates as (
    select member_id from shares
    union
    select referrer_id as member_id from clicks
)

select
    a.member_id,
    coalesce(r.reach, 0) as reach,
    coalesce(c.conversions, 0) as conversions,
    coalesce(c.referred_buyers, 0) as referred_buyers,
    coalesce(c.referred_revenue, 0) as referred_revenue,
    coalesce(c.conversions, 0) / r.reach as conversion_rate,
    coalesce(cast(r.recent_reach as double), 0) as recent_reach,
    coalesce(cast(c.recent_conversions as double), 0) as recent_conversions,
    coalesce(cast(e.recent_revenue as double), 0) as recent_revenue
from advocates as a
left join reached as r on r.referrer_id = a.member_id
left join converted as c on c.referrer_id = a.member_id
left join earned as e on e.referrer_id = a.member_id
order by a.member_id
