-- Siyu's own consent layout, one JSON object per statement of a member and line.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and is_json(text) and json_type(text) = 'OBJECT' then
            json_extract_string(text, [
                '$.user_id', '$.channel', '$.purpose', '$.status', '$.at', '$.proof'
            ])
        end as f
    from lines
    where starts_with(text, '{') or trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
),
timed as (
    select *, f[5] as said, utc(f[5]) as "at"
    from fields
)
select
    path,
    line,
    case
        when not is_utf8 then 'not UTF-8'
        when f is null then 'not a JSON object'
        when coalesce(f[1], '') = '' then 'user_id is missing'
        when coalesce(f[2], '') = '' then 'channel is missing'
        when coalesce(f[4], '') not in ('granted', 'denied', 'revoked')
            then 'status is not granted, denied or revoked'
        when "at" is null and coalesce(is_no_time(said), true) then 'at is missing'
        when "at" is null then 'at' || why_no_time(said)
        when "at" not between timestamp '1990-01-01'
            and timestamp '2101-01-01' then 'at lies outside 1990 to 2100'
    end as reason,
    case when reason is not null then text end as payload,
    f[1] as user_key,
    f[2] as channel,
    coalesce(f[3], 'marketing') as purpose,
    f[4] as status,
    "at",
    f[6] as proof
from timed
