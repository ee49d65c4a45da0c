-- One row per device and user that were seen together: whether they are taken for one person, and
-- if not, why. Of the touched users alone.
--
-- A pair is any record that names both: an event, an identify, or an alias, whose previous id
-- stands in the place of the device. A record with the same identifier in both places is no pair.
-- A person has one user_id: a device with several users (shared_device), or which is itself named
-- as a user somewhere (is_a_user), joins nobody. So an alias of a known user to another name is
-- refused, whichever came first. Of the devices that a user takes up within $devices_window_days,
-- at most $max_devices join that user (too_many_devices): beyond that it is a till, a test or a
-- script that logs in, not a person.
--
-- known_at and known_until: what was known of the pair at an earlier instant, by the times of the
-- events that say so. Before its second user was seen on it, or it was named as a user, a device was
-- its first user's: from when they were first seen together until then.
with users as (
    select identifier
    from touched_identifiers
    where is_centre
),
links as (
    select s.anonymous_id, s.user_id,
        min(s.first_seen_at) as linked_at,
        max(s.last_seen_at) as last_seen_at
    from clean.sightings as s
    join users as u on u.identifier = s.user_id
    where s.anonymous_id <> s.user_id
    group by s.anonymous_id, s.user_id
),
devices as (
    select anonymous_id
    from links
    group by anonymous_id
),
owners as (
    select s.anonymous_id, count(distinct s.user_id) as n_users
    from clean.sightings as s
    join devices as d on d.anonymous_id = s.anonymous_id
    where s.user_id is not null
    group by s.anonymous_id
),
others as (
    select l.anonymous_id, l.user_id, min(s.first_seen_at) as other_at
    from links as l
    join clean.sightings as s on s.anonymous_id = l.anonymous_id
    where s.user_id <> l.user_id
    group by l.anonymous_id, l.user_id
),
named_as_user as (
    select d.anonymous_id,
        -- Without a time it was so from the beginning.
        min(coalesce(s.first_seen_at, timestamp '1970-01-01 00:00:00')) as named_at
    from clean.sightings as s
    join devices as d on d.anonymous_id = s.user_id
    group by d.anonymous_id
),
paced as (
    select anonymous_id, user_id, linked_at, last_seen_at,
        lag(linked_at, $max_devices) over (
            partition by user_id order by linked_at, anonymous_id
        ) as earlier_at
    from links
),
judged as (
    select p.anonymous_id, p.user_id, p.linked_at, p.last_seen_at,
        case
            when n.anonymous_id is not null then 'is_a_user'
            when o.n_users > 1 then 'shared_device'
            when p.linked_at - p.earlier_at < $devices_window_days * interval '1' day
                then 'too_many_devices'
        end as reason,
        coalesce(p.linked_at - p.earlier_at < $devices_window_days * interval '1' day, false)
            as is_one_too_many,
        least(t.other_at, n.named_at) as parted_at
    from paced as p
    join owners as o on o.anonymous_id = p.anonymous_id
    left join named_as_user as n on n.anonymous_id = p.anonymous_id
    left join others as t on t.anonymous_id = p.anonymous_id and t.user_id = p.user_id
),
dated as (
    select anonymous_id, user_id, reason, linked_at, last_seen_at, parted_at,
        not is_one_too_many and (parted_at is null or linked_at < parted_at) as was_merged
    from judged
)
select anonymous_id,
    user_id,
    reason is null as is_merged,
    reason,
    linked_at,
    last_seen_at,
    case when was_merged then linked_at end as known_at,
    case when was_merged then parted_at end as known_until
from dated
