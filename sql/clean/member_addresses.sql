-- One row per member and channel that reaches them: the address that messages go to, by its keyed
-- hash, and the record that gave it. Of touched members alone.
-- Of several addresses the one of the newest record counts (by load_date, path, line); the user id,
-- which stands in for a device's token, only where no record tells a token.
with touched as (
    select member_id
    from touched_members
),
identities as (
    select i.identifier, i.member_id
    from clean.identities as i
    join touched as t on t.member_id = i.member_id
),
raw_addresses as (
    select source, path, line, channel, user_id, address_hash, is_stand_in, load_date
    from raw.addresses
),
ranked as (
    select i.member_id, a.channel, a.address_hash, a.user_id, a.source, a.path, a.line,
        row_number() over (
            partition by i.member_id, a.channel
            order by a.is_stand_in, a.load_date desc, a.path desc, a.line desc, a.source desc
        ) as choice
    from raw_addresses as a
    join identities as i on i.identifier = a.user_id
)
select member_id,
    channel,
    address_hash,
    user_id as identifier,
    source,
    path,
    line
from ranked
where choice = 1
