-- One row per month, stage at its start and stage at its end: every stage against every stage,
-- staying included, for each month from the first at whose start somebody was known. The start is
-- the shop's midnight that begins the month, the end the one that begins the next, or the run's
-- where the month is not over. n_members of a month add up to all who were known at its start.
-- rate = n_members / those in from_stage at the start, NULL where nobody was.
-- is_cut: the month begins before the first complete day of orders (features.tracking), so that
-- older orders, which would make other stages, are missing.
with tracking as (
    select first_complete_date
    from features.tracking
    where kind = 'orders'
),

history as (
    select member_id, stage, entered_date, left_date
    from value.lifecycle_history
),

stages as (
    select unnest($stages) as stage
),

first_month as (
    select
        cast(
            date_trunc('month', min(entered_date) + interval 1 month - interval 1 day) as date
        ) as date
    from history
),

-- The midnights at which members are looked at: the months' first, by number, and the run's.
months as (
    select
        number,
        cast(f.date + to_months(number) as date) as month_date,
        f.date + to_months(number + 1) <= $run_date as is_complete
    from first_month as f
    cross join lateral (
        select
            unnest(range(date_diff('month', f.date, cast($run_date - interval 1 day as date)) + 1))
                as number
    ) as numbers
    where f.date < $run_date
),

-- The first of these midnights in a stage, and the first after it.
seen as (
    select
        h.member_id,
        h.stage,
        date_diff('month', f.date, h.entered_date)
        + case when h.entered_date > date_trunc('month', h.entered_date) then 1 else 0 end
            as first_number,
        coalesce(
            date_diff('month', f.date, h.left_date)
            + case when h.left_date > date_trunc('month', h.left_date) then 1 else 0 end,
            (select max(number) from months) + 2
        ) as end_number
    from history as h
    cross join first_month as f
),

looked_at as (
    select member_id, stage, first_number, end_number
    from seen
    where first_number < end_number
),

stays as (
    select stage, first_number, end_number, count(*) as n_members
    from looked_at
    group by stage, first_number, end_number
),

moved as (
    select
        stage as from_stage,
        stage as to_stage,
        unnest(range(first_number, end_number - 1)) as number,
        n_members
    from stays
    union all
    select f.stage, t.stage, t.first_number - 1, count(*)
    from looked_at as f
    join looked_at as t on t.member_id = f.member_id and t.first_number = f.end_number
    group by f.stage, t.stage, t.first_number
),

counted as (
    select
        m.month_date,
        m.is_complete,
        f.stage as from_stage,
        t.stage as to_stage,
        coalesce(sum(n.n_members), 0) as n_members
    from months as m
    cross join stages as f
    cross join stages as t
    left join moved as n
        on n.number = m.number and n.from_stage = f.stage and n.to_stage = t.stage
    group by m.month_date, m.is_complete, f.stage, t.stage
)

select
    c.month_date,
    c.from_stage,
    c.to_stage,
    c.n_members,
    c.n_members / nullif(sum(c.n_members) over (partition by c.month_date, c.from_stage), 0)
        as rate,
    c.is_complete,
    coalesce(c.month_date < t.first_complete_date, false) as is_cut
from counted as c
left join tracking as t on true
