-- One row per file and pair of visitor's device and user that its records name; one of the two may
-- be missing. Of touched files, and of the pairs in others that records name whose time has come.
-- Seen: on the corrected clock of clean.events (repeats included), and at sign-up, once that is past.
with files as (
    select source, path, load_date
    from touched_files
),
raw_events as (
    select e.source, e.path, e.anonymous_id, e.user_id, e.occurred_at, e.sent_at, e.received_at
    from raw.events as e
    join files as f
        on f.source = e.source and f.path = e.path and f.load_date = e.load_date
    where e.received_at < $as_of and (e.anonymous_id is not null or e.user_id is not null)
    union all
    select e.source, e.path, e.anonymous_id, e.user_id, e.occurred_at, e.sent_at, e.received_at
    from raw.events as e
    join arrived as a
        on a.source = e.source and a.path = e.path and a.line = e.line
        and a.load_date = e.load_date
    where e.anonymous_id is not null or e.user_id is not null
),
raw_members as (
    select m.source, m.path, m.user_id,
        case when m.signed_up_at < $as_of then m.signed_up_at end as signed_up_at
    from raw.members as m
    join files as f
        on f.source = m.source and f.path = m.path and f.load_date = m.load_date
    union all
    select m.source, m.path, m.user_id, m.signed_up_at
    from raw.members as m
    join arrived_pairs as a
        on a.source = m.source and a.path = m.path and a.user_id = m.user_id
    where m.signed_up_at < $as_of
),
clocked as (
    select source, path, anonymous_id, user_id,
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
    union all
    select source, path, cast(null as string) as anonymous_id, user_id, signed_up_at as seen_at
    from raw_members
    union all
    select source, path, anonymous_id, user_id, first_seen_at as seen_at
    from was_sightings
    union all
    select source, path, anonymous_id, user_id, last_seen_at as seen_at
    from was_sightings
)
select source,
    path,
    anonymous_id,
    user_id,
    min(seen_at) as first_seen_at,
    max(seen_at) as last_seen_at
from clocked
group by source, path, anonymous_id, user_id
