-- Which events make days active, by name and channel, those that do not first: what of a shop's own
-- events is missing here can be named under `activity` in shop.yaml.
select
    event_name,
    channel,
    count(*) as n_events,
    count(*) filter (where is_deliberate) as n_deliberate,
    count(distinct member_id) as n_members
from clean.events
group by event_name, channel
order by n_deliberate * 2 > n_events, n_events desc, event_name, channel
