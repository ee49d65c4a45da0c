-- One row per member: what she did lately, as of the run. Windows are whole local dates of the
-- shop, the last N before as_of: [as_of - N days, as_of). best_hour is the hour of her own time
-- zone in which most of her sessions began (the earlier one on a tie), main_channel the channel of
-- most of them (the first by name on a tie), its share counted over all her sessions.
with members as (
    select member_id, time_zone
    from clean.members
),

member_days as (
    select member_id, date, n_views, n_carts, n_orders, n_shares, net_revenue
    from features.member_days
    where date < $run_date
),

sessions as (
    select member_id, started_at, channel
    from clean.sessions
    where not is_bot and started_at < $as_of
),

days as (
    select
        member_id,
        n_views,
        n_carts,
        n_orders,
        n_shares,
        net_revenue,
        datediff($run_date, date) as days_ago
    from member_days
),

windows as (
    select
        member_id,
        sum(n_views) filter (where days_ago <= 7) as n_views_7d,
        sum(n_views) filter (where days_ago <= 14) as n_views_14d,
        sum(n_views) filter (where days_ago <= 30) as n_views_30d,
        sum(n_views) filter (where days_ago <= 60) as n_views_60d,
        sum(n_carts) filter (where days_ago <= 7) as n_carts_7d,
        sum(n_carts) filter (where days_ago <= 14) as n_carts_14d,
        sum(n_carts) filter (where days_ago <= 30) as n_carts_30d,
        sum(n_carts) filter (where days_ago <= 60) as n_carts_60d,
        sum(n_orders) filter (where days_ago <= 7) as n_orders_7d,
        sum(n_orders) filter (where days_ago <= 14) as n_orders_14d,
        sum(n_orders) filter (where days_ago <= 30) as n_orders_30d,
        sum(n_orders) filter (where days_ago <= 60) as n_orders_60d,
        sum(n_shares) filter (where days_ago <= 7) as n_shares_7d,
        sum(n_shares) filter (where days_ago <= 14) as n_shares_14d,
        sum(n_shares) filter (where days_ago <= 30) as n_shares_30d,
        sum(n_shares) filter (where days_ago <= 60) as n_shares_60d,
        sum(net_revenue) filter (where days_ago <= 60) as net_revenue_60d,
        sum(n_orders) as n_orders,
        min(days_ago) as days_since_last,
        min(days_ago) filter (where n_orders > 0) as days_since_last_order,
        try_divide(
            cast(max(days_ago) - min(days_ago) as double), cast(count(*) - 1 as double)
        ) as average_gap_days
    from days
    group by member_id
),

hours as (
    select
        s.member_id,
        extract(hour from from_utc_timestamp(s.started_at, m.time_zone)) as local_hour,
        count(*) as n_sessions
    from sessions as s
    join members as m on m.member_id = s.member_id
    group by s.member_id, extract(hour from from_utc_timestamp(s.started_at, m.time_zone))
),

ranked_hours as (
    select
        member_id,
        local_hour,
        row_number() over (partition by member_id order by n_sessions desc, local_hour) as rank
    from hours
),

channels as (
    select member_id, channel, count(*) as n_sessions
    from sessions
    where channel is not null
    group by member_id, channel
),

ranked_channels as (
    select
        member_id,
        channel,
        n_sessions,
        row_number() over (partition by member_id order by n_sessions desc, channel) as rank
    from channels
),

session_counts as (
    select member_id, count(*) as n_sessions
    from sessions
    group by member_id
)

select
    m.member_id,
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
    coalesce(w.net_revenue_60d, 0) as net_revenue_60d,
    cast(coalesce(w.n_orders, 0) as bigint) as n_orders,
    w.days_since_last,
    w.days_since_last_order,
    w.average_gap_days,
    h.local_hour as best_hour,
    c.channel as main_channel,
    cast(c.n_sessions as double) / s.n_sessions as main_channel_share
from members as m
left join windows as w on w.member_id = m.member_id
left join ranked_hours as h on h.member_id = m.member_id and h.rank = 1
left join ranked_channels as c on c.member_id = m.member_id and c.rank = 1
left join session_counts as s on s.member_id = m.member_id
