-- Which messages of the newest run should not be there? None: a check refuses to publish them.
with newest as (
    select max(run_date) as run_date from push.decisions
),
messages as (
    select * from push.push_list join newest using (run_date)
),
-- Every message with every member whom its address reaches.
inboxes as (
    select member_id, channel, address_hash from clean.member_addresses
),
reached as (
    select messages.dedupe_key, messages.channel, others.member_id
    from messages
    join inboxes using (member_id, channel)
    join inboxes as others
        on others.channel = inboxes.channel and others.address_hash = inboxes.address_hash
),
without_consent as (
    select messages.dedupe_key
    from messages
    join clean.members as members using (member_id)
    where not list_contains(members.consented_channels, messages.channel)
        or not list_contains(members.addressable_channels, messages.channel)
        or members.is_minor
    union
    select reached.dedupe_key
    from reached
    join clean.members as members using (member_id)
    where list_contains(members.withdrawn_channels, reached.channel) or members.is_minor
),
twice_in_a_slot as (
    select min(messages.dedupe_key) as dedupe_key
    from messages
    left join inboxes using (member_id, channel)
    group by
        coalesce(inboxes.address_hash, cast(messages.member_id as varchar)), messages.channel,
        messages.slot
    having count(*) > 1
    union
    select min(dedupe_key) as dedupe_key
    from push.push_list
    group by member_id, channel, slot
    having count(*) > 1
),
held_out as (
    select messages.dedupe_key
    from messages
    join push.assignments as assignments using (campaign_id, member_id)
    where assignments.arm = 'holdout'
),
received as (
    select member_id, dedupe_key, campaign_id, channel, slot
    from push.push_list
    union
    select others.member_id, sent.dedupe_key, sent.campaign_id, sent.channel, sent.slot
    from push.push_list as sent
    join inboxes using (member_id, channel)
    join inboxes as others
        on others.channel = inboxes.channel and others.address_hash = inboxes.address_hash
),
over_a_cap as (
    select distinct messages.dedupe_key
    from messages
    join push.caps as caps on caps.campaign_id = messages.campaign_id
    join received as sent
        on sent.member_id = messages.member_id
        and cast(sent.slot as date) <= cast(messages.slot as date)
        and cast(sent.slot as date) > cast(messages.slot as date) - caps.days
        and case caps.counts
            when 'all' then true
            when 'channel' then sent.channel = messages.channel
            else sent.campaign_id = messages.campaign_id
        end
    group by messages.dedupe_key, caps.rule, caps.messages
    having count(*) > caps.messages
),
-- No message tells of a sensitive product or tag, be it by its reason.
sensitive_products as (
    select products.product_id, coalesce(nullif(trim(clean.title), ''), clean.product_id) as subject
    from tags.products as products
    join clean.products as clean using (product_id)
    where products.is_sensitive
),
sensitive_tags as (
    select distinct tag from tags.product_tags where is_sensitive
),
said as (
    select
        dedupe_key,
        product_id,
        json_extract_string(variables, '$.tag') as tag,
        json_extract_string(variables, '$.product_reason') as reason,
        regexp_extract(
            reason,
            '^(?:because you (?:ordered|shared|viewed|put)|popular in|new in)'
            || ' (.*?)( in your cart)?$',
            1
        ) as subject
    from messages
),
of_a_sensitive_tag as (
    select dedupe_key from said where product_id in (select product_id from sensitive_products)
    union
    select dedupe_key from said where subject in (select subject from sensitive_products)
    union
    select dedupe_key from said where tag in (select tag from sensitive_tags)
    union
    select said.dedupe_key
    from said
    join sensitive_tags on contains(said.reason, sensitive_tags.tag)
),
of_another_tag as (
    select dedupe_key
    from said
    where
        tag is not null
        and product_id is not null
        and not exists (
            select 1
            from tags.product_tags as product_tags
            where product_tags.product_id = said.product_id and product_tags.tag = said.tag
        )
),
-- A brace, of whatever shape, or a value that says nothing.
unfit as (
    select dedupe_key
    from (
        select
            dedupe_key, json_extract_string(variables, '$.' || unnest(json_keys(variables))) as said
        from messages
    )
    where
        said is null
        or regexp_matches(said, '[{}｛｝﹛﹜︷︸❴❵⦃⦄]')
        or regexp_full_match(
            said,
            '(?i)[\s\p{Z}\p{Cf}]*(?:none|null|nil|nan|nat|n/a|<na>|undefined)?[\s\p{Z}\p{Cf}]*'
        )
    group by dedupe_key
    union
    select dedupe_key
    from messages
    where regexp_matches(template, '[｛｝﹛﹜︷︸❴❵⦃⦄]|[{]{2}|[}]{2}')
)
select 'without consent, address or age' as wrong, dedupe_key from without_consent
union all
select 'twice in a channel and slot', dedupe_key from twice_in_a_slot
union all
select 'held out', dedupe_key from held_out
union all
select 'over a cap', dedupe_key from over_a_cap
union all
select 'of a sensitive tag', dedupe_key from of_a_sensitive_tag
union all
select 'of another tag than its product''s', dedupe_key from of_another_tag
union all
select 'unfit text', dedupe_key from unfit
order by wrong, dedupe_key
