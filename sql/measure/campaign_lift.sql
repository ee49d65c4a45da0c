-- One row per campaign and arm to be held against its holdout: who was assigned, who ordered, what
-- it brought and cost. Intention to treat: every assigned member counts, messaged or not, once
-- $lift_window_days have passed since their assignment; until then they wait. Converted: an order
-- with net revenue above 0 (not cancelled, not given back in full), after the assignment and within
-- the window.
with assignments as (
    select
        campaign_id,
        member_id,
        arm,
        assigned_at,
        assigned_at + to_days($lift_window_days) as closes_at
    from push.assignments
),
orders as (
    select member_id, ordered_at, net_revenue from clean.orders where status <> 'cancelled'
),
messages as (
    select campaign_id, member_id, send_at, unit_cost from push.push_list
),
arms as (
    select
        campaign_id,
        arm,
        count(*) filter (where closes_at <= $as_of) as assigned,
        count(*) filter (where closes_at > $as_of) as waiting
    from assignments
    group by campaign_id, arm
),
mature as (
    select campaign_id, member_id, arm, assigned_at, closes_at
    from assignments
    where closes_at <= $as_of
),
ordered as (
    select
        mature.campaign_id,
        mature.arm,
        count(distinct mature.member_id) filter (where orders.net_revenue > 0) as converted,
        sum(orders.net_revenue) as revenue
    from mature
    join orders
        on orders.member_id = mature.member_id
        and orders.ordered_at >= mature.assigned_at
        and orders.ordered_at < mature.closes_at
    group by mature.campaign_id, mature.arm
),
paid as (
    select mature.campaign_id, mature.arm, sum(messages.unit_cost) as cost
    from mature
    join messages
        on messages.campaign_id = mature.campaign_id
        and messages.member_id = mature.member_id
        and messages.send_at < mature.closes_at
    group by mature.campaign_id, mature.arm
),
outcomes as (
    select
        arms.campaign_id,
        arms.arm,
        arms.assigned,
        arms.waiting,
        coalesce(ordered.converted, 0) as converted,
        cast(coalesce(ordered.revenue, 0) as decimal(18, 4)) as revenue,
        cast(coalesce(paid.cost, 0) as decimal(18, 4)) as cost
    from arms
    left join ordered using (campaign_id, arm)
    left join paid using (campaign_id, arm)
)
select
    treated.campaign_id,
    treated.arm,
    'order' as metric,
    treated.assigned,
    treated.converted,
    treated.waiting,
    coalesce(held.assigned, 0) as holdout_assigned,
    coalesce(held.converted, 0) as holdout_converted,
    treated.cost,
    treated.revenue,
    coalesce(held.revenue, 0) as holdout_revenue
from outcomes as treated
left join outcomes as held on held.campaign_id = treated.campaign_id and held.arm = 'holdout'
where treated.arm <> 'holdout'
