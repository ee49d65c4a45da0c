-- One row per funnel, event of a member and step that it meets, as funnels.yaml asks: step 1 is the
-- funnel's first, -1 its first exclusion. nth numbers the deliberate acts of a member and whatever a
-- funnel asks for, those of the same instant by message, so that it shows what came between and no
-- message that was sent meanwhile does; is_newest says that none of theirs follows.
-- Bots, test orders and what nobody did are left out.
with kinds as (
    select funnel, step, event_name, channel, country, product_id
    from funnel_kinds
),

names as (
    select distinct event_name
    from kinds
),

events as (
    select
        e.message_id,
        e.member_id,
        e.event_name,
        e.channel,
        e.country,
        e.product_id,
        e.occurred_at
    from clean.events as e
    left join names as n on n.event_name = e.event_name
    where
        (e.is_deliberate or n.event_name is not null)
        and not e.is_bot
        and not e.is_test
        and e.member_id is not null
        and e.occurred_at < $as_of
),

numbered as (
    select
        member_id,
        event_name,
        channel,
        country,
        product_id,
        occurred_at,
        row_number() over (partition by member_id order by occurred_at, message_id) as nth,
        lead(occurred_at) over (partition by member_id order by occurred_at, message_id)
        is null as is_newest
    from events
)

select
    k.funnel,
    e.member_id,
    e.nth,
    k.step,
    e.occurred_at,
    e.is_newest
from numbered as e
join kinds as k
    on k.event_name = e.event_name
    and (k.channel is null or k.channel = e.channel)
    and (k.country is null or k.country = e.country)
    and (k.product_id is null or k.product_id = e.product_id)
