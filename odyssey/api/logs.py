"""What there is of a job's output, its ends, and where it is: asked once, answered from what this machine holds.

Promises: bytes as they were written, task by task; the last lines of a stream are found without reading all of it.
Never: waits for more to come.
"""

from collections.abc import AsyncGenerator, Iterator
from typing import Final

from odyssey.api import project, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.names import Meant, resolve
from odyssey.api.past import Found, Past
from odyssey.api.ports import Counter, Outputs
from odyssey.errors import UsageError
from odyssey.exec.outputs import Extent
from odyssey.ids import AttemptId, NodeNumber, task_id
from odyssey.model import ENDED, Task, TaskState
from odyssey.scheduler.runs import outside

PIECE: Final = 256 << 10
MOST_AT_ONCE: Final = 1_000
STREAMS: Final = {"": (v.STDOUT, v.STDERR), "stdout": (v.STDOUT,), "stderr": (v.STDERR,)}


class Logs:
    def __init__(self, counter: Counter, past: Past) -> None:
        self._counter, self._past = counter, past

    async def logs(self, request: r.Logs) -> AsyncGenerator[v.Told, None]:
        streams = STREAMS.get(request.stream)
        if streams is None:
            raise UsageError(f"there is no stream {request.stream[:20]!r}", hint="use stdout or stderr")
        meant, found = await self._found(request.ref)
        rights.check(self._counter, found.job, rights.Right.READ)
        for index, number, attempt, node in list(_attempts(found, meant, request)):
            yield v.Told((v.Began(index, attempt, number, found.records.name(node)),))
            for stream in streams:
                for items in _stream(self._counter.outputs, index, attempt, stream, request.tail):
                    yield v.Told(items)

    async def where(self, request: r.Where) -> v.WhereView:
        meant, found = await self._found(request.ref)
        limit = max(1, min(request.limit, MOST_AT_ONCE))
        start, stop = (request.start, found.job.spec.count) if meant.task is None else (meant.task, meant.task + 1)
        end = min(stop, start + limit)
        told = project.observed(self._counter.state, None, self._counter.here(), {}, 0)
        views = tuple(self._task(found, index, told) for index in range(max(0, start), end))
        return v.WhereView(found.job.id, views, end if end < stop else None)

    async def _found(self, ref: str) -> tuple[Meant, Found]:
        meant = resolve(ref, self._counter.state, rights.asker(self._counter).user)
        return meant, await self._past.find(meant.job)

    def _task(self, found: Found, index: int, told: project.Observed) -> v.TaskWhere:
        task = found.records.tasks.get(task_id(found.job.id, index))
        if task is None:
            state = project.state_in(found.job, index)
            return v.TaskWhere(index, state.name.lower(), None, None, None, None, state in ENDED)
        tries = tries_of(task)
        if not tries:
            return v.TaskWhere(index, task.state.name.lower(), None, None, None, None, task.state in ENDED)
        attempt, node = tries[-1]
        out, err = (self._counter.outputs.extent(attempt, stream) for stream in (v.STDOUT, v.STDERR))
        state_name = (
            "running" if attempt in told.bodies and task.state is TaskState.ASSIGNED else task.state.name.lower()
        )
        return v.TaskWhere(
            index,
            state_name,
            found.records.name(node),
            attempt,
            out.size if out is not None else None,
            err.size if err is not None else None,
            all(one is not None and one.is_complete for one in (out, err)),
            sum(one.cut_bytes for one in (out, err) if one is not None),
            self._counter.files.kept(task.id, attempt),
        )


def tries_of(task: Task) -> list[tuple[AttemptId, NodeNumber]]:
    """All that are remembered, oldest first."""
    past = [(one.attempt, one.node) for one in task.tries]
    return past + [(one.id, one.node) for one in task.attempts]


def _attempts(found: Found, meant: Meant, request: r.Logs) -> Iterator[tuple[int, int, AttemptId, NodeNumber]]:
    """Those whose output is asked for: the task, the number of the try, the try, its machine."""
    only = ((meant.task, meant.task + 1),) if meant.task is not None else ()
    for index in outside(found.job.runs, found.job.spec.count, only):
        task = found.records.tasks.get(task_id(found.job.id, index))
        if task is None:
            continue
        first = task.tries_total - len(task.tries) + 1
        those = [(index, first + at, attempt, node) for at, (attempt, node) in enumerate(tries_of(task))]
        if request.attempt:
            those = [one for one in those if one[2] == request.attempt]
        elif not request.all_tries:
            those = those[-1:]
        yield from those


def _stream(
    outputs: Outputs, index: int, attempt: AttemptId, stream: int, tail: int
) -> Iterator[tuple[v.AnyItem, ...]]:
    extent = outputs.extent(attempt, stream)
    if extent is None:
        return
    at = 0 if tail < 0 else tail_start(outputs, attempt, stream, extent, tail)
    while at < extent.size:
        data = outputs.read(attempt, stream, at, min(PIECE, extent.size - at))
        if not data:
            break
        yield (v.Output(index, attempt, stream, at, data),)
        at += len(data)
    if extent.cut_bytes:
        yield (v.Cut(index, attempt, stream, extent.cut_bytes),)


def tail_start(outputs: Outputs, attempt: AttemptId, stream: int, extent: Extent, lines: int) -> int:
    """Where the last so many lines begin; a last line without an end is one too."""
    if lines == 0:
        return extent.size
    end, wanted = extent.size, lines
    if end and outputs.read(attempt, stream, end - 1, 1) == b"\n":
        wanted += 1
    while end:
        start = max(0, end - PIECE)
        data = outputs.read(attempt, stream, start, end - start)
        count = data.count(b"\n")
        if count >= wanted:
            at = len(data)
            for _ in range(wanted):
                at = data.rindex(b"\n", 0, at)
            return start + at + 1
        wanted -= count
        end = start
    return 0
