-- Does every period take up where the one before ended? Rows are breaks: a first period with somebody
-- active before it, one whose active_before is not the active of the period before, or a gap.
with accounts as (
    select unit, period, active, active_before
    from value.growth_accounting
),
neighbours as (
    select
        *,
        lag(active, 1, 0) over by_period as active_then,
        lag(period) over by_period as period_then
    from accounts
    window by_period as (partition by unit order by period)
)
select unit || ' of ' || period as what
from neighbours
where
    active_before <> active_then
    or period <> case unit
        when 'day' then period_then + interval 1 day
        when 'week' then period_then + interval 7 days
        else period_then + interval 1 month
    end
order by what
