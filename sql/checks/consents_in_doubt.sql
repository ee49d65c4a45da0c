-- Which consents are not as they are declared? One row per source, doubt and spelling: what could
-- not be understood (a status is then taken for a withdrawal, a withdrawal counts for everything
-- that it can mean), grants that do not count, and withdrawals by nobody who is known.
with consents as (
    select
        source, path, line, identifier, address_hashes, channel, purpose, status, effect,
        case
            when not_understood = 'channel'
                and list_contains(string_split($known_channels, ','), channel)
                then null
            else not_understood
        end as not_understood
    from raw.consents
),
people as (
    select distinct identifier from clean.identities
),
addresses as (
    select distinct address_hash from clean.member_addresses
),
named_by_address as (
    select distinct source, path, line
    from (select source, path, line, unnest(address_hashes) as address_hash from consents)
    join addresses using (address_hash)
),
doubtful as (
    select
        consents.source,
        case
            when consents.not_understood is not null
                then consents.not_understood || ' not understood'
            when consents.effect = 'inexact' then 'a grant that is not exact'
            when consents.effect = 'withdrawn'
                and people.identifier is null
                and named_by_address.line is null
                then 'a withdrawal by nobody who is known'
        end as doubt,
        consents.not_understood,
        consents.channel,
        consents.purpose,
        consents.status
    from consents
    left join people on people.identifier = consents.identifier
    left join named_by_address using (source, path, line)
)
select
    source,
    doubt,
    case
        when doubt like '%nobody%' or not_understood = 'at' then null
        when not_understood = 'status' then status
        when not_understood = 'channel' then channel
        when not_understood = 'purpose' then purpose
        else channel || ', ' || purpose
    end as spelling,
    count(*) as n_consents
from doubtful
where doubt is not null
group by all
order by n_consents desc, source, doubt, spelling
