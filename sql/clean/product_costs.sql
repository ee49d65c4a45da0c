-- One row per product whose cost is known, as clean.order_items last counted it.
with products as (
    select product_id, cost, currency
    from raw.products
    where cost is not null
)
select product_id,
    cost,
    currency
from products
