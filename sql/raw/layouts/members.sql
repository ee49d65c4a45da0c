-- Siyu's own member layout, one JSON object per member and line.
-- Phone, e-mail and openid leave as `addresses` for the vault and stay nowhere else. The app is
-- reached by device token, or by the user id as the push provider's alias.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and is_json(text) and json_type(text) = 'OBJECT' then
            json_extract_string(text, [
                '$.user_id', '$.signed_up_at', '$.locale', '$.time_zone', '$.country',
                '$.birth_year', '$.channel', '$.attributes', '$.phone', '$.email', '$.openid',
                '$.device_token'
            ])
        end as f
    from lines
    where starts_with(text, '{') or trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
),
timed as (
    select *, f[2] as signed_up_said, utc(f[2]) as signed_up_at
    from fields
)
select
    path,
    line,
    case
        when not is_utf8 then 'not UTF-8'
        when f is null then 'not a JSON object'
        when coalesce(f[1], '') = '' then 'user_id is missing'
        when signed_up_at is null and not is_no_time(signed_up_said)
            then 'signed_up_at' || why_no_time(signed_up_said)
        when signed_up_at not between timestamp '1990-01-01'
            and timestamp '2101-01-01' then 'signed_up_at lies outside 1990 to 2100'
    end as reason,
    case when reason is not null then text end as payload,
    f[1] as user_key,
    signed_up_at,
    f[3] as locale,
    f[4] as time_zone,
    f[5] as country,
    f[6] as birth_year,
    f[7] as channel,
    coalesce(f[8], '{}') as attributes,
    list_filter(
        [
            {'channel': 'sms', 'address': f[9]},
            {'channel': 'email', 'address': f[10]},
            {'channel': 'wechat', 'address': f[11]},
            {'channel': 'app_push', 'address': coalesce(f[12], f[1])}
        ],
        lambda entry: coalesce(entry.address, '') <> ''
    ) as addresses
from timed
