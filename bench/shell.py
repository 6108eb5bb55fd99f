"""How long people wait for a command: from its start to its end, in a process of its own, with bytecode.

Waiting is the point here, so it is time on the clock. Raw is what the interpreter alone takes to start, or to start and
run the same program, by turns with the real thing.

Promises: the daemon is a real one on a fresh home, and is there before anything is measured.
Never: counts the making of bytecode.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Final

from bench.harness import MS, Effort, Result, bench, cost, paired

REPEATS: Final = 30
ARRAY: Final = 100_000
HELP_MS, STATUS_MS, RUN_MS, LIST_MS, ACK_MS = 150.0, 150.0, 250.0, 300.0, 2_000.0
_PYTHON: Final = (sys.executable, "-c", "pass")
_PYTHON_RUNS: Final = (sys.executable, "-c", "import os; os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)")


@contextmanager
def at_home() -> Iterator[dict[str, str]]:
    """An environment with a home of its own, and its daemon."""
    with tempfile.TemporaryDirectory(prefix="odyssey-bench-") as folder:
        gone = ("ODYSSEY_SOCKET", "PYTHONDONTWRITEBYTECODE")
        environment = {name: value for name, value in os.environ.items() if name not in gone}
        environment |= {
            "ODYSSEY_HOME": str(Path(folder) / "home"),
            "PYTHONPYCACHEPREFIX": str(Path(folder) / "bytecode"),
        }
        typed(environment, "run", "-q", "--", "true")
        try:
            yield environment
        finally:
            typed(environment, "down", "--now")


def typed(environment: Mapping[str, str], *words: str) -> None:
    _waited(environment, sys.executable, "-m", "odyssey", *words)


def _waited(environment: Mapping[str, str], *command: str) -> float:
    begin = perf_counter()
    subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return perf_counter() - begin


def _figure(
    environment: Mapping[str, str],
    effort: Effort,
    words: tuple[str, ...],
    target: float,
    raw: tuple[str, ...],
) -> Result:
    command = (sys.executable, "-m", "odyssey", *words)
    _waited(environment, *command)  # with bytecode from now on
    repeats = effort.repeats(REPEATS)
    samples = paired(lambda: _waited(environment, *command), lambda: _waited(environment, *raw), repeats)
    raw_is = "python -c pass" if raw is _PYTHON else "python, posix_spawn of true"
    return cost(f"odyssey {' '.join(words)}", "ms", samples, MS, raw_is, target, "time on the clock")


@bench("shell.commands")
def commands(effort: Effort) -> Iterator[Result]:
    with at_home() as environment:
        yield _figure(environment, effort, ("--help",), HELP_MS, _PYTHON)
        yield _figure(environment, effort, ("status",), STATUS_MS, _PYTHON)
        yield _figure(environment, effort, ("run", "--", "true"), RUN_MS, _PYTHON_RUNS)


@bench("shell.large")
def large(effort: Effort) -> Iterator[Result]:
    """An array that waits: acknowledged, then listed."""
    count = effort.size(ARRAY)
    words = ("run", "--detach", "--hold", "--array", f"1-{count}", "--", "true")
    with at_home() as environment:
        yield _figure(environment, Effort(True), words, ACK_MS, _PYTHON)
        yield _figure(environment, effort, ("ps",), LIST_MS, _PYTHON)
