-- One row per member with an order. Scores 1 to 5, 5 best, by quantile of the value:
-- score = 5 * share of the members who are no better, rounded up. Members of equal value share the
-- best score that any of them would have: of buyers who all came on the newest day, each scores 5.
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

scored as (
    select
        member_id,
        days_since_last,
        n_orders,
        spend,
        ceil(5 * cume_dist() over (order by days_since_last desc)) as r,
        ceil(5 * cume_dist() over (order by n_orders)) as f,
        ceil(5 * cume_dist() over (order by spend)) as m
    from buyers
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
