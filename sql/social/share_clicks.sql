-- One row per click on a share and member it may bind: whether it binds her to the sharer, and if
-- not, why. Last valid click before she was known by name; the first binding stands.
--
-- Whose a share is: of the identified member who first made it. Whose a click is: her who was
-- logged in, or to whom the device belongs; on a device that several use, of everybody who was
-- first seen on it after the click; else nobody's yet (open).
-- known_at: the first sign of her by name, be it a sign-up, a login or an order.
-- Of the reasons the first that holds:
--   unknown_code      no identified member is known to have shared it by then
--   own_code          it is her own
--   same_device       she who shared it had shared it on this device by then, or was seen on it no
--                     later than $farm_window_days after the member was known
--   device_farm       she is one of more than $accounts_per_device newcomers on the device within
--                     $farm_window_days
--   earlier_binding   she had been bound by an earlier click
--   already_member    she was known by name before, not just by this click; of a click in her own
--                     name $skew_tolerance_seconds before, for servers tell of a sign-up that she
--                     made by the link before her device tells of the click
--   too_late          she was first known more than $share_window_days after it
--   not_last_click    a later click of hers counts
--   cycle             it would make her one whom she has brought herself: of a ring, the edge that
--                     was bound last is refused
with touches as (
    select message_id, kind, share_code, member_id, visitor_id, is_logged_in, occurred_at
    from features.share_touches
    where share_code is not null
),

identities as (
    select identifier, kind, member_id, visitor_id, is_shared, first_seen_at
    from clean.identities
),

merge_log as (
    select anonymous_id, user_id, linked_at
    from clean.merge_log
),

known as (
    select member_id, min(first_seen_at) as known_at
    from identities
    where kind = 'user_id' and first_seen_at < $as_of
    group by member_id
),

-- Devices with the members who were seen on them by name.
seen as (
    select device.visitor_id, device.is_shared, owner.member_id, links.linked_at
    from merge_log as links
    join identities as device on device.identifier = links.anonymous_id
    join identities as owner on owner.identifier = links.user_id
),

-- Of the devices' newcomers, those with whom it took too few days to become too many.
newcomers as (
    select
        s.visitor_id,
        s.member_id,
        s.linked_at,
        s.linked_at - lag(s.linked_at, $accounts_per_device) over (
            partition by s.visitor_id order by s.linked_at, s.member_id
        ) <= $farm_window_days * interval 1 day as is_too_many
    from seen as s
    join known on known.member_id = s.member_id
    where known.known_at >= s.linked_at - $farm_window_days * interval 1 day
),

runs as (
    select
        visitor_id,
        member_id,
        bool_or(is_too_many) over (
            partition by visitor_id
            order by linked_at, member_id
            rows between current row and $accounts_per_device following
        ) as is_farmed
    from newcomers
),

farms as (
    select visitor_id, member_id
    from runs
    where is_farmed
),

shares as (
    select
        t.share_code,
        t.member_id as referrer_id,
        t.occurred_at as shared_at,
        row_number() over (
            partition by t.share_code order by t.occurred_at, t.message_id
        ) as place
    from touches as t
    join known on known.member_id = t.member_id
    where t.kind = 'share'
),

sharers as (
    select share_code, referrer_id, shared_at
    from shares
    where place = 1
),

shared_on as (
    select share_code, visitor_id, min(occurred_at) as shared_at
    from touches
    where kind = 'share'
    group by share_code, visitor_id
),

clicks as (
    select
        c.message_id,
        coalesce(later.member_id, c.member_id) as member_id,
        c.visitor_id,
        c.share_code,
        c.is_logged_in,
        c.occurred_at as clicked_at
    from touches as c
    left join seen as later
        on later.visitor_id = c.visitor_id
        and later.is_shared
        and later.linked_at > c.occurred_at
        and not c.is_logged_in
    where c.kind = 'click'
),

judged as (
    select
        c.message_id,
        c.member_id,
        c.share_code,
        sharers.referrer_id,
        c.clicked_at,
        known.known_at,
        case
            when sharers.referrer_id is null then 'unknown_code'
            when sharers.referrer_id = c.member_id then 'own_code'
            when sharer_seen.visitor_id is not null or shared_on.visitor_id is not null
                then 'same_device'
            when farms.visitor_id is not null then 'device_farm'
            when
                known.known_at <= c.clicked_at and not c.is_logged_in
                or known.known_at
                < c.clicked_at - $skew_tolerance_seconds * interval 1 second
                then 'already_member'
            when known.known_at > c.clicked_at + $share_window_days * interval 1 day
                then 'too_late'
        end as reason
    from clicks as c
    left join sharers
        on sharers.share_code = c.share_code
        and sharers.shared_at <= c.clicked_at + $skew_tolerance_seconds * interval 1 second
    left join known on known.member_id = c.member_id
    left join farms on farms.visitor_id = c.visitor_id and farms.member_id = c.member_id
    left join seen as sharer_seen
        on sharer_seen.visitor_id = c.visitor_id
        and sharer_seen.member_id = sharers.referrer_id
        and sharer_seen.linked_at
            <= coalesce(known.known_at, c.clicked_at) + $farm_window_days * interval 1 day
    left join shared_on
        on shared_on.visitor_id = c.visitor_id
        and shared_on.share_code = c.share_code
        and shared_on.shared_at <= c.clicked_at
),

valid as (
    select
        message_id,
        member_id,
        referrer_id,
        known_at,
        row_number() over (
            partition by member_id order by clicked_at desc, message_id desc
        ) as place
    from judged
    where reason is null and known_at is not null
),

edges as (
    select member_id, referrer_id, known_at
    from valid
    where place = 1
),

-- Only she can close a ring who had brought somebody before she was bound herself.
suspects as (
    select e.member_id, e.referrer_id, e.known_at
    from edges as e
    where exists (
        select 1
        from edges as brought
        where
            brought.referrer_id = e.member_id
            and (brought.known_at, brought.member_id) < (e.known_at, e.member_id)
    )
),

-- From each of them upwards, along edges that were bound before hers.
ancestors as (
    with recursive walk as (
        select member_id, known_at, referrer_id as ancestor_id
        from suspects
        union
        select w.member_id, w.known_at, e.referrer_id
        from walk as w
        join edges as e
            on e.member_id = w.ancestor_id
            and (e.known_at, e.member_id) < (w.known_at, w.member_id)
        where w.ancestor_id <> w.member_id
    )
    select member_id, ancestor_id
    from walk
),

closing as (
    select distinct member_id
    from ancestors
    where ancestor_id = member_id
),

bound as (
    select v.message_id, v.member_id
    from valid as v
    where v.place = 1 and not exists (select 1 from closing as c where c.member_id = v.member_id)
)

select
    j.message_id,
    j.member_id,
    j.share_code,
    j.referrer_id,
    j.clicked_at,
    j.known_at,
    case
        when b.message_id is not null then 'bound'
        when j.reason is not null or j.known_at is not null then 'refused'
        else 'open'
    end as outcome,
    case
        when b.message_id is not null then null
        when j.reason = 'already_member' and brought.member_id is not null then 'earlier_binding'
        when j.reason is not null then j.reason
        when v.place > 1 then 'not_last_click'
        when v.place = 1 then 'cycle'
    end as reason
from judged as j
left join valid as v on v.message_id = j.message_id and v.member_id = j.member_id
left join bound as b on b.message_id = j.message_id and b.member_id = j.member_id
left join bound as brought on brought.member_id = j.member_id
