-- One row per identifier: the pseudonym of a user or of a visitor's device, with its member. Of the
-- touched identifiers alone.
--
-- A user is a member. Persons are the connected components of the links that clean.merge_log lets
-- stand: a device is its user's, with all it did before they logged in; any other device is a
-- member of its own, and so two known users are never merged. Users and devices share one
-- namespace: an identifier used as a user_id anywhere is a user, never a device, and an event that
-- has it in the place of the device is that user's, though it did not come with a login.
-- member_id: the first 15 hexadecimal digits of the user's pseudonym, else of the device's.
-- known_at: since when it has been known to be this member's, by the events' own times: a user since
-- it was first named as one; a device since it was first seen with its user, or since it was known to
-- be nobody's alone; else since it was first seen.
with touched as (
    select identifier
    from touched_identifiers
),
signs as (
    select t.identifier, true as is_user, s.first_seen_at, s.last_seen_at
    from clean.sightings as s
    join touched as t on t.identifier = s.user_id
    union all
    select t.identifier, false as is_user, s.first_seen_at, s.last_seen_at
    from clean.sightings as s
    join touched as t on t.identifier = s.anonymous_id
),
identifiers as (
    select identifier,
        bool_or(is_user) as is_user,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        min(case when is_user then first_seen_at end) as named_at
    from signs
    group by identifier
),
links as (
    select l.anonymous_id,
        bool_or(coalesce(l.reason = 'shared_device', false)) as is_shared,
        min(case when l.is_merged then l.user_id end) as owner_id,
        coalesce(
            min(case when l.is_merged then l.known_at end), max(l.known_until)
        ) as known_at
    from clean.merge_log as l
    join touched as t on t.identifier = l.anonymous_id
    group by l.anonymous_id
),
resolved as (
    select i.identifier, i.is_user, i.first_seen_at, i.last_seen_at,
        coalesce(l.is_shared and not i.is_user, false) as is_shared,
        case when i.is_user then i.named_at else coalesce(l.known_at, i.first_seen_at) end
            as known_at,
        case when i.is_user then i.identifier else coalesce(l.owner_id, i.identifier) end as person
    from identifiers as i
    left join links as l on l.anonymous_id = i.identifier
),
numbered as (
    select identifier, is_user, first_seen_at, last_seen_at, is_shared, known_at, person,
        cast(conv(substr(identifier, 1, 15), 16, 10) as bigint) as visitor_id,
        cast(conv(substr(person, 1, 15), 16, 10) as bigint) as member_id
    from resolved
),
persons as (
    select member_id, person
    from numbered
    union
    select o.member_id, o.identifier as person
    from clean.identities as o
    join numbered as n on n.member_id = o.member_id
    where o.visitor_id = o.member_id
),
collisions as (
    select member_id
    from persons
    group by member_id
    having count(*) > 1
)
select n.identifier,
    case when n.is_user then 'user_id' else 'anonymous_id' end as kind,
    n.member_id,
    n.visitor_id,
    n.is_shared,
    c.member_id is not null as is_collision,
    n.first_seen_at,
    n.last_seen_at,
    n.known_at
from numbered as n
left join collisions as c on c.member_id = n.member_id
