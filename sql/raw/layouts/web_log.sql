-- Access logs, one request per line; `requests` are the lines as their format splits them.
-- A request is one of three: what the tracking pixel tells (`track`, or `page` where its e is
-- "page"), a page that was read (`page`: GET, answered 2xx or 304, its path not among those to
-- ignore), anything else (`request`). The address is in none of the columns but, without a cookie,
-- in anonymous_key, which leaves as a keyed hash.
-- Pixel: /p.gif?e=Product+Viewed&uid=ann&ts=1751504523000&product_id=p1: e the event, uid the user
-- (see user_parameter), ts its time by the visitor's clock, as a number or a text (also when
-- it was sent: a pixel does not wait). The other parameters are the properties; one that comes
-- again is a list, one that holds a JSON list or object is that.
-- Two equal lines are two requests: the hash of what is kept of the content counts them, by line,
-- within their file. Nothing that names a person is hashed: a hash without a key can be guessed.
with addressed as (
    select
        *,
        regexp_replace(target, '[?#].*$', '') as path_text,
        case when contains(target, '?')
            then regexp_replace(regexp_replace(target, '^[^?]*\?', ''), '#.*$', '')
        end as query
    from requests
),
asked as (
    select
        *,
        coalesce(try(url_decode(path_text)), path_text) as page_path,
        coalesce(path_text = pixel, false) as is_pixel,
        list_transform(
            list_filter(string_split(replace(query, '+', '%20'), '&'), lambda pair: pair <> ''),
            lambda pair: {
                'key': coalesce(
                    try(url_decode(split_part(pair, '=', 1))), split_part(pair, '=', 1)
                ),
                'value': coalesce(
                    try(url_decode(regexp_replace(pair, '^[^=]*=?', ''))),
                    regexp_replace(pair, '^[^=]*=?', '')
                )
            }
        ) as pairs
    from addressed
),
told as (
    select
        *,
        case when is_pixel then
            list_filter(pairs, lambda pair: pair.key = 'e')[1].value
        end as event,
        case when is_pixel then
            list_filter(pairs, lambda pair: pair.key = user_parameter)[1].value
        end as user_text,
        case when is_pixel then
            nullif(list_filter(pairs, lambda pair: pair.key = 'ts')[1].value, '')
        end as told_text,
        '{' || array_to_string(
            list_transform(
                list_sort(list_distinct(list_transform(pairs, lambda pair: pair.key))),
                lambda name: cast(to_json(name) as varchar) || ':' || case
                    when len(list_filter(pairs, lambda pair: pair.key = name)) > 1
                        then cast(to_json(list_transform(
                            list_filter(pairs, lambda pair: pair.key = name),
                            lambda pair: pair.value
                        )) as varchar)
                    when regexp_matches(
                        list_filter(pairs, lambda pair: pair.key = name)[1].value, '^[\[{]'
                    ) and json_valid(list_filter(pairs, lambda pair: pair.key = name)[1].value)
                        then list_filter(pairs, lambda pair: pair.key = name)[1].value
                    else cast(to_json(
                        list_filter(pairs, lambda pair: pair.key = name)[1].value
                    ) as varchar)
                end
            ),
            ','
        ) || '}' as parameters
    from asked
),
timed as (
    select
        *,
        utc(told_text) as told_at,
        case
            when coalesce(event, '') = 'page' then 'page'
            when coalesce(event, '') <> '' then 'track'
            when method = 'GET' and (status between 200 and 299 or status = 304)
                and not is_pixel and not is_ignored then 'page'
            else 'request'
        end as event_type
    from told
),
said as (
    select
        *,
        cast(case
            when coalesce(event, '') <> '' then json_merge_patch(
                parameters,
                json_object('e', null, 'ts', null, user_parameter, null)
            )
            else json_object(
                'path', page_path,
                'query', cast(coalesce(parameters, '{}') as json),
                'referrer', regexp_replace(referrer, '[?#].*$', ''),
                'method', method,
                'status', status,
                'bytes', n_bytes
            )
        end as varchar) as properties
    from timed
),
counted as (
    select
        *,
        md5(concat_ws(
            chr(1), requested_at, told_at, event_type, event, redacted(properties), user_agent,
            redacted(others)
        )) as content
    from said
)
select
    path,
    line,
    case
        when not is_utf8 then 'not UTF-8'
        when not is_read then 'not in the log format'
        when requested_at is null then 'the time is not a time'
        when told_at is null and not is_no_time(told_text) then 'ts' || why_no_time(told_text)
        when greatest(requested_at, told_at) >= timestamp '2101-01-01'
            or least(requested_at, told_at) < timestamp '1990-01-01'
            then 'a time lies outside 1990 to 2100'
    end as reason,
    case when reason is not null then text end as payload,
    'content:' || md5(content || row_number() over (partition by path, content order by line))
        as message_id,
    event_type,
    case when event_type = 'track' then event end as event_name,
    visitor_key as anonymous_key,
    nullif(user_text, '') as user_key,
    coalesce(told_at, requested_at) as occurred_at,
    told_at as sent_at,
    requested_at as received_at,
    user_agent,
    cast(null as varchar) as locale,
    cast(null as varchar) as time_zone,
    cast(null as varchar) as country,
    'web' as channel,
    properties,
    others as envelope
from counted
