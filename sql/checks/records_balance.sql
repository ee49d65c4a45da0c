-- Is every record accounted for? One row per file: what came in is in use, a repeat of a message, in
-- conflict with another of its id, rejected, or received later than as_of and waiting. Events are in use in clean.events, the records
-- of other entities in their raw tables.
with loads as (
    select source, path, entity, load_date, n_records from raw.loads
),
rejected as (
    select source, path, count(*) as n_rejected from raw.rejected_records group by source, path
),
used as (
    select source, path, count(*) as n_clean from clean.events group by source, path
    union all
    select source, path, count(*) as n_clean from raw.product_records group by source, path
    union all
    select source, path, count(*) as n_clean from raw.members group by source, path
    union all
    select source, path, count(*) as n_clean from raw.consents group by source, path
),
repeated as (
    select source, path, count(*) filter (where kind = 'repeated') as n_duplicates,
        count(*) filter (where kind = 'conflicting') as n_conflicting
    from clean.duplicates
    group by source, path
),
waiting as (
    select source, path, n_waiting from clean.loads
)
select
    loads.source,
    loads.path,
    loads.entity,
    loads.load_date,
    loads.n_records,
    coalesce(used.n_clean, 0) as n_clean,
    coalesce(repeated.n_duplicates, 0) as n_duplicates,
    coalesce(repeated.n_conflicting, 0) as n_conflicting,
    coalesce(rejected.n_rejected, 0) as n_rejected,
    coalesce(waiting.n_waiting, 0) as n_waiting,
    loads.n_records - coalesce(used.n_clean, 0) - coalesce(repeated.n_duplicates, 0)
        - coalesce(repeated.n_conflicting, 0)
        - coalesce(rejected.n_rejected, 0) - coalesce(waiting.n_waiting, 0) as n_missing
from loads
left join used using (source, path)
left join rejected using (source, path)
left join repeated using (source, path)
left join waiting using (source, path)
order by abs(n_missing) desc, loads.source, loads.path
