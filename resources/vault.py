"""The addresses behind the pseudonyms, each sealed, in a database of their own."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from resources.keys import Keyring, SecretError
from resources.warehouse import Database, Session

_TABLES = """
create table if not exists keys (fingerprint varchar not null);
create table if not exists addresses (
    identifier varchar not null, channel varchar not null, sealed blob not null,
    source varchar not null, path varchar not null, line bigint not null, load_date date not null
);
"""


@dataclass(frozen=True)
class Addresses:
    """Addresses as they come in: parallel columns, in clear, never stored so.

    Columns of `rows`: identifier (pseudonym), channel, address, path, line, load_date.
    """

    source: str
    paths: Sequence[str]
    rows: pl.DataFrame


class Vault(dg.ConfigurableResource[Any]):
    """`vault.duckdb`, opened by collection, export, delivery and erasure alone."""

    path: str
    keyring: dg.ResourceDependency[Keyring]

    def store(self, incoming: Addresses) -> None:
        """Seals and stores the addresses of a source's files, replacing what these gave before.

        Raises:
            SecretError: the vault was made with another secret.
        """
        keys = self.keyring.unlock()
        rows = incoming.rows
        sealed = [
            keys.seal(address, f"{identifier}\x00{channel}")
            for identifier, channel, address in rows.select(
                "identifier", "channel", "address"
            ).iter_rows()
        ]
        table = rows.drop("address").with_columns(
            pl.Series("sealed", sealed, dtype=pl.Binary), pl.lit(incoming.source).alias("source")
        )
        with (
            self._connect() as session,
            session.transaction(),
            session.offering(incoming=table, replaced=pl.DataFrame({"path": list(incoming.paths)})),
        ):
            session.execute(
                "delete from addresses where source = $source"
                " and path in (select path from replaced)",
                {"source": incoming.source},
            )
            session.execute(
                "insert into addresses by name select identifier, channel, sealed, source,"
                " path, line, load_date from incoming"
            )

    def forget_files(self, source: str, paths: Sequence[str]) -> None:
        """Deletes the addresses that a source's files gave."""
        nothing = pl.DataFrame(
            schema=dict.fromkeys(("identifier", "channel", "address", "path"), pl.String)
            | {"line": pl.Int64, "load_date": pl.Date}
        )
        self.store(Addresses(source, paths, nothing))

    def addresses(self, channel: str, records: pl.DataFrame) -> dict[str, str]:
        """The addresses on a channel that member records gave, in clear, by identifier.

        Columns of `records`: identifier, source, path, line; of an identifier one record.

        Raises:
            SecretError: the vault was made with another secret.
        """
        keys = self.keyring.unlock()
        wanted = records.select("identifier", "source", "path", "line")
        with self._connect() as session, session.offering(wanted=wanted):
            found = session.rows(
                "select identifier, sealed from addresses"
                " semi join wanted using (identifier, source, path, line)"
                " where channel = $channel",
                {"channel": channel},
            )
        return {
            identifier: keys.open(sealed, f"{identifier}\x00{channel}")
            for identifier, sealed in found
        }

    @contextmanager
    def _connect(self) -> Generator[Session]:
        path = Path(self.path)
        is_new = not path.exists()
        with Database(path, threads=2, memory_limit="1GB").connect() as session:
            if is_new:
                path.chmod(0o600)
            session.execute(_TABLES)
            self._check_key(session)
            yield session

    def _check_key(self, session: Session) -> None:
        fingerprint = self.keyring.unlock().fingerprint
        known = session.scalar("select fingerprint from keys")
        if known is None:
            session.execute("insert into keys values ($fingerprint)", {"fingerprint": fingerprint})
        elif known != fingerprint:
            raise SecretError(
                f"{self.path} was made with another SIYU_SECRET; set that one again, or begin "
                "anew with another SIYU_HOME"
            )

    def check_key(self) -> None:
        """Makes sure that the secret is the one this vault was made with.

        Raises:
            SecretError: it is another one.
        """
        with self._connect():
            pass
