-- Which values of records were not taken, by source and field, the most frequent first?
with counted as (
    select source, field, value, sum(n_records) as n_records
    from raw.unread_values
    group by source, field, value
),
ranked as (
    select source, field, value, n_records,
        row_number() over (partition by source, field order by n_records desc, value) as place
    from counted
)
select source,
    field,
    cast(sum(n_records) as bigint) as n_records,
    string_agg(value || ' (' || n_records || ')', ', ' order by place) filter (where place <= 3)
        as most
from ranked
group by source, field
order by source, field
