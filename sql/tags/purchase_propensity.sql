-- One row per member and cut: what they had done strictly before the cut date, as it was known at
-- the cut, and whether they ordered in the 7 days from it. The last cut is run_date, whose week is
-- still to come: has_order is NULL and every identified member is there to be scored. The $n_cuts
-- before it lie a week apart each; there a member stands if their user id or sign-up was known by
-- then, for who is identified only since then is often so because they ordered. Past cuts take every
-- $one_in-th member, which is a fair draw as ids are drawn from a keyed hash. Columns named as in
-- features.members mean the same, at the cut; assets/tags/propensity.py learns from the one part and
-- scores the other.
-- Known at the cut (features.known_days): what a device did is the member's only if a login had tied
-- it to the member by then, and refunds and cancellations count from when they were told.
-- has_order is as it was known at the end of its week: so all cuts are judged alike, as run_date's
-- will be, while as of today older weeks would have lost more orders to refunds than newer ones.
with members as (
    select member_id, signed_up_at
    from clean.members
    where is_identified
),

identities as (
    select member_id, min(known_at) as known_at
    from clean.identities
    where kind = 'user_id'
    group by member_id
),

known_days as (
    select
        member_id,
        date,
        -- The first cut date at which it was known, and the last.
        greatest(date, cast(from_utc_timestamp(known_at, $time_zone) as date)) + 1 as known_from,
        coalesce(
            cast(from_utc_timestamp(known_until, $time_zone) as date), date '9999-12-31'
        ) as known_to,
        n_views,
        n_carts,
        n_orders,
        n_shares,
        net_revenue
    from features.known_days
    where date < $run_date
),

-- What is known for good, by the cut date from which on. A day counts from its first one.
lasting as (
    select
        member_id,
        date,
        known_from,
        known_from = min(known_from) over (partition by member_id, date) as is_first,
        cast(sum(n_views) as bigint) as n_views,
        cast(sum(n_carts) as bigint) as n_carts,
        cast(sum(n_orders) as bigint) as n_orders,
        cast(sum(n_shares) as bigint) as n_shares,
        cast(sum(net_revenue) as decimal(18, 4)) as net_revenue
    from known_days
    where known_to = date '9999-12-31'
    group by member_id, date, known_from
),

-- What was known for a while only, and from which cut date on the day is known without it.
passing as (
    select
        k.member_id,
        k.date,
        k.known_from,
        k.known_to,
        k.n_views,
        k.n_carts,
        k.n_orders,
        k.n_shares,
        k.net_revenue,
        coalesce(l.known_from, date '9999-12-31') as lasting_from
    from known_days as k
    left join lasting as l on l.member_id = k.member_id and l.date = k.date and l.is_first
    where k.known_from <= k.known_to and k.known_to < date '9999-12-31'
),

known as (
    select
        m.member_id,
        cast(
            from_utc_timestamp(least(m.signed_up_at, i.known_at), $time_zone) as date
        ) as known_date
    from members as m
    left join identities as i on i.member_id = m.member_id
),

cuts as (
    select $run_date - 7 * cast(weeks_back as integer) as cut_date
    from range(cast($n_cuts as bigint) + 1) as back(weeks_back)
),

observed as (
    select c.cut_date, k.member_id, k.known_date
    from known as k
    join cuts as c
        on c.cut_date = $run_date
        or (k.known_date < c.cut_date and k.member_id % $one_in = 0)
),

-- Counts and ten-thousandths of money as doubles: whole numbers, so that their sums are exact in any
-- order, and take a fraction of the time of wide integers.
days as (
    select
        o.cut_date,
        o.member_id,
        o.cut_date - d.date as days_ago,
        case when d.is_first then 1e0 else 0e0 end as n_days,
        cast(d.n_views as double) as n_views,
        cast(d.n_carts as double) as n_carts,
        cast(d.n_orders as double) as n_orders,
        cast(d.n_shares as double) as n_shares,
        cast(d.net_revenue * 10000 as double) as money
    from observed as o
    join lasting as d on d.member_id = o.member_id and o.cut_date >= d.known_from
    union all
    select
        o.cut_date,
        o.member_id,
        o.cut_date - d.date as days_ago,
        case when min(d.lasting_from) > o.cut_date then 1e0 else 0e0 end as n_days,
        cast(sum(d.n_views) as double) as n_views,
        cast(sum(d.n_carts) as double) as n_carts,
        cast(sum(d.n_orders) as double) as n_orders,
        cast(sum(d.n_shares) as double) as n_shares,
        cast(sum(d.net_revenue) * 10000 as double) as money
    from observed as o
    join passing as d
        on d.member_id = o.member_id
        and o.cut_date >= d.known_from
        and o.cut_date <= d.known_to
    group by o.cut_date, o.member_id, d.date
),

