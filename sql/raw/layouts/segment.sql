-- Segment's envelope (RudderStack writes the same), one JSON object per line.
-- Gives one row per line: the fields of raw.events as text or time, and the reason of a reject.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and json_valid(text) and json_type(text) = 'OBJECT' then
            json_extract_string(text, [
                '$.messageId', '$.type', '$.event', '$.anonymousId', '$.userId',
                '$.originalTimestamp', '$.timestamp', '$.sentAt', '$.receivedAt',
                '$.context.userAgent', '$.context.locale', '$.context.timezone',
                '$.context.country', '$.context.channel', '$.properties', '$.traits'
            ])
        end as f
    from lines
    where case when strlen(text) > 4 then true else trim(text, chr(10) || chr(13) || ' ') <> '' end
),
typed as (
    select
        path, line, text, f, is_utf8,
        try_cast(coalesce(f[6], f[7]) as timestamp) as occurred_at,
        try_cast(f[8] as timestamp) as sent_at,
        try_cast(f[9] as timestamp) as received_at
    from fields
)
select
    path,
    line,
    case
        when not is_utf8 then 'not UTF-8'
        when f is null then 'not a JSON object'
        when coalesce(f[1], '') = '' then 'messageId is missing'
        when coalesce(f[2], '') = '' then 'type is missing'
        when f[2] = 'track' and coalesce(f[3], '') = '' then 'event is missing on a track call'
        when coalesce(f[6], f[7]) is null then 'originalTimestamp is missing'
        when occurred_at is null then 'originalTimestamp is not an ISO 8601 time'
        when f[9] is null then 'receivedAt is missing'
        when received_at is null then 'receivedAt is not an ISO 8601 time'
        when f[8] is not null and sent_at is null then 'sentAt is not an ISO 8601 time'
        when greatest(occurred_at, received_at, sent_at) >= timestamp '2101-01-01'
            or least(occurred_at, received_at, sent_at) < timestamp '1990-01-01'
            then 'a time lies outside 1990 to 2100'
    end as reason,
    case when reason is not null then text end as payload,
    f[1] as message_id,
    f[2] as event_type,
    case when f[2] = 'track' then f[3] end as event_name,
    nullif(f[4], '') as anonymous_key,
    nullif(f[5], '') as user_key,
    occurred_at,
    sent_at,
    received_at,
    f[10] as user_agent,
    f[11] as locale,
    f[12] as time_zone,
    f[13] as country,
    f[14] as channel,
    -- What a track call says of its person stays behind; what an identify call says, raw.events
    -- cuts down.
    case
        when lower(f[2]) in ('track', 'page', 'screen') then coalesce(f[15], '{}')
        else coalesce(f[16], f[15], '{}')
    end as properties
from typed
