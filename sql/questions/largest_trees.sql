-- Whose tree bears most? The members at a root, with how many they brought, by level, and what
-- these have ordered since.
select
    root_id,
    count(*) as n_members,
    max(depth) as depth,
    count(*) filter (where depth = 1) as n_direct,
    count(*) filter (where depth = 2) as n_second,
    count(*) filter (where depth > 2) as n_further,
    sum(n_orders) as n_orders,
    sum(revenue) as revenue
from social.referrals
group by root_id
order by revenue desc, root_id
limit 20
