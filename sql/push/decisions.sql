-- One row per running campaign and identified member: the first gate that shut, or sent.
-- Gates after the arm: frequency cap, quiet hours, budget, lost arbitration. Campaigns take their
-- turns by priority, then campaign_id; in each, everybody passes all gates before the next one
-- begins, so a cap counts what was really sent, and only what is sent costs budget.
-- Slot: her calendar date of the message; caps look back over whole slots.
-- Caps and slots hold per address: what was sent on a channel counts for everybody who now has the
-- address there, in earlier runs and in this one.
with recursive campaigns as (
    select
        campaign_id, version, channel, unit_cost, budget, send_hour, quiet_from_hour,
        quiet_until_hour, row_number() over (order by priority desc, campaign_id) as turn
    from push.campaigns
    where is_running
),
caps as (
    select campaign_id, rule, counts, messages, days from push.caps
),
eligibility as (
    select campaign_id, member_id, reason, rule from push.eligibility
),
assignments as (
    select campaign_id, member_id, arm from push.assignments
),
members as (
    select member_id, coalesce(time_zone, $time_zone) as time_zone from clean.members
),
habits as (
    select member_id, best_hour from features.members
),
worth as (
    select member_id, predicted_clv from value.clv
),
-- A cap looks back 30 days at most; a slot can lie a day after its run.
history as (
    select member_id, campaign_id, channel, cast(slot as date) as slot
    from push.decisions
    where outcome = 'sent' and run_date < $run_date and run_date >= $run_date - 31
),
addresses as (
    select member_id, channel, address_hash from clean.member_addresses
),
shared as (
    select member_id, channel, address_hash
    from addresses
    qualify count(*) over (partition by channel, address_hash) > 1
),
mail as (
    select
        history.campaign_id, history.channel, history.slot, addresses.address_hash, count(*) as n
    from history
    join addresses using (member_id, channel)
    group by history.campaign_id, history.channel, history.slot, addresses.address_hash
),
received as (
    select addresses.member_id, mail.campaign_id, mail.channel, mail.slot, mail.n
    from mail
    join addresses using (channel, address_hash)
    union all
    select member_id, campaign_id, channel, slot, 1 as n
    from history
    anti join addresses using (member_id, channel)
),
candidates as (
    select
        eligibility.campaign_id,
        eligibility.member_id,
        eligibility.rule,
        case when eligibility.reason is null then assignments.arm end as arm,
        case
            when eligibility.reason is not null then eligibility.reason
            when assignments.arm = 'holdout' then 'holdout'
        end as reason
    from eligibility
    left join assignments using (campaign_id, member_id)
),
timed as (
    select
        candidates.campaign_id,
        candidates.member_id,
        members.time_zone,
        -- A habit of late hours would never find an hour that is not quiet.
        case
            when quiet_from_hour <= quiet_until_hour or best_hour < quiet_from_hour
                then habits.best_hour
        end as habit,
        coalesce(
            campaigns.send_hour,
            -- Of the shop's own hours the one nearest to it around the clock, the earlier on a tie.
            list_min(
                list_transform(
                    cast($send_hours as integer[]),
                    lambda h: {
                        'apart': least(
                            abs(h - coalesce(habit, $default_hour)),
                            24 - abs(h - coalesce(habit, $default_hour))
                        ),
                        'at': h
                    }
                )
            ).at,
            habit,
            $default_hour
        ) as send_hour,
        campaigns.quiet_from_hour,
        campaigns.quiet_until_hour
    from candidates
    join campaigns using (campaign_id)
    join members using (member_id)
    left join habits using (member_id)
    where candidates.reason is null
),
-- Few distinct clocks serve all members. What was due before the run is due now.
due as (
    select
        *,
        greatest(
            to_utc_timestamp(cast($run_date as timestamp) + to_hours(send_hour), time_zone),
            $as_of
        ) as due_at,
        from_utc_timestamp(due_at, time_zone) as local_due_at
    from (select distinct time_zone, send_hour, quiet_from_hour, quiet_until_hour from timed)
),
-- From a quiet hour before midnight, quiet time ends on the next date.
quiet as (
    select
        *,
        case
            when quiet_from_hour <= quiet_until_hour
                then hour(local_due_at) >= quiet_from_hour and hour(local_due_at) < quiet_until_hour
            else hour(local_due_at) >= quiet_from_hour or hour(local_due_at) < quiet_until_hour
        end as is_quiet,
        to_utc_timestamp(
            date_trunc('day', local_due_at) + to_hours(quiet_until_hour)
            + to_days(case when hour(local_due_at) < quiet_until_hour then 0 else 1 end),
            time_zone
        ) as quiet_until
    from due
),
clocks as (
    select
        time_zone,
        send_hour,
        quiet_from_hour,
        quiet_until_hour,
        cast(local_due_at as date) as slot,
        case
            when not is_quiet then due_at
            when cast(from_utc_timestamp(quiet_until, time_zone) as date) = slot then quiet_until
        end as send_at
    from quiet
),
open as (
    select timed.campaign_id, timed.member_id, clocks.slot, clocks.send_at
    from timed
    join clocks using (time_zone, send_hour, quiet_from_hour, quiet_until_hour)
),
-- What each rule still allows her: only members with a history need counting.
remembered as (
    select
        open.campaign_id,
        open.member_id,
        caps.counts,
        caps.rule,
        caps.messages - coalesce(cast(sum(received.n) filter (
            where received.slot > open.slot - caps.days
            and case caps.counts
                when 'all' then true
                when 'channel' then received.channel = campaigns.channel
                else received.campaign_id = open.campaign_id
            end
        ) as bigint), 0) as room
    from open
    join received on received.member_id = open.member_id
    join campaigns on campaigns.campaign_id = open.campaign_id
    join caps on caps.campaign_id = open.campaign_id
    group by open.campaign_id, open.member_id, caps.counts, caps.rule, caps.messages
),
rooms as (
    select
        campaign_id,
        member_id,
        min(room) filter (where counts = 'all') as room,
        min(room) filter (where counts = 'channel') as channel_room,
        min(room) filter (where counts = 'campaign') as own_room,
        min_by(rule, (room, rule)) filter (where counts = 'all') as cap,
        min_by(rule, (room, rule)) filter (where counts = 'channel') as channel_cap,
        min_by(rule, (room, rule)) filter (where counts = 'campaign') as own_cap
    from remembered
    group by campaign_id, member_id
),
unremembered as (
    select
        campaign_id,
        min(messages) filter (where counts = 'all') as room,
        min(messages) filter (where counts = 'channel') as channel_room,
        min_by(rule, (messages, rule)) filter (where counts = 'all') as cap,
        min_by(rule, (messages, rule)) filter (where counts = 'channel') as channel_cap
    from caps
    group by campaign_id
),
taken as (
    select distinct member_id, channel, slot, true as is_taken from received
),
contenders as (
    select
        campaigns.turn,
        open.campaign_id,
        open.member_id,
        campaigns.channel,
        campaigns.unit_cost,
        campaigns.budget,
        open.send_at,
        coalesce(worth.predicted_clv, 0) as expected_value,
        coalesce(rooms.room, unremembered.room) as room,
        coalesce(rooms.channel_room, unremembered.channel_room) as channel_room,
        rooms.own_room,
        coalesce(rooms.cap, unremembered.cap) as cap,
        coalesce(rooms.channel_cap, unremembered.channel_cap) as channel_cap,
        rooms.own_cap,
        coalesce(taken.is_taken, false) as is_taken
    from open
    join campaigns using (campaign_id)
    left join worth using (member_id)
    left join rooms using (campaign_id, member_id)
    left join unremembered using (campaign_id)
    left join taken
        on taken.member_id = open.member_id
        and taken.channel = campaigns.channel
        and taken.slot = open.slot
),
-- sent_on: the channels on which a message reaches the member's address in this run, so far.
turns as (
    select
        cast(0 as bigint) as turn,
        member_id,
        cast(null as varchar) as campaign_id,
        cast(null as varchar) as reason,
        cast(null as varchar) as rule,
        cast([] as varchar[]) as sent_on
    from (select distinct member_id from contenders)

    union all

    select
        turn,
        member_id,
        campaign_id,
        case
            when campaign_id is null then null
            when shut_cap is not null then 'frequency cap'
            when send_at is null then 'quiet hours'
            when unit_cost * (n_ahead + 1) > budget then 'budget'
            when is_taken then 'lost arbitration'
            else 'sent'
        end as reason,
        shut_cap as rule,
        case
            when reason = 'sent' then list_append(sent_on, channel)
            when address_hash is not null and bool_or(
                campaign_id is not null
                and shut_cap is null
                and send_at is not null
                and not coalesce(unit_cost * (n_ahead + 1) > budget, false)
                and not is_taken
            ) over (partition by address_hash)
                then list_append(sent_on, channel)
            else sent_on
        end as sent_on
    from (
        select
            *,
            -- Not count(*) filter: over a growing frame its time is quadratic in DuckDB 2.0.
            coalesce(
                sum(if(shut_cap is null and send_at is not null and not is_taken, 1, 0)) over (
                    order by expected_value desc, member_id
                    rows between unbounded preceding and 1 preceding
                ),
                0
            ) as n_ahead
        from (
            select
                turns.turn + 1 as turn,
                turns.member_id,
                turns.sent_on,
                shared.address_hash,
                contenders.campaign_id,
                campaigns.channel,
                contenders.unit_cost,
                contenders.budget,
                contenders.send_at,
                contenders.expected_value,
                case
                    when own_room <= 0 then own_cap
                    when channel_room <= cast(list_contains(sent_on, campaigns.channel) as bigint)
                        then channel_cap
                    when room <= len(sent_on) then cap
                end as shut_cap,
                contenders.is_taken or list_contains(sent_on, campaigns.channel) as is_taken
            from turns
            join campaigns on campaigns.turn = turns.turn + 1
            left join contenders
                on contenders.member_id = turns.member_id and contenders.turn = campaigns.turn
            left join shared
                on shared.member_id = turns.member_id and shared.channel = campaigns.channel
        )
    )
),
decided as (
    select
        candidates.campaign_id,
        candidates.member_id,
        candidates.arm,
        coalesce(candidates.reason, turns.reason) as reason,
        coalesce(candidates.rule, turns.rule) as rule
    from candidates
    left join turns using (campaign_id, member_id)
)
select
    $run_date as run_date,
    decided.campaign_id,
    campaigns.version,
    decided.member_id,
    case decided.reason
        when 'sent' then 'sent'
        when 'holdout' then 'held'
        when 'unfit text' then 'blocked'
        when 'frequency cap' then if($on_capped = 'defer', 'deferred', 'refused')
        else 'refused'
    end as outcome,
    decided.reason,
    decided.rule,
    decided.arm,
    campaigns.channel,
    case when decided.reason = 'sent' then cast(open.slot as varchar) end as slot,
    case when decided.reason = 'sent' then open.send_at end as send_at
from decided
join campaigns using (campaign_id)
left join open using (campaign_id, member_id)
