-- One row per identified member: what a template can say of her, and what it cannot.
-- Product: the first of her recommendations. Tag: her strongest that has not expired.
with members as (
    select member_id from clean.members where is_identified
),
recommended as (
    select member_id, product_id, reason from recommend.member_products where rank = 1
),
products as (
    select product_id, title from raw.products
),
interests as (
    select member_id, tag, score from tags.member_tags where expires_at > $as_of
),
lifecycle as (
    select member_id, stage, days_since_last_order from value.lifecycle
),
strongest as (
    select member_id, tag
    from interests
    qualify row_number() over (partition by member_id order by score desc, tag) = 1
),
spoken as (
    select
        members.member_id,
        nullif(trim(products.title), '') as product_title,
        recommended.reason as product_reason,
        strongest.tag,
        lifecycle.stage,
        cast(lifecycle.days_since_last_order as varchar) as days_since_last_order
    from members
    left join recommended using (member_id)
    left join products using (product_id)
    left join strongest using (member_id)
    left join lifecycle using (member_id)
)
select
    member_id,
    product_title,
    product_reason,
    tag,
    stage,
    days_since_last_order,
    list_filter(
        [
            case when product_title is null then 'product_title' end,
            case when product_reason is null then 'product_reason' end,
            case when tag is null then 'tag' end,
            case when stage is null then 'stage' end,
            case when days_since_last_order is null then 'days_since_last_order' end
        ],
        lambda name: name is not null
    ) as missing
from spoken
