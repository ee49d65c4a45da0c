r"""Which message a record is: its own id, trimmed, or one from what it says.

An id that names no message (`undefined`, `null`, `0`, a UUID of zeros, …) would make one message of
many. Such a record gets an id as one without does: from what it says, and how often its file has
said the same of the same person before. People enter as pseudonyms (sql/raw/events.sql).
"""

from resources.config.source import Source
from resources.warehouse import Session, text_literal

_SPACE = r"[\s\p{Z}\x{200b}\x{feff}]"
# What becomes of a missing value on its way through programs, in any brackets.
_NONE = (
    rf"(?i){_SPACE}*(?:[0-]*(?:\.0+)?|-1|\\N|[({{<\[]*(?:null|undefined|none|nil|nan|n/?a|unknown"
    rf"|true|false|object object|string|uuid|messageid|message_id)?[)}}>\]]*){_SPACE}*"
)
_PADDED = rf"^{_SPACE}|{_SPACE}$"
# `is_no_message(said)`: whether an id names no message; the source may declare more of them.
MACROS = f"""
create or replace temp macro is_no_message(said) as
    coalesce(
        regexp_full_match(said, {text_literal(_NONE)})
            or list_contains(getvariable('message_id_placeholders'), lower(trim(said))),
        true
    );
"""


def declare(source: Source) -> str:
    """SQL that tells `is_no_message` what the source calls no id."""
    listed = ", ".join(
        text_literal(each.strip().lower()) for each in source.message_id_placeholders
    )
    return f"set variable message_id_placeholders = [{listed}]::varchar[];"


def name_messages(session: Session, source: Source) -> None:
    """Gives the events in `staged` an id where theirs is none, and trims the others."""
    if source.entity != "events" or ("message_id" not in source.map and source.layout != "segment"):
        return
    n_padded, n_without = session.rows(
        f"select count(*) filter (where regexp_matches(message_id, {text_literal(_PADDED)})),"
        " count(*) filter (where is_no_message(message_id)) from staged where reason is null"
    )[0]
    if n_padded:
        session.execute(
            "update staged set message_id ="
            f" regexp_replace(message_id, {text_literal(f'^{_SPACE}+|{_SPACE}+$')}, '', 'g')"
            f" where reason is null and regexp_matches(message_id, {text_literal(_PADDED)})"
        )
    if source.message_namespace is not None:
        session.execute(
            "update staged set message_id = $namespace || ':' || message_id"
            " where reason is null and not is_no_message(message_id)"
            " and not starts_with(message_id, 'content:')",
            {"namespace": source.message_namespace},
        )
    if n_without:
        nameless = "select * from staged where reason is null and is_no_message(message_id)"
        session.execute(
            "update staged set message_id = derived.message_id"
            f" from ({with_derived_ids(nameless)}) as derived"
            " where derived.path = staged.path and derived.line = staged.line"
            " and staged.reason is null"
        )


def with_derived_ids(select: str) -> str:
    """Events under ids from what they say and how often it was said before.

    The same lines thus have the same ids in whatever file they come, and of lines that say the
    same of the same person each counts.
    """
    said = "event_type, event_name, occurred_at, sent_at, received_at, properties, envelope"
    return (
        "select * exclude (said) replace ('content:' || said || ':' || row_number() over ("
        "partition by path, said, user_key, anonymous_key order by line) as message_id)"
        f" from (select *, md5(row({said})::varchar) as said from ({select}))"
    )
