-- One row per month, stage at its start and stage at its end: every stage against every stage,
-- staying included, for each month from the first at whose start somebody was known. The start is
-- the shop's midnight that begins the month, the end the one that begins the next, or the run's
-- where the month is not over. n_members of a month add up to all who were known at its start.
-- rate = n_members / those in from_stage at the start, NULL where nobody was.
with history as (
    select member_id, stage, entered_date, left_date
    from value.lifecycle_history
),

stages as (
    select unnest($stages) as stage
),

months as (
    select
        cast(month_start as date) as month_date,
        least(cast(month_start + interval 1 month as date), $run_date) as end_date,
        month_start + interval 1 month <= $run_date as is_complete
    from (
        select
            unnest(
                generate_series(
                    date_trunc('month', min(entered_date) + interval 1 month - interval 1 day),
                    $run_date - 1,
                    interval 1 month
                )
            ) as month_start
        from history
    )
),

moved as (
    select
        m.month_date,
        f.stage as from_stage,
        t.stage as to_stage,
        count(*) as n_members
    from months as m
    join history as f
        on f.entered_date <= m.month_date
        and (f.left_date is null or f.left_date > m.month_date)
    join history as t
        on t.member_id = f.member_id
        and t.entered_date <= m.end_date
        and (t.left_date is null or t.left_date > m.end_date)
    group by m.month_date, f.stage, t.stage
)

select
    m.month_date,
    f.stage as from_stage,
    t.stage as to_stage,
    coalesce(n.n_members, 0) as n_members,
    coalesce(n.n_members, 0) / sum(n.n_members) over (partition by m.month_date, f.stage) as rate,
    m.is_complete
from months as m
cross join stages as f
cross join stages as t
left join moved as n
    on n.month_date = m.month_date and n.from_stage = f.stage and n.to_stage = t.stage
