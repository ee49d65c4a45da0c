-- One row per member and attribute of the member's own, as the sources map them: the newest value
-- that any of the member's records gives (by load_date, path, line), so that a record which does not
-- speak of an attribute takes none away. Values are texts; a list is its JSON. Of touched members alone.
with touched as (
    select member_id
    from touched_members
),
identities as (
    select i.identifier, i.member_id
    from clean.identities as i
    join touched as t on t.member_id = i.member_id
),
records as (
    select i.member_id, m.source, m.path, m.line, m.load_date, m.attributes
    from raw.members as m
    join identities as i on i.identifier = m.user_id
    where m.attributes <> '{}'
),
named as (
    select member_id, source, path, line, load_date, attributes,
        explode(json_object_keys(attributes)) as attribute
    from records
),
told as (
    select member_id, source, path, line, load_date, attribute,
        nullif(trim(get_json_object(attributes, '$.' || attribute)), '') as value
    from named
),
ranked as (
    select member_id, attribute, value,
        row_number() over (
            partition by member_id, attribute
            order by load_date desc, path desc, line desc, source desc
        ) as newness
    from told
    where value is not null
)
select member_id,
    attribute,
    value
from ranked
where newness = 1
