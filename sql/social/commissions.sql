-- One row per order of a referred member and level at which it pays: level 1 to her who brought
-- her, level 2 to her who brought that one. Of orders alone, never by head-count, and two levels at
-- most. Without rates in shop.yaml nobody earns anything.
--
-- Only orders placed once both were bound count. Nothing goes to minors. base_amount is what is
-- left of the order today, so refunds lower it and cancellation voids it; a return that is booked as
-- an order of its own, below zero, takes its amount off. The table says what is owed as all is known
-- today, by today's rates and ages: where an amount already paid has since changed, or its row is
-- gone because a late file told otherwise of who brought whom, whoever pays sets off the difference.
-- pending: refunds are likely yet.
with referrals as (
    select member_id, referrer_id, bound_at
    from social.referrals
),

orders as (
    select
        order_id,
        member_id,
        ordered_at,
        order_date,
        status = 'cancelled' as is_cancelled,
        case $commission_base when 'margin' then margin else net_revenue end as worth,
        case when net_revenue < 0 then least(worth, 0) else greatest(worth, 0) end as base
    from clean.orders
    where order_date < $run_date
),

members as (
    select member_id, is_minor
    from clean.members
),

rates as (
    select
        unnest(generate_series(1, len(cast($commission_rates as decimal(9, 6)[])))) as level,
        unnest(cast($commission_rates as decimal(9, 6)[])) as rate
),

payees as (
    select member_id as referred_id, referrer_id as member_id, 1 as level, bound_at
    from referrals
    union all
    select
        r.member_id as referred_id,
        above.referrer_id as member_id,
        2 as level,
        greatest(r.bound_at, above.bound_at) as bound_at
    from referrals as r
    join referrals as above on above.member_id = r.referrer_id
)

select
    o.order_id,
    p.level,
    p.member_id,
    p.referred_id,
    o.base as base_amount,
    r.rate,
    round(o.base * r.rate, cast($base_minor_units as integer)) as amount,
    $base_currency as currency,
    o.order_date as earned_date,
    o.order_date + cast($commission_hold_days as integer) as payable_date,
    case
        when o.is_cancelled or o.base = 0 then 'void'
        when o.order_date + cast($commission_hold_days as integer) <= $run_date then 'payable'
        else 'pending'
    end as status
from payees as p
join rates as r on r.level = p.level
join orders as o on o.member_id = p.referred_id and o.ordered_at >= p.bound_at
join members as m on m.member_id = p.member_id
where not m.is_minor and r.rate > 0
