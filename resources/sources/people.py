"""Who is named in the temporary table `staged`, where they live, and what of it cannot be read."""

import re

import polars as pl

from resources.config.source import Entity
from resources.config.time_zones import ZoneNames
from resources.sources.ages import AGE_MACROS
from resources.sources.mapping import KEYS
from resources.sources.names import Names
from resources.warehouse import Session, text_literal

# An empty text, and words for nothing that are neither a language nor a country: na is both.
_NOTHING = r"(?i)[\s-]*|\(?null\)?|<null>|none|nil|nan|n/a|\\N|undefined|unknown|\(not set\)"
# What collection looks up per record: pseudonyms, and names of time zones.
TEMPORARY = f"""
{AGE_MACROS}
create or replace temp macro said_text(said) as
    case when not regexp_full_match(said, {text_literal(_NOTHING)}) then said end;
create or replace temp table pseudonyms (identifier varchar, spelling varchar, pseudonym varchar);
create or replace temp table time_zones (said varchar, name varchar);
"""
# Pseudonyms kept from batch to batch: this bounds memory and the time that a look takes.
_MOST_REMEMBERED = 200_000
# An offset from UTC, or a zone as Windows calls it: neither is a person's.
_SHOWN_ZONE = re.compile(
    r"(?:UTC|GMT)?\s?[+-]?\d{1,2}(?::?\d\d)?|[A-Z][A-Za-z. ]* (?:Standard|Daylight|Summer) Time"
)
_UNREAD = {"path": pl.String, "field": pl.String, "value": pl.String, "n_records": pl.Int64}


def look_up(session: Session, entity: Entity, names: Names) -> pl.DataFrame:
    """Fills the temporary tables with what `staged` names; counts what cannot be read.

    Rejects records whose identifier cannot be one. A placeholder gets no pseudonym: an event
    stays without a person, a member or a consent of nobody is rejected. Gives, per path, field and
    value that names nobody or nothing, the number of records.
    """
    columns = {str(row[0]) for row in session.rows("describe staged")}
    found: list[pl.DataFrame] = []
    if columns & set(KEYS.values()):
        found += _look_up_people(session, entity, names, columns)
    if "time_zone" in columns:
        found += _look_up_zones(session)
    if "birth_year" in columns:
        found.append(
            session.frame(
                "select path, 'birth_year' as field, value, count(*) as n_records from ("
                "select path, case when read_birth_year(birth_year, load_year) is null"
                " then 'not a year' else 'before 1901' end as value"
                " from (select staged.path, staged.birth_year, year(files.load_date) as load_year"
                " from staged join files on files.path = staged.path where staged.reason is null)"
                " where not says_no_year(birth_year)"
                " and coalesce(read_birth_year(birth_year, load_year) <= 1900, true))"
                " group by all"
            )
        )
    return pl.concat([pl.DataFrame(schema=_UNREAD), *found])


def _look_up_people(
    session: Session, entity: Entity, names: Names, columns: set[str]
) -> list[pl.DataFrame]:
    if session.scalar("select count(*) from pseudonyms") > _MOST_REMEMBERED:
        session.execute("truncate pseudonyms")
    fields = {field: column for field, column in KEYS.items() if column in columns}
    named = " union ".join(
        f"select {column} as identifier from staged where reason is null and {column} is not null"
        for column in fields.values()
    )
    new = session.frame(
        f"select distinct named.identifier from ({named}) as named"
        " anti join pseudonyms using (identifier)"
    )["identifier"].to_list()
    read = names.look_up(new)
    with session.offering(read=read):
        session.execute(
            "insert into pseudonyms select identifier, spelling, pseudonym from read"
            " where pseudonym is not null"
        )
    nobodies = read.filter(pl.col("nobody").is_not_null() & (pl.col("nobody") != "empty"))
    unread = [
        _counted(session, field, column, nobodies["identifier"], nobodies["nobody"])
        for field, column in fields.items()
        if len(nobodies)
    ]
    unfit = {each: reason for each in new if (reason := names.unfit(each, entity))}
    if unfit:
        given = pl.DataFrame({"identifier": list(unfit), "reason": list(unfit.values())})
        with session.offering(unfit=given):
            for field, column in fields.items():
                session.execute(
                    "update staged set reason = $field || ' ' || unfit.reason from unfit"
                    f" where staged.reason is null and staged.{column} = unfit.identifier"
                    # Who is named by an address is somebody.
                    f"{' and len(staged.addresses) = 0' if entity == 'consents' else ''}",
                    {"field": field},
                )
    return unread


def _look_up_zones(session: Session) -> list[pl.DataFrame]:
    """Adds the spellings in `staged` to `time_zones`."""
    said = session.frame(
        "select distinct staged.time_zone from staged"
        " anti join time_zones on time_zones.said = staged.time_zone"
        " where staged.reason is null and trim(staged.time_zone) <> ''"
    )["time_zone"].to_list()
    if not said:
        return []
    known = [str(row[0]) for row in session.rows("select distinct name from pg_timezone_names()")]
    zones = ZoneNames(known)
    read = pl.DataFrame(
        {"said": said, "name": [zones.find(each) for each in said]},
        schema={"said": pl.String, "name": pl.String},
    )
    with session.offering(read=read.drop_nulls()):
        session.execute("insert into time_zones select said, name from read")
    unknown = read.filter(pl.col("name").is_null())["said"]
    abbreviations = {each.upper() for each in known}
    shown = [_shown_zone(each, abbreviations) for each in unknown]
    values = pl.Series(shown, dtype=pl.String)
    return [_counted(session, "time_zone", "time_zone", unknown, values)] if shown else []


def _shown_zone(said: str, abbreviations: set[str]) -> str:
    plain = said.strip()
    is_shown = plain.upper() in abbreviations or _SHOWN_ZONE.fullmatch(plain)
    return plain if is_shown else "another text"


def _counted(
    session: Session, field: str, column: str, said: pl.Series, value: pl.Series
) -> pl.DataFrame:
    """How many records of each path have one of these values, under the names shown for them."""
    with session.offering(unread=pl.DataFrame({"said": said, "value": value})):
        return session.frame(
            "select staged.path, $field as field, unread.value, count(*) as n_records"
            f" from staged join unread on unread.said = staged.{column}"
            " where staged.reason is null group by all",
            {"field": field},
        )
