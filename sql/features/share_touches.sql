-- One row per message before run_date that names a share or a group order, bots' left out: a share
-- made, a click on a link, or an order in a group. A click is a deliberate act that names the share,
-- or a sign-up by it, of which servers tell too; a message with the link in it is none.
--
-- A link's code stays in the address, so every page of a visit may repeat it: of a session's pages
-- with the same code in a row only the first counts as a click. A code longer than $max_code_length
-- is no code of ours; what has no other claim to be here is left out.
with events as (
    select
        message_id,
        member_id,
        visitor_id,
        is_logged_in,
        session_id,
        event_name,
        is_deliberate,
        product_id,
        order_id,
        channel,
        occurred_at,
        event_date,
        group_id,
        case when length(share_code) <= $max_code_length then share_code end as share_code
    from clean.events
    where
        (share_code is not null or group_id is not null)
        and member_id is not null
        and not is_bot
        and not is_test
        and event_date < $run_date
),

kinds as (
    select
        message_id,
        member_id,
        visitor_id,
        is_logged_in,
        session_id,
        product_id,
        order_id,
        channel,
        occurred_at,
        event_date,
        group_id,
        share_code,
        case
            when event_name in ('Product Shared', 'Cart Shared') then 'share'
            when event_name = 'Order Completed' then 'order'
            when share_code is null or event_name like 'Order %' then null
            when is_deliberate or event_name = 'Signed Up' then 'click'
        end as kind
    from events
),

ranked as (
    select
        message_id,
        member_id,
        visitor_id,
        is_logged_in,
        session_id,
        product_id,
        order_id,
        channel,
        occurred_at,
        event_date,
        group_id,
        share_code,
        kind,
        lag(share_code) over (
            partition by kind, session_id, visitor_id order by occurred_at, message_id
        ) as code_before
    from kinds
    where kind is not null and (share_code is not null or group_id is not null)
)

select
    message_id,
    kind,
    share_code,
    group_id,
    member_id,
    visitor_id,
    is_logged_in,
    session_id,
    product_id,
    order_id,
    channel,
    occurred_at,
    event_date
from ranked
where kind <> 'click' or code_before is distinct from share_code or session_id is null
