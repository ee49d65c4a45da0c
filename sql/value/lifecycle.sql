-- One row per identified member: exactly one stage. By days since her last order day, the first
-- that matches:
--   prospect     no order
--   new          first order within active_days
--   resurrected  last order within active_days, after a gap of resurrected_gap_days or more
--   active       last order within active_days
--   lost         over lost_days
--   churn_risk   over dormant_days, or over gap_multiple times her own median gap between order
--                days, or P(alive) below min_p_alive with a repeat order
--   dormant      the rest
-- Stage by stage her order days alone tell what she was on any earlier date, so previous_stage and
-- entered_at (the shop's midnight at which she first stood in the stage) need no earlier run.
-- P(alive) is known as of now only: where nothing else makes her a churn risk, she has been one
-- since her last active stage ended.
-- Strategy, of the article's four goals: acquisition wins a first order (prospect) or a lost member
-- anew, conversion makes a first order a habit (new), loyalty keeps it up (active), retention holds
-- who is slipping away or has just come back (dormant, churn_risk, resurrected).
with members as (
    select
        member_id,
        cast(from_utc_timestamp(least(signed_up_at, first_seen_at), $time_zone) as date) as known_on
    from clean.members
    where is_identified
),

order_days as (
    select member_id, date
    from features.member_days
    where n_orders > 0 and date < $run_date
),

clv as (
    select member_id, frequency, p_alive
    from value.clv
),

gaps as (
    select
        member_id,
        date,
        min(date) over (partition by member_id) as first_date,
        date - lag(date) over by_date as gap_days,
        lead(date) over by_date as next_date
    from order_days
    window by_date as (partition by member_id order by date)
),

-- From an order day to the next: an age of a days is the midnight that begins day date + a.
spells as (
    select
        member_id,
        date,
        next_date is null as is_last,
        coalesce(next_date, $run_date) - date as last_age,
        case when gap_days >= $resurrected_gap_days then 'resurrected' else 'active' end as lively,
        greatest(1, $active_days - (date - first_date) + 1) as lively_from,
        greatest(
            $active_days,
            least(
                $dormant_days,
                $lost_days,
                floor(
                    $gap_multiple
                    * median(gap_days) over (
                        partition by member_id order by date rows unbounded preceding
                    )
                )
            )
        ) + 1 as churn_from
    from gaps
),

-- The stages of a spell in their order, some of them empty.
stretches as (
    select member_id, date, is_last, last_age, 'new' as stage, 1 as from_age,
        lively_from as to_age
    from spells
    union all
    select member_id, date, is_last, last_age, lively, lively_from, $active_days + 1
    from spells
    union all
    select member_id, date, is_last, last_age, 'dormant', $active_days + 1, churn_from
    from spells
    union all
    select member_id, date, is_last, last_age, 'churn_risk', churn_from,
        greatest($active_days, $lost_days) + 1
    from spells
    union all
    select member_id, date, is_last, last_age, 'lost', greatest($active_days, $lost_days) + 1, null
    from spells
),

stages as (
    select
        s.member_id,
        case
            when
                s.stage = 'dormant'
                and s.is_last
                and s.to_age > s.last_age
                and clv.frequency > 0
                and clv.p_alive < $min_p_alive
                then 'churn_risk'
            else s.stage
        end as stage,
        s.date + cast(s.from_age as integer) as entered_on
    from stretches as s
    left join clv on clv.member_id = s.member_id
    where s.from_age <= s.last_age and (s.to_age is null or s.from_age < s.to_age)
    union all
    select m.member_id, 'prospect' as stage, m.known_on + 1 as entered_on
    from members as m
    left join gaps as first_order
        on first_order.member_id = m.member_id and first_order.gap_days is null
    where first_order.date is null or m.known_on < first_order.date
),

changes as (
    select
        member_id,
        stage,
        entered_on,
        lag(stage) over (partition by member_id order by entered_on) as stage_before
    from stages
),

-- The last change is where she is now; staying in a stage over an order is no change.
latest as (
    select
        member_id,
        stage,
        stage_before,
        entered_on,
        row_number() over (partition by member_id order by entered_on desc) as rank
    from changes
    where stage_before is distinct from stage
),

last_orders as (
    select member_id, max(date) as date
    from order_days
    group by member_id
)

select
    m.member_id,
    l.stage,
    l.stage_before as previous_stage,
    to_utc_timestamp(cast(l.entered_on as timestamp), $time_zone) as entered_at,
    case l.stage
        when 'prospect' then 'acquisition'
        when 'lost' then 'acquisition'
        when 'new' then 'conversion'
        when 'active' then 'loyalty'
        else 'retention'
    end as strategy,
    $run_date - o.date as days_since_last_order
from members as m
join latest as l on l.member_id = m.member_id and l.rank = 1
left join last_orders as o on o.member_id = m.member_id
