-- One row per event that speaks of an order, test orders left out. Of rewritten events alone.
with events as (
    select message_id, event_name, member_id, occurred_at, order_id, channel, product_id, quantity,
        price, amount, n_products, is_test
    from rewritten
)
select message_id,
    event_name,
    member_id,
    occurred_at,
    order_id,
    channel,
    product_id,
    quantity,
    price,
    amount,
    n_products
from events
where event_name like 'Order %' and not is_test
