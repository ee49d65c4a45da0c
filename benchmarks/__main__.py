"""Run every benchmark and write docs/benchmarks.md.

    python -m benchmarks --date YYYY-MM-DD [--orders FILE] [--online-retail FILE] [--split FOLDER]
                         [--shops FOLDER] [--repeats N] [--only MODULE ...]

A benchmark whose data are not given is left out, and the page says so; with --only, the sections of
the others stay as they were. Each one runs in a process of its own, so that none weighs on the next
one's memory.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent
_PAGE = Path("docs") / "benchmarks.md"
_PUBLIC_SHOPS = ("complete_journey", "movielens", "northwind")
_PACKAGES = ("duckdb", "dagster", "polars", "implicit")
_INTRODUCTION = """\
# Benchmarks

{n_cores} cores, {system}, Python {python}, {packages}; each section says when it was measured.

Times are noisy and belong to this machine; the ratios, each taken within one run, are what counts.
`python -m benchmarks --date YYYY-MM-DD --orders FILE --online-retail FILE --split FOLDER --shops
FOLDER` writes this page anew, with `--only MODULE` that section alone; the command above each table
prints that table. None of it is a test.
"""


@dataclass(frozen=True)
class Claim:
    """One section of the page.

    Attributes:
        title: what is measured.
        target: what the numbers are held against.
        module: the benchmark.
        shown: its arguments as a reader would give them.
        given: its arguments in this run; None where its data are missing.
        environment: what it needs of the environment.
        is_markdown: whether it prints Markdown, or else plain text.
    """

    title: str
    target: str
    module: str
    shown: str
    given: Sequence[str] | None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    is_markdown: bool = True

    @property
    def heading(self) -> str:
        """The first line of its section."""
        return f"## {self.title}\n"

    def section(self, day: date) -> str:
        """Runs the benchmark and gives its section of the page.

        Args:
            day: of the measuring.

        Raises:
            CalledProcessError: the benchmark failed; it has said why on standard error.
        """
        variables = "".join(f"{name}=FILE " for name in self.environment)
        command = f"{variables}python -m {self.module} {self.shown}".rstrip()
        head = f"{self.heading}\nMeasured on {day}. {self.target}\n\n    {command}\n\n"
        if self.given is None:
            return f"{head}Left out: its data were not given.\n"
        done = subprocess.run(
            [sys.executable, "-m", self.module, *self.given],
            cwd=_ROOT,
            env={**os.environ, **self.environment},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        fence = ("", "") if self.is_markdown else ("```text\n", "\n```")
        return f"{head}{fence[0]}{done.stdout.strip()}{fence[1]}\n"


def _kept(page: str, heading: str) -> str:
    """A section of the page as it stands, with the line before; empty if it is not there."""
    _, found, rest = page.partition(f"\n{heading}")
    return found + rest.partition("\n## ")[0].rstrip("\n") + "\n" if found else ""


def _split_files(folder: Path) -> dict[str, Path]:
    """The files of a public split in a folder, by their argument; validation may be missing."""
    files = {f"--{part}": folder / f"{part}.txt" for part in ("train", "validation", "test")}
    if not files["--validation"].is_file():
        del files["--validation"]
    return files


def _shops(folder: Path | None, online_retail: Path | None) -> list[str] | None:
    """The shops whose lists are held against popularity; None if no data were given."""
    given = {"online_retail": online_retail} if online_retail else {}
    given |= {name: folder / name for name in _PUBLIC_SHOPS} if folder else {}
    return ["demo", *(f"{name}={path}" for name, path in given.items())] if given else None


def claims(
    orders: Path | None,
    online_retail: Path | None,
    split: Path | None,
    shops: Path | None,
    repeats: int,
) -> list[Claim]:
    """Every claim, in the order of the page."""
    runs = ("--repeats", str(repeats))
    files = _split_files(split) if split else {}
    shop = ("--members", "1000000", "--products", "200000", "--pairs", "30000000")
    return [
        Claim(
            title="The demo shop, end to end",
            target=(
                "Target: within 60 s on 4 cores with a warm environment, Dagster's own overhead "
                "below 15 % of it."
            ),
            module="benchmarks.pipeline",
            shown=f"--config config/demo --repeats {repeats}",
            given=("--config", "config/demo", *runs),
        ),
        Claim(
            title="Online Retail II, end to end",
            target="Target: its 1,044,847 lines within 90 s and 4 GB of peak memory.",
            module="benchmarks.pipeline",
            shown=f"--config config/online_retail --repeats {repeats}",
            given=("--config", "config/online_retail", *runs) if online_retail else None,
            environment={"ONLINE_RETAIL_PATH": str(online_retail)},
        ),
        Claim(
            title="Collection against DuckDB alone",
            target=(
                "Target: JSON lines through hashing, judging, pseudonyms and redaction at no less "
                "than a third of the speed at which DuckDB alone reads the same files into a table."
            ),
            module="benchmarks.collection",
            shown="--config config/demo --copies 3",
            given=("--config", "config/demo", "--copies", "3"),
        ),
        Claim(
            title="One more day on a longer history",
            target=(
                "Target: collection and clean together grow by less than 20 % while the history "
                "grows ninefold."
            ),
            module="benchmarks.history",
            shown="--days 10 30 90",
            given=("--days", "10", "30", "90"),
        ),
        Claim(
            title="Retention, growth accounting and lifecycle on 100 million events",
            target=(
                "Target: together within twice the time of one full scan of features.member_days, "
                "which here is a copy of the table: every column of every row read and written."
            ),
            module="benchmarks.member_days",
            shown="",
            given=(),
        ),
        Claim(
            title="Sharing among a million members",
            target="Target: PageRank of one million members within 5 s on 4 cores.",
            module="benchmarks.social",
            shown="",
            given=(),
        ),
        Claim(
            title="Lifetime value of a million customers",
            target=(
                "Target: BG/NBD at least 25 times as fast as the lifetimes package; both models "
                "and twelve discounted months within 5 s on 4 cores."
            ),
            module="benchmarks.bg_nbd",
            shown="--simulated 1000000",
            given=("--simulated", "1000000"),
            is_markdown=False,
        ),
        Claim(
            title="BG/NBD against the lifetimes package",
            target="Target: at least 20 times as fast, with parameters equal to three digits.",
            module="benchmarks.bg_nbd",
            shown="--orders CDNOW_master.txt",
            given=("--orders", str(orders)) if orders else None,
            is_markdown=False,
        ),
        Claim(
            title="Training at night: ALS, RP3beta and a warm start",
            target=(
                "Target: ALS within implicit's own time plus 10 %, building and storing included; "
                "RP3beta in processor time of the order of one ALS fit; a warm start in at most "
                "half the time of a cold one of equal quality."
            ),
            module="benchmarks.als",
            shown=" ".join(shop),
            given=shop,
        ),
        Claim(
            title="The best products of every member",
            target=(
                "Target: at least 3 times as fast as implicit's recommend with the same lists, at "
                "least 45 % of the rate of a square matrix product without the Cauchy-Schwarz "
                "stop, and faster still with it; memory bounded. "
                "`--listed 1000000` lists everybody."
            ),
            module="benchmarks.top_n",
            shown=" ".join(shop),
            given=shop,
        ),
        Claim(
            title="The recommenders on a public split",
            target="Target: blend ≥ ALS ≥ popularity, the settings searched on validation only.",
            module="benchmarks.recommend_split",
            shown=" ".join(f"{name} FILE" for name in files) or "--train FILE --test FILE",
            given=[part for name, file in files.items() for part in (name, str(file))] or None,
            is_markdown=False,
        ),
        Claim(
            title="The lists as served, on five shops",
            target=(
                "Target: at least popularity's recall@20 and ndcg@20, repeats allowed and not. "
                "`benchmarks/shops/README.md` says where the data come from."
            ),
            module="benchmarks.served",
            shown=" ".join(
                ("demo", "online_retail=FILE", *(f"{name}=FOLDER" for name in _PUBLIC_SHOPS))
            ),
            given=_shops(shops, online_retail),
        ),
        Claim(
            title="Dagster's event log with its connections kept open",
            target=(
                "What `pipelines/event_log.py` is worth: the ratio is Dagster's default over ours."
            ),
            module="benchmarks.event_log",
            shown="",
            given=(),
        ),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run every benchmark and write the page.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0 if every benchmark succeeded; else 1, and the page stays as it was.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--date", type=date.fromisoformat, required=True, help="of the measuring")
    parser.add_argument("--orders", type=Path, help="CDNOW_master.txt")
    parser.add_argument("--online-retail", type=Path, help="online_retail_ii.parquet")
    parser.add_argument(
        "--split", type=Path, help="folder of train.txt, test.txt and, optionally, validation.txt"
    )
    parser.add_argument("--shops", type=Path, help=f"folder of {', '.join(_PUBLIC_SHOPS)}")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each pipeline")
    parser.add_argument(
        "--only", nargs="+", metavar="MODULE", help="such as benchmarks.als; the others stay"
    )
    arguments = parser.parse_args(argv)
    for name in ("orders", "online_retail"):
        given: Path | None = getattr(arguments, name)
        if given is not None and not given.is_file():
            parser.error(f"--{name.replace('_', '-')}: no such file: {given}")
        setattr(arguments, name, given.absolute() if given else None)
    split: Path | None = arguments.split
    for part in _split_files(split.absolute()).values() if split else ():
        if not part.is_file():
            parser.error(f"--split: no such file: {part}")
    shops: Path | None = arguments.shops
    for name in _PUBLIC_SHOPS if shops else ():
        if not (shops / name).is_dir():
            parser.error(f"--shops: no such folder: {shops / name}")
    asked = claims(
        arguments.orders,
        arguments.online_retail,
        split.absolute() if split else None,
        shops.absolute() if shops else None,
        arguments.repeats,
    )
    only: set[str] = set(arguments.only or (claim.module for claim in asked))
    if unknown := only - {claim.module for claim in asked}:
        parser.error(f"--only: no such benchmark: {', '.join(sorted(unknown))}")
    file = _ROOT / _PAGE
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    page = _INTRODUCTION.format(
        n_cores=os.cpu_count(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        packages=", ".join(f"{name} {version(name)}" for name in _PACKAGES),
    )
    try:
        for claim in asked:
            if claim.module not in only or (arguments.only and claim.given is None):
                page += _kept(before, claim.heading)
                continue
            print(claim.title, flush=True)
            page += f"\n{claim.section(arguments.date)}"
    except subprocess.CalledProcessError as error:
        print(f"benchmarks: {' '.join(error.cmd[1:])} failed", file=sys.stderr)
        return 1
    file.write_text(page, encoding="utf-8")
    print(_PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
