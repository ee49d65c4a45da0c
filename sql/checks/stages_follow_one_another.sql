-- Is every member in exactly one stage each day? Rows are breaks: a stage that does not begin on the
-- day the one before was left, does not name it, or is left although none follows; and identified
-- members who are in none now.
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
)
select 'member ' || member_id || ', ' || stage || ' from ' || entered_date as what
from neighbours
where
    (not is_first and entered_date is distinct from left_before)
    or left_date is distinct from entered_next
    or previous_stage is distinct from stage_before
    or stage = stage_before
union all
select 'member ' || members.member_id || ', no stage' as what
from members
left join history on history.member_id = members.member_id and history.left_date is null
where history.member_id is null
order by what
