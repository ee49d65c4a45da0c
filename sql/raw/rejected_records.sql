-- One row per rejected record of the files being loaded, its payload masked.
select $source as source, bad.path, bad.line, bad.reason, bad.payload, files.load_date
from bad
join files on files.path = bad.path
