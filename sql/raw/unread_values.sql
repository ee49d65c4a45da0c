-- One row per value that records of the files being loaded say and that names nobody or nothing.
select $source as source, unread.path, unread.field, unread.value,
    cast(sum(unread.n_records) as bigint) as n_records, files.load_date
from unread
join files on files.path = unread.path
group by all
