-- Segment's envelope (RudderStack writes the same), one JSON object per line.
-- Gives one row per line: the fields of raw.events as text or time, and the reason of a reject.
-- A line is parsed three times: is it JSON, what do its fields say, which keys has it. A merge
-- patch, the dearest step, is for lines with keys that no column holds; of the context alone if
-- these are all in there.
with parsed as (
    select
        path, line, text, is_utf8,
        case
            when not is_utf8 then false
            when starts_with(text, '{') then json_valid(text)
            when starts_with(ltrim(text, chr(9) || chr(10) || chr(13) || ' '), '{')
                then json_valid(text)
        end as is_object
    from lines
    -- Of an OR both sides are tried on every line now and then, of a CASE not.
    where case
        when starts_with(text, '{') then true
        else trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
    end
),
fields as (
    select
        path, line, text, is_utf8,
        case when is_object then
            json_extract_string(text, [
                '$.messageId', '$.type', '$.event', '$.anonymousId', '$.userId',
                '$.originalTimestamp', '$.timestamp', '$.sentAt', '$.receivedAt',
                '$.context.userAgent', '$.context.locale', '$.context.timezone',
                '$.context.country', '$.context.channel', '$.properties', '$.traits',
                '$.name', '$.previousId', '$.groupId', '$.context.ip', '$.rudderId',
                '$.request_ip'
            ])
        end as f,
        case when is_object then
            json_keys(text, ['$', '$.context', '$.properties', '$.traits'])
        end as keys
    from parsed
),
typed as (
    select
        path, line, text, is_utf8, f, keys,
        lower(f[2]) as event_type,
        utc(coalesce(f[6], f[7])) as occurred_at,
        utc(f[8]) as sent_at,
        utc(f[9]) as received_at,
        -- NULL: says none. What begins like an object and has no keys may be a text.
        case
            when f[15] is null then null
            when not starts_with(f[15], '{') then false
            when len(keys[3]) > 0 then true
            else json_type(text, '$.properties') = 'OBJECT'
        end as has_properties,
        case
            when f[16] is null then null
            when not starts_with(f[16], '{') then false
            when len(keys[4]) > 0 then true
            else json_type(text, '$.traits') = 'OBJECT'
        end as has_traits,
        case
            when len(keys[2]) > 0 then true
            when f is not null then json_type(text, '$.context') = 'OBJECT'
        end as has_context
    from fields
),
judged as (
    select
        *,
        case
            when not is_utf8 then 'not UTF-8'
            when f is null then 'not a JSON object'
            when case when f[2] is null then json_type(text, '$.batch') = 'ARRAY' end
                then 'a batch of calls; write its calls one per line (jq -c ".batch[]")'
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
            when not has_properties then 'properties are not an object'
            when not has_traits then 'traits are not an object'
            when coalesce(f[6], f[7]) is not null and occurred_at is null
                then 'originalTimestamp is not an ISO 8601 time'
            when f[9] is not null and received_at is null
                then 'receivedAt is not an ISO 8601 time'
            when f[8] is not null and sent_at is null then 'sentAt is not an ISO 8601 time'
            when greatest(occurred_at, received_at, sent_at) >= timestamp '2101-01-01'
                or least(occurred_at, received_at, sent_at) < timestamp '1990-01-01'
                then 'a time lies outside 1990 to 2100'
        end as reason
    from typed
),
counted as (
    select
        *,
        event_type not in ('track', 'page', 'screen') and f[16] is not null as keeps_properties,
        -- Of the keys that go, those seen to be there. An object with no more keys than these has
        -- no others; one with more may still have but keys that go.
        1 + (f[1] is not null)::tinyint + (f[6] is not null)::tinyint
            + (f[8] is not null)::tinyint + (f[9] is not null)::tinyint
            + case when f[4] is not null then 1
                else list_contains(keys[1], 'anonymousId')::tinyint end
            + case when f[5] is not null then 1
                else list_contains(keys[1], 'userId')::tinyint end
            + (case when event_type = 'track' then f[3] else f[17] end is not null)::tinyint
            + (f[6] is null and f[7] is not null)::tinyint
            + (f[15] is not null and not keeps_properties)::tinyint
            + (f[16] is not null)::tinyint + (f[18] is not null)::tinyint
            + (f[21] is not null)::tinyint + (f[22] is not null)::tinyint as n_gone,
        (f[20] is not null)::tinyint + (f[10] is not null)::tinyint
            + (f[11] is not null)::tinyint + (f[12] is not null)::tinyint
            + (f[13] is not null)::tinyint + (f[14] is not null)::tinyint as n_gone_of_context
    from judged
),
patched as (
    select
        *,
        case
            when case
                when len(keys[2]) > n_gone_of_context then json_type(text, '$.context.device')
            end = 'OBJECT'
                then '{"ip":null,"traits":null,"externalIds":null,"userAgent":null,"locale":null,'
                    '"timezone":null,"country":null,"channel":null,"device":{"id":null,'
                    '"advertisingId":null,"token":null,"name":null}}'
            else '{"ip":null,"traits":null,"externalIds":null,"userAgent":null,"locale":null,'
                '"timezone":null,"country":null,"channel":null}'
        end as gone_of_context
    from counted
)
select
    path,
    line,
    reason,
    case when reason is not null then text end as payload,
    -- Without an id, one from what the call says; of calls without a time each counts.
    case
        when coalesce(f[1], '') <> '' then f[1]
        when reason is null then 'content:'
            || md5(concat_ws('|', event_type, f[3], f[17], f[6], f[7], f[8], f[9], f[15]))
            || case when coalesce(f[6], f[7], f[8], f[9]) is null then ':' || line else '' end
    end as message_id,
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
    case
        when reason is not null then null
        when len(keys[1]) = n_gone then '{}'
        when has_context is not true or len(keys[1]) > n_gone + 1 then
            cast(json_merge_patch(
                text,
                '{"messageId":null,"type":null,"userId":null,"anonymousId":null,"previousId":null,'
                || '"traits":null,"userProperties":null,"rudderId":null,"request_ip":null,'
                || '"originalTimestamp":null,"sentAt":null,"receivedAt":null'
                || case when f[6] is null then ',"timestamp":null' else '' end
                || case when event_type = 'track' then ',"event":null' else ',"name":null' end
                || case when keeps_properties then '' else ',"properties":null' end
                || case when has_context then ',"context":' || gone_of_context else '' end
                || '}'
            ) as varchar)
        when len(keys[2]) = n_gone_of_context then '{"context":{}}'
        else '{"context":' || cast(json_merge_patch(
            json_extract(text, '$.context'), gone_of_context
        ) as varchar) || '}'
    end as envelope
from patched
