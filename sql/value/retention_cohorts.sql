-- One row per unit, segment, cohort, period and mode. A cohort is the members whose first active
-- day, any activity, lies in the same day, ISO week or month of the shop's calendar; period t is
-- the t-th such unit after it, from 0, as far as shop.yaml shows and as it has begun. Members who are
-- but a device are among them; the segment column is_identified tells them apart.
--   exact        active in period t
--   on_or_after  active in period t or a later one
--   bracket      active in any of the periods from bracket_start up to, not with, bracket_end:
--                from 0 to the first of shop.yaml's bounds, from there to the next, and so on;
--                period is then the bracket's number, from 0
--   consecutive  active in every period from 0 to t
-- rate = of the cohort's members so retained / all of the cohort's members.
-- A cell is complete, is_complete, when no later activity can change it; until then it is immature,
-- and retained and rate are NULL, never 0. exact and consecutive are complete with the end of the
-- period, bracket with the end of its last. on_or_after grows as long as somebody may come back: it
-- is complete where the period has ended and all of the cohort are counted already.
-- retained_so_far is what is known of any cell today; of an immature one it may still grow.
-- Beside 'all' the members are told apart by the columns, and the attributes of their own, that
-- shop.yaml names, by what these say now, whatever they said when the member came: those who stayed
-- have had more time to become champions.
-- History begins at some time (features.tracking). A cohort from before its first complete day is
-- cut, is_cut: of its members and of their periods some are missing. Who had signed up before, and is
-- first seen to be active since, is in no cohort: the first period is not known.
-- Reading it twice costs less than keeping it.
with tracking as (
    select first_date, first_complete_date
    from features.tracking
    where kind = 'activity'
),

older as (
    select m.member_id, t.first_date
    from clean.members as m
    join tracking as t
        on m.signed_up_at < to_utc_timestamp(cast(t.first_date as timestamp), $time_zone)
),

member_days as not materialized (
    select d.member_id, d.date, d.first_date, d.previous_date, d.period_marks
    from features.member_days as d
    left join older as o on o.member_id = d.member_id and d.first_date >= o.first_date
    where o.member_id is null
),

-- A member stands in one segment of each column that shop.yaml names.
attributes as (
    select
        s.segment_column,
        m.member_id,
        coalesce(
            case s.segment_column
                when 'channel' then m.channel
                when 'country' then m.country
                when 'locale' then m.locale
                when 'time_zone' then m.time_zone
                when 'birth_year_band' then cast(m.birth_year_band as varchar)
                when 'is_identified' then cast(m.is_identified as varchar)
                when 'main_channel' then f.main_channel
                when 'price_band' then p.price_band
                when 'brand' then p.brand
                when 'category' then p.category
                when 'rfm_segment' then r.segment
                else a.value
            end,
            'unknown'
        ) as segment
    from clean.members as m
    cross join (select unnest(cast($retention_segments as varchar[])) as segment_column) as s
    left join features.members as f on f.member_id = m.member_id
    left join tags.member_preferences as p on p.member_id = m.member_id
    left join value.rfm as r on r.member_id = m.member_id
    left join clean.member_attributes as a
        on a.member_id = m.member_id
        and a.attribute = regexp_replace(s.segment_column, '^attributes\.', '')
    where len(cast($retention_segments as varchar[])) > 0
),

-- Numbers, because a million members are told apart by them in a third of the time.
segments as (
    select 0 as segment_number, 'all' as segment_column, 'all' as segment
    union all
    select row_number() over (order by segment_column, segment), segment_column, segment
    from (select distinct segment_column, segment from attributes)
),

memberships as (
    select a.member_id, cast(s.segment_number as integer) as segment_number
    from attributes as a
    join segments as s on s.segment_column = a.segment_column and s.segment = a.segment
),

units as (
    select unit, step, max_period
    from (
        values
        ('day', interval 1 day, $max_days),
        ('week', interval 1 week, $max_weeks),
        ('month', interval 1 month, $max_months)
    ) as units (unit, step, max_period)
),

