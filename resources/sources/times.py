r"""How a source's texts are read as times, for every layout and every mapping alike.

A text is a time only if all of it is understood. Most texts have one of a few exact shapes, which
are read at once; the rest are put into one form, year first, and held against one pattern.

- An offset or a zone in the text counts. Without one the time is of the source's `time_zone`.
- A zone is an IANA name with a slash, UTC, GMT, Z, or a country's link (PRC, Japan). Abbreviations
  such as CST mean several zones and are not understood, unless they only comment on an offset.
- A local time that comes twice, when clocks go back, is the first of the two. One that never comes,
  when clocks go forward, is read by the offset before (as RFC 5545 has it).
- A number is seconds, milliseconds, microseconds or nanoseconds since 1970: between 1990 and 2101
  its size tells which.
- A date alone is its beginning, 24:00 the end of its day, second 60 the first of the next minute.
- `07/06/2026` may mean two days and is not understood: the source's `time_format` has to say which.
"""

import datetime as dt
from functools import cache
from zoneinfo import ZoneInfo

from resources.config.source import Source
from resources.config.time_zones import COUNTRY_LINKS
from resources.warehouse import text_literal

# Beyond these a clock is broken, and arithmetic with times may overflow.
EARLIEST, LATEST = "timestamp '1990-01-01'", "timestamp '2101-01-01'"
# The same in seconds since 1970.
_FIRST, _END = 631_152_000, 4_133_980_800

