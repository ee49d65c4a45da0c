-- How far does sharing alone carry the pool? After n cycles of sharing, with the K of the newest
-- month of which it can be told: seeds * (K^(n+1) - 1) / (K - 1), at K = 1 seeds * (n + 1). Seeds
-- are the members active in that month; a cycle is the time from a share to a sign-up.
with newest as (
    select period, active as seeds, k, cycle_days
    from social.k_factor
    where unit = 'month' and k is not null
    order by period desc
    limit 1
),
cycles as (
    select unnest(generate_series(0, 12)) as cycle
)
select
    newest.period as month,
    cycles.cycle,
    round(cycles.cycle * newest.cycle_days, 1) as days,
    cast(round(
        newest.seeds * case
            when newest.k = 1 then cycles.cycle + 1
            else (power(newest.k, cycles.cycle + 1) - 1) / (newest.k - 1)
        end
    ) as bigint) as n_members
from newest
cross join cycles
order by cycles.cycle
