-- One row per identified member and stage that she entered: she stood in it from the shop's
-- midnight of entered_date up to that of left_date, NULL where she stands in it now. Every midnight
-- since she is known has exactly one stage, by days since her last order day then, the first that
-- matches:
--   prospect     no order
--   new          first order within active_days
--   resurrected  last order within active_days, after a gap of resurrected_gap_days or more
--   active       last order within active_days
--   lost         over lost_days
--   churn_risk   over dormant_days, or over gap_multiple times her own median gap between order
--                days, or P(alive) below min_p_alive with a repeat order
--   dormant      the rest
-- What she was on an earlier date follows from her order days up to then and from the parameters
-- of value.clv_parameters as they are now, so no earlier run is needed, and none is contradicted by
-- more than these have moved since.
-- Orders from before their first complete day (features.tracking) are not known. is_cut where they may
-- make another stage of it: entered by that day's midnight, or new, of a member who was known before.
with tracking as (
    select first_complete_date
    from features.tracking
    where kind = 'orders'
),

members as (
    select
        member_id,
        cast(from_utc_timestamp(least(signed_up_at, first_seen_at), $time_zone) as date) as known_on
    from clean.members
    where is_identified
),

order_days as (
    select
        member_id,
        date,
        nth,
        first_date,
        gap_days,
        median_gap_days,
        next_order_date
    from features.order_days
    where date < $run_date
),

-- A run has one method for all of its members, and mostly one fit.
methods as (
    select distinct method
    from value.clv
),

cohorts as (
    select member_id, parameters_of
    from value.clv
    where parameters_of <> 'pooled'
),

models as (
    select
        p.cohort,
        p.model = 'mbg_nbd' as leaves_after_first,
        max(p.value) filter (where p.parameter = 'r') as r,
        7 * max(p.value) filter (where p.parameter = 'alpha') as alpha,
        max(p.value) filter (where p.parameter = 'a') as a,
        max(p.value) filter (where p.parameter = 'b') as b
    from value.clv_parameters as p
    join methods as m on m.method = p.model || '_gamma_gamma'
    group by p.cohort, p.model
),

-- P(alive) = 1 / (1 + a / b' * ((alpha + T) / (alpha + t_x)) ^ (r + x)), with b' = b + x - 1 for
-- BG/NBD and b + x for MBG/NBD, solved for T: days from her first order day to the last complete
-- day. The midnight after that day is the first at which it shows.
followed as (
    select
        k.member_id,
        k.known_on,
        o.date,
        o.nth,
        o.first_date,
        o.gap_days,
        o.median_gap_days,
        o.next_order_date,
        floor(
            least(
                36500,
                (m.alpha + (o.date - o.first_date))
                * pow(
                    (1 / nullif($min_p_alive, 0) - 1)
                    * (m.b + o.nth - case when m.leaves_after_first then 1 else 2 end)
                    / m.a,
                    1 / (m.r + o.nth - 1)
                )
                - m.alpha
            )
        ) + 1 - (o.date - o.first_date) as alive_until_age
    from members as k
    left join order_days as o on o.member_id = k.member_id
    left join cohorts as c on c.member_id = k.member_id
    left join models as m on m.cohort = coalesce(c.parameters_of, 'pooled') and o.nth > 1
),

-- From an order day to the next: an age of a days is the midnight that begins day date + a. At age 1
-- she is new, active or resurrected, and from lively_from on one of the last two; over active_days
-- she is dormant, from churn_from on a churn risk, over lost_days lost; all as far as last_age, the
-- midnight that begins the next order day, or the run's, leaves room.
spells as (
    select
        member_id,
        known_on,
        date,
        nth = 1 as is_first,
        next_order_date,
        cast(coalesce(next_order_date, $run_date) - date as integer) as last_age,
        gap_days >= $resurrected_gap_days as is_back,
        cast(greatest(1, $active_days - (date - first_date) + 1) as integer) as lively_from,
        cast(
            greatest(
                $active_days,
                least($dormant_days, floor($gap_multiple * median_gap_days), alive_until_age)
            ) as integer
        ) + 1 as churn_from,
        next_order_date - first_date < $active_days as is_new_next,
        next_order_date - date >= $resurrected_gap_days as is_back_next
    from followed
),

-- Whether the next order changes the stage that she then stands in: new and active it may not, for
-- resurrected_gap_days are more than active_days. Worked out once for all that reads it below.
ended as materialized (
    select
        *,
        case
            when last_age > $active_days then next_order_date is not null
            when last_age < lively_from then not is_new_next
            else is_back and next_order_date is not null
        end as is_changed
    from spells
),

entered as (
    -- Of whom only the id is known is known as of now.
    select
        member_id,
        least(known_on + 1, $run_date) as entered_date,
        'prospect' as stage
    from ended
    where date is null or (is_first and known_on < date)
    union all
    select member_id, date + 1, 'new'
    from ended
    where is_first
    union all
    select member_id, date + lively_from, case when is_back then 'resurrected' else 'active' end
    from ended
    where lively_from > 1 and lively_from <= least(last_age, $active_days)
    union all
    select member_id, date + $active_days + 1, 'dormant'
    from ended
    where last_age > $active_days and churn_from > $active_days + 1
    union all
    select member_id, date + churn_from, 'churn_risk'
    from ended
    where last_age >= churn_from
    union all
    select member_id, date + $lost_days + 1, 'lost'
    from ended
    where last_age > $lost_days
    union all
    select
        member_id,
        next_order_date + 1,
        case when is_new_next then 'new' when is_back_next then 'resurrected' else 'active' end
    from ended
    where is_changed
),

-- As one byte, a stage is put in order sooner.
coded as (
    select
        member_id,
        entered_date,
        cast(
            stage as enum (
                'prospect', 'new', 'active', 'dormant', 'churn_risk', 'lost', 'resurrected'
            )
        ) as stage
    from entered
)

select
    c.member_id,
    c.entered_date,
    lead(c.entered_date) over by_date as left_date,
    c.stage,
    lag(c.stage) over by_date as previous_stage,
    coalesce(
        c.entered_date <= t.first_complete_date
        or (c.stage = 'new' and m.known_on < t.first_complete_date),
        false
    ) as is_cut
from coded as c
join members as m on m.member_id = c.member_id
left join tracking as t on true
window by_date as (partition by c.member_id order by c.entered_date)