# Without a slash, in lower case; behind a time GMT is UTC.
_COUNTRIES = (*COUNTRY_LINKS, "gmt", "uct", "universal", "greenwich", "zulu")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
_WEEKDAY = (
    "mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?|fri(?:day)?"
    "|sat(?:urday)?|sun(?:day)?"
)
_DATE = (
    rf"(?:(?P<weekday>{_WEEKDAY})\.?,? )?"
    rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}}|{_MONTH})-(?P<day>\d{{1,2}})"
)
_CLOCK = (
    r"(?:(?P<gap>T|,? )(?P<before>[AP]M)? ?(?P<hour>\d{1,2})"
    r"(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:[.,](?P<fraction>\d{1,9}))?)?)?"
    r"(?: ?(?P<after>[AP](?:M|\.M\.)))?)?"
)
_ZONE = (
    r"(?: ?(?P<utc>Z|UTC?|GMT))?"
    r"(?: ?(?P<offset>[+-](?:\d{1,2}(?::\d{2}(?::\d{2})?)?|\d{4}(?:\d{2})?)))?"
    r"(?: ?\[!?(?P<bracket>[A-Z0-9_+/-]+)\])?(?:\[!?[A-Z0-9-]+=[A-Z0-9-]+\])*"
    r"(?: (?P<name>[A-Z][A-Z0-9_+/-]+))?(?P<comment> ?\([^()\d]+\))?"
)
_WHOLE = f"(?i)^{_DATE}{_CLOCK}{_ZONE}$"
_PARTS = (
    *("weekday", "year", "month", "day", "gap", "before", "hour", "minute", "second", "fraction"),
    *("after", "utc", "offset", "bracket", "name", "comment"),
)
# What wide and Chinese, Japanese or Korean texts say, in the letters of the pattern.
_WIDE = ("０１２３４５６７８９：／－．，＋−", "0123456789:/-.,+-")
_SPACES = r"[\s\p{Z}\x{200b}\x{200e}\x{200f}\x{feff}]+"
# Each rewrites one more spelling: pattern and replacement, in this order.
_RESPELT = (
    (_SPACES, " "),
    ("^ | $", ""),
    (" ?(?:星期|周|週)[一二三四五六日天] ?", " "),
    (r"^(\d{4}) ?年 ?(\d{1,2}) ?月 ?(\d{1,2}) ?[日号號] ?", r"\1-\2-\3 "),
    (r"(\d) ?[时時点點] ?(\d{1,2}) ?分 ?(\d{1,2}) ?秒", r"\1:\2:\3"),
    (r"(\d) ?[时時点點] ?(\d{1,2}) ?分", r"\1:\2"),
    (r"(\d) ?[时時点點]整?", r"\1:00"),
    (" ?(?:上午|午前|오전|凌晨|早上) ?", " AM "),
    (" ?(?:下午|午後|오후) ?", " PM "),
    (_SPACES, " "),
    ("^ | $", ""),
    (r"^(\d{4})/(\d{1,2})/(\d{1,2})", r"\1-\2-\3"),
    (r"^(\d{4})\.(\d{1,2})\.(\d{1,2})", r"\1-\2-\3"),
    # ISO 8601's basic form, with or without T.
    (r"^(\d{4})(\d\d)(\d\d)[Tt ]?(\d\d)(\d\d)(\d\d)(\D.*)?$", r"\1-\2-\3 \4:\5:\6\7"),
    (r"^(\d{4})(\d\d)(\d\d)[Tt ]?(\d\d)(\d\d)(\D.*)?$", r"\1-\2-\3 \4:\5\6"),
    (r"^(\d{4})(\d\d)(\d\d)(\D.*)?$", r"\1-\2-\3\4"),
    # As `ctime` and `date` write it: the year comes last.
    (
        rf"(?i)^(?:({_WEEKDAY}) )?({_MONTH}) (\d{{1,2}}) (\d\d?:\d\d:\d\d(?: [AP]M)?)"
        r"((?: [A-Z]+)?(?:[+-]\d\d:?\d\d)?) (\d{4})$",
        r"\1 \6-\2-\3 \4\5",
    ),
    # The month by its name, first or second; a year of two digits as RFC 2822 reads it.
    (
        rf"(?i)^(?:({_WEEKDAY})\.?,? )?({_MONTH})\.? (\d{{1,2}})(?:st|nd|rd|th)?,? (\d{{4}})"
        r"(?:(?:,? at|,)? (.*))?$",
        r"\1 \4-\2-\3 \5",
    ),
    (
        rf"(?i)^((?:(?:{_WEEKDAY})\.?,? )?\d{{1,2}}[ /-](?:{_MONTH})[ /-])([0-6]\d)([ ,:].*)?$",
        r"\120\2\3",
    ),
    (
        rf"(?i)^(?:({_WEEKDAY})\.?,? )?(\d{{1,2}})(?:st|nd|rd|th)?[ /-]({_MONTH})\.?,?[ /-]"
        r"(\d{4})(?:(?:,? at |, | |:)(.*))?$",
        r"\1 \4-\3-\2 \5",
    ),
    # The clock with points, as DB2 and Oracle write it.
    (
        r"^ ?((?:[A-Za-z]+ )?\d{4}-[A-Za-z0-9]+-\d{1,2})[ -](\d{1,2})\.(\d\d)\.(\d\d)",
        r"\1 \2:\3:\4",
    ),
    ("^ | $", ""),
)
_EXACT = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d"
_EXACT_WITH_OFFSET = rf"{_EXACT}:\d\d(?:\.\d{{1,6}})?(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
_EXACT_LOCAL = r"\d{4}(?:-\d{1,2}-\d{1,2}|/\d{1,2}/\d{1,2})[T ]\d{1,2}:\d\d(?::\d\d(?:\.\d{1,6})?)?"
_NUMBER = r"\s*(?:\d{9,19}(?:\.\d+)?|\d(?:\.\d+)?[eE]\+?\d{1,2})\s*"
# How programs write that there is no time.
_SAYS_NONE = (
    r"(?i)[\s\p{Z}-]*|\(?null\)?|<null>|none|nil|nan|nat|n/?a|undefined|\\N"
    r"|0000-00-00(?:[T ]00:00:00(?:\.0+)?Z?)?"
)
_TWO_DAYS = r"\s*\d{1,2}[/.-]\d{1,2}[/.-](?:\d{4}|\d{2})(?:\D.*)?"
_UNKNOWN_ZONE = r"(?i)\d ?([A-Z]{2}[A-Z0-9_+/-]+)\s*$"
NO_TIME = " is no time that can be read; expected one such as 2026-07-06T10:00:00+08:00"


def _respelt(text: str) -> str:
    sql = f"translate({text}, {text_literal(_WIDE[0])}, {text_literal(_WIDE[1])})"
    for pattern, replacement in _RESPELT:
        sql = f"regexp_replace({sql}, {text_literal(pattern)}, {text_literal(replacement)}, 'g')"
    return sql


