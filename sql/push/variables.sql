-- One row per identified member: what a template can say of them, and what it cannot.
-- Product and reason: of the first recommendation that serves an interest of the member's which has
-- not expired and is not sensitive; of the first that has a tag, else of the first at all, where
-- none does. Passed over is what tells, by product or by reason, of a sensitive product or tag.
-- Tag: a tag of that product, the interest that sets the member apart most, else the product's own
-- strongest; without a product the interest that sets them apart most.
-- A value that holds a brace, or says that there is none, is not fit to be sent.
with members as (
    select member_id from clean.members where is_identified
),
member_products as (
    select member_id, rank, product_id, reason from recommend.member_products
),
products as (
    select product_id, nullif(trim(title), '') as title from clean.products
),
sensitive_products as (
    select product_id from tags.products where is_sensitive
),
product_tags as (
    select product_id, tag, score, is_sensitive from tags.product_tags
),
interests as (
    select member_id, tag, rank
    from tags.member_tags
    where expires_at > $as_of and not is_sensitive
),
lifecycle as (
    select member_id, stage, days_since_last_order from value.lifecycle
),
sensitive_tags as (
    select distinct tag from product_tags where is_sensitive
),
-- A reason tells of a product by its title, by its id where it has none.
subjects as (
    select coalesce(products.title, sensitive_products.product_id) as subject
    from sensitive_products
    left join products using (product_id)
    union
    select tag as subject from sensitive_tags
),
reasons as (
    select distinct
        reason,
        regexp_extract(
            reason,
            '^(?:because you (?:ordered|shared|viewed|put)|popular in|new in)'
            || ' (.*?)( in your cart)?$',
            1
        ) as subject
    from member_products
),
unspeakable as (
    select reason from reasons join subjects using (subject)
    union
    select reasons.reason
    from reasons
    join sensitive_tags on contains(reasons.reason, sensitive_tags.tag)
),
speakable as (
    select member_products.member_id, member_products.rank, member_products.product_id
    from member_products
    anti join sensitive_products using (product_id)
    anti join unspeakable using (reason)
),
strongest_tags as (
    select product_id, min_by(tag, (-score, tag)) as tag
    from product_tags
    where not is_sensitive
    group by product_id
),
of_interest as (
    select
        speakable.member_id,
        min(speakable.rank) as rank,
        min_by(interests.tag, (speakable.rank, interests.rank, interests.tag)) as tag
    from speakable
    join product_tags using (product_id)
    join interests
        on interests.member_id = speakable.member_id and interests.tag = product_tags.tag
    group by speakable.member_id
),
of_none as (
    select
        speakable.member_id,
        min_by(speakable.rank, (strongest_tags.tag is null, speakable.rank)) as rank,
        min_by(strongest_tags.tag, (strongest_tags.tag is null, speakable.rank)) as tag
    from speakable
    left join strongest_tags using (product_id)
    anti join of_interest using (member_id)
    group by speakable.member_id
),
recommended as (
    select
        chosen.member_id, chosen.tag, member_products.product_id, member_products.reason
    from (select * from of_interest union all select * from of_none) as chosen
    join member_products using (member_id, rank)
),
strongest as (
    select member_id, min_by(tag, (rank, tag)) as tag
    from interests
    group by member_id
),
spoken as (
    select
        members.member_id,
        recommended.product_id,
        products.title as product_title,
        recommended.reason as product_reason,
        case when recommended.product_id is null then strongest.tag else recommended.tag end as tag,
        lifecycle.stage,
        cast(lifecycle.days_since_last_order as varchar) as days_since_last_order
    from members
    left join recommended using (member_id)
    left join products using (product_id)
    left join strongest using (member_id)
    left join lifecycle using (member_id)
),
said as (
    select
        *,
        [
            {'name': 'product_title', 'said': product_title},
            {'name': 'product_reason', 'said': product_reason},
            {'name': 'tag', 'said': tag},
            {'name': 'stage', 'said': stage},
            {'name': 'days_since_last_order', 'said': days_since_last_order}
        ] as variables
    from spoken
)
select
    member_id,
    product_id,
    product_title,
    product_reason,
    tag,
    stage,
    days_since_last_order,
    list_transform(
        list_filter(variables, lambda v: v.said is null), lambda v: v.name
    ) as missing,
    list_transform(
        list_filter(variables, lambda v: coalesce(regexp_matches(v.said, $brace), false)),
        lambda v: v.name
    ) as with_braces,
    list_transform(
        list_filter(variables, lambda v: coalesce(regexp_full_match(v.said, $no_value), false)),
        lambda v: v.name
    ) as without_meaning
from said
