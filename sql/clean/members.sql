-- One row per member of clean.identities, identified or not. Of touched members alone.
--
-- locale, time_zone, country and channel: each of the newest of the member's records that says one
-- (by load_date, path, line), else the most frequent of their deliberate acts' that are no bot's,
-- else of what their devices sent (at a tie the first in the alphabet); country and channel may come
-- from orders that a server told of; a zone is at last the shop's. signed_up_at: the earliest that
-- any record says.
-- attributes: a JSON object of clean.member_attributes.
-- birth_year_band: the youngest that any record says, however old the record.
-- is_minor: who was born on the last day of the band is not of age on run_date; or no record has a
-- band, and one has a year of birth that cannot be read. Without either nobody is taken for one.
-- withdrawn_channels: channels that a withdrawal shuts, until the same identifier grants that very
-- channel at a later instant: a withdrawal from all channels is opened again channel by channel, and
-- at one instant the withdrawal wins. A withdrawal that is known counts at once, a grant from its
-- instant on. An event that says that the member unsubscribed, or took a message for spam, is a
-- withdrawal, until any later grant of theirs. A flag in a member record (email_opt_out: true) is one
-- as of the end of the record's load date.
-- consented_channels: the channels that are granted; if the member is identified, also the assumed
-- ones. Withdrawn channels are none of them, nor are those from which the member's address was
-- withdrawn, until the address or the member grants the channel again. A grant by address counts on
-- the channel where the address is theirs. What a record of consent means: raw/consents.sql.
with touched as (
    select member_id
    from touched_members
),
identities as (
    select i.identifier, i.kind, i.member_id, i.first_seen_at, i.last_seen_at
    from clean.identities as i
    join touched as t on t.member_id = i.member_id
),
raw_members as (
    select source, path, line, user_id, signed_up_at, locale, time_zone, country, birth_year_band,
        is_age_unread, channel, load_date
    from raw.members
),
raw_consents as (
    select identifier, address_hashes, channel, scope, effect, counts_at
    from raw.consents
),
addresses as (
    select a.member_id, a.channel, a.address_hash
    from clean.member_addresses as a
    join touched as t on t.member_id = a.member_id
),
sent as (
    select e.member_id, e.occurred_at, e.time_zone, e.country, e.locale, e.channel, e.event_name,
        e.is_deliberate and not e.is_bot as is_own,
        e.is_deliberate or not e.is_logged_in or e.visitor_id <> e.member_id as is_of_client
    from clean.events as e
    join touched as t on t.member_id = e.member_id
),
events as (
    select member_id, country, channel, is_own,
        case when is_of_client then time_zone end as time_zone,
        case when is_of_client then locale end as locale
    from sent
    where is_of_client or event_name = 'Order Completed'
),
-- A backslash is chr(92) on every engine, what breaks a line chr(10), chr(13) or chr(9). Lists stand
-- as they are.
escaped as (
    select a.member_id, a.attribute, a.value,
        replace(replace(replace(replace(replace(
            a.value, chr(92), chr(92) || chr(92)), '"', chr(92) || '"'),
            chr(10), ' '), chr(13), ' '), chr(9), ' ') as text
    from clean.member_attributes as a
    join touched as t on t.member_id = a.member_id
),
attributes as (
    select member_id,
        '{"' || array_join(sort_array(collect_set(
            attribute || '":' || case
                when value like '[%' and get_json_object(value, '$') is not null then value
                else '"' || text || '"'
            end
        )), ',"') || '}' as attributes
    from escaped
    group by member_id
),
persons as (
    select member_id,
        bool_or(kind = 'user_id') as is_identified,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from identities
    group by member_id
),
ranked_records as (
    select i.member_id, m.locale, m.time_zone, m.country, m.birth_year_band, m.is_age_unread,
        m.channel,
        row_number() over (
            partition by i.member_id
            order by m.load_date desc, m.path desc, m.line desc, m.source desc
        ) as newness
    from raw_members as m
    join identities as i on i.identifier = m.user_id
),
newest_places as (
    select member_id,
        min(newness) filter (where locale is not null) as locale_place,
        min(newness) filter (where time_zone is not null) as time_zone_place,
        min(newness) filter (where country is not null) as country_place,
        min(newness) filter (where channel is not null) as channel_place
    from ranked_records
    group by member_id
),
records as (
    select r.member_id,
        max(r.locale) filter (where r.newness = p.locale_place) as locale,
        max(r.time_zone) filter (where r.newness = p.time_zone_place) as time_zone,
        max(r.country) filter (where r.newness = p.country_place) as country,
        max(r.channel) filter (where r.newness = p.channel_place) as channel,
        max(r.birth_year_band) as birth_year_band,
        bool_or(r.is_age_unread) as is_age_unread
    from ranked_records as r
    join newest_places as p on p.member_id = r.member_id
    group by r.member_id
),
sign_ups as (
    select i.member_id, min(m.signed_up_at) as signed_up_at
    from raw_members as m
    join identities as i on i.identifier = m.user_id
    where m.signed_up_at < $as_of
    group by i.member_id
),
habits as (
    select member_id, time_zone, country, locale, channel,
        count(*) as n, count(*) filter (where is_own) as n_own
    from events
    group by member_id, time_zone, country, locale, channel
),
traits as (
    select member_id, 'time_zone' as trait, time_zone as value, n, n_own from habits
    union all
    select member_id, 'country' as trait, country as value, n, n_own from habits
    union all
    select member_id, 'locale' as trait, locale as value, n, n_own from habits
    union all
    select member_id, 'channel' as trait, channel as value, n, n_own from habits
),
counted_traits as (
    select member_id, trait, value, cast(sum(n) as bigint) as n, cast(sum(n_own) as bigint) as n_own
    from traits
    where value is not null
    group by member_id, trait, value
),
ranked_traits as (
    select member_id, trait, value,
        row_number() over (
            partition by member_id, trait order by n_own desc, n desc, value
        ) as choice
    from counted_traits
),
usual as (
    select member_id,
        max(value) filter (where trait = 'time_zone') as time_zone,
        max(value) filter (where trait = 'country') as country,
        max(value) filter (where trait = 'locale') as locale,
        max(value) filter (where trait = 'channel') as channel
    from ranked_traits
    where choice = 1
    group by member_id
),
declared_channels as (
    select 'known' as kind, '["' || replace($known_channels, ',', '","') || '"]' as channels
    union all
    select 'assumed' as kind, '["' || replace($assumed_channels, ',', '","') || '"]' as channels
),
channel_positions as (
    select kind, channels,
        explode(sequence(0, cast(json_array_length(channels) as int) - 1, 1)) as position
    from declared_channels
),
named_channels as (
    select kind,
        trim(get_json_object(channels, '$[' || cast(position as string) || ']')) as channel
    from channel_positions
),
channels as (
    select channel, bool_or(kind = 'assumed') as is_assumed
    from named_channels
    where channel <> ''
    group by channel
),
statements as (
    select c.identifier, c.address_hashes, coalesce(c.scope, k.channel) as scope, c.counts_at,
        c.effect = 'granted' as is_grant
    from raw_consents as c
    left join channels as k on k.channel = c.channel
    where c.effect = 'withdrawn' or (c.effect = 'granted' and c.counts_at < $as_of)
),
flags as (
    select i.member_id, i.identifier, explode(m.opt_outs) as scope,
        to_utc_timestamp(cast(m.load_date as timestamp) + interval '1' day, $time_zone) as counts_at
    from raw.members as m
    join identities as i on i.identifier = m.user_id
),
statements_by_address as (
    select explode(address_hashes) as address_hash, scope, counts_at, is_grant
    from statements
),
event_words as (
    select member_id, occurred_at,
        replace(replace(replace(lower(event_name), ' ', ''), '_', ''), '-', '') as word
    from sent
),
unsubscriptions as (
    select member_id, occurred_at,
        case
            when word like '%email%' or word like '%spam%' or word like '%邮件%' then 'email'
            when word like '%sms%' or word like '%短信%' then 'sms'
            when word like '%push%' then 'app_push'
        end as scope
    from event_words
    where word in (
        'unsubscribed', 'unsubscribe', 'emailunsubscribed', 'emailunsubscribe', 'smsunsubscribed',
        'smsunsubscribe', 'pushunsubscribed', 'pushunsubscribe', 'optout', 'optedout',
        'emailoptout', 'emailoptedout', 'smsoptout', 'smsoptedout', 'pushoptout', 'pushoptedout',
        'emailmarkedasspam', 'markedasspam', 'emailspamreported', 'spamreported', 'spamreport',
        'emailcomplained', 'emailcomplaint', 'spamcomplaint', '退订', '短信退订', '邮件退订',
        '退订短信', '退订邮件', '取消订阅', '拒收', '拒收短信'
    )
),
heard as (
    select i.member_id, 'identifier' as kind, s.identifier as subject, s.scope, s.counts_at,
        s.is_grant
    from statements as s
    join identities as i on i.identifier = s.identifier
    union all
    select a.member_id, 'address' as kind, s.address_hash as subject, s.scope, s.counts_at,
        s.is_grant
    from statements_by_address as s
    join addresses as a on a.address_hash = s.address_hash
    where not s.is_grant or a.channel = s.scope
    union all
    select f.member_id, 'identifier' as kind, f.identifier as subject,
        nullif(f.scope, '*') as scope, f.counts_at, false as is_grant
    from flags as f
    union all
    select u.member_id, 'event' as kind, '' as subject, u.scope, u.occurred_at as counts_at,
        false as is_grant
    from unsubscriptions as u
),
words as (
    select h.member_id, h.kind, h.subject, k.channel,
        max(case when h.is_grant then h.counts_at end) as granted_at,
        max(case when not h.is_grant then h.counts_at end) as withdrawn_at
    from heard as h
    join channels as k on k.channel = h.scope or (h.scope is null and not h.is_grant)
    group by h.member_id, h.kind, h.subject, k.channel
),
grants as (
    select member_id, channel,
        max(case when kind = 'identifier' then granted_at end) as own_at,
        max(granted_at) as any_at
    from words
    group by member_id, channel
),
answered_words as (
    select w.member_id, w.kind, w.channel, w.granted_at, w.withdrawn_at,
        case
            when w.kind = 'identifier' then w.granted_at
            when w.kind = 'address' then greatest(w.granted_at, g.own_at)
            else g.any_at
        end as reopened_at
    from words as w
    join grants as g on g.member_id = w.member_id and g.channel = w.channel
),
verdicts as (
    select member_id, channel,
        bool_or(granted_at is not null) as is_granted,
        bool_or(
            withdrawn_at is not null and (reopened_at is null or reopened_at <= withdrawn_at)
        ) as is_shut,
        bool_or(
            kind <> 'address'
            and withdrawn_at is not null
            and (reopened_at is null or reopened_at <= withdrawn_at)
        ) as is_withdrawn
    from answered_words
    group by member_id, channel
),
allowed as (
    select member_id, channel
    from verdicts
    where is_granted and not is_shut
    union
    select p.member_id, k.channel
    from persons as p
    cross join channels as k
    where p.is_identified and k.is_assumed and not exists (
        select 1
        from verdicts as v
        where v.member_id = p.member_id and v.channel = k.channel and v.is_shut
    )
),
consented as (
    select member_id, sort_array(collect_set(channel)) as channels
    from allowed
    group by member_id
),
withdrawn as (
    select member_id, sort_array(collect_set(channel)) as channels
    from verdicts
    where is_withdrawn
    group by member_id
),
reached as (
    select member_id, sort_array(collect_set(channel)) as channels
    from addresses
    group by member_id
),
no_channels as (
    select sort_array(collect_set(cast(null as string))) as channels
)
select p.member_id,
    s.signed_up_at,
    coalesce(r.channel, u.channel) as channel,
    coalesce(r.locale, u.locale) as locale,
    coalesce(r.time_zone, u.time_zone, $time_zone) as time_zone,
    case
        when r.time_zone is not null then 'member'
        when u.time_zone is not null then 'events'
        else 'shop'
    end as time_zone_source,
    coalesce(r.country, u.country) as country,
    r.birth_year_band,
    p.is_identified,
    coalesce(
        -- Of age on the last day of the year in which the youngest of the band comes of age.
        extract(year from cast($run_date as date) + interval '1' day) - 1 - (r.birth_year_band + 4)
            < $adult_age,
        r.is_age_unread,
        false
    ) as is_minor,
    coalesce(c.channels, n.channels) as consented_channels,
    coalesce(w.channels, n.channels) as withdrawn_channels,
    coalesce(a.channels, n.channels) as addressable_channels,
    coalesce(k.attributes, '{}') as attributes,
    p.first_seen_at,
    p.last_seen_at
from persons as p
cross join no_channels as n
left join records as r on r.member_id = p.member_id
left join sign_ups as s on s.member_id = p.member_id
left join usual as u on u.member_id = p.member_id
left join consented as c on c.member_id = p.member_id
left join withdrawn as w on w.member_id = p.member_id
left join reached as a on a.member_id = p.member_id
left join attributes as k on k.member_id = p.member_id