_LISTED_PARTS = ", ".join(map(text_literal, _PARTS))
_LISTED_MONTHS = ", ".join(map(text_literal, _MONTHS))
# Each macro binds what it is given by a lambda: an argument is copied wherever it is named.
MACROS = rf"""
set variable time_zone_names = (
    select list(lower(name)) from pg_timezone_names()
    where contains(name, '/') or lower(name) in ({", ".join(map(text_literal, _COUNTRIES))})
);
create or replace temp macro is_no_time(said) as
    regexp_full_match(said, {text_literal(_SAYS_NONE)});
create or replace temp macro known_zone(said) as
    case when list_contains(getvariable('time_zone_names'), lower(said)) then said end;
-- The first of two instants that a zone's clocks show as one time.
create or replace temp macro first_instant(told, zone) as
    list_transform(
        list_transform(
            [{{'told': told, 'zone': zone, 'last': timezone('UTC', timezone(zone, told))}}],
            lambda t: {{'told': t.told, 'zone': t.zone, 'last': t.last, 'first': t.told - (
                timezone(t.zone, timezone('UTC', t.last - interval 3 hours))
                - (t.last - interval 3 hours)
            )}}
        ),
        lambda t: case
            when timezone(t.zone, timezone('UTC', t.first)) = t.told then t.first
            else t.last
        end
    )[1];
create or replace temp macro parts_of_time(said) as
    list_transform(
        [regexp_extract(said, {text_literal(_WHOLE)}, [{_LISTED_PARTS}])],
        lambda p: case
            when p.year <> '' then p
            else regexp_extract({_respelt("said")}, {text_literal(_WHOLE)}, [{_LISTED_PARTS}])
        end
    )[1];
create or replace temp macro seconds_of_offset(said) as
    case
        when said = '' then null
        else (case when said[1] = '-' then -1 else 1 end)
            * list_transform(
                [case
                    when contains(said, ':') then string_split(said[2:], ':')
                    when strlen(said) > 3 then [said[2:3], said[4:5], said[6:7]]
                    else [said[2:]]
                end],
                lambda n: case
                    when cast(n[1] as integer) < 24
                        and coalesce(try_cast(n[2] as integer), 0) < 60
                        and coalesce(try_cast(n[3] as integer), 0) < 60
                        then cast(n[1] as integer) * 3600
                            + coalesce(try_cast(n[2] as integer), 0) * 60
                            + coalesce(try_cast(n[3] as integer), 0)
                end
            )[1]
    end;
-- The local time, its offset and its zone, where the parts make sense together.
create or replace temp macro told_by_parts(parts) as
    list_transform(
        list_transform([parts], lambda p: {{
            'date': try_cast(p.year || '-' || case
                when try_cast(p.month as integer) is not null then p.month
                else cast(list_position([{_LISTED_MONTHS}], lower(p.month[1:3])) as varchar)
            end || '-' || p.day as date),
            'weekday': lower(p.weekday[1:3]),
            'half': upper(p.before || replace(p.after, '.', '')),
            'hour': coalesce(try_cast(p.hour as integer), 0),
            'minute': coalesce(try_cast(p.minute as integer), 0),
            'second': coalesce(try_cast(p.second as integer), 0),
            'micros': coalesce(try_cast(rpad(p.fraction[1:6], 6, '0') as integer), 0),
            'offset': case
                when p.offset <> '' then seconds_of_offset(p.offset)
                when p.utc <> '' then 0
            end,
            'zone': nullif(p.bracket || case when p.offset = '' then p.name else '' end, ''),
            -- An hour alone is a time after T and with AM or PM, and a second sign of a zone is
            -- one too many, unless it stands in brackets or comments on an offset.
            'is_sound': (p.minute <> '' or p.hour = '' or lower(p.gap) = 't'
                    or p.before || p.after <> '')
                and (p.before = '' or p.after = '')
                and (p.offset = '' or (
                    upper(p.utc) in ('', 'UTC', 'GMT') and seconds_of_offset(p.offset) is not null
                ))
                and (p.name = '' or (p.utc = '' and (p.bracket = '' or p.offset <> '')))
                and (p.name = '' or p.offset = '' or regexp_full_match(p.name, '[A-Z]{{2,5}}'))
                and (p.comment = '' or p.offset || p.utc <> '')
        }}),
        lambda t: case
            when t.is_sound
                and (t.weekday = '' or t.weekday = lower(strftime(t.date, '%a')))
                and (t.half = '' or t.hour <= 12)
                and (t.hour < 24 or (t.hour = 24 and t.minute + t.second + t.micros = 0))
                and t.minute < 60 and t.second <= 60
                then {{
                    'at': cast(t.date as timestamp) + to_hours(case t.half
                        when 'AM' then t.hour % 12
                        when 'PM' then t.hour % 12 + 12
                        else t.hour
                    end) + to_minutes(t.minute) + to_seconds(t.second) + to_microseconds(t.micros),
                    'offset': t.offset,
                    'zone': t.zone
                }}
        end
    )[1];
create or replace temp macro instant_of_millis(said) as
    case
        when try_cast(said as bigint) between {_FIRST}000 and {_END}000
            then make_timestamp(try_cast(said as bigint) * 1000)
    end;
create or replace temp macro instant_of_micros(said) as
    case
        when try_cast(said as bigint) between {_FIRST}000000 and {_END}000000
            then make_timestamp(try_cast(said as bigint))
    end;
create or replace temp macro instant_of_number(said) as
    list_transform(
        [try_cast(trim(said) as decimal(38, 9))],
        lambda n: case
            when n >= {_FIRST} and n < {_END} then make_timestamp(cast(n * 1000000 as bigint))
            when n >= {_FIRST}000 and n < {_END}000 then make_timestamp(cast(n * 1000 as bigint))
            when n >= {_FIRST}000000 and n < {_END}000000 then make_timestamp(cast(n as bigint))
            when n >= {_FIRST}000000000 and n < {_END}000000000
                then make_timestamp(cast(floor(n / 1000) as bigint))
        end
    )[1];
"""


