-- Which declared sources are behind, by how many days, and since when? Behind the day that all is told
-- as of ($last_date) is a source of files whose newest load date lies before it by at least as many
-- days as usually lie between two of its load dates; what came on one date alone has no rhythm, and
-- is behind for nothing. Behind the clock is a server that was not asked since a day was over that is
-- over now ($last_day_over). What never gave anything has no date.
with sources as (
    select source, entity, is_pulled, asked_at
    from raw.sources
),
load_dates as (
    select distinct source, load_date
    from raw.loads
),
gaps as (
    select
        source,
        load_date,
        load_date - lag(load_date) over (partition by source order by load_date) as gap_days
    from load_dates
),
rhythms as (
    select source, max(load_date) as newest_date, median(gap_days) as usual_gap_days
    from gaps
    group by source
),
known as (
    select
        s.source,
        s.entity,
        s.is_pulled,
        r.usual_gap_days,
        case
            when s.is_pulled
                then cast(from_utc_timestamp(s.asked_at, $time_zone) as date) - 1
            else r.newest_date
        end as known_until
    from sources as s
    left join rhythms as r on r.source = s.source
),
judged as (
    select
        source,
        entity,
        is_pulled,
        known_until,
        case when is_pulled then $last_day_over else $last_date end - known_until as days_behind,
        coalesce(case when is_pulled then 1 else usual_gap_days end, 1e9) as usual_gap_days
    from known
)
select source, entity, is_pulled, known_until, cast(days_behind as integer) as days_behind
from judged
where known_until is null or days_behind >= greatest(usual_gap_days, 1)
order by days_behind desc nulls first, source
