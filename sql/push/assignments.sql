-- One row per campaign and member who once passed the gates before the arm; never changed.
-- Bucket: first 32 bits of md5('salt|campaign_id|member_id'), modulo 10,000. The salt and the
-- campaign make the split of one campaign independent of every other's.
with eligibility as (
    select campaign_id, member_id from push.eligibility where reason is null
),
campaigns as (
    select campaign_id, version from push.campaigns
),
arms as (
    select campaign_id, arm, first_bucket, n_buckets, propensity from push.arms
),
assignments as (
    select campaign_id, member_id from push.assignments where assigned_at < $as_of
),
newcomers as (
    select
        campaign_id,
        member_id,
        cast('0x' || left(md5(concat_ws('|', $salt, campaign_id, member_id)), 8) as bigint) % 10000
            as bucket
    from eligibility
    anti join assignments using (campaign_id, member_id)
)
select
    newcomers.campaign_id,
    newcomers.member_id,
    campaigns.version,
    newcomers.bucket,
    arms.arm,
    arms.propensity,
    $as_of as assigned_at
from newcomers
join campaigns using (campaign_id)
join arms
    on arms.campaign_id = newcomers.campaign_id
    and newcomers.bucket >= arms.first_bucket
    and newcomers.bucket < arms.first_bucket + arms.n_buckets
