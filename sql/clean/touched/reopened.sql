-- Rows of clean.events to be derived anew without having changed in themselves, with their member
-- as it is now.
with rows as (
    select row_id from moved_rows
    union
    select e.rowid as row_id
    from clean.events as e
    join touched_sessions as s on s.session_id = e.session_id
)
select e.rowid as row_id, e.message_id, e.source, e.path, e.line,
    coalesce(m.member_id, e.member_id) as member_id, e.member_id as was_member_id,
    e.visitor_id, e.is_logged_in, e.event_name, e.occurred_at, e.event_date, e.product_id,
    e.quantity, e.price, e.amount, e.currency, e.fx_rate, e.order_id, e.is_test, e.n_products,
    e.share_code, e.group_id, e.campaign_id, e.channel, e.country, e.locale, e.time_zone,
    e.is_deliberate, e.is_bot_agent, e.is_late, e.is_clock_skewed, e.session_id is not null as is_in_session
from clean.events as e
join rows as r on r.row_id = e.rowid
left join moved_visitors as m on m.visitor_id = e.visitor_id and not e.is_logged_in
