-- Rows of clean.events, not in themselves changed, whose member or verdict has turned.
select e.rowid as row_id
from clean.events as e
join moved_visitors as m on m.visitor_id = e.visitor_id
where not e.is_logged_in
union
select e.rowid as row_id
from clean.events as e
join bot_dates as b on b.visitor_id = e.visitor_id and b.event_date = e.event_date
where b.rule = 'many_views'
union
select e.rowid as row_id
from clean.events as e
join bot_dates as b
    on b.visitor_id = case when e.is_logged_in then e.member_id else e.visitor_id end
    and b.event_date = e.event_date
where b.rule = 'many_clicks' and e.event_name like '%Clicked'
