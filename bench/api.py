"""The counter of a real daemon on a fresh home: how long one job takes from a program's call to its result, how soon
output is seen, and what a large array costs.

Waiting is the point here, so it is time on the clock. Raw is what the machine itself takes to start the same program
and wait for its end, taken by turns with the real thing.

Promises: the daemon has its hands, its log on the disk of TMPDIR, limits and output as by default, and ends with the
measurement.
Never: counts the start of the daemon.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from time import perf_counter, sleep, time_ns
from typing import Final

from bench.harness import MS, Effort, Figure, Result, bench
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.program import Client
from odyssey.paths import Home
from odyssey.starting import ensure_running, wait_until_gone

JOBS: Final = 1_000
P50_MS, P99_MS = 6.0, 40.0
FIRST_BYTE_MS: Final = 30.0
ARRAY: Final = 100_000
ACK_S, LIST_MS, GROWTH_MIB = 2.0, 50.0, 200.0
IMPORT_MS: Final = 45.0
_TRUE: Final = "/bin/true"


@contextmanager
def daemon() -> Iterator[Client]:
    with tempfile.TemporaryDirectory(prefix="odyssey-bench-") as folder:
        home = Home(Path(folder) / "home")
        environment = {**os.environ, "ODYSSEY_HOME": str(home.path)}
        environment.pop("ODYSSEY_SOCKET", None)
        running = ensure_running(home, environment=environment)
        with Client(running.socket) as client:
            try:
                yield client
            finally:
                client.call(r.Down(now=True))
                wait_until_gone(home)


def clocked(work: Callable[[], object]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


def spawned() -> None:
    os.waitpid(os.posix_spawn(_TRUE, [_TRUE], {}), 0)


def part(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


@bench("api.one_job")
def one_job(effort: Effort) -> Iterator[Result]:
    """One after the other, as a program waits for each."""
    real: list[float] = []
    raw: list[float] = []
    with daemon() as client:
        for _ in range(20):
            client.run([_TRUE])
        for _ in range(effort.size(JOBS)):
            real.append(clocked(lambda: client.run([_TRUE])) * MS)
            raw.append(clocked(spawned) * MS)
    for percent, target in ((50, P50_MS), (99, P99_MS)):
        mine, limit = part(real, percent), part(raw, percent)
        name = f"one job, from a program's call to its result, p{percent}"
        raw_is = "posix_spawn and wait"
        yield Figure(name, "ms", mine, min(real), max(real), len(real), limit, raw_is, mine / limit, target)


@bench("api.first_byte")
def first_byte(effort: Effort) -> Iterator[Result]:
    """From the moment a job writes until whoever follows it has that."""
    late: list[float] = []
    with daemon() as client:
        for _ in range(effort.repeats(50)):
            job = client.submit(["sh", "-c", "date +%s%N; exec sleep 0.2"])
            for item in client.follow(r.Follow(str(job.id))):
                if isinstance(item, v.Output):
                    late += [(time_ns() - int(item.data)) / 1e6]
    yield Figure(
        "a byte that a job writes, until it is seen", "ms", median(late), min(late), max(late), len(late), 0.0,
        "none", 0.0, FIRST_BYTE_MS,
    )  # fmt: skip


@bench("api.array")
def array(effort: Effort) -> Iterator[Result]:
    """A large array, held, so that what is measured is not its work."""
    count = effort.size(ARRAY)
    with daemon() as client:
        client.run([_TRUE])
        pid = client.call(r.Status()).pid
        before = resident(pid)
        job = client.submit([_TRUE], array=range(count), hold=True)  # the first of its kind
        acks = [clocked(lambda: client.submit([_TRUE], array=range(count), hold=True)) for _ in range(3)]
        client.call(r.Release(str(job.id)))
        sleep(2.0)
        lists = [clocked(lambda: client.call(r.Jobs())) * MS for _ in range(20)]
        status = [clocked(lambda: client.call(r.Status())) * MS for _ in range(20)]
        grown = (resident(pid) - before) / (1 << 20)
        for number in range(job.id, job.id + 4):
            client.call(r.Cancel(str(number)))
    yield figure(f"an array of {count:,} tasks is acknowledged", "s", acks, ACK_S)
    yield figure("a list of jobs, while it runs", "ms", lists, LIST_MS)
    yield figure("the status, while it runs", "ms", status, None)
    yield figure("memory that the daemon has grown by, with four of them", "MiB", [grown], GROWTH_MIB)


@bench("api.import")
def import_cost(effort: Effort) -> Iterator[Result]:
    """Over a bare Python with click: what every command pays for the client."""
    bare, client = "import click", "import click, odyssey.api.client"
    costs = [started(client) - started(bare) for _ in range(effort.repeats(20))]
    yield figure("importing the client, over Python and click", "ms", costs, IMPORT_MS)


def started(text: str) -> float:
    """Of the processor's time: how busy the machine is says nothing of an import."""
    before = getrusage(RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", text], check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""})
    after = getrusage(RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * MS


def figure(name: str, unit: str, values: list[float], target: float | None) -> Figure:
    return Figure(name, unit, median(values), min(values), max(values), len(values), 0.0, "none", 0.0, target)


def resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("a process without memory")
