-- One row per member with an order day: the purchase history as Fader and Hardie define it, in days.
-- An order day is a date with an order whose net revenue is above 0 (features.member_days).
-- frequency: order days less one; recency: last less first order day; T: last complete day, the
-- one before run_date, less first order day; monetary_value: mean margin of the repeat order days,
-- the first left out, 0 without one. All of these days count, with a profit or at a loss.
-- profitable_repeats: of the repeat order days, those with a margin above 0; profitable_value: the
-- mean margin of these, 0 without one, which is what Gamma-Gamma is fitted to.
-- margin_per_order_day: mean margin of all order days; average_gap_days: mean days between them.
-- historic_clv: margin of all days so far, also of orders that were given back in full since.
-- silent_stage: lost or churn_risk where the days since the last order alone make the member so, by
-- the rules of value.lifecycle_history; silent_days: these days.
-- What the models expect of the member is added by assets/value/forecast.py.
with member_days as (
    select member_id, date, n_orders, margin
    from features.member_days
    where date < $run_date
),

order_days as (
    select
        member_id,
        date,
        margin,
        date - lag(date) over by_date as gap_days,
        row_number() over by_date as nth
    from member_days
    where n_orders > 0
    window by_date as (partition by member_id order by date)
),

histories as (
    select
        member_id,
        count(*) - 1 as frequency,
        max(date) - min(date) as recency,
        $run_date - 1 - min(date) as T,
        $run_date - max(date) as silent_days,
        avg(margin) filter (where nth > 1) as monetary_value,
        count(*) filter (where nth > 1 and margin > 0) as profitable_repeats,
        avg(margin) filter (where nth > 1 and margin > 0) as profitable_value,
        avg(margin) as margin_per_order_day,
        median(gap_days) as median_gap_days
    from order_days
    group by member_id
),

margins as (
    select member_id, sum(margin) as historic_clv
    from member_days
    group by member_id
)

select
    h.member_id,
    h.frequency,
    cast(h.recency as double) as recency,
    cast(h.T as double) as T,
    coalesce(h.monetary_value, 0) as monetary_value,
    h.profitable_repeats,
    coalesce(h.profitable_value, 0) as profitable_value,
    cast(m.historic_clv as decimal(18, 4)) as historic_clv,
    h.margin_per_order_day,
    h.recency / nullif(h.frequency, 0) as average_gap_days,
    case
        when h.silent_days > $lost_days then 'lost'
        when
            h.silent_days > greatest(
                $active_days,
                least($dormant_days, floor($gap_multiple * h.median_gap_days))
            )
            then 'churn_risk'
    end as silent_stage,
    h.silent_days
from histories as h
join margins as m on m.member_id = h.member_id
order by h.member_id
