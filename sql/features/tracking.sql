-- One row per kind of event of which history has begun: acts (deliberate acts of members other than
-- orders), orders (not cancelled), and activity (both, as features.member_days has them; it begins with
-- the later of the two). Of what came before, nothing is known: an ERP's orders often reach further
-- back than an SDK's clicks.
--
-- first_date: the first calendar date of the shop with at least a hundredth of what the day in the
-- middle brings, so that the late record of a day long past begins nothing. Of acts the earliest
-- source counts; orders begin with the acts of a source that gives both, where they do not reach
-- further back: a shop whose first order comes late has been watched all the time.
-- first_complete_date: the day after, for tracking may begin at any hour.
with events as (
    select source, event_name, event_date
    from clean.events
    where not is_bot and member_id is not null and event_date < $run_date
        and (is_deliberate or event_name = 'Order Completed')
),
order_sources as (
    select distinct source
    from events
    where event_name = 'Order Completed'
),
act_days as (
    select source, event_date as date, count(*) as n
    from events
    where event_name <> 'Order Completed'
    group by source, event_date
),
order_days as (
    select order_date as date, count(*) as n
    from clean.orders
    where status <> 'cancelled' and member_id is not null and order_date < $run_date
    group by order_date
),
act_medians as (
    select source, median(n) as n
    from act_days
    group by source
),
order_medians as (
    select median(n) as n
    from order_days
),
act_beginnings as (
    select d.source, min(d.date) as first_date
    from act_days as d
    join act_medians as m on m.source = d.source
    where d.n * 100 >= m.n
    group by d.source
),
beginnings as (
    select 'acts' as kind, min(first_date) as first_date
    from act_beginnings
    union all
    select 'orders' as kind, min(first_date) as first_date
    from (
        select d.date as first_date
        from order_days as d
        cross join order_medians as m
        where d.n * 100 >= m.n
        union all
        select a.first_date
        from act_beginnings as a
        join order_sources as o on o.source = a.source
    ) as told
    union all
    select 'activity' as kind, cast(null as date) as first_date
),
known as (
    select kind,
        case
            when kind = 'activity' then max(first_date) over (partition by 1)
            else first_date
        end as first_date
    from beginnings
)
select kind, first_date, first_date + 1 as first_complete_date
from known
where first_date is not null
