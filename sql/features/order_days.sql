-- One row per member and order day: the days of features.member_days with an order whose net revenue
-- is above 0 (not cancelled, not given back in full, not free), each beside the one before and the
-- one after. median_gap_days is the median of the member's gaps so far, NULL on the first order day.
with member_days as (
    select member_id, date, net_revenue, margin
    from features.member_days
    where n_orders > 0 and date < $run_date
),

numbered as (
    select
        member_id,
        date,
        row_number() over by_date as nth,
        min(date) over by_date as first_date,
        lag(date) over by_date as previous_order_date,
        lead(date) over by_date as next_order_date,
        datediff(date, lag(date) over by_date) as gap_days,
        net_revenue,
        margin
    from member_days
    window by_date as (partition by member_id order by date)
),

-- Engines differ in whether a median may look back from each row; a join may everywhere.
medians as (
    select n.member_id, n.nth, median(earlier.gap_days) as median_gap_days
    from numbered as n
    join numbered as earlier
        on earlier.member_id = n.member_id and earlier.nth > 1 and earlier.nth <= n.nth
    group by n.member_id, n.nth
)

select
    n.member_id,
    n.date,
    n.nth,
    n.first_date,
    n.previous_order_date,
    n.gap_days,
    m.median_gap_days,
    n.next_order_date,
    n.net_revenue,
    n.margin
from numbered as n
left join medians as m on m.member_id = n.member_id and m.nth = n.nth
