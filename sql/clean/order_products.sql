-- One row per product that an event of an order lists, test orders left out. Of the touched messages
-- alone. quantity is 1 where none can be read. price and amount are in base currency, converted and
-- rounded as clean.events does.
with messages as (
    select message_id, n_products, products, fx_rate, is_foreign, units
    from messages
    where n_products > 0 and not is_test
),
positions as (
    select message_id, products, fx_rate, is_foreign, units,
        explode(sequence(0, cast(n_products as int) - 1, 1)) as position
    from messages
),
listed as (
    select message_id, position, fx_rate, is_foreign, units,
        get_json_object(products, '$[' || cast(position as string) || '].product_id') as product_id,
        coalesce(try_cast(round(try_cast(
            get_json_object(products, '$[' || cast(position as string) || '].quantity') as double
        )) as int), 1) as quantity,
        try_cast(
            get_json_object(products, '$[' || cast(position as string) || '].price') as double
        ) as price
    from positions
),
converted as (
    select message_id, position, product_id, quantity, is_foreign,
        price / units * fx_rate as price,
        price * quantity / units * fx_rate as amount
    from listed
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
        end as decimal(28, 10)) as decimal(16, 4)) as amount
from converted
