-- One row per message received before as_of: the first copy of every message_id, on the right clock,
-- with its member (see touched/messages.sql). Of the touched messages and of the sessions they touch alone.
--
-- session_id: a member's deliberate acts, and a bot's in the member's name, with gaps up to the
-- limit, across midnight, numbered by member and first message.
-- is_bot: by user agent; every event of a visitor's date, or every click of a member's, on which
-- the pace was no human's (clean.bots); or in a session longer than the cap, which no human holds.
-- A completed order, unless it is a test, is never a bot's: bots do not pay.
with messages as (
    select message_id, source, path, line, member_id, visitor_id, is_logged_in, event_name,
        occurred_at, event_date, product_id, quantity, price, amount, currency, fx_rate, order_id,
        is_test, n_products, share_code, group_id, campaign_id, channel, country, locale, time_zone,
        is_deliberate, is_bot_agent, is_late, is_clock_skewed, is_in_session
    from messages
),
bots as (
    select visitor_id, event_date, rule
    from clean.bots
),
flagged as (
    select m.message_id, m.member_id, m.occurred_at, m.is_in_session,
        m.event_name = 'Order Completed' and not m.is_test as is_order,
        not (m.event_name = 'Order Completed' and not m.is_test) and (
            m.is_bot_agent
            or v.visitor_id is not null
            or (c.visitor_id is not null and m.event_name like '%Clicked')
        ) as is_flagged
    from messages as m
    left join bots as v
        on v.visitor_id = m.visitor_id and v.event_date = m.event_date and v.rule = 'many_views'
    left join bots as c
        on c.visitor_id = case when m.is_logged_in then m.member_id else m.visitor_id end
        and c.event_date = m.event_date and c.rule = 'many_clicks'
),
gaps as (
    select message_id, member_id, occurred_at, is_order, is_flagged,
        lag(occurred_at) over (
            partition by member_id order by occurred_at, message_id
        ) as previous_at
    from flagged
    where is_in_session
),
session_steps as (
    select message_id, member_id, occurred_at, is_order, is_flagged,
        case
            when occurred_at - previous_at <= $session_gap_seconds * interval '1' second then 0
            else 1
        end as is_start
    from gaps
),
session_numbers as (
    select message_id, member_id, occurred_at, is_order, is_flagged, is_start,
        sum(is_start) over (
            partition by member_id order by occurred_at, message_id rows unbounded preceding
        ) as session_number
    from session_steps
),
spans as (
    select member_id, session_number,
        max(case when is_start = 1 then message_id end) as first_message_id,
        max(occurred_at) - min(occurred_at) > $session_cap_seconds * interval '1' second as is_long
    from session_numbers
    group by member_id, session_number
),
judged as (
    select n.message_id, n.is_start = 1 as is_session_start,
        n.is_flagged or (s.is_long and not n.is_order) as is_bot,
        cast(
            conv(substr(md5(cast(s.member_id as string) || ':' || s.first_message_id), 1, 15), 16, 10)
            as bigint
        ) as session_id
    from session_numbers as n
    join spans as s on s.member_id = n.member_id and s.session_number = n.session_number
    union all
    select message_id, false as is_session_start, is_flagged as is_bot,
        cast(null as bigint) as session_id
    from flagged
    where not is_in_session
)
select m.message_id,
    m.source,
    m.path,
    m.line,
    m.member_id,
    m.visitor_id,
    m.is_logged_in,
    m.event_name,
    m.occurred_at,
    m.event_date,
    j.session_id,
    j.is_session_start,
    m.product_id,
    m.quantity,
    m.price,
    m.amount,
    m.currency,
    m.fx_rate,
    m.order_id,
    m.is_test,
    m.n_products,
    m.share_code,
    m.group_id,
    m.campaign_id,
    m.channel,
    m.country,
    m.locale,
    m.time_zone,
    m.is_deliberate,
    j.is_bot,
    m.is_bot_agent,
    m.is_late,
    m.is_clock_skewed
from messages as m
join judged as j on j.message_id = m.message_id
