-- One row per running campaign and identified member: the first gate before the arm that shut.
-- In this order: erased, no consent, suppressed, no address, not in audience, unfit text, shared
-- address. Erased
-- members are not in clean.members any more; of suppressions only minors are known. Whom one of the
-- campaign's texts has nothing to say to is out of the audience, for both arms alike. What is
-- not known shuts a gate: `is not true`.
-- Consent and suppression hold per address: where one of the members who have the same address on
-- the campaign's channel has withdrawn it, or is a minor, nobody is messaged there. Of those whom no
-- gate shuts, the one with the smallest member_id stands for the address.
with campaigns as (
    select campaign_id, channel, variables from push.campaigns where is_running
),
members as (
    select member_id, is_minor, consented_channels, addressable_channels
    from clean.members
    where is_identified
),
member_addresses as (
    select member_id, channel, address_hash from clean.member_addresses
),
addresses as (
    select
        member_addresses.channel,
        member_addresses.address_hash,
        bool_or(list_contains(everybody.withdrawn_channels, member_addresses.channel))
            as is_withdrawn,
        bool_or(everybody.is_minor is not false) as has_minor
    from member_addresses
    join clean.members as everybody using (member_id)
    group by member_addresses.channel, member_addresses.address_hash
    having count(*) > 1
),
shared as (
    select member_id, channel, address_hash, is_withdrawn, has_minor
    from member_addresses
    join addresses using (channel, address_hash)
),
audiences as (
    select campaign_id, member_id, true as is_selected from push.audiences
),
variables as (
    select member_id, missing, with_braces, without_meaning from push.variables
),
candidates as (
    select
        campaigns.campaign_id,
        members.member_id,
        shared.address_hash,
        case
            when list_contains(members.consented_channels, campaigns.channel) is not true
                or shared.is_withdrawn
                then 'no consent'
            when members.is_minor is not false or shared.has_minor then 'suppressed'
            when list_contains(members.addressable_channels, campaigns.channel) is not true
                then 'no address'
            when audiences.is_selected is null then 'not in audience'
        end as reason,
        case
            when list_contains(members.consented_channels, campaigns.channel) is not true then null
            when shared.is_withdrawn then 'withdrawn by another member of the address'
            when members.is_minor is not false then 'minor'
            when shared.has_minor then 'a minor has the address too'
        end as rule,
        case
            when list_has_any(campaigns.variables, variables.missing)
                then list_sort(list_intersect(campaigns.variables, variables.missing))[1]
        end as unknown_variable,
        case
            when list_has_any(campaigns.variables, variables.with_braces)
                then '{'
                    || list_sort(list_intersect(campaigns.variables, variables.with_braces))[1]
                    || '} holds a brace'
            when list_has_any(campaigns.variables, variables.without_meaning)
                then '{'
                    || list_sort(list_intersect(campaigns.variables, variables.without_meaning))[1]
                    || '} says nothing'
        end as unfit_variable
    from campaigns
    cross join members
    left join audiences using (campaign_id, member_id)
    left join variables using (member_id)
    left join shared
        on shared.member_id = members.member_id and shared.channel = campaigns.channel
),
judged as (
    select
        campaign_id,
        member_id,
        address_hash,
        case
            when reason is not null then reason
            when unknown_variable is not null then 'not in audience'
            when unfit_variable is not null then 'unfit text'
        end as reason,
        case
            when reason is null and unknown_variable is not null
                then 'no value for {' || unknown_variable || '}'
            when reason is null then unfit_variable
            else rule
        end as rule
    from candidates
),
standing as (
    select campaign_id, address_hash, min(member_id) as member_id
    from judged
    where reason is null and address_hash is not null
    group by campaign_id, address_hash
)
select
    judged.campaign_id,
    judged.member_id,
    case
        when judged.reason is null and standing.member_id <> judged.member_id
            then 'shared address'
        else judged.reason
    end as reason,
    case
        when judged.reason is null and standing.member_id <> judged.member_id
            then 'another member stands for the address'
        else judged.rule
    end as rule
from judged
left join standing
    on standing.campaign_id = judged.campaign_id and standing.address_hash = judged.address_hash