windows as (
    select
        cut_date,
        member_id,
        sum(case when days_ago <= 7 then n_views else 0 end) as n_views_7d,
        sum(case when days_ago <= 14 then n_views else 0 end) as n_views_14d,
        sum(case when days_ago <= 30 then n_views else 0 end) as n_views_30d,
        sum(case when days_ago <= 60 then n_views else 0 end) as n_views_60d,
        sum(case when days_ago <= 7 then n_carts else 0 end) as n_carts_7d,
        sum(case when days_ago <= 14 then n_carts else 0 end) as n_carts_14d,
        sum(case when days_ago <= 30 then n_carts else 0 end) as n_carts_30d,
        sum(case when days_ago <= 60 then n_carts else 0 end) as n_carts_60d,
        sum(case when days_ago <= 7 then n_orders else 0 end) as n_orders_7d,
        sum(case when days_ago <= 14 then n_orders else 0 end) as n_orders_14d,
        sum(case when days_ago <= 30 then n_orders else 0 end) as n_orders_30d,
        sum(case when days_ago <= 60 then n_orders else 0 end) as n_orders_60d,
        sum(case when days_ago <= 7 then n_shares else 0 end) as n_shares_7d,
        sum(case when days_ago <= 14 then n_shares else 0 end) as n_shares_14d,
        sum(case when days_ago <= 30 then n_shares else 0 end) as n_shares_30d,
        sum(case when days_ago <= 60 then n_shares else 0 end) as n_shares_60d,
        sum(case when days_ago <= 60 then money else 0 end) / 10000 as net_revenue_60d,
        sum(n_orders) as n_orders,
        min(days_ago) as days_since_last,
        min(days_ago) filter (where n_orders > 0) as days_since_last_order,
        try_divide(
            cast(max(days_ago) - min(days_ago) as double), sum(n_days) - 1
        ) as average_gap_days
    from days
    group by cut_date, member_id
),

orders as (
    select distinct c.cut_date, d.member_id
    from cuts as c
    join known_days as d
        on d.date >= c.cut_date
        and d.date < c.cut_date + 7
        and d.known_from <= c.cut_date + 7
        and d.known_to >= c.cut_date + 7
    where d.n_orders > 0
)

select
    o.cut_date,
    o.member_id,
    case when o.cut_date < $run_date then b.member_id is not null end as has_order,
    cast(coalesce(w.n_views_7d, 0) as bigint) as n_views_7d,
    cast(coalesce(w.n_views_14d, 0) as bigint) as n_views_14d,
    cast(coalesce(w.n_views_30d, 0) as bigint) as n_views_30d,
    cast(coalesce(w.n_views_60d, 0) as bigint) as n_views_60d,
    cast(coalesce(w.n_carts_7d, 0) as bigint) as n_carts_7d,
    cast(coalesce(w.n_carts_14d, 0) as bigint) as n_carts_14d,
    cast(coalesce(w.n_carts_30d, 0) as bigint) as n_carts_30d,
    cast(coalesce(w.n_carts_60d, 0) as bigint) as n_carts_60d,
    cast(coalesce(w.n_orders_7d, 0) as bigint) as n_orders_7d,
    cast(coalesce(w.n_orders_14d, 0) as bigint) as n_orders_14d,
    cast(coalesce(w.n_orders_30d, 0) as bigint) as n_orders_30d,
    cast(coalesce(w.n_orders_60d, 0) as bigint) as n_orders_60d,
    cast(coalesce(w.n_shares_7d, 0) as bigint) as n_shares_7d,
    cast(coalesce(w.n_shares_14d, 0) as bigint) as n_shares_14d,
    cast(coalesce(w.n_shares_30d, 0) as bigint) as n_shares_30d,
    cast(coalesce(w.n_shares_60d, 0) as bigint) as n_shares_60d,
    cast(coalesce(w.net_revenue_60d, 0) as double) as net_revenue_60d,
    cast(coalesce(w.n_orders, 0) as bigint) as n_orders,
    w.days_since_last,
    w.days_since_last_order,
    w.average_gap_days,
    o.cut_date - o.known_date as days_since_known
from observed as o
left join windows as w on w.cut_date = o.cut_date and w.member_id = o.member_id
left join orders as b on b.cut_date = o.cut_date and b.member_id = o.member_id
