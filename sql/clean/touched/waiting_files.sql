-- Files of which clean keeps anew what waits: the touched ones, and those of which something came.
select source, path, load_date
from touched_files
union
select source, path, load_date
from arrived
