-- One row per product that an event of an order lists, test orders left out. Of the touched messages
-- alone. Money is in base currency, converted and rounded as clean.events does; native_amount is what
-- was said, before that, of a foreign one.
--
-- quantity: 1 where none is told or none can be read (10^9 and more is not believed), but 0 where a
-- refund tells money alone.
-- amount: price times quantity; the product's own total where that cannot be told, or is less.
-- discount: what the product says of a discount, where its amount is price times quantity.
with messages as (
    select message_id, event_name, n_products, products, fx_rate, is_foreign, units
    from messages
    where n_products > 0 and not is_test
),
positions as (
    select message_id, event_name, products, fx_rate, is_foreign, units,
        explode(sequence(0, cast(n_products as int) - 1, 1)) as position
    from messages
),
picked as (
    select message_id, event_name, position, fx_rate, is_foreign, units,
        get_json_object(products, '$[' || cast(position as string) || ']') as product
    from positions
),
listed as (
    select message_id, event_name, position, fx_rate, is_foreign, units,
        get_json_object(product, '$.product_id') as product_id,
        nullif(get_json_object(product, '$.quantity'), '') as quantity_said,
        try_cast(
            try_cast(get_json_object(product, '$.quantity') as decimal(28, 10)) as decimal(13, 4)
        ) as quantity,
        cast(try_cast(get_json_object(product, '$.price') as decimal(28, 10)) as double) as price,
        cast(coalesce(
            try_cast(get_json_object(product, '$.total') as decimal(28, 10)),
            try_cast(get_json_object(product, '$.revenue') as decimal(28, 10)),
            try_cast(get_json_object(product, '$.amount') as decimal(28, 10)),
            try_cast(get_json_object(product, '$.subtotal') as decimal(28, 10))
        ) as double) as total,
        cast(
            try_cast(get_json_object(product, '$.discount') as decimal(28, 10)) as double
        ) as discount
    from picked
),
counted as (
    select message_id, event_name, position, fx_rate, is_foreign, units, product_id, price, total,
        discount,
        quantity is null and quantity_said is not null as is_uncountable,
        coalesce(
            quantity,
            case
                when event_name = 'Order Refunded' and price is null and total is not null then 0
                else 1
            end
        ) as quantity
    from listed
),
valued as (
    select message_id, position, fx_rate, is_foreign, units, product_id, quantity, price, total,
        discount,
        case when not is_uncountable then price * cast(quantity as double) end as gross
    from counted
),
chosen as (
    select message_id, position, fx_rate, is_foreign, units, product_id, quantity, price,
        case
            when gross is null or gross = 0 or (total >= 0 and total < gross)
                then coalesce(total, gross)
            else gross
        end as amount,
        case when gross > 0 and total is null and discount > 0 and discount <= gross then discount
        end as discount
    from valued
),
converted as (
    select message_id, position, product_id, quantity, is_foreign,
        amount / units as native_amount,
        price / units * fx_rate as price,
        amount / units * fx_rate as amount,
        discount / units * fx_rate as discount
    from chosen
)
select message_id,
    position + 1 as line,
    product_id,
    quantity,
    try_cast(try_cast(price as decimal(28, 10)) as decimal(16, 4)) as price,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(amount)
                    * floor(abs(amount) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else amount
        end as decimal(28, 10)) as decimal(16, 4)) as amount,
    try_cast(try_cast(
        case
            when is_foreign
                then floor(discount * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else discount
        end as decimal(28, 10)) as decimal(16, 4)) as discount,
    case
        when is_foreign
            then try_cast(try_cast(native_amount as decimal(28, 10)) as decimal(16, 4))
    end as native_amount
from converted