def _local(told: str, zone: str) -> str:
    """SQL for the instant of a source's local time."""
    if zone == "UTC":
        return told
    name = text_literal(zone)
    if _is_steady(zone):
        return f"timezone('UTC', timezone({name}, {told}))"
    return f"first_instant({told}, {name})"


@cache
def _is_steady(zone: str) -> bool:
    """Whether a zone's clocks were never put back since 1992, nor will be."""
    first = dt.datetime(1992, 1, 1, tzinfo=dt.UTC)
    weeks = (first + dt.timedelta(weeks=week) for week in range(60 * 52))
    return len({week.astimezone(ZoneInfo(zone)).utcoffset() for week in weeks}) == 1


def instant(told: str, zone: str) -> str:
    """SQL for the instant of what is a time already: of `zone` where it says none itself."""
    return _local(f"cast({told} as timestamp)", zone)


def reading(source: Source) -> str:
    """The macros `utc` (a time as UTC, or NULL) and `why_no_time` for a source's texts."""
    zone = source.time_zone
    if source.time_format:
        formats = f"[{', '.join(map(text_literal, source.time_format))}]"
        parsed = f"try_strptime(said, {formats})"
        has_offset = any("%z" in each for each in source.time_format)
        told = f"timezone('UTC', {parsed})" if has_offset else _local(parsed, zone)
        shown = " or ".join(map(repr, source.time_format))
        problem = text_literal(f" does not fit the source's time_format {shown}")
        return (
            f"create or replace temp macro utc(said) as {told};"
            f" create or replace temp macro why_no_time(said) as {problem};"
        )
    return rf"""
create or replace temp macro utc(said) as coalesce(
    case
        when said like '____-__-__T__:__:__.___Z'
            then try_strptime(said, '%Y-%m-%dT%H:%M:%S.%gZ')
        when said like '____-__-__T__:__:__Z' then try_strptime(said, '%Y-%m-%dT%H:%M:%SZ')
        when said like '____-__-__ __:__:__'
            then {_local("try_strptime(said, '%Y-%m-%d %H:%M:%S')", zone)}
        when regexp_full_match(said, {text_literal(_EXACT_WITH_OFFSET)})
            then timezone('UTC', try_cast(said as timestamptz))
        when regexp_full_match(said, {text_literal(_EXACT_LOCAL)})
            then {_local("try_cast(replace(said, '/', '-') as timestamp)", zone)}
    end,
    case when regexp_full_match(said, {text_literal(_NUMBER)}) then instant_of_number(said) end,
    case
        when said is not null then list_transform(
            [told_by_parts(parts_of_time(said))],
            lambda t: case
                when t.offset is null and t.zone is null then {_local("t.at", zone)}
                when t.offset is null then first_instant(t.at, known_zone(t.zone))
                when t.zone is null or t.offset = 0
                    or timezone(known_zone(t.zone), timezone('UTC', t.at - to_seconds(t.offset)))
                        = t.at
                    then t.at - to_seconds(t.offset)
            end
        )[1]
    end
);
create or replace temp macro why_no_time(said) as
    case
        when regexp_full_match(said, {text_literal(_TWO_DAYS)})
            then ' may mean two days; give the source a time_format, such as %d/%m/%Y %H:%M'
        when regexp_extract(said, {text_literal(_UNKNOWN_ZONE)}, 1) <> ''
            then ' has a zone that is not known or means several; expected an offset such as'
                || ' +08:00, UTC, or a place such as Asia/Shanghai, or a time_format with it'
        else {text_literal(NO_TIME)}
    end;
"""
