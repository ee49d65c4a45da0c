-- One row per accepted record of the files being loaded.
-- Names of people are replaced by their pseudonyms; keys that name a person directly lose their
-- value at any depth, and so do e-mail addresses wherever they stand. A time zone that is none is
-- not known.
with cleared as (
    select
        staged.*,
        case
            when regexp_matches(properties, $direct_pair)
                then regexp_replace(properties, $direct_pair, '"\1":null', 'g')
            else properties
        end as without_keys
    from staged
    where reason is null
)
select
    coalesce(cleared.message_id, $source || ':' || cleared.path || ':' || cleared.line)
        as message_id,
    $source as source,
    cleared.path,
    cleared.line,
    coalesce(cleared.event_type, 'track') as event_type,
    cleared.event_name,
    device.pseudonym as anonymous_id,
    person.pseudonym as user_id,
    cleared.occurred_at,
    cleared.sent_at,
    coalesce(cleared.received_at, cleared.sent_at, cleared.occurred_at) as received_at,
    cleared.user_agent,
    cleared.locale,
    zones.name as time_zone,
    cleared.country,
    cleared.channel,
    case
        when contains(without_keys, '@') then regexp_replace(without_keys, $email, '***', 'g')
        else without_keys
    end as properties,
    files.load_date
from cleared
join files on files.path = cleared.path
left join (select distinct name from pg_timezone_names()) as zones
    on zones.name = cleared.time_zone
left join pseudonyms as device
    on device.kind = 'anonymous_id' and device.identifier = cleared.anonymous_key
left join pseudonyms as person
    on person.kind = 'user_id' and person.identifier = cleared.user_key
