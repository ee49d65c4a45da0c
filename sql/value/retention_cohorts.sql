-- One row per unit, cohort, period and mode. A cohort is the members whose first active day, any
-- activity, lies in the same day, ISO week or month of the shop's calendar; period t is the t-th
-- such unit after it, from 0, up to 30 days, 26 weeks or 24 months and as far as it has begun.
--   exact: active in period t;  on_or_after: active in period t or a later one;
--   rate = of the cohort's members so retained / all of the cohort's members.
-- A period that has not ended when the data end is immature: retained and rate are NULL, never 0.
with member_days as (
    select member_id, date
    from features.member_days
    where date < $run_date
),

units as (
    select unit, max_period
    from (values ('day', 30), ('week', 26), ('month', 24)) as units (unit, max_period)
),

active_periods as (
    select distinct
        u.unit,
        d.member_id,
        case u.unit
            when 'day' then d.date
            when 'week' then cast(date_trunc('week', d.date) as date)
            else cast(date_trunc('month', d.date) as date)
        end as starts_on
    from member_days as d
    cross join units as u
),

members as (
    select unit, member_id, min(starts_on) as cohort_date, max(starts_on) as last_starts_on
    from active_periods
    group by unit, member_id
),

cohorts as (
    select unit, cohort_date, count(*) as cohort_size
    from members
    group by unit, cohort_date
),

-- A month later is the same day of the next month: cohorts of months begin on the first.
cells as (
    select
        c.unit,
        c.cohort_date,
        c.cohort_size,
        p.period,
        case c.unit
            when 'day' then c.cohort_date + to_days(p.period)
            when 'week' then c.cohort_date + to_weeks(p.period)
            else c.cohort_date + to_months(p.period)
        end as starts_on,
        case c.unit
            when 'day' then c.cohort_date + to_days(p.period + 1)
            when 'week' then c.cohort_date + to_weeks(p.period + 1)
            else c.cohort_date + to_months(p.period + 1)
        end as ends_before
    from cohorts as c
    join units as u on u.unit = c.unit
    join range(31) as p (period) on p.period <= u.max_period
),

begun as (
    select
        unit,
        cohort_date,
        cohort_size,
        period,
        starts_on,
        ends_before <= $run_date as is_complete
    from cells
    where starts_on < $run_date
),

exact as (
    select m.unit, m.cohort_date, a.starts_on, count(*) as retained
    from active_periods as a
    join members as m on m.unit = a.unit and m.member_id = a.member_id
    group by m.unit, m.cohort_date, a.starts_on
),

last_seen as (
    select unit, cohort_date, last_starts_on, count(*) as n_members
    from members
    group by unit, cohort_date, last_starts_on
),

on_or_after as (
    select b.unit, b.cohort_date, b.period, sum(l.n_members) as retained
    from begun as b
    join last_seen as l
        on l.unit = b.unit and l.cohort_date = b.cohort_date and l.last_starts_on >= b.starts_on
    group by b.unit, b.cohort_date, b.period
),

counted as (
    select b.unit, b.cohort_date, b.period, b.cohort_size, b.is_complete, 'exact' as mode,
        coalesce(e.retained, 0) as retained
    from begun as b
    left join exact as e
        on e.unit = b.unit and e.cohort_date = b.cohort_date and e.starts_on = b.starts_on
    union all
    select b.unit, b.cohort_date, b.period, b.cohort_size, b.is_complete, 'on_or_after' as mode,
        coalesce(o.retained, 0) as retained
    from begun as b
    left join on_or_after as o
        on o.unit = b.unit and o.cohort_date = b.cohort_date and o.period = b.period
)

select
    unit,
    cohort_date,
    period,
    mode,
    cohort_size,
    case when is_complete then retained end as retained,
    case when is_complete then retained / cohort_size end as rate,
    is_complete
from counted
