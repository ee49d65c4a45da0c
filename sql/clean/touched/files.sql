-- Files that clean has not yet seen as they are: new, changed or taken away.
with loads as (
    select source, path, entity, load_date, sha256, declaration
    from raw.loads
),
seen as (
    select source, path, entity, load_date, sha256, declaration
    from clean.loads
)
select
    coalesce(l.source, s.source) as source,
    coalesce(l.path, s.path) as path,
    coalesce(l.entity, s.entity) as entity,
    coalesce(l.load_date, s.load_date) as load_date,
    s.source is not null as was_seen
from loads as l
full join seen as s on s.source = l.source and s.path = l.path
where l.source is null
    or s.source is null
    or (l.entity, l.load_date, l.sha256, l.declaration)
        <> (s.entity, s.load_date, s.sha256, s.declaration)
