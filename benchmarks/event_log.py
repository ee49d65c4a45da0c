"""What Siyu's event log is worth: one small job on Dagster's own SQLite storage and on ours.

    python -m benchmarks.event_log [--repeats N]

The job has the shape of `siyu run` and no work: assets with a pool and blocking checks, and a
multi-asset over a range of daily partitions in one run. Both storages execute it in turn, in this
process, each time on a new instance that differs in nothing but its event log.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import dagster as dg
import yaml

from pipelines.definitions import ROOT

_N_ASSETS = 30
_N_CHECKS = 5
_N_PARTITIONED = 6
_DATES = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-03-02")  # 60 days
_SETTINGS = ROOT / "pipelines" / "dagster.yaml"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def jobs() -> list[tuple[dg.JobDefinition, dict[str, str]]]:
    """The jobs, each with the tags that it is executed with."""
    assets = [_asset(number) for number in range(_N_ASSETS)]
    checks = [_checks(f"asset_{number}") for number in range(_N_ASSETS)]
    loaded = _partitioned()
    every = dg.AssetSelection.assets(*assets)
    collect = dg.define_asset_job("collect_all", dg.AssetSelection.assets(loaded))  # pyright: ignore[reportUnknownMemberType]
    refresh = dg.define_asset_job("refresh", every)  # pyright: ignore[reportUnknownMemberType]
    definitions = dg.Definitions(
        assets=[loaded, *assets],
        asset_checks=checks,
        jobs=[collect, refresh],
        executor=dg.in_process_executor,
    )
    dates = _DATES.get_partition_keys()
    span = {
        "dagster/asset_partition_range_start": dates[0],
        "dagster/asset_partition_range_end": dates[-1],
    }
    names = {"collect_all": span, "refresh": dict[str, str]()}
    return [(definitions.resolve_job_def(name), tags) for name, tags in names.items()]


def _asset(number: int) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"asset_{number}",
        deps=[f"asset_{number - 1}"] if number else [],
        pool="warehouse",
    )
    def nothing() -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata={"dagster/row_count": number})

    return nothing


def _checks(asset: str) -> dg.AssetChecksDefinition:
    names = [f"check_{number}" for number in range(_N_CHECKS)]

    @dg.multi_asset_check(
        name=f"checks_of_{asset}",
        specs=[dg.AssetCheckSpec(name, asset=asset, blocking=True) for name in names],
        pool="warehouse",
    )
    def pass_all() -> Iterator[dg.AssetCheckResult]:
        for name in names:
            yield dg.AssetCheckResult(check_name=name, passed=True, metadata={"offending_rows": 0})

    return pass_all


def _partitioned() -> dg.AssetsDefinition:
    keys = [f"table_{number}" for number in range(_N_PARTITIONED)]

    @dg.multi_asset(
        specs=[dg.AssetSpec(key, partitions_def=_DATES) for key in keys],
        name="collect",
        pool="warehouse",
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def collect() -> Iterator[dg.MaterializeResult[Any]]:
        for key in keys:
            yield dg.MaterializeResult(asset_key=key, metadata={"dagster/row_count": 1})

    return collect


def seconds(*, is_pooled: bool) -> float:
    """Time the jobs on a new instance with our event log, or else with Dagster's default."""
    settings = yaml.safe_load(_SETTINGS.read_text(encoding="utf-8"))
    if not is_pooled:
        del settings["event_log_storage"]
    to_do = jobs()
    with tempfile.TemporaryDirectory(prefix="siyu-benchmark-") as folder:
        (Path(folder) / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        os.environ["DAGSTER_HOME"] = folder
        with dg.DagsterInstance.from_config(folder) as instance:
            began = time.perf_counter()
            for job, tags in to_do:
                job.execute_in_process(instance=instance, tags=tags, run_config=_QUIET)
            return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison and print it as a Markdown table.

    Args:
        argv: command line without the program's name; the process's own if None.

    Returns:
        0.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.event_log", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="timed executions on each")
    arguments = parser.parse_args(argv)
    if arguments.repeats < 1:
        parser.error(f"--repeats must be 1 or more, got {arguments.repeats}")
    seconds(is_pooled=True)  # imports and first use, for both
    times = [(seconds(is_pooled=False), seconds(is_pooled=True)) for _ in range(arguments.repeats)]
    theirs, ours = (median(each) for each in zip(*times, strict=True))
    print(
        f"{_N_ASSETS} assets with {_N_CHECKS} checks each, and {_N_PARTITIONED} assets over "
        f"{len(_DATES.get_partition_keys())} daily partitions; median of {len(times)} each\n"
    )
    print("| event log | seconds | ratio |\n| --- | ---: | ---: |")
    print(f"| Dagster's default, SQLite | {theirs:.2f} | {theirs / ours:.2f} |")
    print(f"| `PooledSqliteEventLog` | {ours:.2f} | 1.00 |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
