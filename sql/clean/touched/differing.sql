-- Of the touched messages' copies after the first, those that say something else than it does, and
-- in what: it is another event, or of another person, or of another time, or its properties
-- contradict. A retry is sent and received later, and another source's copy may know more: only what
-- both tell is compared. A time is another if it is so by both clocks and beyond the tolerance; where
-- no time was told at all, the file's load date stands for it and says nothing.
with repeated as (
    select message_id, source, path, line, load_date, copy
    from copies
    where message_id in (select message_id from copies where copy = 2)
),
said as (
    select r.message_id, r.copy, e.event_type, e.event_name, e.user_id, e.anonymous_id,
        e.occurred_at, e.received_at - (e.sent_at - e.occurred_at) as corrected_at,
        e.occurred_at = to_utc_timestamp(cast(e.load_date as timestamp), $time_zone) as is_undated,
        e.properties
    from raw.events as e
    join repeated as r
        on r.source = e.source and r.path = e.path and r.line = e.line
        and r.load_date = e.load_date
),
compared as (
    select c.message_id, c.copy,
        c.event_type <> f.event_type or coalesce(c.event_name <> f.event_name, false)
            as is_other_event,
        coalesce(
            c.user_id <> f.user_id
                or (c.user_id is null and f.user_id is null and c.anonymous_id <> f.anonymous_id),
            false
        ) as is_other_person,
        not c.is_undated and not f.is_undated
            and abs(epoch(c.occurred_at) - epoch(f.occurred_at)) > $skew_tolerance_seconds
            and abs(
                epoch(coalesce(c.corrected_at, c.occurred_at))
                - epoch(coalesce(f.corrected_at, f.occurred_at))
            ) > $skew_tolerance_seconds as is_other_time,
        case
            when c.properties <> f.properties and json_valid(c.properties)
                and json_valid(f.properties) then c.properties
        end as properties,
        f.properties as first_properties
    from said as c
    join said as f on f.message_id = c.message_id and f.copy = 1
    where c.copy > 1
),
keyed as (
    select message_id, copy, is_other_event, is_other_person, is_other_time, properties,
        first_properties,
        -- Keys that tell of the sending are the retry's own.
        list_transform(
            list_filter(
                json_keys(properties),
                lambda name: not regexp_matches(
                    name, '(?i)^[_$]*(sent|received|flush|upload|retr|attempt)'
                )
            ),
            lambda name: '/' || replace(replace(name, '~', '~0'), '/', '~1')
        ) as places
    from compared
),
valued as (
    select message_id, copy, is_other_event, is_other_person, is_other_time,
        list_transform(places, lambda place: [
            json_extract_string(properties, place), json_extract_string(first_properties, place)
        ]) as pairs
    from keyed
),
told as (
    select message_id, copy, is_other_event, is_other_person, is_other_time,
        -- 10 and 10.0 are one number.
        len(list_filter(pairs, lambda pair: pair[1] <> pair[2] and coalesce(
            try_cast(pair[1] as double) <> try_cast(pair[2] as double), true
        ))) > 0 as is_other_content
    from valued
)
select message_id, copy,
    case
        when is_other_event then 'event'
        when is_other_person then 'person'
        when is_other_time then 'time'
        else 'properties'
    end as differs_in
from told
where is_other_event or is_other_person or is_other_time or coalesce(is_other_content, false)
