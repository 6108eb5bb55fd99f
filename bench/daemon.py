"""A real daemon with real hands: how fast it is there, what it costs when nothing happens, what a large array does to
it, and what fifty kills do.

On the wall clock, because waiting for a disk and for other processes is what is measured; on a machine that others use
these figures say little. Each measurement has a home of its own on the disk of `/var/tmp`, which goes with it.

Promises: nothing that was started is left.
Never: trusts the daemon's word for what ran: the tasks of the kills leave marks.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from bench.harness import MS, Check, Effort, Figure, Result, Samples, bench, cost, paired, rate
from bench.raw_spawn import RAW, compiled, raw
from odyssey.api import requests as r
from odyssey.api.client import Client
from odyssey.ids import UserId
from odyssey.resources import M, Resources
from odyssey.spec import JobSpec, Want
from tests.system.kills import complaints, kill_often
from tests.system.place import Place, wait_for

IDLE_PERCENT: Final = 0.5
IDLE_MB: Final = 90.0
GROWTH_MB: Final = 200.0
ACKNOWLEDGED_MS: Final = 2_000.0
PS_MS: Final = 300.0
EVEN: Final = 0.8  # the rate of the last tasks in that of the first
WINDOW: Final = 5_000
SHORT: Final = 5_000
SHARE: Final = 0.6  # of the raw rate


@contextmanager
def a_place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        place = Place(Path(folder) / "home")
        try:
            yield place
        finally:
            place.end()


def plain(name: str, unit: str, values: list[float], target: float | None = None, note: str = "") -> Figure:
    """Of what has no limit to be compared with."""
    return Figure(name, unit, median(values), min(values), max(values), len(values), 0.0, "-", 0.0, target, note=note)


@bench("daemon.start")
def start(effort: Effort) -> Iterator[Result]:
    samples = Samples([], [])
    with a_place() as place:
        place.start()
        for _ in range(effort.repeats(20)):
            place.stop()
            samples.real.append(_wall(place.start))
            words = [sys.executable, "-c", "import asyncio, sqlite3, msgspec"]
            samples.raw.append(_wall(lambda words=words: subprocess.run(words, check=True)))
    yield cost("a daemon that ended is there again", "ms", samples, MS, "Python with the libraries it needs")


def _wall(work: object) -> float:
    assert callable(work)
    began = time.monotonic()
    work()
    return time.monotonic() - began


# -- idle --------------------------------------------------------------------------------------------------------------


@bench("daemon.idle")
def idle(effort: Effort) -> Iterator[Result]:
    span = 10.0 if effort.quick else 60.0
    with a_place() as place:
        with Client(lambda: str(place.start().socket)) as client:
            list(client.wait(_submit(client, 1)))
        time.sleep(span)
        those = list(place.processes())
        before, began = _cpu_seconds(those), time.monotonic()
        time.sleep(span)
        percent = 100 * (_cpu_seconds(those) - before) / (time.monotonic() - began)
        pss = sum(map(_pss_bytes, those)) / M
    note = f"{len(those)} processes, {span:.0f} s after {span:.0f} s of rest"
    yield plain("daemon, supervisor and runners with nothing to do", "%", [percent], IDLE_PERCENT, note)
    yield plain("their memory, shared pages counted once", "MB", [pss], IDLE_MB)


def _cpu_seconds(processes: list[int]) -> float:
    return sum(
        int((thread / "schedstat").read_text().split()[0]) / 1e9
        for process in processes
        for thread in Path(f"/proc/{process}/task").iterdir()
    )


def _pss_bytes(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


# -- many short tasks --------------------------------------------------------------------------------------------------


@bench("daemon.true")
def short(effort: Effort) -> Iterator[Result]:
    """As one array, with everything on that is on by default; the raw rate before and after."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder, a_place() as place:
        program = compiled(Path(folder))
        if program is None:
            yield Check("an array of true", True, "NOT MEASURED: there is no C compiler for the raw limit")
            return
        with Client(lambda: str(place.start().socket)) as client:
            list(client.wait(_submit(client, 500)))

            def real() -> float:
                return _wall(lambda: list(client.wait(_submit(client, SHORT))))

            samples = paired(real, partial(raw, program, SHORT), effort.repeats(7))
        best = SHORT / median(samples.raw)
        share = median(SHORT / one for one in samples.real) / best
        note = f"{100 * share:.0f} % of the raw rate; {100 * SHARE:.0f} promised, 75 aimed at"
        yield rate(f"an array of {SHORT:,} x true, submitted to ended", "1/s", samples, SHORT, RAW, SHARE * best, note)


# -- a large array -----------------------------------------------------------------------------------------------------


@bench("daemon.array")
def array(effort: Effort) -> Iterator[Result]:
    tasks = effort.size(100_000)
    with a_place() as place, Client(lambda: str(place.start().socket)) as client:
        list(client.wait(_submit(client, 10)))
        daemon = place.daemon
        assert daemon is not None
        before, began = _rss_bytes(daemon), time.monotonic()
        job = _submit(client, tasks)
        acknowledged, peak, ps = time.monotonic() - began, before, list[float]()
        marks: list[tuple[float, int]] = [(time.monotonic(), 0)]
        while marks[-1][1] < tasks:
            time.sleep(0.05)
            peak = max(peak, _rss_bytes(daemon))
            ps.append(_wall(lambda: client.call(r.Jobs())))
            marks.append((time.monotonic(), client.call(r.Job(job, limit=1)).job.tasks.done))
        log = sum(file.stat().st_size for file in place.home.path.glob("mesh.db*"))
    window = min(WINDOW, tasks // 4)
    first = _rate([one for one in marks if one[1] <= window] or marks)
    last = _rate([one for one in marks if one[1] >= tasks - window])
    of = f"an array of {tasks:,}"
    yield plain(f"{of} is acknowledged", "ms", [acknowledged * MS], ACKNOWLEDGED_MS)
    yield plain(f"{of}: the daemon grows by", "MB", [(peak - before) / M], GROWTH_MB)
    yield plain(f"{of}: odyssey ps meanwhile", "ms", [one * MS for one in ps], PS_MS)
    yield plain(f"{of}: the log on the disk afterwards", "MB", [log / M])
    even = last / first if first else 0.0
    name = f"{of}: the rate of the last {window:,} in that of the first"
    yield Figure(name, "", even, even, even, 1, 0.0, "-", 0.0, EVEN, True, f"{first:.0f}/s, then {last:.0f}/s")


def _rate(marks: list[tuple[float, int]]) -> float:
    (begin, some), (end, more) = marks[0], marks[-1]
    return (more - some) / (end - begin) if end > begin else 0.0


def _rss_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _submit(client: Client, count: int) -> str:
    spec = JobSpec(UserId(""), (b"/bin/true",), Want(Resources(1000, M), key="true"), count=count, cwd=b"/")
    return str(client.call(r.Submit(os.urandom(16), (spec,))).id)


# -- kills -------------------------------------------------------------------------------------------------------------


@bench("daemon.kills")
def kills(effort: Effort) -> Iterator[Result]:
    tasks, count = effort.size(2_000), effort.size(50)
    with a_place() as place:
        account = kill_often(place, place.home.path.parent / "mark", tasks, count)
        wait_for(lambda: place.daemon is not None)
    yield plain("a daemon that was killed answers again", "ms", [float(one) for one in account.back_ms])
    found = complaints(account, tasks)
    said = f"{tasks} tasks over {count} kills: each ran once, no byte is lost" if not found else "; ".join(found[:5])
    yield Check("daemon.kills", not found, said)
