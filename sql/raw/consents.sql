-- One row per accepted consent record of the files being loaded.
select
    $source as source,
    staged.path,
    staged.line,
    person.pseudonym as identifier,
    redacted_text(staged.channel) as channel,
    redacted_text(coalesce(staged.purpose, 'marketing')) as purpose,
    staged.status,
    staged."at",
    redacted_text(staged.proof) as proof,
    files.load_date
from staged
join files on files.path = staged.path
join pseudonyms as person on person.identifier = staged.user_key
where staged.reason is null
