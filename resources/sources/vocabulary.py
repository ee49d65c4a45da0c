"""The shop's own words for events and properties, put into those of Segment's vocabulary.

No renaming takes the name of what is there already: JSON with one key twice loses a value.
"""

from resources.config.source import Source
from resources.warehouse import text_literal

# - `with_key(said, theirs, ours)`: a JSON text with a key renamed at any depth. Beside it a key of
#   the new name becomes `<ours>_1`; one that is NULL is not renamed then.
# - `without_dollars(said)`: the JSON of Sensors' properties without the $ of the preset ones; one
#   keeps it where the shop has a property of that name.
MACROS = r"""
create or replace temp macro json_name(name) as cast(to_json(name) as varchar);
create or replace temp macro json_key(name) as regexp_escape(json_name(name)) || '\s*:';
create or replace temp macro key_in_place(name) as replace(json_name(name), '\', '\\') || ':';
-- Between two keys of one object stands no brace, unless it holds other objects.
create or replace temp macro with_key_moved(said, theirs, ours) as
    list_transform([regexp_replace(
        regexp_replace(
            said,
            json_key(ours) || '([^{}]*' || json_key(theirs) || ')',
            key_in_place(ours || '_1') || '\1', 'g'
        ),
        '(' || json_key(theirs) || '[^{}]*)' || json_key(ours),
        '\1' || key_in_place(ours || '_1'), 'g'
    )], lambda moved: case
        when list_has_all(json_keys(moved), [theirs, ours]) then cast(json_merge_patch(
            moved, json_object(
                ours, null,
                ours || '_1',
                json_extract(moved, '/' || replace(replace(ours, '~', '~0'), '/', '~1'))
            )
        ) as varchar)
        else moved
    end)[1];
create or replace temp macro with_key(said, theirs, ours) as
    list_transform([said], lambda whole: case
        when not contains(whole, json_name(theirs)) then whole
        when not contains(whole, json_name(ours))
            then regexp_replace(whole, json_key(theirs), key_in_place(ours), 'g')
        else replace(
            regexp_replace(
                with_key_moved(
                    regexp_replace(
                        whole, json_key(theirs) || '\s*null',
                        key_in_place(theirs || chr(1)) || 'null', 'g'
                    ),
                    theirs, ours
                ),
                json_key(theirs), key_in_place(ours), 'g'
            ),
            json_name(theirs || chr(1)) || ':', json_name(theirs) || ':'
        )
    end)[1];
create or replace temp macro some_dollars_kept(said) as
    regexp_replace(
        regexp_replace(
            list_reduce(
                list_filter(
                    json_keys(said),
                    lambda name: starts_with(name, '$') and list_contains(json_keys(said), name[2:])
                ),
                lambda text, name: replace(text, '"' || name || '":', '"$' || name || '":'),
                said
            ),
            '"\$([A-Za-z0-9_]+)":', '"\1":', 'g'
        ),
        '"\$\$([A-Za-z0-9_]+)":', '"$\1":', 'g'
    );
-- A look for keys that stand twice is cheap, and few records have any.
create or replace temp macro without_dollars(said) as
    list_transform(
        [regexp_replace(said, '"\$([A-Za-z0-9_]+)":', '"\1":', 'g')],
        lambda bare: case
            when len(json_keys(bare)) > list_unique(json_keys(bare)) then some_dollars_kept(said)
            else bare
        end
    )[1];
"""


def renamed(source: Source, select: str) -> str:
    """A layout's SELECT with the source's `events`, `fields` and `attributes` applied to it.

    A property is renamed wherever it is a key of the JSON, so in the products of an order too; a
    text that only holds the name is left as it is. If there is one of the new name already, that
    becomes `<name>_1`; a NULL takes no name.
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
            names = f"{text_literal(theirs)}, {text_literal(ours)}"
            expression = f"with_key({expression}, {names})"
        replaced.append(f"{expression} as properties")
    if source.attributes:
        pairs = ", ".join(
            f"{text_literal(ours)}, json_extract(said, {text_literal(f'$.{theirs}')})"
            for ours, theirs in source.attributes.items()
        )
        # What cannot be parsed says nothing; a key that is missing takes none away.
        replaced.append(
            "list_transform([case when json_valid(attributes) then attributes else '{}' end],"
            f" lambda said: cast(json_merge_patch(said, json_merge_patch('{{}}',"
            f" json_object({pairs}))) as varchar))[1] as attributes"
        )
    if not replaced:
        return select
    return f"select * replace ({', '.join(replaced)}) from (\n{select}\n)"
