"""Records that need a second file: what stands beside a source's files, looked up by a key.

The files of one load date belong together. `records` gets a column per name of `beside`: the other
file's record with the same key, as a struct.
"""

from collections.abc import Mapping, Sequence

from resources.config.source import Beside, FileSource
from resources.sources.files import Arrival, unreadable
from resources.sources.tables import PATH, CsvTable, open_tables, quoted, read_csv, read_parquet
from resources.warehouse import Session, text_literal


def open_beside(
    session: Session, source: FileSource, beside: Mapping[str, Sequence[Arrival]]
) -> None:
    """Makes a temporary table `beside_<name>` of each group of files; leaves `records` changed.

    Raises:
        SourceError: one cannot be read as a whole.
    """
    for name, arrivals in beside.items():
        tables = [
            read_parquet(each) if source.is_parquet else read_csv(each, each.read())
            for each in arrivals
        ]
        parts: list[str] = []
        for place, table in enumerate(tables):
            if isinstance(table, CsvTable) and table.header is None:
                continue
            open_tables(session, [table], None)
            if bad := session.rows("select line, reason from unreadable order by line limit 1"):
                problem = f"line {bad[0][0]}: {bad[0][1]}"
                raise unreadable(source, table.arrival.file, problem)
            part = quoted(f"beside_{name}_{place}")
            session.execute(
                f"create or replace temp table {part} as"
                f" select * exclude (line, {PATH}) from records"
            )
            parts.append(f"from {part}")
        if not parts:
            raise unreadable(source, arrivals[0].file, "it is empty")
        session.execute(
            f"create or replace temp table {quoted(f'beside_{name}')} as"
            f" {' union all by name '.join(parts)}"
        )


def join_beside(session: Session, beside: Mapping[str, Beside]) -> None:
    """Gives `records` what stands beside them, and rejects those that find nothing or several."""
    joins = columns = counts = cases = ""
    for name, declared in beside.items():
        found = quoted(f"found_{name}")
        keys = ", ".join(
            f"cast({quoted(theirs)} as varchar) as key_{place}"
            for place, theirs in enumerate(declared.key.values())
        )
        names = ", ".join(f"key_{place}" for place in range(len(declared.key)))
        on = " and ".join(
            f"cast(records.{quoted(ours)} as varchar) = {found}.key_{place}"
            for place, ours in enumerate(declared.key)
        )
        joins += (
            f" left join (select {names}, any_value(siyu_row) as siyu_row, count(*) as n_told"
            f" from (select {keys}, siyu_row from {quoted(f'beside_{name}')} as siyu_row)"
            f" group by {names}) as {found} on {on}"
        )
        columns += f", {found}.siyu_row as {quoted(name)}"
        counts += f", {found}.n_told as {quoted(f'n_{name}')}"
        key = " and ".join(declared.key)
        said = f"has the same {key}"
        cases += (
            f" when {quoted(f'n_{name}')} > 1"
            f" then {text_literal(f'more than one record of {name} {said}')}"
        )
        if not declared.is_optional:
            cases += (
                f" when {quoted(f'n_{name}')} is null"
                f" then {text_literal(f'no record of {name} {said}')}"
            )
    numbers = ", ".join(quoted(f"n_{name}") for name in beside)
    session.execute(
        f"create or replace temp table joined as select *, case {cases} end as siyu_alone"
        f" from (select records.*{columns}{counts} from records{joins});"
        f" insert into unreadable select {PATH}, line, siyu_alone, cast(to_json(joined) as varchar)"
        " from joined where siyu_alone is not null;"
        f" create or replace temp view records as select * exclude (siyu_alone, {numbers})"
        " from joined where siyu_alone is null"
    )
