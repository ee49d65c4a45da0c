-- Sessions that must be cut anew: those that lost or keep a touched event, and those within a gap
-- of an event that joins their member.
with moved as (
    select e.session_id, e.occurred_at, coalesce(m.member_id, e.member_id) as member_id
    from clean.events as e
    join moved_rows as r on r.row_id = e.rowid
    left join moved_visitors as m on m.visitor_id = e.visitor_id and not e.is_logged_in
    where e.session_id is not null
),
joining as (
    select member_id, occurred_at from messages where is_in_session
    union
    select member_id, occurred_at from moved
)
select session_id from gone where session_id is not null
union
select session_id from moved
union
select s.session_id
from clean.sessions as s
join joining as j
    on j.member_id = s.member_id
    and j.occurred_at >= s.started_at - $session_gap_seconds * interval '1' second
    and j.occurred_at <= s.ended_at + $session_gap_seconds * interval '1' second
