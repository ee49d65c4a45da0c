-- Identifiers whose person may change: those that touched files and records whose time has come name
-- or named, the users of their devices, and all devices of these users. is_centre: all of its links are looked at anew.
with seen as (
    select anonymous_id, user_id
    from gone_sightings
    union all
    select s.anonymous_id, s.user_id
    from clean.sightings as s
    join touched_files as f on f.source = s.source and f.path = s.path
    union all
    select anonymous_id, user_id
    from arrived_pairs
),
named as (
    select anonymous_id as identifier from seen where anonymous_id is not null
    union
    select user_id as identifier from seen where user_id is not null
    union
    select identifier from clean.identities where is_collision
),
centres as (
    select identifier from named
    union
    select s.user_id as identifier
    from clean.sightings as s
    join named as n on n.identifier = s.anonymous_id
    where s.user_id is not null
),
around as (
    select s.anonymous_id as identifier
    from clean.sightings as s
    join centres as c on c.identifier = s.user_id
    where s.anonymous_id is not null
),
marked as (
    select identifier, true as is_centre from centres
    union all
    select identifier, false as is_centre from around
)
select identifier, bool_or(is_centre) as is_centre
from marked
group by identifier
