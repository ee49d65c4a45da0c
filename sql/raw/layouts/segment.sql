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
            when starts_with(text, '{') then is_json(text)
            when starts_with(ltrim(text, chr(9) || chr(10) || chr(13) || ' '), '{')
                then is_json(text)
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
        path, line, text, is_utf8, is_object,
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
            json_keys(text, ['$', '$.context', '$.properties'])
        end as keys
    from parsed
),
-- Out of the list once: every look into it costs.
named as (
    select
        path, line, text, is_utf8, is_object, keys[1] as keys, len(keys[1]) as n_keys,
        len(keys[2]) as n_keys_of_context, len(keys[3]) as n_keys_of_properties,
        f[1] as message_said, f[2] as type_said, f[3] as event_said, f[4] as anonymous_said,
        f[5] as user_said, f[6] as original_said, f[7] as timestamp_said, f[8] as sent_said,
        f[9] as received_said, f[10] as agent_said, f[11] as locale_said, f[12] as zone_said,
        f[13] as country_said, f[14] as channel_said, f[15] as properties_said,
        f[16] as traits_said, f[17] as name_said, f[18] as previous_said, f[19] as group_said,
        f[20] as ip_said, f[21] as rudder_said, f[22] as request_ip_said
    from fields
),
typed as (
    select
        *,
        lower(type_said) as event_type,
        utc(original_said) as original_at,
        case when original_at is null then utc(timestamp_said) else original_at end as occurred_at,
        utc(sent_said) as sent_at,
        utc(received_said) as received_at,
        -- NULL: says none. What begins like an object and has no keys may be a text.
        case
            when properties_said is null then null
            when not starts_with(properties_said, '{') then false
            when n_keys_of_properties > 0 then true
            else json_type(text, '$.properties') = 'OBJECT'
        end as has_properties,
        case
            when traits_said is null then null
            when not starts_with(traits_said, '{') then false
            else json_type(text, '$.traits') = 'OBJECT'
        end as has_traits,
        case
            when n_keys_of_context > 0 then true
            when is_object then json_type(text, '$.context') = 'OBJECT'
        end as has_context
    from named
),
judged as (
    select
        *,
        case
            when not is_utf8 then 'not UTF-8'
            when is_object is not true then 'not a JSON object'
            when case when type_said is null then json_type(text, '$.batch') = 'ARRAY' end
                then 'a batch of calls; write its calls one per line (jq -c ".batch[]")'
            when coalesce(type_said, '') = '' then 'type is missing'
            when not contains('|track|identify|page|screen|group|alias|', '|' || event_type || '|')
                then 'type is none of track, identify, page, screen, group, alias'
            when event_type = 'track' and coalesce(event_said, '') = ''
                then 'event is missing on a track call'
            when event_type = 'identify' and coalesce(anonymous_said, '') = ''
                and coalesce(user_said, '') = ''
                then 'userId and anonymousId are missing on an identify call'
            when event_type = 'group' and coalesce(group_said, '') = ''
                then 'groupId is missing on a group call'
            when event_type = 'alias' and coalesce(previous_said, '') = ''
                then 'previousId is missing on an alias call'
            when event_type = 'alias' and coalesce(user_said, '') = ''
                then 'userId is missing on an alias call'
            when not has_properties then 'properties are not an object'
            when not has_traits then 'traits are not an object'
            when original_at is null and not is_no_time(original_said)
                then 'originalTimestamp' || why_no_time(original_said)
            when occurred_at is null and not is_no_time(timestamp_said)
                then 'timestamp' || why_no_time(timestamp_said)
            when received_at is null and not is_no_time(received_said)
                then 'receivedAt' || why_no_time(received_said)
            when sent_at is null and not is_no_time(sent_said)
                then 'sentAt' || why_no_time(sent_said)
            when greatest(occurred_at, received_at, sent_at) >= timestamp '2101-01-01'
                or least(occurred_at, received_at, sent_at) < timestamp '1990-01-01'
                then 'a time lies outside 1990 to 2100'
        end as reason
    from typed
),
counted as (
    select
        *,
        -- The property of that name stays what it is, and the call's name is kept beside it.
        case
            when event_type in ('page', 'screen') and name_said is not null
                and contains(properties_said, '"name"')
                then json_exists(text, '$.properties.name')
                    and json_extract_string(text, '$.properties.name') is distinct from name_said
            else false
        end as has_another_name,
        event_type not in ('track', 'page', 'screen') and traits_said is not null
            as keeps_properties,
        -- Of the keys that go, those seen to be there. An object with no more keys than these has
        -- no others; one with more may still have but keys that go.
        1 + (message_said is not null)::tinyint + (original_said is not null)::tinyint
            + (sent_said is not null)::tinyint + (received_said is not null)::tinyint
            + case when anonymous_said is not null then 1
                else list_contains(keys, 'anonymousId')::tinyint end
            + case when user_said is not null then 1
                else list_contains(keys, 'userId')::tinyint end
            + (case
                when event_type = 'track' then event_said
                when not has_another_name then name_said
            end is not null)::tinyint
            + (original_said is null and timestamp_said is not null)::tinyint
            + (properties_said is not null and not keeps_properties)::tinyint
            + (traits_said is not null)::tinyint + (previous_said is not null)::tinyint
            + (rudder_said is not null)::tinyint + (request_ip_said is not null)::tinyint as n_gone,
        (ip_said is not null)::tinyint + (agent_said is not null)::tinyint
            + (locale_said is not null)::tinyint + (zone_said is not null)::tinyint
            + (country_said is not null)::tinyint + (channel_said is not null)::tinyint
            as n_gone_of_context
    from judged
),
patched as (
    select
        *,
        case
            when case
                when n_keys_of_context > n_gone_of_context then json_type(text, '$.context.device')
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
        when not is_no_message(message_said) then message_said
        when reason is null then 'content:'
            || md5(concat_ws(
                '|', event_type, event_said, name_said, original_said, timestamp_said, sent_said,
                received_said, properties_said
            ))
            || case
                when coalesce(original_said, timestamp_said, sent_said, received_said) is null
                    then ':' || line
                else ''
            end
    end as message_id,
    event_type,
    case when event_type = 'track' then event_said end as event_name,
    -- An alias says that the visitor, or the user under her previous id, is the user.
    nullif(case when event_type = 'alias' then previous_said else anonymous_said end, '')
        as anonymous_key,
    nullif(user_said, '') as user_key,
    occurred_at,
    sent_at,
    received_at,
    agent_said as user_agent,
    locale_said as locale,
    zone_said as time_zone,
    country_said as country,
    channel_said as channel,
    -- What a track call says of its person stays behind; what an identify call says, raw.events
    -- cuts down.
    case
        when reason is not null then null
        when event_type in ('page', 'screen') and name_said is not null
            then cast(json_merge_patch(
                json_object('name', name_said), coalesce(properties_said, '{}')
            ) as varchar)
        when event_type in ('track', 'page', 'screen') then coalesce(properties_said, '{}')
        else coalesce(traits_said, properties_said, '{}')
    end as properties,
    -- What no column holds and what names nobody: a merge patch takes the rest out.
    case
        when reason is not null then null
        when n_keys = n_gone then '{}'
        when has_context is not true or n_keys > n_gone + 1 then
            cast(json_merge_patch(
                text,
                '{"messageId":null,"type":null,"userId":null,"anonymousId":null,"previousId":null,'
                || '"traits":null,"userProperties":null,"rudderId":null,"request_ip":null,'
                || '"originalTimestamp":null,"sentAt":null,"receivedAt":null'
                || case when original_said is null then ',"timestamp":null' else '' end
                || case
                    when event_type = 'track' then ',"event":null'
                    when has_another_name then ''
                    else ',"name":null'
                end
                || case when keeps_properties then '' else ',"properties":null' end
                || case when has_context then ',"context":' || gone_of_context else '' end
                || '}'
            ) as varchar)
        when n_keys_of_context = n_gone_of_context then '{"context":{}}'
        else '{"context":' || cast(json_merge_patch(
            json_extract(text, '$.context'), gone_of_context
        ) as varchar) || '}'
    end as envelope
from patched
