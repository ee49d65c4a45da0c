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
-- What is said of her names no sensitive tag, nor a product that carries one.
sensitive_tags as (
    select product_id, tag from tags.product_tags where is_sensitive
),
sensitive_words as (
    select tag as word from sensitive_tags
    union
    select trim(products.title) as word
    from clean.products as products
    join sensitive_tags using (product_id)
    where trim(products.title) <> ''
),
said as (
    select
        dedupe_key,
        json_extract_string(variables, '$.tag') as tag,
        unnest(
            [
                json_extract_string(variables, '$.product_title'),
                json_extract_string(variables, '$.product_reason')
            ]
        ) as text
    from messages
),
unspeakable as (
    select distinct texts.text
    from (select distinct text from said where text is not null) as texts
    join sensitive_words on contains(texts.text, sensitive_words.word)
),
of_a_sensitive_tag as (
    select distinct dedupe_key
    from said
    where
        coalesce(tag in (select tag from sensitive_tags), false)
        or coalesce(text in (select text from unspeakable), false)
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
order by wrong, dedupe_key
