-- One row per running campaign and identified member: the first gate before the arm that shut.
-- In this order: erased, no consent, suppressed, no address, not in audience. Erased members are
-- not in clean.members any more; of suppressions only minors are known. Whom one of the
-- campaign's texts has nothing to say to is out of the audience, for both arms alike. What is
-- not known shuts a gate: `is not true`.
with campaigns as (
    select campaign_id, channel, variables from push.campaigns where is_running
),
members as (
    select member_id, is_minor, consented_channels, addressable_channels
    from clean.members
    where is_identified
),
audiences as (
    select campaign_id, member_id, true as is_selected from push.audiences
),
variables as (
    select member_id, missing from push.variables
),
candidates as (
    select
        campaigns.campaign_id,
        members.member_id,
        case
            when list_contains(members.consented_channels, campaigns.channel) is not true
                then 'no consent'
            when members.is_minor is not false then 'suppressed'
            when list_contains(members.addressable_channels, campaigns.channel) is not true
                then 'no address'
            when audiences.is_selected is null then 'not in audience'
        end as reason,
        case
            when list_has_any(campaigns.variables, variables.missing)
                then list_sort(list_intersect(campaigns.variables, variables.missing))[1]
        end as unknown_variable
    from campaigns
    cross join members
    left join audiences using (campaign_id, member_id)
    left join variables using (member_id)
)
select
    campaign_id,
    member_id,
    case
        when reason is not null then reason
        when unknown_variable is not null then 'not in audience'
    end as reason,
    case
        when reason = 'suppressed' then 'minor'
        when reason is null and unknown_variable is not null
            then 'no value for {' || unknown_variable || '}'
    end as rule
from candidates
