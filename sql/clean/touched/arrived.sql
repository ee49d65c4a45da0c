-- Records whose time has come since clean was last written, of files that are as clean has seen them.
with waiting as (
    select l.source, l.path, l.load_date
    from clean.loads as l
    left join touched_files as f on f.source = l.source and f.path = l.path
    where l.waits_from < $as_of and f.source is null
)
select e.source, e.path, e.line, e.load_date, e.message_id, e.anonymous_id, e.user_id
from raw.events as e
join waiting as w
    on w.source = e.source and w.path = e.path and w.load_date = e.load_date
where e.received_at >= $was_as_of and e.received_at < $as_of
