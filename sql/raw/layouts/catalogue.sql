-- Siyu's own catalogue layout, one JSON object per product or content and line.
-- A product whose price, currency, stock or visibility is told and not understood is rejected: it
-- might else be shown, or sold, though it must not.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and is_json(text) and json_type(text) = 'OBJECT' then
            json_extract_string(clear_decimals(text), [
                '$.product_id', '$.kind', '$.title', '$.description', '$.category', '$.brand',
                '$.tags', '$.price', '$.currency', '$.cost', '$.stock', '$.is_hidden',
                '$.repurchase_days'
            ])
        end as f
    from lines
    where starts_with(text, '{') or trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
),
said as (
    select
        path, line, text, is_utf8, f,
        case when not says_nothing(f[8]) then f[8] end as price_said,
        case when not says_nothing(f[9]) then f[9] end as currency_said,
        case when not says_nothing(f[10]) then f[10] end as cost_said,
        case when not says_nothing(f[11]) then f[11] end as stock_said,
        case when not says_nothing(f[12]) then f[12] end as hidden_said,
        case when not says_nothing(f[13]) then f[13] end as repurchase_said
    from fields
),
read as (
    select
        *,
        read_currency(currency_said) as currency,
        coalesce(read_currency(currency_said), getvariable('base_currency')) as price_currency,
        try_cast(read_money(price_said, price_currency) as decimal(18, 4)) as price,
        try_cast(read_money(cost_said, price_currency) as decimal(18, 4)) as cost,
        -- Of what is weighed, whole units are left.
        try_cast(floor(read_quantity(stock_said)) as bigint) as stock,
        read_is_hidden(hidden_said) as is_hidden,
        read_tags(f[7]) as tags,
        read_quantity(repurchase_said) as repurchase_days
    from said
)
select
    path,
    line,
    case
        when not is_utf8 then 'not UTF-8'
        when f is null then 'not a JSON object'
        when coalesce(f[1], '') = '' then 'product_id is missing'
        when read_id(f[1]) is null then 'product_id names no product'
        when coalesce(f[2], 'product') not in ('product', 'content')
            then 'kind is neither product nor content'
        when currency_said is not null and currency is null
            then 'currency is not an ISO 4217 code'
        when price_said is not null and price is null
            then 'price is not a number, or of another currency'
        when price < 0 then 'price is negative'
        when cost_said is not null and cost is null
            then 'cost is not a number, or of another currency'
        when cost < 0 then 'cost is negative'
        when stock_said is not null and stock is null then 'stock is not a number'
        when hidden_said is not null and is_hidden is null then 'is_hidden is neither true nor false'
        when repurchase_said is not null and (
            repurchase_days is null or repurchase_days < 0 or repurchase_days > 36525
            or repurchase_days <> floor(repurchase_days)
        ) then 'repurchase_days is not a number of days'
        when tags is null and not says_nothing(f[7]) then 'tags are not a list'
    end as reason,
    case when reason is not null then text end as payload,
    read_id(f[1]) as product_id,
    coalesce(f[2], 'product') as kind,
    f[3] as title,
    f[4] as description,
    f[5] as category,
    f[6] as brand,
    coalesce(tags, []) as tags,
    price,
    currency,
    cost,
    stock,
    coalesce(is_hidden, false) as is_hidden,
    try_cast(repurchase_days as integer) as repurchase_days
from read