brackets as (
    select
        row_number() over by_end - 1 as period,
        lag(bracket_end, 1, 0) over by_end as bracket_start,
        bracket_end
    from (select unnest(cast($retention_brackets as integer[])) as bracket_end)
    window by_end as (order by bracket_end)
),

pairs as (
    select distinct first_date, date
    from member_days
),

-- How many periods after her first period a day lies. A pair's number is its own and dense, so that
-- millions of days find their pair without hashing.
ages as (
    select
        first_date,
        date,
        ($run_date - first_date) * ($run_date - first_date + 1) + 2 * ($run_date - date) as pair,
        cast(date_trunc('week', first_date) as date) as cohort_week,
        cast(date_trunc('month', first_date) as date) as cohort_month,
        date - first_date as days,
        (date_trunc('week', date)::date - date_trunc('week', first_date)::date) // 7 as weeks,
        12 * (year(date) - year(first_date)) + month(date) - month(first_date) as months
    from pairs
),

placed as (
    select
        a.pair,
        a.first_date + d.bracket_start as day_bracket,
        a.cohort_week + 7 * w.bracket_start as week_bracket,
        cast(a.cohort_month + to_months(m.bracket_start) as date) as month_bracket
    from ages as a
    left join brackets as d on a.days >= d.bracket_start and a.days < d.bracket_end
    left join brackets as w on a.weeks >= w.bracket_start and a.weeks < w.bracket_end
    left join brackets as m on a.months >= m.bracket_start and a.months < m.bracket_end
),

-- She enters a bracket on the first of her days in it: the one before lies before the bracket.
-- Three bits more say so, of days, weeks and months, beside those of 1, 8, 16, 128, 256 and 2048:
-- one number with no bit too many is counted fastest.
entered as not materialized (
    select
        d.member_id,
        d.first_date,
        d.date,
        (d.period_marks & 2457)
        + case when d.previous_date >= p.day_bracket then 0 else 4096 end
        + case when d.previous_date >= p.week_bracket then 0 else 8192 end
        + case when d.previous_date >= p.month_bracket then 0 else 16384 end as marks
    from member_days as d
    join placed as p
        on p.pair = ($run_date - d.first_date) * ($run_date - d.first_date + 1)
            + 2 * ($run_date - d.date)
),

-- The members in a few rows per pair of dates: all that follows counts these.
cells as (
    select 0 as segment_number, first_date, date, marks, count(*) as n_members
    from entered
    group by first_date, date, marks
    union all
    select m.segment_number, e.first_date, e.date, e.marks, count(*) as n_members
    from entered as e
    join memberships as m on m.member_id = e.member_id
    group by m.segment_number, e.first_date, e.date, e.marks
),

-- The other marks' meaning stands in sql/features/member_days.sql.
marked as (
    select
        'day' as unit,
        c.segment_number,
        c.first_date as cohort_date,
        a.days as age,
        c.n_members,
        true as is_first,
        c.marks & 1 > 0 as is_last,
        c.marks & 8 > 0 as is_unbroken,
        c.marks & 4096 > 0 as enters_bracket
    from cells as c
    join ages as a on a.first_date = c.first_date and a.date = c.date
    union all
    select
        'week',
        c.segment_number,
        a.cohort_week,
        a.weeks,
        c.n_members,
        c.marks & 16 > 0,
        c.marks & 1 > 0,
        c.marks & 128 > 0,
        c.marks & 8192 > 0
    from cells as c
    join ages as a on a.first_date = c.first_date and a.date = c.date
    union all
    select
        'month',
        c.segment_number,
        a.cohort_month,
        a.months,
        c.n_members,
        c.marks & 256 > 0,
        c.marks & 1 > 0,
        c.marks & 2048 > 0,
        c.marks & 16384 > 0
    from cells as c
    join ages as a on a.first_date = c.first_date and a.date = c.date
),

