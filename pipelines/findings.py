"""What a run found in the records that its reader should know, in words."""

from collections.abc import Iterator

from resources.warehouse import Session, read_sql


def findings(session: Session) -> Iterator[str]:
    """One line per source that has something to tell, from the warehouse."""
    for source, n_waiting, until in session.rows(read_sql("questions/waiting_records.sql")):
        yield (
            f"{n_waiting:,} records of {source} wait for their time to come, "
            f"the last until {until:%Y-%m-%d %H:%M} UTC"
        )
