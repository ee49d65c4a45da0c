-- Rows of clean.events that make way: their file was touched, or an earlier copy has come to light.
with displaced as (
    select distinct message_id
    from copies
    where not is_touched and first_is_touched
),
leaving as (
    select e.rowid as row_id
    from clean.events as e
    join touched_files as f on f.source = e.source and f.path = e.path
    where f.was_seen
    union
    select e.rowid as row_id
    from clean.events as e
    join displaced as d on d.message_id = e.message_id
)
select e.rowid as row_id, e.message_id, e.member_id, e.visitor_id, e.is_logged_in, e.event_name,
    e.event_date, e.session_id, e.order_id
from clean.events as e
join leaving as l on l.row_id = e.rowid
