"""The shop's own words for events and properties, put into those of Segment's vocabulary."""

import json
import re

from resources.config.source import Source
from resources.warehouse import text_literal


def renamed(source: Source, select: str) -> str:
    """A layout's SELECT with the source's `events` and `fields` applied to what it gives.

    A property is renamed wherever it is a key of the JSON, so in the products of an order too; a
    text that only holds the name is left as it is.
    """
    replaced: list[str] = []
    if source.events:
        cases = " ".join(
            f"when {text_literal(theirs)} then {text_literal(ours)}"
            for theirs, ours in source.events.items()
        )
        replaced.append(f"case event_name {cases} else event_name end as event_name")
    if source.fields:
        expression = "properties"
        for theirs, ours in source.fields.items():
            key = re.escape(json.dumps(theirs, ensure_ascii=False))
            name = json.dumps(ours, ensure_ascii=False).replace("\\", "\\\\")
            expression = (
                f"regexp_replace({expression}, {text_literal(key + chr(92) + 's*:')},"
                f" {text_literal(name + ':')}, 'g')"
            )
        replaced.append(f"{expression} as properties")
    if not replaced:
        return select
    return f"select * replace ({', '.join(replaced)}) from (\n{select}\n)"
