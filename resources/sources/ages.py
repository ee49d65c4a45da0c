"""Macros for SQL that read a year of birth as people and programs write it.

- `says_no_year(said)`: nothing is said: an empty text, zeros, a word such as null or 保密.
- `read_birth_year(said, load_year)`: the year, or NULL if it cannot be read. Of several years that
  are meant (1990-1994, 90后) the last, for who is under age must not be taken for older. Of two
  digits, the latest year that is not after the load.
"""

from resources.warehouse import text_literal

_NO_YEAR = (
    r"(?i)[\s0./:TZ-]*|-1(?:\.0+)?|\(?null\)?|<null>|none|nil|nan|n/?a|\\N|undefined|unknown"
    r"|\(?not (?:set|said|given|specified|provided|available)\)?|prefer not.*|private|secret|hidden"
    r"|保密|未知|未填写?|未设置|不详|无|空"
)
# A day as one number, an instant as seconds or milliseconds since 1970, two digits, a decade.
_DAY = r"(?:19|20)\d\d(?:0\d|1[0-2])[0-3]\d"
_INSTANT = r"-?\d{9,13}(?:\.0+)?"
_SHORT = r"'?\d\d(?:\.0+)?年?"
_DECADE = r"(\d)([05])(?:后|後|s|'s)"

AGE_MACROS = f"""
create or replace temp macro says_no_year(said) as
    said is null or regexp_full_match(said, {text_literal(_NO_YEAR)});
create or replace temp macro latest_year(short, load_year) as
    case when 2000 + short <= load_year then 2000 + short else 1900 + short end;
create or replace temp macro years_in(plain) as
    list_transform(
        list_filter(regexp_extract_all(plain, '[0-9]+'), lambda digits: len(digits) = 4),
        lambda digits: cast(digits as integer)
    );
create or replace temp macro read_birth_year(said, load_year) as
    list_transform(
        [trim(translate(said, '０１２３４５６７８９', '0123456789'), ' ' || chr(9) || chr(12288))],
        lambda plain: case
            when says_no_year(said) then null
            when regexp_full_match(plain, '[0-9]{{4}}') then cast(plain as integer)
            when regexp_full_match(plain, {text_literal(_DAY)}) then cast(plain[:4] as integer)
            when regexp_full_match(plain, {text_literal(_INSTANT)})
                then year(make_timestamp(cast(cast(plain as double)
                    * case when abs(cast(plain as double)) < 1e10 then 1e6 else 1e3 end as bigint)))
            when regexp_full_match(plain, {text_literal(_SHORT)})
                then latest_year(cast(regexp_extract(plain, '[0-9][0-9]') as integer), load_year)
            when regexp_full_match(plain, {text_literal(_DECADE)})
                -- The second half of a decade, or of five years all.
                then latest_year(cast(plain[1] as integer) * 10, load_year) + 5
            when len(years_in(plain)) > 0 then list_max(years_in(plain))
        end
    )[1];
"""
