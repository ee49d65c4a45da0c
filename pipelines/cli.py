"""`siyu`: a thin face over the same jobs that Dagster runs."""

import datetime as dt
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from resources.failure import Failure

if TYPE_CHECKING:
    from resources.home import Home

app = typer.Typer(
    help="Private-domain traffic: raw logs in, push lists out, proof afterwards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_DATE_FORMATS = ["%Y-%m-%d"]


def main() -> None:
    """Runs a command; a foreseen error is one line on standard error and exit code 1."""
    try:
        app()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _refuse(f"{where}{error.strerror or error}; free space or set its permissions, run again")
    except Failure as error:
        _refuse(str(error))


def _refuse(reason: str) -> NoReturn:
    """Ends the command with one line on standard error."""
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"siyu: {reason}", markup=False)
    sys.exit(1)


# Commands import what they need when they run: `siyu --help` answers at once.
def _places() -> "tuple[Path, Home]":
    from pipelines.definitions import places
    from resources.home import Home

    config, home = places(os.environ)
    return config, Home(path=str(home))


@app.command()
def run(
    first: Annotated[
        dt.datetime | None,
        typer.Option("--from", formats=_DATE_FORMATS, help="First load date."),
    ] = None,
    last: Annotated[
        dt.datetime | None, typer.Option("--to", formats=_DATE_FORMATS, help="Last load date.")
    ] = None,
) -> None:
    """Collect what is new (or a range of load dates) and refresh everything, up to the lists."""
    from pipelines.runs import run_pipeline
    from pipelines.summary import show_summary

    config, place = _places()
    console = Console(highlight=False)
    report = run_pipeline(
        config,
        place,
        console,
        began_at=dt.datetime.now(dt.UTC),
        first=first.date() if first else None,
        last=last.date() if last else None,
    )
    show_summary(console, config, place, report)


@app.command()
def unload(
    source: Annotated[str, typer.Argument(help="The source, as sources.yaml names it.")],
    path: Annotated[str, typer.Argument(help="A loaded file, or a pattern such as '2026-07-*'.")],
) -> None:
    """Take back what files gave that are gone; the next run remakes what came of it."""
    from pipelines.unloading import unload_files

    config, place = _places()
    taken = unload_files(config, place, source, path, now=dt.datetime.now(dt.UTC))
    console = Console(highlight=False)
    for each, n_records in taken:
        console.print(f"{source} {each}: {n_records:,} records taken back", markup=False)
    console.print("`siyu run` now remakes what came of them")


@app.command()
def simulate() -> None:
    """Write the demo shop's landing folder, and what is true of it beside."""
    from resources.config.loading import ConfigError
    from resources.config.shop import load_shop
    from resources.simulation import simulate as simulate_shop

    config, place = _places()
    settings = load_shop(config).simulation
    if settings is None:
        raise ConfigError(f"{config / 'shop.yaml'}: no 'simulation' block; this shop is real")
    console = Console(highlight=False)
    with console.status("simulating the shop …"):
        report = simulate_shop(settings, place.landing, place.truth)
    console.print(
        f"{report.n_event_lines:,} event lines, {report.n_bytes / 1e6:,.0f} MB: {place.landing}"
    )


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")] = 3000,
    read_only: Annotated[bool, typer.Option("--read-only", help="Look, launch nothing.")] = False,
) -> None:
    """Open Dagster's UI and daemon on this machine; with --read-only the UI alone."""
    from pipelines.definitions import ROOT, build_definitions
    from pipelines.instance import dagster_home
    from pipelines.ui import serve_ui

    config, place = _places()
    build_definitions(config, place.folder)  # a wrong configuration is told here, not in a browser
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(dagster_home(place)),
        "SIYU_CONFIG": str(config),
        "SIYU_HOME": place.path,
    }
    serve_ui(
        Console(highlight=False, soft_wrap=True),
        ROOT,
        environment,
        place.logs / f"ui-{port}.log",
        port,
        is_read_only=read_only,
    )


@app.command()
def tables(
    table: Annotated[str | None, typer.Argument(help="A table, e.g. value.clv.")] = None,
) -> None:
    """Show the catalogue: every published table, or one table's columns."""
    from pipelines.tables import describe_table, list_tables

    _, place = _places()
    shown = (
        list_tables(place.analytics) if table is None else describe_table(place.analytics, table)
    )
    _print_table(*shown)


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="A SELECT, or the name of a file in sql/questions.")],
) -> None:
    """Ask the published file a question."""
    from pipelines.tables import answer

    _, place = _places()
    _print_table(*answer(place.analytics, query))


def _print_table(title: str, header: list[str], rows: list[tuple[object, ...]]) -> None:
    shown = Table(title=title or None, title_justify="left")
    for name in header:
        shown.add_column(name, overflow="fold")
    for row in rows:
        shown.add_row(*("" if value is None else str(value) for value in row))
    Console(highlight=False).print(shown)
