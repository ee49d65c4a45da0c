-- One row per accepted record of the files being loaded.
-- Names of people are replaced by their pseudonyms. What an event says is `redacted`; of what any
-- other call says of its person only what is `harmless` is kept (see resources/sources/redaction).
-- Money, quantities and currencies are written as plain numbers and codes, where they are understood.
-- A time zone that is none is not known. A record that tells no time at all happened, for all that
-- is known, when its file's load date began.
with cleared as (
    select
        * exclude (properties, envelope),
        is_suspect(concat_ws('|', event_name, user_agent, locale, country, channel))
            as has_suspect_columns,
        case
            when lower(coalesce(event_type, 'track')) in ('track', 'page', 'screen', 'request')
                then redacted(properties)
            else harmless(properties)
        end as properties,
        case
            when envelope is null then '{}'
            when envelope in ('{}', '{"context":{}}') then envelope
            else redacted(envelope)
        end as envelope
    from staged
    where reason is null
)
select
    case
        -- Derived from what the record says: of whom it says it is told by the pseudonyms alone.
        when starts_with(cleared.message_id, 'content:')
            then md5(concat_ws(
                ':', cleared.message_id,
                coalesce(person.pseudonym, ''), coalesce(device.pseudonym, '')
            ))
        else cleared.message_id
    end as message_id,
    $source as source,
    cleared.path,
    cleared.line,
    coalesce(cleared.event_type, 'track') as event_type,
    case when has_suspect_columns then redacted_text(cleared.event_name) else cleared.event_name end
        as event_name,
    device.pseudonym as anonymous_id,
    person.pseudonym as user_id,
    coalesce(cleared.occurred_at, cleared.received_at, cleared.sent_at, files.began_at)
        as occurred_at,
    cleared.sent_at,
    coalesce(cleared.received_at, cleared.sent_at, cleared.occurred_at, files.began_at)
        as received_at,
    case when has_suspect_columns then redacted_text(cleared.user_agent) else cleared.user_agent end
        as user_agent,
    case when has_suspect_columns then redacted_text(cleared.locale) else cleared.locale end
        as locale,
    zones.name as time_zone,
    read_country(cleared.country) as country,
    case when has_suspect_columns then redacted_text(cleared.channel) else cleared.channel end
        as channel,
    cleared.properties,
    cleared.envelope,
    files.load_date
from cleared
join files on files.path = cleared.path
left join time_zones as zones on zones.said = cleared.time_zone
left join pseudonyms as device on device.identifier = cleared.anonymous_key
left join pseudonyms as person on person.identifier = cleared.user_key
