-- Visitors and dates whose pace must be looked at anew: where messages came or went.
with moves as (
    select visitor_id, member_id, is_logged_in, event_date, event_name from messages
    union all
    select visitor_id, member_id, is_logged_in, event_date, event_name from gone
)
select visitor_id, event_date
from moves
where event_name = 'Product Viewed' and visitor_id is not null
union
select case when is_logged_in then member_id else visitor_id end as visitor_id, event_date
from moves
where event_name like '%Clicked' and visitor_id is not null
