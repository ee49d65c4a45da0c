-- Which records wait for a later as_of, by source, and until when?
with waiting as (
    select source, n_waiting, waits_until
    from clean.loads
    where n_waiting > 0
    union all
    select source, 1 as n_waiting, signed_up_at as waits_until
    from raw.members
    where signed_up_at >= (select max(as_of) from clean.loads)
    union all
    select source, 1 as n_waiting, counts_at as waits_until
    from raw.consents
    where counts_at >= (select max(as_of) from clean.loads)
)
select source, cast(sum(n_waiting) as bigint) as n_waiting, max(waits_until) as waits_until
from waiting
group by source
order by source
