-- One row per member of clean.identities, identified or not. Of touched members alone.
--
-- locale, time_zone, country and channel: her own newest record's (by load_date, path, line), else
-- the most frequent of their deliberate acts' that are no bot's, else of what their devices sent (at
-- a tie the first in the alphabet); country and channel may come from orders that a server told of; a
-- zone is at last the shop's. signed_up_at: the earliest that any of her records says.
-- is_minor: she cannot be told to be of age by the year of run_date, even if she was born in the
-- last year of her band. Without a band she is not taken for one.
-- consented_channels: channels on which, for every identifier of hers that speaks of the channel,
-- the newest word on marketing is 'granted' (of words of the same instant the most restrictive);
-- if she is identified also the assumed channels, unless her word on them is another.
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
        channel, addressable_channels, load_date
    from raw.members
),
consents as (
    select c.identifier, c.channel, c.status, c.at as said_at
    from raw.consents as c
    join identities as i on i.identifier = c.identifier
    where c.purpose = 'marketing' and c.at < $as_of
),
sent as (
    select e.member_id, e.time_zone, e.country, e.locale, e.channel, e.event_name,
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
persons as (
    select member_id,
        bool_or(kind = 'user_id') as is_identified,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at
    from identities
    group by member_id
),
ranked_records as (
    select i.member_id, m.source, m.path, m.line,
        row_number() over (
            partition by i.member_id
            order by m.load_date desc, m.path desc, m.line desc, m.source desc
        ) as newness
    from raw_members as m
    join identities as i on i.identifier = m.user_id
),
records as (
    select r.member_id, m.locale, m.time_zone, m.country, m.birth_year_band, m.channel,
        m.addressable_channels
    from raw_members as m
    join ranked_records as r on r.source = m.source and r.path = m.path and r.line = m.line
    where r.newness = 1
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
newest_words as (
    select identifier, channel, max(said_at) as said_at
    from consents
    group by identifier, channel
),
words as (
    select i.member_id, c.channel, bool_and(c.status = 'granted') as is_granted
    from consents as c
    join newest_words as n
        on n.identifier = c.identifier and n.channel = c.channel and n.said_at = c.said_at
    join identities as i on i.identifier = c.identifier
    group by i.member_id, c.channel
),
assumed_list as (
    select '["' || replace($assumed_channels, ',', '","') || '"]' as channels
),
assumed_positions as (
    select channels,
        explode(sequence(0, cast(json_array_length(channels) as int) - 1, 1)) as position
    from assumed_list
),
assumed as (
    select distinct
        trim(get_json_object(channels, '$[' || cast(position as string) || ']')) as channel
    from assumed_positions
),
allowed as (
    select member_id, channel
    from words
    where is_granted
    union all
    select p.member_id, a.channel
    from persons as p
    cross join assumed as a
    where p.is_identified and a.channel <> '' and not exists (
        select 1
        from words as w
        where w.member_id = p.member_id and w.channel = a.channel
    )
),
consented as (
    select member_id, sort_array(collect_set(channel)) as channels
    from allowed
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
        extract(year from cast($run_date as date)) - (r.birth_year_band + 4) < $adult_age, false
    ) as is_minor,
    coalesce(c.channels, n.channels) as consented_channels,
    coalesce(r.addressable_channels, n.channels) as addressable_channels,
    p.first_seen_at,
    p.last_seen_at
from persons as p
cross join no_channels as n
left join records as r on r.member_id = p.member_id
left join sign_ups as s on s.member_id = p.member_id
left join usual as u on u.member_id = p.member_id
left join consented as c on c.member_id = p.member_id
