-- One row per product or tag that anybody viewed: how many members viewed it, and how many of
-- these ordered it at or after their first view. Who ordered without viewing before counts as
-- neither. For a tag, any of its products will do: viewed the one, ordered the other. An order that
-- was given back later is still a decision to buy. The Beta posterior over these counts is added by
-- assets/tags/bayes.py.
with member_products as (
    select member_id, product_id, first_viewed_at, last_ordered_at
    from features.member_products
),

product_tags as (
    select product_id, tag
    from tags.product_tags
    where score > 0
),

subjects as (
    select member_id, 'product' as kind, product_id as subject, first_viewed_at, last_ordered_at
    from member_products
    union all
    select mp.member_id, 'tag' as kind, pt.tag as subject, mp.first_viewed_at, mp.last_ordered_at
    from member_products as mp
    join product_tags as pt on pt.product_id = mp.product_id
),

members as (
    select
        member_id,
        kind,
        subject,
        min(first_viewed_at) as first_viewed_at,
        max(last_ordered_at) as last_ordered_at
    from subjects
    group by member_id, kind, subject
    having min(first_viewed_at) is not null
)

select
    kind,
    subject,
    count(*) as n_browsers,
    count(*) filter (where last_ordered_at >= first_viewed_at) as n_buyers
from members
group by kind, subject
order by kind, subject
