-- Segment's envelope (RudderStack writes the same), one JSON object per line.
-- Gives one row per line: the fields of raw.events as text or time, and the reason of a reject.
with parsed as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and json_valid(text) then
            json_type(text, [
                '$', '$.properties', '$.traits', '$.context', '$.context.device', '$.batch'
            ])
        end as kinds
    from lines
    where starts_with(text, '{') or trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
),
fields as (
    select
        path, line, text, is_utf8, kinds,
        case when kinds[1] = 'OBJECT' then
            json_extract_string(text, [
                '$.messageId', '$.type', '$.event', '$.anonymousId', '$.userId',
                '$.originalTimestamp', '$.timestamp', '$.sentAt', '$.receivedAt',
                '$.context.userAgent', '$.context.locale', '$.context.timezone',
                '$.context.country', '$.context.channel', '$.properties', '$.traits',
                '$.name', '$.previousId', '$.groupId'
            ])
        end as f
    from parsed
),
typed as (
    select
        path, line, text, is_utf8, kinds, f,
        lower(f[2]) as event_type,
        utc(coalesce(f[6], f[7])) as occurred_at,
        utc(f[8]) as sent_at,
        utc(f[9]) as received_at
    from fields
),
judged as (
    select
        *,
        case
            when not is_utf8 then 'not UTF-8'
            when f is null then 'not a JSON object'
            when kinds[6] = 'ARRAY' and f[2] is null
                then 'a batch of calls; write its calls one per line (jq -c ".batch[]")'
            when coalesce(f[1], '') = '' then 'messageId is missing'
            when coalesce(f[2], '') = '' then 'type is missing'
            when not contains('|track|identify|page|screen|group|alias|', '|' || event_type || '|')
                then 'type is none of track, identify, page, screen, group, alias'
            when event_type = 'track' and coalesce(f[3], '') = ''
                then 'event is missing on a track call'
            when event_type = 'identify' and coalesce(f[4], '') = '' and coalesce(f[5], '') = ''
                then 'userId and anonymousId are missing on an identify call'
            when event_type = 'group' and coalesce(f[19], '') = ''
                then 'groupId is missing on a group call'
            when event_type = 'alias' and coalesce(f[18], '') = ''
                then 'previousId is missing on an alias call'
            when event_type = 'alias' and coalesce(f[5], '') = ''
                then 'userId is missing on an alias call'
            when kinds[2] not in ('OBJECT', 'NULL') then 'properties are not an object'
            when kinds[3] not in ('OBJECT', 'NULL') then 'traits are not an object'
            when coalesce(f[6], f[7]) is null then 'originalTimestamp is missing'
            when occurred_at is null then 'originalTimestamp is not an ISO 8601 time'
            when f[9] is null then 'receivedAt is missing'
            when received_at is null then 'receivedAt is not an ISO 8601 time'
            when f[8] is not null and sent_at is null then 'sentAt is not an ISO 8601 time'
            when greatest(occurred_at, received_at, sent_at) >= timestamp '2101-01-01'
                or least(occurred_at, received_at, sent_at) < timestamp '1990-01-01'
                then 'a time lies outside 1990 to 2100'
        end as reason
    from typed
)
select
    path,
    line,
    reason,
    case when reason is not null then text end as payload,
    f[1] as message_id,
    event_type,
    case when event_type = 'track' then f[3] end as event_name,
    -- An alias says that the visitor, or the user under her previous id, is the user.
    nullif(case when event_type = 'alias' then f[18] else f[4] end, '') as anonymous_key,
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
        when reason is not null then null
        when event_type in ('page', 'screen') and f[17] is not null
            then cast(
                json_merge_patch(json_object('name', f[17]), coalesce(f[15], '{}')) as varchar
            )
        when event_type in ('track', 'page', 'screen') then coalesce(f[15], '{}')
        else coalesce(f[16], f[15], '{}')
    end as properties,
    -- What no column holds and what names nobody: a merge patch takes the rest out.
    case when reason is null then
        cast(json_merge_patch(
            text,
            '{"messageId":null,"type":null,"userId":null,"anonymousId":null,"previousId":null,'
            || '"traits":null,"userProperties":null,"rudderId":null,"request_ip":null,'
            || '"originalTimestamp":null,"sentAt":null,"receivedAt":null'
            || case when f[6] is null then ',"timestamp":null' else '' end
            || case when event_type = 'track' then ',"event":null' else ',"name":null' end
            || case
                when event_type not in ('track', 'page', 'screen') and f[16] is not null then ''
                else ',"properties":null'
            end
            || case
                when kinds[4] is distinct from 'OBJECT' then ''
                when kinds[5] = 'OBJECT'
                    then ',"context":{"ip":null,"traits":null,"externalIds":null,"userAgent":null,'
                    || '"locale":null,"timezone":null,"country":null,"channel":null,"device":'
                    || '{"id":null,"advertisingId":null,"token":null,"name":null}}'
                else ',"context":{"ip":null,"traits":null,"externalIds":null,"userAgent":null,'
                    || '"locale":null,"timezone":null,"country":null,"channel":null}'
            end
            || '}'
        ) as varchar)
    end as envelope
from judged
