-- One row per campaign and arm against its holdout: who was assigned, who ordered, what it brought.
-- Intention to treat: every assigned member counts, messaged or not. Converted: an order that was
-- not cancelled, after her assignment, within $window_days and before the as-of instant.
with assignments as (
    select campaign_id, member_id, arm, assigned_at
    from push.assignments
    where assigned_at <= $as_of
),
orders as (
    select member_id, ordered_at, net_revenue
    from clean.orders
    where status <> 'cancelled' and ordered_at < $as_of
),
messages as (
    select campaign_id, arm, cast(sum(unit_cost) as decimal(18, 4)) as cost
    from push.push_list
    group by campaign_id, arm
),
outcomes as (
    select
        assignments.campaign_id,
        assignments.member_id,
        assignments.arm,
        assignments.assigned_at + to_days($window_days) <= $as_of as is_mature,
        count(orders.ordered_at) > 0 as has_ordered,
        coalesce(sum(orders.net_revenue), 0) as revenue
    from assignments
    left join orders
        on orders.member_id = assignments.member_id
        and orders.ordered_at >= assignments.assigned_at
        and orders.ordered_at < assignments.assigned_at + to_days($window_days)
    group by all
),
arms as (
    select
        campaign_id,
        arm,
        count(*) as assigned,
        count(*) filter (where has_ordered) as converted,
        count(*) filter (where is_mature) as mature,
        cast(sum(revenue) as decimal(18, 4)) as revenue
    from outcomes
    group by campaign_id, arm
)
select
    treated.campaign_id,
    treated.arm,
    'order' as metric,
    treated.assigned,
    treated.converted,
    treated.mature / treated.assigned as mature_rate,
    coalesce(held.assigned, 0) as holdout_assigned,
    coalesce(held.converted, 0) as holdout_converted,
    coalesce(messages.cost, 0) as cost,
    treated.revenue,
    coalesce(held.revenue, 0) as holdout_revenue
from arms as treated
left join arms as held on held.campaign_id = treated.campaign_id and held.arm = 'holdout'
left join messages
    on messages.campaign_id = treated.campaign_id and messages.arm = treated.arm
where treated.arm <> 'holdout'