counted as (
    select
        unit,
        segment_number,
        cohort_date,
        age,
        sum(n_members) filter (where is_first) as n_active,
        sum(n_members) filter (where is_last) as n_last,
        sum(n_members) filter (where is_unbroken) as n_unbroken,
        sum(n_members) filter (where enters_bracket) as n_entering
    from marked
    group by unit, segment_number, cohort_date, age
),

cohorts as (
    select unit, segment_number, cohort_date, n_active as cohort_size
    from counted
    where age = 0
),

-- A span is one period, or those of a bracket.
spans as (
    select
        'period' as kind,
        unit,
        step,
        unnest(range(max_period + 1)) as period,
        period as from_age,
        period + 1 as to_age
    from units
    union all
    select 'bracket', u.unit, u.step, b.period, b.bracket_start, b.bracket_end
    from units as u
    cross join brackets as b
),

tallied as (
    select
        'period' as kind,
        unit,
        segment_number,
        cohort_date,
        age as period,
        n_active,
        n_last,
        n_unbroken,
        null as n_entering
    from counted
    union all
    select
        'bracket',
        c.unit,
        c.segment_number,
        c.cohort_date,
        b.period,
        null,
        null,
        null,
        sum(c.n_entering)
    from counted as c
    join brackets as b on c.age >= b.bracket_start and c.age < b.bracket_end
    group by c.unit, c.segment_number, c.cohort_date, b.period
),

-- A month later is the same day of the next month: cohorts of months begin on the first.
begun as (
    select
        s.kind,
        c.unit,
        c.segment_number,
        c.cohort_date,
        c.cohort_size,
        s.period,
        s.from_age,
        s.to_age,
        c.cohort_date + s.to_age * s.step <= $run_date as has_ended
    from cohorts as c
    join spans as s on s.unit = c.unit
    where c.cohort_date + s.from_age * s.step < $run_date
),

followed as (
    select
        b.kind,
        b.unit,
        b.segment_number,
        b.cohort_date,
        b.cohort_size,
        b.period,
        b.from_age,
        b.to_age,
        b.has_ended,
        coalesce(t.n_active, 0) as n_active,
        coalesce(t.n_unbroken, 0) as n_unbroken,
        coalesce(t.n_entering, 0) as n_entering,
        b.cohort_size - coalesce(
            sum(t.n_last) over (
                partition by b.kind, b.unit, b.segment_number, b.cohort_date
                order by b.period
                rows between unbounded preceding and 1 preceding
            ),
            0
        ) as n_left_over
    from begun as b
    left join tallied as t
        on t.kind = b.kind
        and t.unit = b.unit
        and t.segment_number = b.segment_number
        and t.cohort_date = b.cohort_date
        and t.period = b.period
),

told as (
    select
        f.unit,
        f.segment_number,
        f.cohort_date,
        f.cohort_size,
        f.period,
        f.from_age,
        f.to_age,
        m.mode,
        m.retained,
        f.has_ended and (m.mode <> 'on_or_after' or m.retained = f.cohort_size) as is_complete
    from followed as f
    cross join lateral (
        values
        ('period', 'exact', f.n_active),
        ('period', 'on_or_after', f.n_left_over),
        ('period', 'consecutive', f.n_unbroken),
        ('bracket', 'bracket', f.n_entering)
    ) as m (kind, mode, retained)
    where m.kind = f.kind
)

select
    t.unit,
    s.segment_column,
    s.segment,
    t.cohort_date,
    t.period,
    t.mode,
    case when t.mode = 'bracket' then t.from_age end as bracket_start,
    case when t.mode = 'bracket' then t.to_age end as bracket_end,
    t.cohort_size,
    case when t.is_complete then t.retained end as retained,
    case when t.is_complete then t.retained / t.cohort_size end as rate,
    t.is_complete,
    t.retained as retained_so_far,
    coalesce(t.cohort_date < h.first_complete_date, false) as is_cut
from told as t
join segments as s on s.segment_number = t.segment_number
left join tracking as h on true
