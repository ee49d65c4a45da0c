-- Of which source do more than $limit of the records carry another's id with other content? With the
-- id that most of them carry, how many do, and where the first stands.
with conflicting as (
    select source, path, line, message_id,
        count(*) over (partition by source) as n_conflicting,
        count(*) over (partition by source, message_id) as n_of_one
    from clean.duplicates
    where kind = 'conflicting'
),
loads as (
    select source, cast(sum(n_records) as bigint) as n_records
    from raw.loads
    group by source
),
ranked as (
    select source, path, line, message_id, n_conflicting, n_of_one,
        row_number() over (partition by source order by n_of_one desc, path, line) as place
    from conflicting
)
select r.source, r.n_conflicting, l.n_records, r.message_id, r.n_of_one, r.path, r.line
from ranked as r
join loads as l on l.source = r.source
where r.place = 1 and r.n_conflicting > $limit * l.n_records
order by r.source
