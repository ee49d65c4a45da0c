-- Members of whom something changed: events, identifiers, records or consent.
with identifiers as (
    select i.member_id
    from clean.identities as i
    join touched_identifiers as t on t.identifier = i.identifier
    union
    select member_id from was_identities
),
-- What was said in these files, and grants that have become due.
words as (
    select c.identifier, c.address_hashes
    from raw.consents as c
    join touched_files as f
        on f.source = c.source and f.path = c.path and f.load_date = c.load_date
    union all
    select identifier, address_hashes
    from raw.consents
    where counts_at >= $was_as_of and counts_at < $as_of
),
addresses as (
    select explode(address_hashes) as address_hash
    from words
),
speakers as (
    select i.member_id
    from clean.identities as i
    join words as w on w.identifier = i.identifier
    union all
    -- Whoever has got or lost an address since is touched by the record that says so.
    select m.member_id
    from clean.member_addresses as m
    join addresses as a on a.address_hash = m.address_hash
    union all
    -- What a replaced file of consents said is not known any more: everybody is looked at.
    select member_id
    from clean.identities
    where exists (select 1 from touched_files where was_seen and entity = 'consents')
)
select member_id from messages where member_id is not null
union
select member_id from gone where member_id is not null
union
select was_member_id from reopened where was_member_id is not null
union
select member_id from identifiers
union
select member_id from speakers
