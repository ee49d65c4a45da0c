-- One row per identified member: what a template can say of her, and what it cannot.
-- Tag: the interest that sets her apart most, that has not expired and is not sensitive. Product
-- and reason: of the first of her recommendations that names, in title or reason, neither a
-- sensitive tag nor a product that carries one.
with members as (
    select member_id from clean.members where is_identified
),
member_products as (
    select member_id, rank, product_id, reason from recommend.member_products
),
products as (
    select product_id, trim(title) as title from clean.products
),
interests as (
    select member_id, tag, rank
    from tags.member_tags
    where expires_at > $as_of and not is_sensitive
),
sensitive_tags as (
    select product_id, tag from tags.product_tags where is_sensitive
),
lifecycle as (
    select member_id, stage, days_since_last_order from value.lifecycle
),
strongest as (
    select member_id, tag
    from interests
    qualify row_number() over (partition by member_id order by rank, tag) = 1
),
sensitive_words as (
    select tag as word from sensitive_tags
    union
    select products.title as word
    from products
    join sensitive_tags using (product_id)
    where products.title <> ''
),
unspeakable as (
    select distinct texts.text
    from (select title as text from products union select reason from member_products) as texts
    join sensitive_words on contains(texts.text, sensitive_words.word)
),
speakable as (
    select member_products.member_id, min(member_products.rank) as rank
    from member_products
    left join products using (product_id)
    where
        member_products.reason not in (select text from unspeakable)
        and coalesce(products.title, '') not in (select text from unspeakable)
        and member_products.product_id not in (select product_id from sensitive_tags)
    group by member_products.member_id
),
recommended as (
    select member_products.member_id, member_products.product_id, member_products.reason
    from member_products
    join speakable using (member_id, rank)
),
spoken as (
    select
        members.member_id,
        nullif(products.title, '') as product_title,
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
