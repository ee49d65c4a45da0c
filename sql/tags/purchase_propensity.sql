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
        known_at,
        coalesce(known_until, timestamp '9999-12-31') as known_until,
        n_views,
        n_carts,
        n_orders,
        n_shares,
        net_revenue
    from features.known_days
    where date < $run_date
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

cut_dates as (
    select $run_date - 7 * cast(weeks_back as integer) as cut_date
    from range(cast($n_cuts as bigint) + 1) as back(weeks_back)
),

cuts as (
    select
        cut_date,
        to_utc_timestamp(cast(cut_date as timestamp), $time_zone) as cut_at,
        to_utc_timestamp(cast(cut_date + 7 as timestamp), $time_zone) as end_at
    from cut_dates
),

observed as (
    select c.cut_date, c.cut_at, c.end_at, k.member_id, k.known_date
    from known as k
    join cuts as c
        on c.cut_date = $run_date
        or (k.known_date < c.cut_date and k.member_id % $one_in = 0)
),

days as (
    select
        o.cut_date,
        o.member_id,
        o.cut_date - d.date as days_ago,
        sum(d.n_views) as n_views,
        sum(d.n_carts) as n_carts,
        sum(d.n_orders) as n_orders,
        sum(d.n_shares) as n_shares,
        sum(d.net_revenue) as net_revenue
    from observed as o
    join known_days as d
        on d.member_id = o.member_id
        and d.date < o.cut_date
        and d.known_at < o.cut_at
        and d.known_until >= o.cut_at
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
        sum(case when days_ago <= 60 then net_revenue else 0 end) as net_revenue_60d,
        sum(n_orders) as n_orders,
        min(days_ago) as days_since_last,
        min(days_ago) filter (where n_orders > 0) as days_since_last_order,
        try_divide(
            cast(max(days_ago) - min(days_ago) as double), cast(count(*) - 1 as double)
        ) as average_gap_days
    from days
    group by cut_date, member_id
),

orders as (
    select distinct o.cut_date, o.member_id
    from observed as o
    join known_days as d
        on d.member_id = o.member_id
        and d.date >= o.cut_date
        and d.date < o.cut_date + 7
        and d.known_at < o.end_at
        and d.known_until >= o.end_at
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
