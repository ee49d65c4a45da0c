-- Messages of which a copy lies, or lay, in a touched file, or has come with its time.
select e.message_id
from raw.events as e
join touched_files as f
    on f.source = e.source and f.path = e.path and f.load_date = e.load_date
union
select message_id from arrived
union
select e.message_id
from clean.events as e
join touched_files as f on f.source = e.source and f.path = e.path
where f.was_seen
union
select d.message_id
from clean.duplicates as d
join touched_files as f on f.source = d.source and f.path = d.path
where f.was_seen
