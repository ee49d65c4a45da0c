-- Is every member in exactly one stage each day? Rows are breaks: a stage that does not begin on the
-- day the one before was left, does not name it, or is left although none follows; and identified
-- members who are in none now, or in another than their order days say (over dormant_days; before,
-- dormant and churn_risk differ by more than these).
with members as (
    select member_id
    from clean.members
    where is_identified
),
history as (
    select member_id, stage, previous_stage, entered_date, left_date
    from value.lifecycle_history
),
neighbours as (
    select
        *,
        row_number() over by_date = 1 as is_first,
        lag(left_date) over by_date as left_before,
        lag(stage) over by_date as stage_before,
        lead(entered_date) over by_date as entered_next
    from history
    window by_date as (partition by member_id order by entered_date)
),
orders as (
    select member_id, date, first_date, gap_days
    from features.order_days
    where next_order_date is null
),
due as (
    select
        members.member_id,
        case
            when orders.date is null then 'prospect'
            when $run_date - orders.first_date <= $active_days then 'new'
            when $run_date - orders.date <= $active_days
                then if(orders.gap_days >= $resurrected_gap_days, 'resurrected', 'active')
            when $run_date - orders.date > $lost_days then 'lost'
            when $run_date - orders.date > $dormant_days then 'churn_risk'
        end as stage
    from members
    left join orders on orders.member_id = members.member_id
)
select 'member ' || member_id || ', ' || stage || ' from ' || entered_date as what
from neighbours
where
    (not is_first and entered_date is distinct from left_before)
    or left_date is distinct from entered_next
    or previous_stage is distinct from stage_before
    or stage = stage_before
union all
select 'member ' || due.member_id || ', ' || coalesce(history.stage, 'no stage') || ' now' as what
from due
left join history on history.member_id = due.member_id and history.left_date is null
where
    history.stage is null
    or history.stage is distinct from due.stage and due.stage is not null
    or due.stage is null and history.stage not in ('dormant', 'churn_risk')
order by what
