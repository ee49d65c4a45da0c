-- One row per member and sharer whose shares she took up: her vote for the sharer. A click in good
-- faith counts as a view does, an order since she was bound as an order (the weights of interest),
-- each halved every half-life of an advocate.
with clicks as (
    select member_id, referrer_id, clicked_at
    from social.share_clicks
    where
        referrer_id is not null
        and referrer_id <> member_id
        and coalesce(reason, '') not in ('own_code', 'same_device', 'device_farm', 'cycle')
),

referrals as (
    select member_id, referrer_id, bound_at
    from social.referrals
),

orders as (
    select member_id, ordered_at
    from clean.orders
    where status <> 'cancelled' and net_revenue > 0 and order_date < $run_date
),

signs as (
    select member_id, referrer_id, clicked_at as given_at, $weight_view as weight
    from clicks
    union all
    select r.member_id, r.referrer_id, o.ordered_at, $weight_order
    from referrals as r
    join orders as o on o.member_id = r.member_id and o.ordered_at >= r.bound_at
)

select
    member_id,
    referrer_id,
    cast(
        sum(
            cast(
                weight
                * power(2, -(epoch($as_of) - epoch(given_at)) / 86400 / $advocate_half_life_days)
                as decimal(38, 18)
            )
        ) as double
    ) as weight
from signs
group by member_id, referrer_id
order by member_id, referrer_id
