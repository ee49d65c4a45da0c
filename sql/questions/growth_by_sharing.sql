-- How far does sharing alone carry the pool? After n generations, with the K of the newest month of
-- which it can be told: seeds * (K^(n+1) - 1) / (K - 1), at K = 1 seeds * (n + 1). Seeds are the
-- members active in that month. Their K is what a member brings by the shares of one month, so a
-- generation shares for a month, and the next one begins with the month after its sign-up: a
-- generation lasts a month, or the time from a share to a sign-up where that is longer.
with newest as (
    select
        period,
        active as seeds,
        k,
        greatest(
            datediff(cast(period + interval 1 month as date), period),
            coalesce(cycle_days, 0)
        ) as generation_days
    from social.k_factor
    where unit = 'month' and k is not null
    order by period desc
    limit 1
),
generations as (
    select unnest(generate_series(0, 12)) as generation
)
select
    newest.period as month,
    generations.generation,
    round(generations.generation * newest.generation_days, 1) as days,
    cast(round(
        newest.seeds * case
            when newest.k = 1 then generations.generation + 1
            else (power(newest.k, generations.generation + 1) - 1) / (newest.k - 1)
        end
    ) as bigint) as n_members
from newest
cross join generations
order by generations.generation
