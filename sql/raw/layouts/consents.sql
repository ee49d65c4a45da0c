-- Siyu's own consent layout, one JSON object per statement of a member and line.
-- Who said it: user_id, or the address (phone, email, openid, device_token), or both. What was said
-- is read in raw/consents.sql, as it is of a source with its own mapping: here only a record that
-- names nobody is refused.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and is_json(text) and json_type(text) = 'OBJECT' then
            json_extract_string(text, [
                '$.user_id', '$.channel', '$.purpose', '$.status', '$.at', '$.proof', '$.phone',
                '$.email', '$.openid', '$.device_token'
            ])
        end as f
    from lines
    where starts_with(text, '{') or trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
),
named as (
    select
        path, line, text, is_utf8, f,
        list_filter(
            [
                {'channel': 'sms', 'address': f[7]},
                {'channel': 'email', 'address': f[8]},
                {'channel': 'wechat', 'address': f[9]},
                {'channel': 'app_push', 'address': f[10]}
            ],
            lambda entry: trim(coalesce(entry.address, '')) <> ''
        ) as addresses
    from fields
)
select
    path,
    line,
    case
        when not is_utf8 then 'not UTF-8'
        when f is null then 'not a JSON object'
        when trim(coalesce(f[1], '')) = '' and len(addresses) = 0 then 'user_id is missing'
    end as reason,
    case when reason is not null then text end as payload,
    case when trim(f[1]) <> '' then f[1] end as user_key,
    addresses,
    f[2] as channel,
    coalesce(f[3], 'marketing') as purpose,
    f[4] as status,
    utc(f[5]) as "at",
    f[5] as at_said,
    f[6] as proof
from named
