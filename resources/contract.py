"""What a table promises: grain, key, columns and claims, written once.

A contract feeds four readers: Dagster's column schema, the generated blocking checks,
the comments stored on DuckDB's tables and columns, and the catalogue (`siyu tables`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import dagster as dg


@dataclass(frozen=True)
class Column:
    """One column: its DuckDB type, what it means, its unit and whether it may be NULL."""

    name: str
    type: str
    meaning: str
    unit: str | None = None
    nullable: bool = False
    accepts: tuple[str, ...] = ()

    @property
    def quoted(self) -> str:
        """The name as SQL takes it, reserved words included."""
        return f'"{self.name}"'

    @property
    def comment(self) -> str:
        """The meaning with its unit and its values, as stored in the database."""
        values = f" ({', '.join(self.accepts)})" if self.accepts else ""
        return f"{self.meaning}{values} [{self.unit}]" if self.unit else f"{self.meaning}{values}"

    def renamed(self, name: str, meaning: str | None = None) -> "Column":
        """The same column under another name (and, if given, another meaning)."""
        return replace(self, name=name, meaning=meaning or self.meaning)

    def optional(self) -> "Column":
        """The same column, allowed to be NULL."""
        return replace(self, nullable=True)


@dataclass(frozen=True)
class Absence:
    """Why a table may have no row: `condition`, in SQL, is true of the warehouse where it is so.

    `remedy` says what the shop does about it; None: an empty table is nothing to mend.
    """

    condition: str
    reason: str
    remedy: str | None = None


@dataclass(frozen=True)
class Contract:
    """A table: `schema.table`, one row per `grain`, unique by `key`.

    `claims` maps a check's name, readable as a claim, to a SQL condition that every row meets.
    `is_published` says whether analysts get it in the analytics file.
    `keeps_history` says what the table keeps, or reads, of earlier runs, and why. Without it, the
    files, the shop's folder and as_of alone decide what is in the table.
    Of the absences in `empty_where` the first that is so explains a table without rows.
    """

    schema: str
    table: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    description: str
    claims: Mapping[str, str] = field(default_factory=dict[str, str])
    is_published: bool = True
    owner: str = "team:data"
    keeps_history: str | None = None
    empty_where: tuple[Absence, ...] = ()

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: a column is declared twice")
        if missing := set(self.key) - set(names):
            raise ValueError(f"{self.name}: key columns {sorted(missing)} are not declared")

    @property
    def name(self) -> str:
        """The qualified table name."""
        return f"{self.schema}.{self.table}"

    @property
    def asset_key(self) -> dg.AssetKey:
        """The asset key: schema and table."""
        return dg.AssetKey([self.schema, self.table])

    @property
    def comment(self) -> str:
        """Grain, description and history, as stored in the database."""
        history = f" Keeps history: {self.keeps_history}" if self.keeps_history else ""
        return f"One row per {self.grain}. {self.description}{history}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns' names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def column_list(self) -> str:
        """The columns' names, quoted, for a SELECT or INSERT."""
        return ", ".join(column.quoted for column in self.columns)

    def table_schema(self) -> dg.TableSchema:
        """The contract as Dagster draws it."""
        return dg.TableSchema(
            columns=[
                dg.TableColumn(
                    column.name,
                    type=column.type,
                    description=column.comment,
                    constraints=dg.TableColumnConstraints(
                        nullable=column.nullable,
                        other=["part of the key"] if column.name in self.key else [],
                    ),
                )
                for column in self.columns
            ]
        )

    def checks(self) -> dict[str, str]:
        """Each generated check's name and the SQL expression that counts its offending rows."""
        key = ", ".join(f'"{name}"' for name in self.key)
        counts = {f"{'_and_'.join(self.key)}_is_unique": f"count(*) - count(distinct ({key}))"}
        required = [column.quoted for column in self.columns if not column.nullable]
        if required:
            empty = " or ".join(f"{name} is null" for name in required)
            counts["required_columns_are_filled"] = f"count(*) filter (where {empty})"
        for column in self.columns:
            if column.accepts:
                allowed = ", ".join(f"'{value}'" for value in column.accepts)
                counts[f"{column.name}_is_known"] = (
                    f"count(*) filter (where {column.quoted} not in ({allowed}))"
                )
        for name, condition in self.claims.items():
            counts[name] = f"count(*) filter (where not ({condition}))"
        return counts
