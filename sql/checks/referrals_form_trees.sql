-- Does every referral hang on a tree? Rows are those that do not: depth is one more than the
-- referrer's and the root is hers; a referrer whom nobody referred is the root herself. So no member
-- is above herself. A bound click without its referral is one whose root could not be found.
with referrals as (
    select member_id, referrer_id, depth, root_id
    from social.referrals
),
bound as (
    select member_id, referrer_id
    from social.share_clicks
    where outcome = 'bound'
)
select 'member ' || child.member_id || ' by ' || child.referrer_id as what
from referrals as child
left join referrals as parent on parent.member_id = child.referrer_id
where
    child.depth <> coalesce(parent.depth, 0) + 1
    or child.root_id <> coalesce(parent.root_id, child.referrer_id)
union all
select 'member ' || bound.member_id || ' by ' || bound.referrer_id as what
from bound
anti join referrals using (member_id, referrer_id)
order by what
