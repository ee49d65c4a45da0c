-- One row per message to send: the decisions of this run that say sent, each in her own words.
-- Text: her locale, else its parents (zh-Hant-TW, zh-Hant, zh), else the campaign's fallback.
-- dedupe_key: sha256('campaign_id|version|member_id|channel|slot'); what another run has already
-- listed is not repeated.
with decisions as (
    select campaign_id, version, member_id, arm, channel, slot, send_at
    from push.decisions
    where run_date = $run_date and outcome = 'sent'
),
campaigns as (
    select campaign_id, fallback_locale, offer, unit_cost, expires_hours from push.campaigns
),
templates as (
    select campaign_id, arm, locale, template, variables from push.templates
),
members as (
    select member_id, replace(coalesce(locale, $default_locale), '_', '-') as locale
    from clean.members
),
values_of_members as (
    select member_id, product_id, product_title, product_reason, tag, stage, days_since_last_order
    from push.variables
),
listed as (
    select dedupe_key from push.push_list where run_date <> $run_date
),
messages as (
    select
        decisions.*,
        members.locale as member_locale,
        sha256(
            concat_ws(
                '|',
                decisions.campaign_id,
                decisions.version,
                decisions.member_id,
                decisions.channel,
                decisions.slot
            )
        ) as dedupe_key
    from decisions
    join members using (member_id)
),
texts as (
    select
        wanted.campaign_id,
        wanted.arm,
        wanted.member_locale,
        if(templates.locale = 'und', wanted.member_locale, templates.locale) as locale,
        templates.template,
        templates.variables,
        starts_with(lower(wanted.member_locale) || '-', lower(templates.locale) || '-') as is_hers
    from (select distinct campaign_id, arm, member_locale from messages) as wanted
    join templates using (campaign_id, arm)
    join campaigns using (campaign_id)
    where is_hers or templates.locale = campaigns.fallback_locale
    qualify row_number() over (
        partition by wanted.campaign_id, wanted.arm, wanted.member_locale
        order by is_hers desc, length(templates.locale) desc
    ) = 1
)
select
    messages.dedupe_key,
    $run_date as run_date,
    messages.campaign_id,
    messages.version,
    messages.member_id,
    messages.channel,
    messages.slot,
    messages.arm,
    case
        when list_has_any(texts.variables, ['product_title', 'product_reason'])
            then values_of_members.product_id
    end as product_id,
    texts.template,
    to_json(
        map_from_entries(
            list_transform(
                texts.variables,
                lambda name: {
                    'key': name,
                    'value': case name
                        when 'product_title' then values_of_members.product_title
                        when 'product_reason' then values_of_members.product_reason
                        when 'tag' then values_of_members.tag
                        when 'stage' then values_of_members.stage
                        when 'days_since_last_order'
                            then values_of_members.days_since_last_order
                        when 'offer' then campaigns.offer
                    end
                }
            )
        )
    ) as variables,
    texts.locale,
    messages.send_at,
    campaigns.unit_cost,
    messages.send_at + to_hours(campaigns.expires_hours) as expires_at
from messages
anti join listed using (dedupe_key)
join campaigns using (campaign_id)
join texts using (campaign_id, arm, member_locale)
join values_of_members using (member_id)
