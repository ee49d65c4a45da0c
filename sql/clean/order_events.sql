-- One row per event that speaks of an order, test orders left out. Of rewritten events alone.
-- namespace: within which its order numbers tell orders apart; its source where none is declared.
with events as (
    select message_id, source, path, event_name, member_id, visitor_id, is_logged_in, occurred_at,
        order_id, channel, product_id, quantity, price, amount, currency, n_products, is_test
    from rewritten
),
loads as (
    select source, path, order_namespace
    from raw.loads
)
select e.message_id,
    coalesce(l.order_namespace, e.source) as namespace,
    e.event_name,
    e.member_id,
    e.visitor_id,
    e.is_logged_in,
    e.occurred_at,
    e.order_id as order_number,
    e.channel,
    e.product_id,
    e.quantity,
    e.price,
    e.amount,
    e.currency,
    e.n_products
from events as e
join loads as l on l.source = e.source and l.path = e.path
where e.event_name like 'Order %' and not e.is_test
