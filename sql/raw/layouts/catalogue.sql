-- Siyu's own catalogue layout, one JSON object per product or content and line.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and is_json(text) and json_type(text) = 'OBJECT' then
            json_extract_string(text, [
                '$.product_id', '$.kind', '$.title', '$.description', '$.category', '$.brand',
                '$.tags', '$.price', '$.currency', '$.cost', '$.stock', '$.is_hidden',
                '$.repurchase_days'
            ])
        end as f
    from lines
    where starts_with(text, '{') or trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
)
select
    path,
    line,
    case
        when not is_utf8 then 'not UTF-8'
        when f is null then 'not a JSON object'
        when coalesce(f[1], '') = '' then 'product_id is missing'
        when coalesce(f[2], 'product') not in ('product', 'content')
            then 'kind is neither product nor content'
        when f[8] is not null and try_cast(f[8] as decimal(18, 4)) is null
            then 'price is not a number'
        when f[7] is not null and try_cast(try_cast(f[7] as json) as varchar[]) is null
            then 'tags are not a list'
    end as reason,
    case when reason is not null then text end as payload,
    f[1] as product_id,
    coalesce(f[2], 'product') as kind,
    f[3] as title,
    f[4] as description,
    f[5] as category,
    f[6] as brand,
    coalesce(try_cast(try_cast(f[7] as json) as varchar[]), []) as tags,
    try_cast(f[8] as decimal(18, 4)) as price,
    f[9] as currency,
    try_cast(f[10] as decimal(18, 4)) as cost,
    try_cast(f[11] as bigint) as stock,
    coalesce(try_cast(f[12] as boolean), false) as is_hidden,
    try_cast(f[13] as integer) as repurchase_days
from fields
