-- One row per member with an order. Scores 1 to 5, 5 best, by quantile of the value; members of equal
-- value share a score.
-- r = 5 * share of the members who are no more recent, rounded up: members who are level share the
-- best score that any of them would have, so that a shop's newest buyers score 5 however many they are.
-- f, m = 1 + floor(5 * share of the other members who have less), so that a shop of one-time buyers
-- does not score them high for ordering once. Where all have the same value, they score 3, the middle.
-- segments is shop.yaml's list of rules; the first whose minima are met names the segment, 'other'
-- where none is.
with member_days as (
    select member_id, date, n_orders, net_revenue
    from features.member_days
    where date < $run_date
),

rules as (
    select position, name, r, f, m
    from segments
),

buyers as (
    select
        member_id,
        $run_date - max(date) filter (where n_orders > 0) as days_since_last,
        sum(n_orders) as n_orders,
        sum(net_revenue) as spend
    from member_days
    group by member_id
    having sum(n_orders) > 0
),

ranked as (
    select
        member_id,
        days_since_last,
        n_orders,
        spend,
        cume_dist() over (order by days_since_last desc) as r_rank,
        case
            when min(n_orders) over () < max(n_orders) over ()
                then percent_rank() over (order by n_orders)
            else 0.5
        end as f_rank,
        case
            when min(spend) over () < max(spend) over ()
                then percent_rank() over (order by spend)
            else 0.5
        end as m_rank
    from buyers
),

scored as (
    select
        member_id,
        days_since_last,
        n_orders,
        spend,
        ceil(5 * r_rank) as r,
        least(5, 1 + floor(5 * f_rank)) as f,
        least(5, 1 + floor(5 * m_rank)) as m
    from ranked
),

scores as (
    select distinct r, f, m
    from scored
),

named as (
    select
        s.r,
        s.f,
        s.m,
        coalesce(min_by(rules.name, rules.position), 'other') as segment
    from scores as s
    left join rules on s.r >= rules.r and s.f >= rules.f and s.m >= rules.m
    group by s.r, s.f, s.m
)

select
    s.member_id,
    s.days_since_last,
    s.n_orders,
    s.spend,
    s.r,
    s.f,
    s.m,
    n.segment
from scored as s
join named as n on n.r = s.r and n.f = s.f and n.m = s.m
