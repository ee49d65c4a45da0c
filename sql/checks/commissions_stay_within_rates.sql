-- Is no order paid for twice? Rows are orders of which the levels together take more than shop.yaml's
-- rates of what it brought; rounding may add half of the smallest coin a level.
with commissions as (
    select order_id, sum(amount) as amount, count(*) as n_levels
    from social.commissions
    group by order_id
),
orders as (
    select order_id, case $commission_base when 'margin' then margin else net_revenue end as base
    from clean.orders
)
select 'order ' || commissions.order_id || ': ' || commissions.amount as what
from commissions
left join orders using (order_id)
where
    commissions.amount > greatest(coalesce(orders.base, 0), 0)
    * coalesce(list_sum($commission_rates::double[]), 0)
    + commissions.n_levels * 0.5 * power(10, -$base_minor_units) + 1e-9
order by what
