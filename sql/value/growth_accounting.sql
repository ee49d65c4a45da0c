-- One row per unit and period of the shop's calendar (day, ISO week, month), from the first with
-- an active member to the one of the last complete day, without a gap. Of the period's active
-- members, any activity, be they identified or but a device, each is one of
--   new          her first active period;
--   returning    active in the period before;
--   resurrected  known before, but not active in the period before: who had signed up before history
--                begins (features.tracking) is not new when first seen to be active;
-- went_dormant: active in the period before, not in this one. So in every row
--   active = active_before + new + resurrected - went_dormant,
-- where the two sides are counted apart: who left by her next active day, who came by the one
-- before. quick_ratio = (new + resurrected) / went_dormant, of periods that are over and not cut.
-- Before the first complete day of every kind of event active members are missing. cut_by says where
-- this touches a row: the period itself begins before it, or the period before does.
with member_days as (
    select date, period_marks
    from features.member_days
),

days as (
    select date, period_marks, count(*) as n_members
    from member_days
    group by date, period_marks
),

-- The marks' meaning stands in sql/features/member_days.sql.
marked as (
    select
        'day' as unit,
        date as period,
        n_members,
        true as is_first,
        period_marks & 2 > 0 as was_active_before,
        period_marks & 4 > 0 as leaves,
        period_marks & 8 > 0 as is_unbroken
    from days
    union all
    select
        'week',
        cast(date_trunc('week', date) as date),
        n_members,
        period_marks & 16 > 0,
        period_marks & 32 > 0,
        period_marks & 64 > 0,
        period_marks & 128 > 0
    from days
    union all
    select
        'month',
        cast(date_trunc('month', date) as date),
        n_members,
        period_marks & 256 > 0,
        period_marks & 512 > 0,
        period_marks & 1024 > 0,
        period_marks & 2048 > 0
    from days
),

counted as (
    select
        unit,
        period,
        sum(n_members) filter (where is_first) as active,
        sum(n_members) filter (where is_unbroken and not was_active_before) as "new",
        sum(n_members) filter (where was_active_before) as "returning",
        sum(n_members) filter (
            where is_first and not is_unbroken and not was_active_before
        ) as resurrected,
        sum(n_members) filter (where leaves) as leavers
    from marked
    group by unit, period
),

tracking as (
    select first_date, first_complete_date
    from features.tracking
    where kind = 'activity'
),

-- Known before history begins, and first seen to be active since.
older as (
    select d.first_date, count(*) as n_members
    from features.member_days as d
    join clean.members as m on m.member_id = d.member_id
    join tracking as t on d.first_date >= t.first_date
    where
        d.date = d.first_date
        and m.signed_up_at < to_utc_timestamp(cast(t.first_date as timestamp), $time_zone)
    group by d.first_date
),

units as (
    select unit, step
    from (
        values ('day', interval 1 day), ('week', interval 1 week), ('month', interval 1 month)
    ) as units (unit, step)
),

begun as (
    select unit, min(period) as first_period
    from counted
    group by unit
),

calendar as (
    select
        u.unit,
        u.step,
        cast(unnest(generate_series(b.first_period, $run_date - 1, u.step)) as date) as period
    from units as u
    join begun as b on b.unit = u.unit
),

older_by_period as (
    select u.unit, cast(date_trunc(u.unit, o.first_date) as date) as period, sum(n_members) as n
    from older as o
    cross join units as u
    group by u.unit, period
),

followed as (
    select
        c.unit,
        c.period,
        coalesce(n."new", 0) - coalesce(o.n, 0) as "new",
        coalesce(n."returning", 0) as "returning",
        coalesce(n.resurrected, 0) + coalesce(o.n, 0) as resurrected,
        coalesce(lag(n.leavers) over by_period, 0) as went_dormant,
        coalesce(n.active, 0) as active,
        coalesce(lag(n.active) over by_period, 0) as active_before,
        c.period + c.step <= $run_date as is_complete,
        case
            when c.period < t.first_complete_date then 'period'
            when c.period - c.step < t.first_complete_date then 'period_before'
        end as cut_by
    from calendar as c
    left join counted as n on n.unit = c.unit and n.period = c.period
    left join older_by_period as o on o.unit = c.unit and o.period = c.period
    left join tracking as t on true
    window by_period as (partition by c.unit order by c.period)
)

select
    unit,
    period,
    "new",
    "returning",
    resurrected,
    went_dormant,
    active,
    active_before,
    case
        when is_complete and cut_by is null and went_dormant > 0
            then ("new" + resurrected) / went_dormant
    end as quick_ratio,
    is_complete,
    cut_by is not null as is_cut,
    cut_by
from followed
