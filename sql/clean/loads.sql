-- One row per file whose records clean holds, as it last saw it. n_waiting: records received at
-- as_of or later, which are not there yet, from waits_from to waits_until. definition: a hash of what
-- the tables depend on besides files. Of touched files, and of those whose records' time has come.
with files as (
    select source, path, load_date
    from waiting_files
),
loads as (
    select source, path, entity, load_date, sha256, declaration
    from raw.loads
),
waiting as (
    select e.source, e.path, count(*) as n_waiting,
        min(e.received_at) as waits_from, max(e.received_at) as waits_until
    from raw.events as e
    join files as f
        on f.source = e.source and f.path = e.path and f.load_date = e.load_date
    where e.received_at >= $as_of
    group by e.source, e.path
)
select l.source,
    l.path,
    l.entity,
    l.load_date,
    l.sha256,
    l.declaration,
    coalesce(w.n_waiting, 0) as n_waiting,
    w.waits_from,
    w.waits_until,
    $definition as definition,
    $as_of as as_of
from loads as l
join files as f on f.source = l.source and f.path = l.path
left join waiting as w on w.source = l.source and w.path = l.path
