-- One row per message before run_date that names a share or a group order, bots' left out: a share
-- made, a click on a link, or an order in a group. A click is a deliberate act that names the share,
-- or a sign-up by it, of which servers tell too; a message with the link in it is none.
--
-- A link's code stays in the address, so every page of a visit may repeat it: of a session's pages
-- with the same code in a row only the first counts as a click. A code longer than $max_code_length
-- is no code of ours; what has no other claim to be here is left out.
-- order_id: as clean.orders has it, where a number is used for several orders.
with numbers as (
    select
        e.message_id,
        n.order_id
    from clean.order_numbers as n
    join clean.order_events as e
        on e.namespace = n.namespace and e.order_number = n.order_number
),

events as (
    select
        e.message_id,
        e.member_id,
        e.visitor_id,
        e.is_logged_in,
        e.session_id,
        e.event_name,
        e.is_deliberate,
        e.product_id,
        coalesce(n.order_id, e.order_id) as order_id,
        e.channel,
        e.occurred_at,
        e.event_date,
        e.group_id,
        case when length(e.share_code) <= $max_code_length then e.share_code end as share_code
    from clean.events as e
    left join numbers as n on n.message_id = e.message_id
    where
        (e.share_code is not null or e.group_id is not null)
        and e.member_id is not null
        and not e.is_bot
        and not e.is_test
        and e.event_date < $run_date
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
