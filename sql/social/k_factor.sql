-- One row per week and month, from the first with a share to the last with any activity: how many
-- new members each active one brings. By when it was shared, however late its fruits.
--   k = invites per active member * acceptance rate = (shares / active) * (signups / shares)
-- and the same with only those who shared as denominator. Members are counted who are known by
-- name, and shares of theirs. A click goes to the newest earlier share of its code; a sharer's own
-- clicks are none. k_low and k_high are Byar's bounds of a Poisson count (Rothman and Boice 1979),
-- which take sign-ups for independent of each other.
-- Sign-ups come in for a while: k and the acceptance rate are told of periods alone that have been
-- over for $k_maturity_days. cycle_days: half of the sign-ups come quicker after the share.
-- is_cut: the period begins before the first complete day of acts (features.tracking), so that shares
-- of it are missing.
with tracking as (
    select first_complete_date
    from features.tracking
    where kind = 'acts'
),

members as (
    select member_id
    from clean.members
    where is_identified
),

days as (
    select d.member_id, d.date
    from features.member_days as d
    join members as m on m.member_id = d.member_id
    where d.date < $run_date
),

shares as (
    select t.message_id, t.share_code, t.member_id, t.occurred_at as shared_at, t.event_date
    from features.share_touches as t
    join members as m on m.member_id = t.member_id
    where t.kind = 'share' and t.share_code is not null
),

share_clicks as (
    select message_id, member_id, share_code, clicked_at, known_at, outcome
    from social.share_clicks
    where reason is distinct from 'own_code'
),

clicks as (
    select
        s.event_date,
        c.message_id,
        c.member_id,
        c.outcome = 'bound' as is_bound,
        greatest(extract(epoch from c.known_at - s.shared_at), 0) / 86400 as cycle_days
    from share_clicks as c
    asof join shares as s
        on s.share_code = c.share_code
        and s.shared_at <= c.clicked_at + $skew_tolerance_seconds * interval 1 second
),

units as (
    select unnest(['week', 'month']) as unit
),

activity as (
    select u.unit, date_trunc(u.unit, d.date) as period, count(distinct d.member_id) as active
    from units as u
    cross join days as d
    group by u.unit, period
),

sharing as (
    select
        u.unit,
        date_trunc(u.unit, s.event_date) as period,
        count(distinct s.member_id) as sharers,
        count(*) as shares
    from units as u
    cross join shares as s
    group by u.unit, period
),

clicking as (
    select
        u.unit,
        date_trunc(u.unit, c.event_date) as period,
        count(distinct c.message_id) as clicks,
        count(distinct c.member_id) as clickers,
        count(*) filter (where c.is_bound) as signups,
        median(c.cycle_days) filter (where c.is_bound) as cycle_days
    from units as u
    cross join clicks as c
    group by u.unit, period
),

spans as (
    select
        s.unit,
        min(s.period) as first_period,
        greatest(max(s.period), max(a.last_period)) as last_period
    from sharing as s
    left join (select unit, max(period) as last_period from activity group by unit) as a
        on a.unit = s.unit
    group by s.unit
),

periods as (
    select
        unit,
        cast(
            unnest(
                generate_series(
                    cast(first_period as timestamp),
                    cast(last_period as timestamp),
                    case unit when 'week' then interval 7 day else interval 1 month end
                )
            ) as date
        ) as period
    from spans
),

counts as (
    select
        p.unit,
        p.period,
        coalesce(a.active, 0) as active,
        coalesce(s.sharers, 0) as sharers,
        coalesce(s.shares, 0) as shares,
        coalesce(c.clicks, 0) as clicks,
        coalesce(c.clickers, 0) as clickers,
        coalesce(c.signups, 0) as signups,
        c.cycle_days,
        p.period
            + case p.unit when 'week' then interval 7 day else interval 1 month end
            + $k_maturity_days * interval 1 day <= $run_date as is_mature
    from periods as p
    left join activity as a on a.unit = p.unit and a.period = p.period
    left join sharing as s on s.unit = p.unit and s.period = p.period
    left join clicking as c on c.unit = p.unit and c.period = p.period
)

select
    unit,
    period,
    active,
    sharers,
    shares,
    clicks,
    clickers,
    signups,
    shares / nullif(active, 0) as invites_per_active,
    shares / nullif(sharers, 0) as invites_per_sharer,
    case when is_mature then signups / nullif(shares, 0) end as accept_rate,
    case when is_mature then signups / nullif(active, 0) end as k,
    case when is_mature then signups / nullif(sharers, 0) end as k_per_sharer,
    case
        when is_mature and active > 0 and signups = 0 then 0
        when is_mature
            then signups * power(1 - 1 / (9 * signups) - 1.959964 / (3 * sqrt(signups)), 3)
                / nullif(active, 0)
    end as k_low,
    case
        when is_mature
            then (signups + 1)
                * power(1 - 1 / (9 * (signups + 1)) + 1.959964 / (3 * sqrt(signups + 1)), 3)
                / nullif(active, 0)
    end as k_high,
    case when is_mature then cycle_days end as cycle_days,
    is_mature,
    coalesce(period < tracking.first_complete_date, false) as is_cut
from counts
left join tracking on true
