-- Visitors whose earlier, anonymous events are now another member's.
select i.visitor_id, i.member_id
from clean.identities as i
join was_identities as w on w.identifier = i.identifier
where i.member_id <> w.member_id
