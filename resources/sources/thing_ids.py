r"""SQL that reads the ids of orders and products in one spelling, in events and in the catalogue.

- `read_id(said)`: without spaces around it; a whole number that a program held as a fraction is its
  digits (1001.0 is 1001). NULL for what stands where a value is missing (`undefined`, `(not set)`,
  `N/A`), for an object and for a list.
- `read_order_id(said)`: the same; nor is 0, -1 or true an order. Orders without a number would else
  be one order.
- `has_odd_ids(said)`: whether the JSON of an event has an id that reads otherwise than it stands.
"""

from resources.sources.reading import REPLACED
from resources.warehouse import text_literal

_SPACE = r"[\s\p{Z}\x{200b}\x{feff}]"
_NOTHING = (
    r"[({<\[]*(?:null|undefined|none|nil|nan|n/?a|\\N|not[ _]?set|not[ _]available"
    r"|object object)?[)}>\]]*"
)
_NO_ID = rf"(?i)(?:{_NOTHING}|[{{\[](?s:.*))"
_NO_ORDER = r"[0-]*(?:\.0+)?|-1(?:\.0+)?|true|false"
_WHOLE = r"-?[0-9]+\.0+"
# Of JSON without blanks: a key and its value, which is a text, an object, a list, or, with the sign
# behind it, anything else.
_KEY = r'"(?:order_id|product_id)":'
_PAIR = rf'{_KEY}(?:"(?:[^"\\]|\\.)*"|\{{[^{{}}]*\}}|\[[^\[\]]*\]|[^\"\[\]{{}},]+[,}}])'
_BLANK = rf"(?:\\[tnr]|{_SPACE})"
_ODD = (
    rf'(?i){_KEY}(?:"{_BLANK}|"[^"]*{_BLANK}"|"?{_WHOLE}["}},]|"(?:{_NOTHING})"|[{{\[])'
    rf'|"order_id":(?:"(?:{_NO_ORDER})"|(?:0|-1|true|false)[}},])'
)

MACROS = f"""
create or replace temp macro read_id(said) as
    list_transform(
        [regexp_replace(said, {text_literal(f"^{_SPACE}+|{_SPACE}+$")}, '', 'g')],
        lambda id: case
            when regexp_full_match(id, {text_literal(_NO_ID)}) then null
            when regexp_full_match(id, {text_literal(_WHOLE)}) then split_part(id, '.', 1)
            else id
        end
    )[1];
create or replace temp macro read_order_id(said) as
    list_transform(
        [read_id(said)],
        lambda id: case
            when not regexp_full_match(id, {text_literal(f"(?i)(?:{_NO_ORDER})")}) then id
        end
    )[1];
create or replace temp macro has_odd_ids(said) as regexp_matches(said, {text_literal(_ODD)});
"""

# Writes the odd ids in the properties of staged events as they read, null where they name nothing.
PLAIN_IDS = f"""
update staged set properties = plain.properties from (
    with told as (
        select path, line, properties,
            unnest(list_distinct(regexp_extract_all(properties, {text_literal(_PAIR)}))) as told
        from staged
        where reason is null and has_odd_ids(properties)
    ),
    parted as (
        select path, line, properties, told,
            split_part(told, ':', 1) as key,
            case
                when regexp_matches(told, {text_literal(_KEY + r'["{[]')}) then ''
                else told[-1:]
            end as tail
        from told
    ),
    said as (
        select path, line, properties, told, key, tail, json_extract_string(
            '{{' || told[1:length(told) - length(tail)] || '}}', '$.' || key
        ) as said
        from parted
    ),
    written as (
        select path, line, properties, told,
            key || ':' || coalesce(cast(to_json(
                case when key = '"order_id"' then read_order_id(said) else read_id(said) end
            ) as varchar), 'null') || tail as written
        from said
    ),
    pairs as (
        select path, line, any_value(properties) as properties,
            list({{'told': told, 'written': written}}) as pairs
        from written
        group by path, line
    )
{REPLACED}"""
