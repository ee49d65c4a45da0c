"""Values of optional fields that are there and not understood: they are NULL, and counted.

`staged` lists those of each record in its column `unread`, if it has one. What an event says in
its properties is looked at here. Counted is by the value's shape, which names nobody: `99,9 a`.
"""

import polars as pl

from resources.warehouse import Session, text_literal

# How programs write that there is no value.
_NOTHING = (
    r"(?i)[\s\p{Z}-]*|\(?null\)?|<null>|none|nil|nan|n/?a|\\N|undefined|\(not set\)|\[\]|\{\}"
)
_SEPARATOR = r"\s*[,，、;；|\n\t]\s*"
# Numbers of events; others of their keys are also used for texts.
_NUMBERS = "price|quantity|revenue|total|subtotal|discount|refund_amount"
_IN_TEXT = rf'"(?:{_NUMBERS})"\s*:\s*"'
_NOT_PLAIN = rf'{_IN_TEXT}(?:[^0-9"-]|-?[0-9.]+[^0-9."])'
_PAIR = rf'"({_NUMBERS})"\s*:\s*"((?:[^"\\]|\\.)*)"'
# Texts that are one of a kind of code, by field.
_CODES = {
    "country": r"\s*[A-Za-z]{2}\s*",
    "locale": r"\s*[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*(?:\.[A-Za-z0-9-]+)?\s*",
}
# `json_of` writes a value into JSON, a text that holds an object or a list as that.
# `read_tags` takes a list as JSON, Python or PostgreSQL writes it, or words with marks between.
MACROS = rf"""
create or replace temp macro says_nothing(said) as
    coalesce(regexp_full_match(said, {text_literal(_NOTHING)}), true);
-- What is no text, or neither an object nor a list, is as `to_json` writes it.
create or replace temp macro json_of(said) as
    case
        when typeof(said) <> 'VARCHAR' then to_json(said)
        when ltrim(cast(said as varchar))[1] in ('{{', '[') then case
            when json_valid(cast(said as varchar)) then cast(cast(said as varchar) as json)
            else to_json(said)
        end
        else to_json(said)
    end;
create or replace temp macro unread_field(field, said, is_read) as
    case when is_read or says_nothing(said) then [] else [{{'field': field, 'said': said}}] end;
create or replace temp macro read_country(said) as
    case when regexp_full_match(said, {text_literal(_CODES["country"])}) then upper(trim(said)) end;
create or replace temp macro shape(said) as
    regexp_replace(regexp_replace(said[:40], '\p{{N}}', '9', 'g'), '\p{{L}}', 'a', 'g');
create or replace temp macro read_days(said) as
    list_transform([read_quantity(said)], lambda days:
        case when days between 0 and 36525 and days = floor(days) then cast(days as integer) end
    )[1];
create or replace temp macro split_tags(said) as
    list_filter(
        list_transform(
            case
                when starts_with(said, '#') then string_split_regex(said, '[\s#]+')
                else string_split_regex(said, {text_literal(_SEPARATOR)})
            end,
            lambda tag: regexp_replace(tag, '^[\s\p{{Z}}"'']+|[\s\p{{Z}}"'']+$', '', 'g')
        ),
        lambda tag: tag <> ''
    );
create or replace temp macro read_tags(said) as
    case
        when says_nothing(said) then null
        when json_valid(said) and starts_with(ltrim(said), '[') then case
            when not contains(said, '{{') then list_filter(
                cast(cast(said as json) as varchar[]), lambda tag: trim(tag) <> ''
            )
        end
        when regexp_full_match(said, '\s*[\[{{][^{{}}\[\]:]*[\]}}]\s*')
            then split_tags(regexp_replace(said, '^\s*[\[{{]\s*|\s*[\]}}]\s*$', '', 'g'))
        when not regexp_matches(said, '^\s*[\[{{]') then split_tags(said)
    end;
create or replace temp macro unread_numbers(said) as
    list_transform(
        list_filter(
            regexp_extract_all(said, {text_literal(_PAIR)}),
            lambda pair: try_cast(regexp_extract(pair, {text_literal(_PAIR)}, 2) as double) is null
                and not says_nothing(regexp_extract(pair, {text_literal(_PAIR)}, 2))
        ),
        lambda pair: {{
            'field': 'properties.' || regexp_extract(pair, {text_literal(_PAIR)}, 1),
            'said': regexp_extract(pair, {text_literal(_PAIR)}, 2)
        }}
    );
"""
_SCHEMA = {"path": pl.String, "field": pl.String, "value": pl.String, "n_records": pl.Int64}


def count_unread(session: Session) -> pl.DataFrame:
    """Per path, field and shape, how many accepted records in `staged` say what is not read."""
    columns = {str(row[0]) for row in session.rows("describe staged")}
    told: list[str] = []
    if "unread" in columns:
        told.append(
            "select path, unnest(unread) as entry from staged"
            " where reason is null and len(unread) > 0"
        )
    if "properties" in columns:
        # Most events have no such text, and cost one look.
        told.append(
            "select path, unnest(unread_numbers(properties)) as entry from staged"
            f" where reason is null and regexp_matches(properties, {text_literal(_NOT_PLAIN)})"
        )
    told += [
        f"select path, {{'field': '{field}', 'said': {field}}} as entry from staged"
        f" where reason is null and {field} is not null"
        f" and not regexp_full_match({field}, {text_literal(code)}) and not says_nothing({field})"
        for field, code in _CODES.items()
        if field in columns
    ]
    if "attributes" in columns:
        told.append(
            "select path, {'field': 'attributes', 'said': attributes} as entry from staged"
            " where reason is null and not says_nothing(attributes)"
            " and case when json_valid(attributes) then json_type(attributes) <> 'OBJECT'"
            " else true end"
        )
    if not told:
        return pl.DataFrame(schema=_SCHEMA)
    return session.frame(
        "select path, entry.field as field, shape(entry.said) as value, count(*) as n_records"
        f" from ({' union all '.join(told)}) group by all"
    )
