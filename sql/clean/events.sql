-- One row per message received before as_of: the first copy of every message_id (by received_at,
-- then load_date, source, path, line; ids are global, so sources share one numbering).
--
-- occurred_at: received_at - (sent_at - sender's clock), the sender's clock itself where there is
-- no sent_at; never after received_at, nor before 1970. Skewed: the sender's clock was off by more
-- than the tolerance, or it had to be held within these bounds.
-- is_late: received on a later local date than it happened, and over an hour later, so that the
-- traffic around midnight is on time.
-- event_name: the track's name; for another call its type, as 'Identify' or 'Page'.
-- Money: in base currency at the rate of event_date; NULL where a currency has no rate. A message
-- without a currency is in base currency. amount is price times quantity, else, for order events,
-- revenue, else total; 10^12 and more is not believed. It is rounded by way of ten decimals, which
-- takes off the error of binary fractions, so that every engine rounds a half up. quantity is 1
-- where a product comes without a readable one.
-- is_bot: by user agent, or every event of a visitor's (device's, else user's) date on which more
-- than the allowed number of products were viewed within one minute.
-- session_id: a member's events with gaps up to the limit, numbered by member and first message.
-- Order events that came from an import (no sent_at and no device) belong to no session.
--
-- Windows and ranks run over narrow keys; the wide rest of a message joins them once, at the end.
with raw_events as (
    select message_id, source, path, line, event_type, event_name, anonymous_id, user_id,
        occurred_at, sent_at, received_at, load_date
    from raw.events
    where received_at < $as_of
),
payloads as (
    select source, path, line, user_agent, locale, time_zone, country, channel, properties
    from raw.events
    where received_at < $as_of
),
agents as (
    select user_agent, regexp_like(lower(user_agent), $bot_user_agents) as is_bot
    from raw.events
    where user_agent is not null
    group by user_agent
),
identities as (
    select identifier, member_id
    from clean.identities
),
fx_rates as (
    select currency, valid_from, valid_to, rate
    from raw.fx_rates
),
repeated as (
    select message_id
    from raw_events
    group by message_id
    having count(*) > 1
),
copies as (
    select e.source, e.path, e.line,
        row_number() over (
            partition by e.message_id
            order by e.received_at, e.load_date, e.source, e.path, e.line
        ) as copy
    from raw_events as e
    join repeated as r on r.message_id = e.message_id
),
later_copies as (
    select source, path, line
    from copies
    where copy > 1
),
clocked as (
    select e.message_id, e.source, e.path, e.line, e.anonymous_id, e.user_id, e.sent_at,
        e.received_at,
        coalesce(
            e.event_name,
            upper(substr(e.event_type, 1, 1)) || lower(substr(e.event_type, 2))
        ) as event_name,
        case
            when e.sent_at is null then e.occurred_at
            else e.received_at - (e.sent_at - e.occurred_at)
        end as told_at
    from raw_events as e
    where not exists (
        select 1
        from later_copies as c
        where c.source = e.source and c.path = e.path and c.line = e.line
    )
),
bounded as (
    select message_id, source, path, line, event_name, anonymous_id, user_id, sent_at, received_at,
        told_at,
        least(greatest(told_at, timestamp '1970-01-01 00:00:00'), received_at) as occurred_at
    from clocked
),
dated as (
    select message_id, source, path, line, event_name, anonymous_id, user_id, sent_at, received_at,
        occurred_at,
        cast(from_utc_timestamp(occurred_at, $time_zone) as date) as event_date,
        told_at <> occurred_at
            or coalesce(
                received_at - sent_at > $skew_tolerance_seconds * interval '1' second
                or sent_at - received_at > $skew_tolerance_seconds * interval '1' second,
                false
            ) as is_clock_skewed
    from bounded
),
messages as (
    select d.message_id, d.source, d.path, d.line, d.event_name, d.occurred_at, d.event_date,
        d.is_clock_skewed, i.member_id,
        coalesce(d.anonymous_id, d.user_id) as visitor,
        case
            when d.received_at - d.occurred_at > interval '1' hour
                then cast(from_utc_timestamp(d.received_at, $time_zone) as date) > d.event_date
            else false
        end as is_late,
        i.member_id is not null and not (
            d.event_name like 'Order %' and d.sent_at is null and d.anonymous_id is null
        ) as is_in_session
    from dated as d
    left join identities as i on i.identifier = coalesce(d.user_id, d.anonymous_id)
),
views as (
    select visitor, event_date, occurred_at, message_id
    from messages
    where event_name = 'Product Viewed' and visitor is not null
),
busy_dates as (
    select visitor, event_date
    from views
    group by visitor, event_date
    having count(*) > $bot_views_per_minute
),
paced as (
    select v.visitor, v.event_date, v.occurred_at,
        lag(v.occurred_at, $bot_views_per_minute) over (
            partition by v.visitor, v.event_date order by v.occurred_at, v.message_id
        ) as earlier_at
    from views as v
    join busy_dates as b on b.visitor = v.visitor and b.event_date = v.event_date
),
bot_dates as (
    select visitor, event_date
    from paced
    where occurred_at - earlier_at < interval '1' minute
    group by visitor, event_date
),
gaps as (
    select member_id, occurred_at, message_id,
        lag(occurred_at) over (
            partition by member_id order by occurred_at, message_id
        ) as previous_at
    from messages
    where is_in_session
),
session_steps as (
    select member_id, occurred_at, message_id,
        case
            when occurred_at - previous_at <= $session_gap_seconds * interval '1' second then 0
            else 1
        end as is_start
    from gaps
),
session_numbers as (
    select member_id, message_id, is_start,
        sum(is_start) over (
            partition by member_id order by occurred_at, message_id rows unbounded preceding
        ) as session_number
    from session_steps
),
session_ids as (
    select member_id, session_number,
        cast(
            conv(substr(md5(cast(member_id as string) || ':' || message_id), 1, 15), 16, 10)
            as bigint
        ) as session_id
    from session_numbers
    where is_start = 1
),
in_sessions as (
    select n.message_id, s.session_id, n.is_start = 1 as is_session_start
    from session_numbers as n
    join session_ids as s
        on s.member_id = n.member_id and s.session_number = n.session_number
),
keyed as (
    select m.message_id, m.source, m.path, m.line, m.event_name, m.occurred_at, m.event_date,
        m.is_clock_skewed, m.is_late, m.member_id, s.session_id,
        coalesce(s.is_session_start, false) as is_session_start,
        b.visitor is not null as is_bot_date
    from messages as m
    left join bot_dates as b on b.visitor = m.visitor and b.event_date = m.event_date
    left join in_sessions as s on s.message_id = m.message_id
),
parsed as (
    select k.message_id, k.source, k.path, k.line, k.event_name, k.occurred_at, k.event_date,
        k.is_clock_skewed, k.is_late, k.member_id, k.session_id, k.is_session_start,
        p.locale, p.time_zone, p.country, p.channel,
        k.is_bot_date
            or coalesce(a.is_bot, false) as is_bot,
        nullif(get_json_object(p.properties, '$.product_id'), '') as product_id,
        try_cast(get_json_object(p.properties, '$.quantity') as double) as quantity,
        try_cast(get_json_object(p.properties, '$.price') as double) as price,
        nullif(upper(trim(get_json_object(p.properties, '$.currency'))), '') as currency,
        nullif(get_json_object(p.properties, '$.order_id'), '') as order_id,
        nullif(get_json_object(p.properties, '$.share_code'), '') as share_code,
        nullif(get_json_object(p.properties, '$.campaign_id'), '') as campaign_id,
        case when k.event_name like 'Order %' then coalesce(
            try_cast(get_json_object(p.properties, '$.revenue') as double),
            try_cast(get_json_object(p.properties, '$.total') as double)
        ) end as revenue,
        case when k.event_name like 'Order %'
            then get_json_object(p.properties, '$.products')
        end as products
    from payloads as p
    join keyed as k on k.source = p.source and k.path = p.path and k.line = p.line
    left join agents as a on a.user_agent = p.user_agent
),
priced as (
    select p.message_id, p.source, p.path, p.line, p.event_name, p.occurred_at, p.event_date,
        p.is_clock_skewed, p.is_late, p.member_id, p.session_id, p.is_session_start, p.locale,
        p.time_zone, p.country, p.channel, p.is_bot, p.product_id, p.price, p.currency,
        p.order_id, p.share_code, p.campaign_id, p.revenue,
        case
            when p.product_id is not null
                then coalesce(try_cast(round(p.quantity) as int), 1)
        end as quantity,
        case
            when p.products like '[%' and get_json_object(p.products, '$') is not null
                then json_array_length(p.products)
        end as n_products,
        case
            when p.currency is null or p.currency = $base_currency then 1.0
            else f.rate
        end as fx_rate
    from parsed as p
    left join fx_rates as f
        on f.currency = nullif(p.currency, $base_currency)
        and p.event_date >= f.valid_from
        and (f.valid_to is null or p.event_date < f.valid_to)
)
select message_id,
    source,
    path,
    line,
    member_id,
    event_name,
    occurred_at,
    event_date,
    session_id,
    is_session_start,
    product_id,
    quantity,
    try_cast(try_cast(price * fx_rate as decimal(28, 10)) as decimal(16, 4)) as price,
    try_cast(try_cast(coalesce(price * quantity, revenue) * fx_rate as decimal(28, 10))
        as decimal(16, 4)) as amount,
    currency,
    fx_rate,
    order_id,
    n_products,
    share_code,
    campaign_id,
    channel,
    country,
    locale,
    time_zone,
    is_bot,
    is_late,
    is_clock_skewed
from priced
