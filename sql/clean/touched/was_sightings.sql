-- What was seen of these pairs in their files before.
select s.rowid as row_id, s.source, s.path, s.anonymous_id, s.user_id, s.first_seen_at,
    s.last_seen_at
from clean.sightings as s
join arrived_pairs as a
    on a.source = s.source and a.path = s.path
    and a.anonymous_id is not distinct from s.anonymous_id
    and a.user_id is not distinct from s.user_id
