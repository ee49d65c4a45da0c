-- One row per address in the accepted member records of the files being loaded: its keyed hash.
-- The address itself is in the vault alone, under the same source, path and line.
-- is_stand_in: the user id, by which the push provider knows the app where a record tells no token.
select
    $source as source,
    staged.path,
    staged.line,
    address_hashes.channel,
    person.pseudonym as user_id,
    address_hashes.address_hash,
    address_hashes.channel = 'app_push' and list_contains(
        staged.addresses, {'channel': 'app_push', 'address': staged.user_key}
    ) as is_stand_in,
    files.load_date
from staged
join address_hashes on address_hashes.path = staged.path and address_hashes.line = staged.line
join files on files.path = staged.path
join pseudonyms as person on person.identifier = staged.user_key
where staged.reason is null and address_hashes.channel is not null
