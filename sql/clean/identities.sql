-- One row per identifier: the pseudonym of a user or of a visitor's device, with its member.
--
-- A user is a member. A device that was seen with exactly one user is hers, with all it did before
-- she logged in; seen with several it is shared and stays a member of its own, so that two known
-- users are never merged. An identifier used as a user_id anywhere is a user, never a device.
-- member_id: the first 15 hexadecimal digits of the user's pseudonym, else of the device's.
-- Seen: on the corrected clock of clean.events (repeats included), and at sign-up.
with raw_events as (
    select anonymous_id, user_id, occurred_at, sent_at, received_at
    from raw.events
    where received_at < $as_of and (anonymous_id is not null or user_id is not null)
),
raw_members as (
    select user_id, signed_up_at
    from raw.members
),
clocked as (
    select anonymous_id, user_id,
        least(
            received_at,
            greatest(
                timestamp '1970-01-01 00:00:00',
                case
                    when sent_at is null then occurred_at
                    else received_at - (sent_at - occurred_at)
                end
            )
        ) as seen_at
    from raw_events
),
pairs as (
    select anonymous_id, user_id, min(seen_at) as first_seen_at, max(seen_at) as last_seen_at
    from clocked
    group by anonymous_id, user_id
),
sightings as (
    select user_id as identifier, true as is_user, cast(null as string) as owner_id,
        first_seen_at, last_seen_at
    from pairs
    where user_id is not null
    union all
    select anonymous_id as identifier, false as is_user, user_id as owner_id,
        first_seen_at, last_seen_at
    from pairs
    where anonymous_id is not null
    union all
    select user_id as identifier, true as is_user, cast(null as string) as owner_id,
        signed_up_at as first_seen_at, signed_up_at as last_seen_at
    from raw_members
),
identifiers as (
    select identifier,
        bool_or(is_user) as is_user,
        count(owner_id) as n_owners,
        min(owner_id) as owner_id,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from sightings
    group by identifier
),
resolved as (
    select identifier, is_user, first_seen_at, last_seen_at,
        not is_user and n_owners > 1 as is_shared,
        case when not is_user and n_owners = 1 then owner_id else identifier end as person
    from identifiers
),
numbered as (
    select identifier, is_user, first_seen_at, last_seen_at, is_shared, person,
        cast(conv(substr(person, 1, 15), 16, 10) as bigint) as member_id
    from resolved
)
select identifier,
    case when is_user then 'user_id' else 'anonymous_id' end as kind,
    member_id,
    is_shared,
    min(person) over (partition by member_id) <> max(person) over (partition by member_id)
        as is_collision,
    first_seen_at,
    last_seen_at
from numbered
