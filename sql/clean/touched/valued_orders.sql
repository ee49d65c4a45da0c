-- Orders whose lines, refunds or costs changed.
with products as (
    select product_id, cost, currency from raw.products where cost is not null
),
costs_that_changed as (
    (select product_id, cost, currency from products
        except select product_id, cost, currency from clean.product_costs)
    union
    (select product_id, cost, currency from clean.product_costs
        except select product_id, cost, currency from products)
),
refunds_that_changed as (
    (from clean.refunds except from was_refunds)
    union
    (from was_refunds except from clean.refunds)
)
select order_id from was_lines
union
select l.order_id
from clean.order_lines as l
join touched_orders as t on t.order_number = l.order_number
union
select order_id from refunds_that_changed where order_id <> ''
union
select l.order_id
from clean.order_lines as l
join costs_that_changed as c on c.product_id = l.product_id
