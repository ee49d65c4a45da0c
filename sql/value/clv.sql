-- One row per member with an order: her purchase history as Fader and Hardie define it, in days.
-- frequency: order days less one; recency: last less first order day; T: last complete day, the
-- one before run_date, less first order day; monetary_value: mean margin of her repeat order days,
-- the first left out, 0 without one.
-- A day sold at a loss is a repeat order, so it counts in frequency, but Gamma-Gamma knows values
-- above 0 only, so it stays out of monetary_value; in historic_clv everything counts.
-- average_order_value: mean margin of all her order days; average_gap_days: mean days between them.
-- What the models expect of her is added by assets/value/forecast.py.
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
        row_number() over (partition by member_id order by date) as nth
    from member_days
    where n_orders > 0
),

histories as (
    select
        member_id,
        count(*) - 1 as frequency,
        max(date) - min(date) as recency,
        $run_date - 1 - min(date) as T,
        avg(margin) filter (where nth > 1 and margin > 0) as monetary_value,
        avg(margin) as average_order_value
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
    cast(m.historic_clv as decimal(18, 4)) as historic_clv,
    h.average_order_value,
    h.recency / nullif(h.frequency, 0) as average_gap_days
from histories as h
join margins as m on m.member_id = h.member_id
order by h.member_id
