-- One row per event of an order that says something of its money as a whole, test orders left out.
-- Of the touched messages alone. In base currency, converted and rounded as clean.events does.
-- goods: what its products brought, by what it says (touched/messages.sql). native_amount is, of a
-- foreign message, what clean.events calls its amount, before conversion. is_unread: it tells an
-- amount that is not understood, or of a currency without a rate.
with messages as (
    select message_id, is_foreign, native_amount, is_unread,
        goods * fx_rate as goods, revenue * fx_rate as revenue, subtotal * fx_rate as subtotal,
        total * fx_rate as total, discount * fx_rate as discount, shipping * fx_rate as shipping,
        tax * fx_rate as tax
    from messages
    where event_name like 'Order %' and not is_test
        and (is_unread or coalesce(goods, discount, shipping, tax, native_amount) is not null)
)
select message_id,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(goods) * floor(abs(goods) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else goods
        end as decimal(28, 10)) as decimal(16, 4)) as goods,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(revenue) * floor(abs(revenue) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else revenue
        end as decimal(28, 10)) as decimal(16, 4)) as revenue,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(subtotal) * floor(abs(subtotal) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else subtotal
        end as decimal(28, 10)) as decimal(16, 4)) as subtotal,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(total) * floor(abs(total) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else total
        end as decimal(28, 10)) as decimal(16, 4)) as total,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(discount) * floor(abs(discount) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else discount
        end as decimal(28, 10)) as decimal(16, 4)) as discount,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(shipping) * floor(abs(shipping) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else shipping
        end as decimal(28, 10)) as decimal(16, 4)) as shipping,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(tax) * floor(abs(tax) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else tax
        end as decimal(28, 10)) as decimal(16, 4)) as tax,
    case
        when is_foreign
            then try_cast(try_cast(native_amount as decimal(28, 10)) as decimal(16, 4))
    end as native_amount,
    is_unread
from messages
