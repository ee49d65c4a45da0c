"""What a call costs."""

import resource
import sys
import time
from collections.abc import Callable

# ru_maxrss is in bytes on macOS and in KiB elsewhere.
_RSS_BYTES = 1 if sys.platform == "darwin" else 1024


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Wall time of one call, and processor time on all cores together."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


def peak_gb() -> float:
    """The most memory this process has held so far, in units of 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_BYTES / 1e9
