-- Sensors Analytics (神策), one JSON object per line, as its SDKs send and its import tools read it.
-- Who: the user is login_id, else identities.$identity_login_id, else distinct_id where the record
-- says so: a track_signup, $is_login_id, or an anonymous_id beside it that differs. The visitor is
-- a track_signup's original_id (who the user was before), else anonymous_id, else the device in
-- identities, else (no user either) what else is in identities, else distinct_id.
-- A track_id_bind links the login id to one identity, which is the other one where the record has
-- the device's too. A track_id_unbind is rejected: what is linked stays linked, and that is seen.
-- What: track is an event, but $pageview is a page and $AppViewScreen, $MPViewScreen are screens;
-- track_signup ($SignUp) and profile_* say who somebody is, as Segment's identify does; item_* tell
-- of things and name nobody. Preset names that Segment has too get Segment's name.
-- When: time, _flush_time (by the sender's clock) and recv_time (by the collector's), milliseconds.
-- Without recv_time raw.events takes the sender's word: _flush_time, else time.
-- _track_id is a random number, not an id: the hash of what is kept of the content is, without the
-- times of sending. Nothing that names a person is hashed: a hash without a key can be guessed.
-- Properties lose the $ of the preset ones: $url is url, unless the shop has a url of its own, which
-- keeps its name as $url then keeps its $. What names a person or her place goes.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and is_json(text) and json_type(text) = 'OBJECT' then
            json_extract_string(text, [
                '/type', '/event', '/distinct_id', '/login_id', '/anonymous_id', '/original_id',
                '/time', '/_flush_time', '/recv_time', '/_track_id',
                '/identities/$identity_login_id', '/identities/$identity_anonymous_id',
                '/identities/$identity_cookie_id', '/identities/$identity_mp_id',
                '/identities/$identity_idfv', '/identities/$identity_android_id',
                '/identities/$identity_android_uuid', '/identities/$identity_harmony_uuid',
                '/properties', '/properties/$is_login_id', '/properties/$user_agent',
                '/properties/$lib', '/properties/$country', '/lib/$lib'
            ])
        end as f,
        case when is_utf8 and is_json(text) then json_type(text, '/properties') end
            as properties_type,
        case when is_utf8 and is_json(text) then json_keys(text, '/identities') end
            as identity_names
    from lines
    where trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
),
named as (
    select
        path, line, text, is_utf8, f, properties_type,
        f[1] as kind,
        starts_with(f[1], 'item_') as is_item,
        nullif(f[3], '') as distinct_id,
        nullif(f[5], '') as anonymous_id,
        coalesce(nullif(f[4], ''), nullif(f[11], '')) as login_id,
        coalesce(
            nullif(f[12], ''), nullif(f[13], ''), nullif(f[14], ''), nullif(f[15], ''),
            nullif(f[16], ''), nullif(f[17], ''), nullif(f[18], '')
        ) as device_id,
        -- What else the person is known by: a phone number, a union id, the shop's own.
        list_filter(
            identity_names,
            lambda name: name not in (
                '$identity_login_id', '$identity_anonymous_id', '$identity_cookie_id',
                '$identity_mp_id', '$identity_idfv', '$identity_android_id',
                '$identity_android_uuid', '$identity_harmony_uuid'
            ) and coalesce(json_extract_string(text, '/identities/' || name), '') <> ''
        ) as others,
        f[1] = 'track_id_bind' or (f[1] = 'track' and f[2] = '$BindID') as is_bind,
        f[1] = 'track_id_unbind' or (f[1] = 'track' and f[2] = '$UnbindID') as is_unbind,
        coalesce(instant_of_millis(f[7]), utc(f[7])) as occurred_at,
        coalesce(instant_of_millis(f[8]), utc(f[8])) as sent_at,
        coalesce(instant_of_millis(f[9]), utc(f[9])) as received_at
    from fields
),
known as (
    select
        *,
        coalesce(
            login_id,
            case
                when f[1] = 'track_signup' or f[20] = 'true' or anonymous_id <> distinct_id
                    then distinct_id
            end
        ) as user_id
    from named
),
told as (
    select
        *,
        coalesce(
            case when kind = 'track_signup' then nullif(nullif(f[6], ''), user_id) end,
            case when is_bind then json_extract_string(text, '/identities/' || others[1]) end,
            anonymous_id,
            device_id,
            case when user_id is null then json_extract_string(text, '/identities/' || others[1]) end,
            case when user_id is null or is_bind then nullif(distinct_id, user_id) end
        ) as visitor_id,
        case
            when kind = 'track' and f[2] = '$pageview' then 'page'
            when kind = 'track' and f[2] in ('$AppViewScreen', '$MPViewScreen') then 'screen'
            when (kind = 'track' and f[2] = '$SignUp') or is_bind then 'identify'
            when kind = 'track' then 'track'
            when kind = 'track_signup' or starts_with(kind, 'profile_') then 'identify'
            else kind
        end as event_type
    from known
),
judged as (
    select
        *,
        case
            when not is_utf8 then 'not UTF-8'
            when f is null then 'not a JSON object'
            when coalesce(kind, '') = '' then 'type is missing'
            when kind not in (
                'track', 'track_signup', 'profile_set', 'profile_set_once', 'profile_append',
                'profile_increment', 'profile_unset', 'profile_delete', 'item_set', 'item_delete',
                'track_id_bind', 'track_id_unbind'
            ) then 'type is none of track, track_signup, track_id_bind, profile_…, item_…'
            when is_unbind
                then 'an unbind would end a link between identities, and no link is ended'
            when is_bind and user_id is null then 'a bind without a login id'
            when is_bind and len(others) > 1 then 'a bind of several identities besides the device'
            when is_bind and visitor_id is null then 'a bind of nothing beside the login id'
            when kind = 'track' and coalesce(f[2], '') = ''
                then 'event is missing on a track record'
            when not is_item and coalesce(distinct_id, user_id, visitor_id) is null
                then 'distinct_id is missing'
            when occurred_at is null and coalesce(is_no_time(f[7]), true) then 'time is missing'
            when occurred_at is null then 'time' || why_no_time(f[7])
            when sent_at is null and not is_no_time(f[8]) then '_flush_time' || why_no_time(f[8])
            when received_at is null and not is_no_time(f[9])
                then 'recv_time' || why_no_time(f[9])
            when greatest(occurred_at, sent_at, received_at) >= timestamp '2101-01-01'
                or least(occurred_at, sent_at, received_at) < timestamp '1990-01-01'
                then 'a time lies outside 1990 to 2100'
            when coalesce(properties_type, 'NULL') not in ('OBJECT', 'NULL')
                then 'properties are not a JSON object'
        end as reason
    from told
),
said as (
    select
        *,
        -- A patch of NULLs takes keys out; what begins with $ inside of texts is left.
        case when reason is null then without_dollars(
            json_merge_patch(
                coalesce(f[19], '{}'),
                '{"$is_login_id": null, "$user_agent": null, "$share_distinct_id": null,
                "$ip": null, "$device_id": null, "$latitude": null, "$longitude": null}'
            )
        ) end as properties
    from judged
)
select
    path,
    line,
    reason,
    case when reason is not null then text end as payload,
    'content:' || md5(concat_ws(
        chr(1), kind, coalesce(f[2], ''), f[7], coalesce(f[10], ''),
        case when event_type = 'identify' then harmless(properties) else redacted(properties) end
    )) as message_id,
    event_type,
    case when event_type = 'track' then
        case f[2]
            when '$MPShare' then 'Product Shared'
            when '$AppInstall' then 'Application Installed'
            when '$AppStart' then 'Application Opened'
            when '$MPLaunch' then 'Application Opened'
            when '$AppEnd' then 'Application Backgrounded'
            when '$MPHide' then 'Application Backgrounded'
            else f[2]
        end
    end as event_name,
    case when not is_item then visitor_id end as anonymous_key,
    case when not is_item then user_id end as user_key,
    occurred_at,
    sent_at,
    received_at,
    f[21] as user_agent,
    cast(null as varchar) as locale,
    cast(null as varchar) as time_zone,
    case when regexp_matches(f[23], '^[A-Za-z]{2}$') then upper(f[23]) end as country,
    case lower(coalesce(f[22], f[24]))
        when 'js' then 'web'
        when 'miniprogram' then 'mini_program'
        when 'minigame' then 'mini_program'
        when 'ios' then 'app'
        when 'android' then 'app'
        when 'harmonyos' then 'app'
        when 'flutter' then 'app'
        when 'reactnative' then 'app'
    end as channel,
    properties,
    case when reason is null then regexp_replace(
        json_merge_patch(
            text,
            '{"properties": null, "distinct_id": null, "login_id": null, "anonymous_id": null,
            "original_id": null, "identities": null, "time": null, "_flush_time": null,
            "recv_time": null}'
        ),
        '"\$([A-Za-z0-9_]+)"\s*:', '"\1":', 'g'
    ) end as envelope
from said
