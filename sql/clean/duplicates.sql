-- One row per record that repeats a message: all copies but the one that counts. Of the touched
-- messages alone.
with copies as (
    select message_id, source, path, line, load_date, copy
    from copies
)
select source, path, line, message_id, load_date
from copies
where copy > 1
