-- One row per record that carries the id of a message which an earlier record told: all copies but the
-- one that counts. kind: repeated, where it says the same; conflicting, where it says something else
-- and is kept aside, differs_in says what (see touched/differing.sql). Of the touched messages alone.
with copies as (
    select message_id, source, path, line, load_date, copy
    from copies
),
differing as (
    select message_id, copy, differs_in
    from differing
)
select c.source, c.path, c.line, c.message_id,
    case when d.message_id is null then 'repeated' else 'conflicting' end as kind,
    d.differs_in,
    c.load_date
from copies as c
left join differing as d on d.message_id = c.message_id and d.copy = c.copy
where c.copy > 1
