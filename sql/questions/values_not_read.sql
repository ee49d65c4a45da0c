-- Of which source and field is more than $limit of the records' values there and not understood?
-- Who is named by nobody's name is counted elsewhere.
with counted as (
    select source, field, value, cast(sum(n_records) as bigint) as n_records
    from raw.unread_values
    where field not in ('user_id', 'anonymous_id')
    group by source, field, value
),
summed as (
    select source, field, cast(sum(n_records) as bigint) as n_unread,
        max_by(value, n_records) as most
    from counted
    group by source, field
),
loads as (
    select source, cast(sum(n_records - n_rejected) as bigint) as n_records
    from raw.loads
    group by source
)
select s.source, s.field, s.n_unread, l.n_records, s.most
from summed as s
join loads as l on l.source = s.source
where s.n_unread > $limit * l.n_records
order by s.source, s.field
