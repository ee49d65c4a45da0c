-- Whom records whose time has come name, by file; and whose sign-up has come.
select source, path, anonymous_id, user_id
from arrived
where anonymous_id is not null or user_id is not null
union
select m.source, m.path, cast(null as varchar) as anonymous_id, m.user_id
from raw.members as m
left join touched_files as f on f.source = m.source and f.path = m.path
where m.signed_up_at >= $was_as_of and m.signed_up_at < $as_of and f.source is null
