"""What a run found in the records that its reader should know, in words."""

from collections.abc import Iterator

from resources.warehouse import Session, read_sql

_ADVICE = {
    "user_id": "name nobody; who is somebody after all belongs in identity.persons of shop.yaml",
    "anonymous_id": "name no device; who is somebody belongs in identity.persons of shop.yaml",
    "time_zone": "are no unambiguous time zone, so another record's or the shop's counts",
    "birth_year": "are no year of birth; those that are not a year count as under age",
}


def findings(session: Session) -> Iterator[str]:
    """One line per source that has something to tell, from the warehouse."""
    for source, n_waiting, until in session.rows(read_sql("questions/waiting_records.sql")):
        yield (
            f"{n_waiting:,} records of {source} wait for their time to come, "
            f"the last until {until:%Y-%m-%d %H:%M} UTC"
        )
    for source, n_conflicting, *_ in session.rows(
        read_sql("questions/conflicting_messages.sql"), {"limit": 0}
    ):
        yield (
            f"{n_conflicting:,} records of {source} have another message's id, say something else,"
            " and are kept aside in clean.duplicates"
        )
    for source, field, n_records, values in session.rows(read_sql("questions/unread_values.sql")):
        what = _ADVICE.get(field, "are not understood")
        yield f"{n_records:,} values of {field} in {source} {what}: {values}"


def lists_measured(session: Session) -> str:
    """What the lists are worth beside popularity, or why that is not known, in one line."""
    (newest,) = session.rows(
        "select max_by(decision, model_version), max_by(is_fallback, model_version)"
        " from recommend.als_model"
    )
    decision, is_fallback = newest
    found = {
        metric: f"{value:.3f} ({base:.3f})"
        for metric, value, base, _ in session.rows(read_sql("questions/lists_measured.sql"))
    }
    if not found:
        return f"the lists are not measured: {decision}"
    served = (
        "popularity alone is served, for the chosen mix was worse" if is_fallback else "the lists"
    )
    new = ", ".join(
        f"{name} {found[f'{name}_new']}" for name in ("recall", "ndcg") if f"{name}_new" in found
    )
    return (
        f"{served} (popularity in brackets): recall@20 {found['recall']}, ndcg@20 {found['ndcg']}"
        + (f"; of products not ordered before {new}" if new else "")
    )
