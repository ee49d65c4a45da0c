-- One row per accepted member record of the files being loaded.
-- Of the year of birth only a band of five years is kept, of the addresses only their channels,
-- of the attributes only those that name nobody and that the source maps (see
-- resources/sources/redaction). What is empty, or a word for nothing, says nothing.
-- is_age_unread: a year of birth is there and cannot be read.
with told as (
    select staged.*, files.load_date,
        read_birth_year(staged.birth_year, year(files.load_date)) as birth_year_read
    from staged
    join files on files.path = staged.path
    where staged.reason is null
)
select
    $source as source,
    told.path,
    told.line,
    person.pseudonym as user_id,
    told.signed_up_at,
    redacted_text(said_text(told.locale)) as locale,
    zones.name as time_zone,
    read_country(told.country) as country,
    -- Years until 1900 are what systems fill in for none.
    case when told.birth_year_read > 1900 then told.birth_year_read - told.birth_year_read % 5 end
        as birth_year_band,
    not says_no_year(told.birth_year) and told.birth_year_read is null as is_age_unread,
    redacted_text(said_text(told.channel)) as channel,
    list_sort(list_transform(coalesce(told.addresses, []), lambda entry: entry.channel))
        as addressable_channels,
    kept_attributes(coalesce(told.attributes, '{}')) as attributes,
    opt_outs(coalesce(told.attributes, '{}')) as opt_outs,
    told.load_date
from told
left join time_zones as zones on zones.said = told.time_zone
join pseudonyms as person on person.identifier = told.user_key
