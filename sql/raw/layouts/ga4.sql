-- Google Analytics 4's BigQuery export, one event per line: JSON as BigQuery writes it (whole
-- numbers as texts), or the rows of a Parquet file (read as the same JSON).
-- Who: user_id; user_pseudo_id is the visitor. An event sent without consent has neither.
-- When: event_timestamp is microseconds UTC. It was received event_server_timestamp_offset later.
-- What: names of Google's that Segment has too become Segment's; page_view is a page, screen_view a
-- screen; other names stay. Parameters become properties, under Segment's names where it has one;
-- items become products, their own fields kept, and the only item of an event about one product is
-- that product. The price of an item is after its discount. A purchase or refund whose ecommerce
-- record says no money has that of its parameter value. A parameter that has the Segment name already keeps it, and Google's keeps its own.
-- (not set) is Google's NULL. user_properties tell of the person and go.
-- There is no id: the hash of what is kept of the content is. A day's table is sent again for three
-- days; under the same file name it replaces what it gave.
with fields as (
    select
        path, line, text, is_utf8,
        case when is_utf8 and is_json(text) and json_type(text) = 'OBJECT' then
            json_extract_string(regexp_replace(text, ':\s*"\(not set\)"', ':null', 'g'), [
                '/event_name', '/event_timestamp', '/user_id', '/user_pseudo_id',
                '/event_server_timestamp_offset', '/event_bundle_sequence_id',
                '/batch_event_index', '/batch_page_id', '/batch_ordering_id',
                '/event_params', '/items', '/ecommerce/transaction_id',
                '/ecommerce/purchase_revenue', '/ecommerce/refund_value', '/ecommerce/tax_value',
                '/ecommerce/shipping_value', '/device/language', '/platform', '/geo/country',
                '/stream_id'
            ])
        end as f
    from lines
    where trim(text, chr(9) || chr(10) || chr(13) || ' ') <> ''
),
read as (
    select
        *,
        coalesce(instant_of_micros(f[2]), utc(f[2])) as occurred_at,
        try_cast(f[5] as bigint) as offset_micros,
        case when json_valid(f[10]) then from_json(
            f[10],
            '[{"key": "VARCHAR", "value": {"string_value": "VARCHAR", "int_value": "BIGINT",
            "float_value": "DOUBLE", "double_value": "DOUBLE"}}]'
        ) end as params,
        case when json_valid(f[11]) then coalesce(json_type(f[11]) = 'ARRAY', false) else false end
            as has_items,
        case when has_items then case when json_array_length(f[11]) > 0 then
            regexp_replace(regexp_replace(regexp_replace(regexp_replace(
                f[11],
                '"item_id"\s*:', '"product_id":', 'g'),
                '"discount"\s*:', '"discount_in_price":', 'g'),
                '"item_(name|brand|category|variant)"\s*:', '"\1":', 'g'),
                '"item_list_index"\s*:', '"position":', 'g')
        end end as products,
        list_transform(params, lambda param: param.key) as own_names,
        list_transform(
            list_filter(params, lambda param: param.key is not null),
            lambda param: {
                'key': param.key,
                'name': case param.key
                    when 'transaction_id' then 'order_id'
                    when 'search_term' then 'query'
                    when 'page_location' then 'url'
                    when 'page_referrer' then 'referrer'
                    when 'page_title' then 'title'
                    when 'item_id' then 'product_id'
                    when 'item_list_id' then 'list_id'
                    when 'method' then 'share_via'
                    else param.key
                end,
                'value': param."value"
            }
        ) as named
    from fields
),
told as (
    select
        *,
        '{' || array_to_string(
            list_transform(
                named,
                lambda param: cast(to_json(case
                    -- The shop's own parameter of that name keeps it.
                    when param.name <> param.key and list_contains(own_names, param.name)
                        then param.key
                    else param.name
                end) as varchar) || ':' || coalesce(
                    cast(to_json(param."value".string_value) as varchar),
                    cast(param."value".int_value as varchar),
                    cast(to_json(param."value".double_value) as varchar),
                    cast(to_json(param."value".float_value) as varchar),
                    'null'
                )
            ),
            ','
        ) || '}' as parameters,
        case f[1]
            when 'view_item' then 'Product Viewed'
            when 'view_item_list' then 'Product List Viewed'
            when 'select_item' then 'Product Clicked'
            when 'add_to_cart' then 'Product Added'
            when 'remove_from_cart' then 'Product Removed'
            when 'add_to_wishlist' then 'Product Added to Wishlist'
            when 'view_cart' then 'Cart Viewed'
            when 'begin_checkout' then 'Checkout Started'
            when 'add_shipping_info' then 'Checkout Step Completed'
            when 'add_payment_info' then 'Payment Info Entered'
            when 'purchase' then 'Order Completed'
            when 'refund' then 'Order Refunded'
            when 'share' then 'Product Shared'
            when 'search' then 'Products Searched'
            when 'view_search_results' then 'Products Searched'
            when 'view_promotion' then 'Promotion Viewed'
            when 'select_promotion' then 'Promotion Clicked'
            when 'sign_up' then 'Signed Up'
            when 'login' then 'Signed In'
            else f[1]
        end as event_name,
        case f[1] when 'page_view' then 'page' when 'screen_view' then 'screen' else 'track' end
            as event_type,
        case when json_array_length(products) = 1 and f[1] in (
            'view_item', 'select_item', 'add_to_cart', 'remove_from_cart', 'add_to_wishlist',
            'share'
        ) then json_extract_string(
            products, ['/0/product_id', '/0/name', '/0/price', '/0/quantity']
        ) end as only_product
    from read
),
judged as (
    select
        *,
        case
            when not is_utf8 then 'not UTF-8'
            when f is null then 'not a JSON object'
            when coalesce(f[1], '') = '' then 'event_name is missing'
            when occurred_at is null and coalesce(is_no_time(f[2]), true)
                then 'event_timestamp is missing'
            when occurred_at is null then 'event_timestamp' || why_no_time(f[2])
            when occurred_at >= timestamp '2101-01-01' or occurred_at < timestamp '1990-01-01'
                then 'event_timestamp lies outside 1990 to 2100'
            when f[10] is not null and params is null
                then 'event_params are not a list of key and value'
            when f[11] is not null and not has_items then 'items are not a list'
        end as reason
    from told
),
said as (
    select
        *,
        case when reason is null then cast(json_merge_patch(
            coalesce(parameters, '{}'),
            -- Laid upon nothing, an object loses its NULLs: they must not take a parameter away.
            json_merge_patch('{}', json_object(
                'order_id', case when list_position(own_names, 'order_id') is null then f[12] end,
                'revenue', coalesce(
                    nullif(try_cast(f[13] as double), 0),
                    case when f[1] = 'refund' then nullif(try_cast(f[14] as double), 0) end,
                    -- Of a record that says nothing the parameter value is what is left.
                    case when coalesce(json_extract_string(parameters, '$.value'), '0') = '0' then
                        coalesce(
                            try_cast(f[13] as double),
                            case when f[1] = 'refund' then try_cast(f[14] as double) end
                        )
                    end
                ),
                'tax', try_cast(f[15] as double),
                'shipping', try_cast(f[16] as double),
                'product_id', case when list_position(own_names, 'product_id') is null
                    then only_product[1] end,
                'name', case when list_position(own_names, 'name') is null then only_product[2] end,
                'price', case when list_position(own_names, 'price') is null
                    then try_cast(only_product[3] as double) end,
                'quantity', case when list_position(own_names, 'quantity') is null
                    then try_cast(only_product[4] as double) end,
                'products', cast(products as json)
            ))
        ) as varchar) end as properties
    from judged
)
select
    path,
    line,
    reason,
    case when reason is not null then text end as payload,
    'content:' || md5(concat_ws(
        chr(1), f[1], f[2], coalesce(f[6], ''), coalesce(f[7], ''), coalesce(f[8], ''),
        coalesce(f[9], ''), coalesce(f[20], ''), redacted(properties)
    )) as message_id,
    event_type,
    case when event_type = 'track' then event_name end as event_name,
    nullif(f[4], '') as anonymous_key,
    nullif(f[3], '') as user_key,
    occurred_at,
    cast(null as timestamp) as sent_at,
    -- Beyond a month the offset is a broken clock's.
    case when offset_micros between 0 and 2678400000000
        then occurred_at + to_microseconds(offset_micros)
    end as received_at,
    cast(null as varchar) as user_agent,
    f[17] as locale,
    cast(null as varchar) as time_zone,
    case when regexp_matches(f[19], '^[A-Za-z]{2}$') then upper(f[19]) end as country,
    case lower(f[18]) when 'web' then 'web' when 'android' then 'app' when 'ios' then 'app' end
        as channel,
    properties,
    case when reason is null then cast(json_merge_patch(
        text,
        '{"event_params": null, "items": null, "user_id": null, "user_pseudo_id": null,
        "user_properties": null, "event_timestamp": null,
        "device": {"advertising_id": null, "vendor_id": null}}'
    ) as varchar) end as envelope
from said
