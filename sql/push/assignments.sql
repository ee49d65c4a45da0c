-- One row per campaign and member who once passed the gates before the arm; never changed.
-- Bucket: first 32 bits of md5('salt|campaign_id|member_id'), modulo 10,000. The salt and the
-- campaign make the split of one campaign independent of every other's. Arms hold per address: where
-- somebody who has the same address on the campaign's channel was assigned before, a member takes
-- over the first one's bucket and arm.
with eligibility as (
    select campaign_id, member_id from push.eligibility where reason is null
),
campaigns as (
    select campaign_id, version, channel from push.campaigns
),
arms as (
    select campaign_id, arm, first_bucket, n_buckets, propensity from push.arms
),
assignments as (
    select campaign_id, member_id, bucket, arm, propensity, assigned_at
    from push.assignments
    where assigned_at < $as_of
),
addresses as (
    select member_id, channel, address_hash from clean.member_addresses
),
newcomers as (
    select
        campaign_id,
        member_id,
        cast('0x' || left(md5(concat_ws('|', $salt, campaign_id, member_id)), 8) as bigint) % 10000
            as bucket
    from eligibility
    anti join assignments using (campaign_id, member_id)
),
newcomers_by_address as (
    select newcomers.campaign_id, newcomers.member_id, addresses.channel, addresses.address_hash
    from newcomers
    join campaigns using (campaign_id)
    join addresses
        on addresses.member_id = newcomers.member_id and addresses.channel = campaigns.channel
),
taken_over as (
    select
        newcomers_by_address.campaign_id,
        newcomers_by_address.member_id,
        assignments.bucket,
        assignments.arm,
        assignments.propensity
    from newcomers_by_address
    join addresses using (channel, address_hash)
    join assignments
        on assignments.campaign_id = newcomers_by_address.campaign_id
        and assignments.member_id = addresses.member_id
    qualify row_number() over (
        partition by newcomers_by_address.campaign_id, newcomers_by_address.member_id
        order by assignments.assigned_at, assignments.member_id
    ) = 1
)
select
    newcomers.campaign_id,
    newcomers.member_id,
    campaigns.version,
    coalesce(taken_over.bucket, newcomers.bucket) as bucket,
    coalesce(taken_over.arm, arms.arm) as arm,
    coalesce(taken_over.propensity, arms.propensity) as propensity,
    $as_of as assigned_at
from newcomers
join campaigns using (campaign_id)
left join taken_over using (campaign_id, member_id)
join arms
    on arms.campaign_id = newcomers.campaign_id
    and newcomers.bucket >= arms.first_bucket
    and newcomers.bucket < arms.first_bucket + arms.n_buckets
