-- Order numbers of which something was said anew, or is said no more.
select order_id as order_number
from gone
where event_name in ('Order Completed', 'Order Cancelled') and order_id is not null
union
select order_id as order_number
from messages
where event_name in ('Order Completed', 'Order Cancelled') and order_id is not null
