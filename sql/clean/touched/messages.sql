-- One row per touched message received before as_of: its first copy, all that can be told from the
-- message alone. clean.events is made of these.
--
-- occurred_at: received_at - (sent_at - sender's clock), the sender's clock itself where there is
-- no sent_at; never after received_at, nor before 1970. Skewed: the sender's clock was off by more
-- than the tolerance, or it had to be held within these bounds.
-- is_late: received on a later local date than it happened, and over an hour later, so that the
-- traffic around midnight is on time.
-- event_name: the track's name; for another call its type, as 'Identify' or 'Page'.
-- member_id: the user's, else that of the visitor's device.
-- Money: in base currency at the rate of event_date; NULL where a currency has no rate. A message
-- without a currency is in base currency. A source that sends minor units sends cents of dollars,
-- but yen of yen, which have none. 10^12 and more is not believed. An amount that was converted is
-- rounded, a half away from zero, to what the base currency can pay; any other keeps four decimals,
-- by way of ten, which takes off the error of binary fractions, so that every engine rounds alike.
-- amount: price times quantity, else what an order event says that its products brought (goods): its
-- revenue, else its subtotal, less the discount where what else it says shows that the discount is
-- still in it; else its total less shipping and tax; else its value, refund_amount or amount.
-- quantity: 1 where a product comes without one, but 0 where a refund tells money alone; NULL where
-- it is told and cannot be read, or is 10^9 or more.
-- order_id: a completed order without one goes by its message. is_test: an order event that says
-- test: true, or whose order_id or coupon is one of the shop's test orders.
-- is_deliberate: an act of the member, not of a machine or of the shop and its servers, by the
-- event's name and channel (activity in shop.yaml, resources/config/activity.py): what shop.yaml
-- names, and answers to messages; what only a member can do, unless a server sent it without a
-- device; anything else that a device sent and no server, if machines do not do it by themselves.
-- Only deliberate acts belong to sessions.
with winners as (
    select source, path, line, load_date
    from winners
),
raw_events as (
    select e.message_id, e.source, e.path, e.line, e.event_type, e.event_name, e.anonymous_id,
        e.user_id, e.occurred_at, e.sent_at, e.received_at, e.user_agent, e.locale, e.time_zone,
        e.country, e.channel, e.properties, e.envelope
    from raw.events as e
    join winners as w
        on w.source = e.source and w.path = e.path and w.line = e.line
        and w.load_date = e.load_date
),
agents as (
    select user_agent, regexp_like(lower(user_agent), $bot_user_agents) as is_bot
    from raw_events
    where user_agent is not null
    group by user_agent
),
identities as (
    select visitor_id, member_id
    from clean.identities
),
fx_rates as (
    select currency, valid_from, valid_to, rate, minor_units
    from raw.fx_rates
),
loads as (
    select source, path, amounts
    from raw.loads
),
clocked as (
    select message_id, source, path, line, user_id, anonymous_id, sent_at, received_at,
        user_agent, locale, time_zone, country, channel, properties, envelope,
        coalesce(
            event_name, upper(substr(event_type, 1, 1)) || lower(substr(event_type, 2))
        ) as event_name,
        case
            when sent_at is null then occurred_at
            else received_at - (sent_at - occurred_at)
        end as told_at
    from raw_events
),
named as (
    select event_name, channel,
        lower(replace(replace(replace(replace(replace(
            replace(coalesce(channel, ''), '/', '') || '/' || event_name,
            ' ', ''), '_', ''), '-', ''), '.', ''), ':', '')) as act
    from clocked
    group by event_name, channel
),
kinds as (
    select event_name, channel,
        case
            when regexp_like(act, $acts_of_shop) then 'deliberate'
            when regexp_like(act, $automatic_of_shop) then 'automatic'
            when regexp_like(act, $answers) then 'deliberate'
            when regexp_like(act, $automatic_events) then 'automatic'
            when regexp_like(act, $acts) then 'act'
            else 'other'
        end as kind,
        regexp_like(act, $server_channels) as is_server_channel
    from named
),
bounded as (
    select message_id, source, path, line, user_id, anonymous_id, sent_at, received_at, user_agent,
        locale, time_zone, country, channel, properties, envelope, event_name, told_at,
        least(greatest(told_at, timestamp '1970-01-01 00:00:00'), received_at) as occurred_at
    from clocked
),
dated as (
    select message_id, source, path, line, received_at, user_agent, locale, time_zone, country,
        channel, properties, envelope, event_name, occurred_at,
        anonymous_id is not null as has_device,
        cast(conv(substr(user_id, 1, 15), 16, 10) as bigint) as user_member_id,
        cast(conv(substr(coalesce(anonymous_id, user_id), 1, 15), 16, 10) as bigint) as visitor_id,
        cast(from_utc_timestamp(occurred_at, $time_zone) as date) as event_date,
        told_at <> occurred_at
            or coalesce(
                received_at - sent_at > $skew_tolerance_seconds * interval '1' second
                or sent_at - received_at > $skew_tolerance_seconds * interval '1' second,
                false
            ) as is_clock_skewed
    from bounded
),
parsed as (
    select message_id, source, path, line, user_member_id, visitor_id, event_name, occurred_at,
        event_date, is_clock_skewed, has_device, user_agent, locale, time_zone, country, channel,
        envelope,
        case
            when received_at - occurred_at > interval '1' hour
                then cast(from_utc_timestamp(received_at, $time_zone) as date) > event_date
            else false
        end as is_late,
        nullif(get_json_object(properties, '$.product_id'), '') as product_id,
        nullif(get_json_object(properties, '$.quantity'), '') as quantity_said,
        cast(try_cast(get_json_object(properties, '$.price') as decimal(28, 10)) as double) as price,
        nullif(upper(trim(get_json_object(properties, '$.currency'))), '') as currency,
        coalesce(
            nullif(get_json_object(properties, '$.order_id'), ''),
            case when event_name = 'Order Completed' then message_id end
        ) as order_id,
        event_name like 'Order %' and (
            coalesce(lower(get_json_object(properties, '$.test')) = 'true', false)
            or coalesce(
                regexp_like(lower(get_json_object(properties, '$.order_id')), $test_orders), false)
            or coalesce(
                regexp_like(lower(get_json_object(properties, '$.coupon')), $test_orders), false)
        ) as is_test,
        nullif(get_json_object(properties, '$.share_code'), '') as share_code,
        nullif(get_json_object(properties, '$.group_id'), '') as group_id,
        nullif(get_json_object(properties, '$.campaign_id'), '') as campaign_id,
        case when event_name like 'Order %' then
            cast(try_cast(get_json_object(properties, '$.revenue') as decimal(28, 10)) as double)
        end as revenue,
        case when event_name like 'Order %' then
            cast(try_cast(get_json_object(properties, '$.subtotal') as decimal(28, 10)) as double)
        end as subtotal,
        case when event_name like 'Order %' then
            cast(try_cast(get_json_object(properties, '$.total') as decimal(28, 10)) as double)
        end as total,
        case when event_name like 'Order %' then
            cast(try_cast(get_json_object(properties, '$.discount') as decimal(28, 10)) as double)
        end as discount,
        case when event_name like 'Order %' then
            cast(try_cast(get_json_object(properties, '$.shipping') as decimal(28, 10)) as double)
        end as shipping,
        case when event_name like 'Order %' then
            cast(try_cast(get_json_object(properties, '$.tax') as decimal(28, 10)) as double)
        end as tax,
        case when event_name like 'Order %' then cast(coalesce(
            try_cast(get_json_object(properties, '$.value') as decimal(28, 10)),
            try_cast(get_json_object(properties, '$.refund_amount') as decimal(28, 10)),
            try_cast(get_json_object(properties, '$.amount') as decimal(28, 10))
        ) as double) end as other_value,
        case when event_name like 'Order %' then coalesce(
            nullif(get_json_object(properties, '$.revenue'), ''),
            nullif(get_json_object(properties, '$.subtotal'), ''),
            nullif(get_json_object(properties, '$.total'), ''),
            nullif(get_json_object(properties, '$.value'), ''),
            nullif(get_json_object(properties, '$.refund_amount'), ''),
            nullif(get_json_object(properties, '$.amount'), '')
        ) is not null end as has_amount,
        case when event_name like 'Order %'
            then get_json_object(properties, '$.products')
        end as products
    from dated
),
netted as (
    select message_id, source, path, line, user_member_id, visitor_id, event_name, occurred_at,
        event_date, is_clock_skewed, has_device, user_agent, locale, time_zone, country, channel,
        envelope, is_late, product_id, quantity_said, price, currency, order_id, is_test, share_code,
        group_id, campaign_id, products, revenue, subtotal, total, discount, shipping, tax,
        other_value, has_amount,
        sign(total) * greatest(
            abs(total) - abs(coalesce(shipping, 0e0)) - abs(coalesce(tax, 0e0)), 0e0
        ) as net_total
    from parsed
),
goods as (
    select message_id, source, path, line, user_member_id, visitor_id, event_name, occurred_at,
        event_date, is_clock_skewed, has_device, user_agent, locale, time_zone, country, channel,
        envelope, is_late, product_id, quantity_said, price, currency, order_id, is_test, share_code,
        group_id, campaign_id, products, revenue, subtotal, total, discount, shipping, tax,
        has_amount,
        case
            when abs(discount) > 0 and (
                abs(coalesce(revenue, subtotal) - abs(discount) - net_total) < 6e-3
                or abs(revenue - abs(discount) - subtotal) < 6e-3
            ) then coalesce(revenue, subtotal) - abs(discount)
            else coalesce(revenue, subtotal, net_total, other_value)
        end as goods
    from netted
),
priced as (
    select p.message_id, p.source, p.path, p.line, p.visitor_id, p.event_name, p.occurred_at,
        p.event_date, p.is_clock_skewed, p.is_late, p.locale, p.time_zone, p.country, p.channel,
        p.product_id, p.currency, p.order_id, p.is_test, p.share_code, p.group_id,
        p.campaign_id, p.products,
        p.user_member_id is not null as is_logged_in,
        coalesce(p.user_member_id, i.member_id) as member_id,
        coalesce(a.is_bot, false) as is_bot_agent,
        -- Of an envelope, the dearest to look into, only where it decides.
        case
            when k.kind in ('deliberate', 'automatic') then k.kind = 'deliberate'
            when k.kind = 'act' and p.has_device then true
            when k.is_server_channel or regexp_like(p.envelope, $server_marks) then false
            else k.kind = 'act' or p.has_device
        end as is_deliberate,
        case
            when p.product_id is null then null
            when p.quantity_said is not null
                then try_cast(try_cast(p.quantity_said as decimal(28, 10)) as decimal(13, 4))
            when p.event_name = 'Order Refunded' and p.price is null and p.goods is not null then 0
            else 1
        end as quantity,
        case
            when p.products like '[%' and get_json_object(p.products, '$') is not null
                then json_array_length(p.products)
        end as n_products,
        f.rate as fx_rate,
        coalesce(p.currency <> $base_currency, false) as is_foreign,
        case when l.amounts = 'minor' then power(10, f.minor_units) else 1.0 end as units,
        p.price, p.revenue, p.subtotal, p.total, p.discount, p.shipping, p.tax, p.goods,
        p.has_amount
    from goods as p
    join loads as l on l.source = p.source and l.path = p.path
    join kinds as k
        on k.event_name = p.event_name and k.channel is not distinct from p.channel
    left join agents as a on a.user_agent = p.user_agent
    left join identities as i on i.visitor_id = p.visitor_id and p.user_member_id is null
    left join fx_rates as f
        on f.currency = coalesce(p.currency, $base_currency)
        and p.event_date >= f.valid_from
        and (f.valid_to is null or p.event_date < f.valid_to)
),
converted as (
    select message_id, source, path, line, member_id, visitor_id, is_logged_in, event_name,
        occurred_at, event_date, product_id, quantity, currency, fx_rate, is_foreign, units,
        order_id, is_test, n_products, products, share_code, group_id, campaign_id, channel,
        country, locale, time_zone, is_deliberate, is_bot_agent, is_late, is_clock_skewed,
        price / units * fx_rate as price,
        coalesce(price * cast(quantity as double), goods) / units * fx_rate as amount,
        coalesce(price * cast(quantity as double), goods) / units as native_amount,
        revenue / units as revenue, subtotal / units as subtotal, total / units as total,
        discount / units as discount, shipping / units as shipping, tax / units as tax,
        goods / units as goods,
        coalesce(has_amount and (goods is null or fx_rate is null), false) as is_unread
    from priced
)
select message_id,
    source,
    path,
    line,
    member_id,
    visitor_id,
    is_logged_in,
    event_name,
    occurred_at,
    event_date,
    product_id,
    quantity,
    try_cast(try_cast(price as decimal(28, 10)) as decimal(16, 4)) as price,
    try_cast(try_cast(
        case
            when is_foreign
                then sign(amount)
                    * floor(abs(amount) * power(10, $base_minor_units) + 0.5000001)
                    / power(10, $base_minor_units)
            else amount
        end as decimal(28, 10)) as decimal(16, 4)) as amount,
    currency,
    fx_rate,
    is_foreign,
    units,
    order_id,
    is_test,
    n_products,
    products,
    share_code,
    group_id,
    campaign_id,
    channel,
    country,
    locale,
    time_zone,
    is_deliberate,
    is_bot_agent,
    is_late,
    is_clock_skewed,
    is_deliberate and visitor_id is not null as is_in_session,
    native_amount,
    revenue,
    subtotal,
    total,
    discount,
    shipping,
    tax,
    goods,
    is_unread
from converted
