-- One row per member and tag: her interests, the 20 that set her apart most.
-- strength s = sum over her products of max(weight, 0) * tag score; S = sum of s over her tags;
-- g = the shop's share of the tag, sum of s over sum of S; K = prior_weight.
--   score = (s + K g) / (S + K): her share of the tag, shrunk towards the shop's;
--   lift = score / g: above 1, more hers than the average member's;
--   rank by lift * sqrt(s): what everybody likes says little of her, and the root keeps a single
--     view of something rare behind what she comes back to;
--   support = views, carts, shares and orders behind it; confidence = support / (support + K);
--   expires_at = when s, as of the last interaction, has decayed to 0.05 (a view counts 1), though
--   never less than one half-life after it;
--   is_sensitive = the tag is one that no message may speak of.
-- Ranking looks at the keys alone and the rest is joined afterwards: a window over wide rows is
-- ten times as slow.
with member_products as (
    select
        member_id,
        product_id,
        weight,
        n_views + n_carts + n_shares + n_orders as n_interactions,
        first_at,
        last_at
    from features.member_products
    where weight > 0
),

product_tags as (
    select product_id, tag, score, is_sensitive
    from tags.product_tags
    where score > 0
),

-- Summed as decimals, so that the order of rows cannot change the last digit.
interests as (
    select
        mp.member_id,
        pt.tag,
        sum(cast(mp.weight * pt.score as decimal(38, 18))) as strength,
        cast(sum(mp.n_interactions) as bigint) as support,
        min(mp.first_at) as first_seen_at,
        max(mp.last_at) as last_seen_at
    from member_products as mp
    join product_tags as pt on pt.product_id = mp.product_id
    group by mp.member_id, pt.tag
    having strength > 0
),

member_totals as (
    select member_id, cast(sum(strength) as double) as total
    from interests
    group by member_id
),

shop_total as (
    select cast(sum(strength) as double) as total
    from interests
),

shop_shares as (
    select tag, cast(sum(strength) as double) / (select total from shop_total) as shop_share
    from interests
    group by tag
),

sensitive_tags as (
    select distinct tag
    from product_tags
    where is_sensitive
),

scored as (
    select
        i.member_id,
        i.tag,
        cast(i.strength as double) as strength,
        g.shop_share,
        (cast(i.strength as double) + $prior_weight * g.shop_share)
        / (t.total + $prior_weight) as score
    from interests as i
    join member_totals as t on t.member_id = i.member_id
    join shop_shares as g on g.tag = i.tag
),

ranked as (
    select
        member_id,
        tag,
        score,
        row_number() over (
            partition by member_id
            order by round(score / shop_share * sqrt(strength), 9) desc, tag
        ) as rank
    from scored
)

select
    r.member_id,
    r.tag,
    -- A single tag's score is 1 up to the last digit of a division.
    least(r.score, 1) as score,
    r.score / g.shop_share as lift,
    r.rank,
    i.support,
    i.support / (i.support + $prior_weight) as confidence,
    i.first_seen_at,
    i.last_seen_at,
    i.last_seen_at + to_seconds(
        86400 * $half_life_days * log2(
            greatest(
                cast(i.strength as double) / 0.05
                * power(2, (epoch($as_of) - epoch(i.last_seen_at)) / 86400 / $half_life_days),
                2
            )
        )
    ) as expires_at,
    st.tag is not null as is_sensitive
from ranked as r
join interests as i on i.member_id = r.member_id and i.tag = r.tag
join shop_shares as g on g.tag = r.tag
left join sensitive_tags as st on st.tag = r.tag
where r.rank <= 20
