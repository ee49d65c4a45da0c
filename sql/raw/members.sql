-- One row per accepted member record of the files being loaded.
-- Of the year of birth only a band of five years is kept, of the addresses only their channels,
-- of the attributes only those that name nobody and that the source maps (see
-- resources/sources/redaction).
select
    $source as source,
    staged.path,
    staged.line,
    person.pseudonym as user_id,
    staged.signed_up_at,
    redacted_text(staged.locale) as locale,
    zones.name as time_zone,
    read_country(staged.country) as country,
    staged.birth_year - staged.birth_year % 5 as birth_year_band,
    redacted_text(staged.channel) as channel,
    list_sort(list_transform(coalesce(staged.addresses, []), lambda entry: entry.channel))
        as addressable_channels,
    kept_attributes(coalesce(staged.attributes, '{}')) as attributes,
    opt_outs(coalesce(staged.attributes, '{}')) as opt_outs,
    files.load_date
from staged
join files on files.path = staged.path
left join time_zones as zones
    on zones.name = staged.time_zone
join pseudonyms as person on person.identifier = staged.user_key
where staged.reason is null
