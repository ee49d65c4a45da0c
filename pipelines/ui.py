"""Dagster's web server and daemon on this machine: started together, ended together."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from resources.failure import Failure

HOST = "127.0.0.1"
_LOOK_SECONDS = 0.2
# How long a process may take to end, and then what it started, before both are killed.
_LEADER_SECONDS = 8.0
_SESSION_SECONDS = 3.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class UiFailed(Failure):
    """The UI did not start, or a process of it ended by itself; the message says why."""


def serve_ui(
    console: Console,
    root: Path,
    environment: Mapping[str, str],
    log: Path,
    port: int,
    *,
    is_read_only: bool,
) -> None:
    """Runs the web server, and the daemon unless read-only, until a signal asks to stop.

    Args:
        console: where the two lines for a person go; Dagster's own words go to `log`.
        root: the folder of workspace.yaml.
        environment: of the processes; DAGSTER_HOME in it names the instance.
        log: written anew.
        port: on 127.0.0.1.
        is_read_only: nothing can be launched.

    Raises:
        UiFailed: the port is taken, or one of the processes ended by itself.
    """
    _refuse_taken_port(port)
    workspace = ("-w", str(root / "workspace.yaml"))
    address = ("-h", HOST, "-p", str(port))
    web = ("dagster_webserver", *workspace, *address, *(("--read-only",) if is_read_only else ()))
    daemon = ("dagster._daemon", "run", *workspace)
    commands = {"web server": web} if is_read_only else {"web server": web, "daemon": daemon}
    log.parent.mkdir(parents=True, exist_ok=True)
    with _signals_noted() as noted, _processes(commands, environment, root, log) as running:
        with console.status(f"starting Dagster on port {port} …"):
            while not noted and not _answers(port):
                _refuse_ended(running, port, log)
                time.sleep(_LOOK_SECONDS)
        if not noted:
            console.print(f"Dagster UI: http://{HOST}:{port} (stop with Ctrl-C)")
        while not noted:
            _refuse_ended(running, port, log)
            time.sleep(_LOOK_SECONDS)
    console.print(f"Dagster UI on port {port} stopped")


def _refuse_taken_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UiFailed(
                f"port {port} of {HOST} cannot be used ({error.strerror}); stop what uses it, "
                f"or choose another: siyu ui --port {port % 65535 + 1}"
            ) from error


@contextmanager
def _signals_noted() -> Generator[list[int]]:
    """Notes what asks to stop instead of raising, so that ending is never interrupted.

    Handlers, unlike ignored signals, are not inherited: Dagster's processes, which end their own
    children by SIGINT, can then be stopped even where a shell started this one in the background.
    """
    seen: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        seen.append(number)

    before = {each: signal.signal(each, note) for each in _SIGNALS}
    try:
        yield seen
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _processes(
    commands: Mapping[str, tuple[str, ...]], environment: Mapping[str, str], root: Path, log: Path
) -> Generator[dict[str, subprocess.Popen[bytes]]]:
    """Python modules, each in a session of its own; they and all they start end with the block."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with log.open("w", encoding="utf-8") as written:
            for name, command in commands.items():
                running[name] = subprocess.Popen(
                    [sys.executable, "-m", *command],
                    env=environment,
                    cwd=root,
                    stdin=subprocess.DEVNULL,
                    stdout=written,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        yield running
    finally:
        _end(list(running.values()))


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Asks the leaders first, then what is left of their sessions: code servers and runs."""
    for process in processes:
        process.terminate()
    _wait(lambda: all(process.poll() is not None for process in processes), _LEADER_SECONDS)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if any([_reaches_session(process, number) for process in processes]):
            _wait(
                lambda: not any(_reaches_session(process, 0) for process in processes),
                _SESSION_SECONDS,
            )


def _wait(is_over: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_over() and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _reaches_session(process: subprocess.Popen[bytes], number: int) -> bool:
    """Sends a signal to a process and what it started (0: nothing); false if all have ended."""
    process.poll()
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        # macOS refuses, instead of not finding, a group of which only zombies are left.
        return False
    return True


def _refuse_ended(running: Mapping[str, subprocess.Popen[bytes]], port: int, log: Path) -> None:
    for name, process in running.items():
        if (code := process.poll()) is not None:
            raise UiFailed(
                f"Dagster's {name} on port {port} ended by itself with exit code {code}; "
                f"why, says {log}"
            )


def _answers(port: int) -> bool:
    """Whether the web server answers; asked without urllib, which would ask a proxy."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2.0)
    try:
        connection.request("GET", "/server_info")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
