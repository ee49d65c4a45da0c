"""What of a `siyu run` is spent inside the bodies of assets and checks, by op.

Neither Dagster's events nor the `seconds` that assets report tell it: a step's events enclose
look-ups and writes in Dagster's own storage, and `seconds` leave out what a body imports. So the
call of the body is timed itself. Storing a result's events happens after the body has returned or
between two of its yields, and is not counted.
"""

import atexit
import json
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from pathlib import Path
from types import GeneratorType
from typing import Any, TypeVar, cast

import dagster as dg
from dagster._core.execution.plan import compute_generator

ResultT = TypeVar("ResultT")


def install(report: Path) -> None:
    """Times the runs and op bodies of this process; at its exit they are written to `report`.

    The report is JSON: `runs`, the wall seconds of every executed run, and `bodies`, the seconds
    inside each op's body by the op's name.
    """
    runs: list[float] = []
    bodies: defaultdict[str, float] = defaultdict(float)
    execute = dg.JobDefinition.execute_in_process
    invoke = compute_generator.invoke_compute_fn

    def timed(name: str, call: Callable[[], ResultT]) -> ResultT:
        began = time.perf_counter()
        try:
            return call()
        finally:
            bodies[name] += time.perf_counter() - began

    def resumed(name: str, body: Generator[Any]) -> Generator[Any]:
        finished = object()
        while (result := timed(name, lambda: next(body, finished))) is not finished:
            yield result

    def invoke_timed(fn: Callable[..., Any], context: Any, *arguments: Any) -> Any:
        name = str(context.op_execution_context.op.name)
        result = timed(name, lambda: invoke(fn, context, *arguments))
        if isinstance(result, GeneratorType):
            return resumed(name, cast("Generator[Any]", result))
        return result

    def execute_timed(*arguments: Any, **options: Any) -> dg.ExecuteInProcessResult:
        began = time.perf_counter()
        try:
            return execute(*arguments, **options)
        finally:
            runs.append(time.perf_counter() - began)

    def write() -> None:
        report.write_text(json.dumps({"runs": runs, "bodies": bodies}), encoding="utf-8")

    compute_generator.invoke_compute_fn = invoke_timed
    dg.JobDefinition.execute_in_process = execute_timed
    atexit.register(write)
