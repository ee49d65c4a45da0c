-- Every copy of the touched messages, numbered: the first copy counts (by received_at, then
-- load_date, source, path, line; ids are global, so sources share one numbering).
-- is_touched: it lies in a touched file, or its time has come. first_is_touched: that is so of the
-- copy that counts.
with copies as (
    select e.message_id, e.source, e.path, e.line, e.load_date, e.received_at,
        f.source is not null or a.source is not null as is_touched
    from raw.events as e
    join touched_messages as m on m.message_id = e.message_id
    left join touched_files as f on f.source = e.source and f.path = e.path
    left join arrived as a on a.source = e.source and a.path = e.path and a.line = e.line
    where e.received_at < $as_of
),
numbered as (
    select message_id, source, path, line, load_date, is_touched,
        row_number() over (
            partition by message_id order by received_at, load_date, source, path, line
        ) as copy
    from copies
)
select message_id, source, path, line, load_date, is_touched, copy,
    bool_or(is_touched and copy = 1) over (partition by message_id) as first_is_touched
from numbered
