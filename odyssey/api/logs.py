"""What there is of a job's output, its ends, and where it is: asked once, answered from what the machines hold where it
ran.

Promises: bytes as they were written, task by task; the last lines of a stream are found without reading all of it. What
a machine has that does not answer is named at the end, as an error.
Never: waits for more to come.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Final

from odyssey.api import errands as q
from odyssey.api import project, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.afar import Afar, sizes_of
from odyssey.api.bringing import size_of, tail_start
from odyssey.api.names import Meant, resolve
from odyssey.api.past import Found, Past
from odyssey.api.ports import Counter, Outputs
from odyssey.errors import UsageError
from odyssey.ids import AttemptId, NodeId, NodeNumber, TaskId, task_id
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
        asked = list(_attempts(found, meant, request))
        distant = Afar(
            self._counter, [(attempt, there) for _, _, attempt, node in asked if (there := self._other(node))]
        )
        for index, number, attempt, node in asked:
            yield v.Told((v.Began(index, attempt, number, found.records.name(node)),))
            if self._other(node) is not None:
                async for item in distant.items(index, attempt, streams, request.tail):
                    yield v.Told((item,))
                continue
            for stream in streams:
                for items in _stream(self._counter.outputs, index, attempt, stream, request.tail):
                    yield v.Told(items)
        distant.check(self._counter.state, found.job.id)

    def _other(self, number: NodeNumber) -> NodeId | None:
        """None: it is this machine, or none any more."""
        node = self._counter.state.nodes.get(number)
        return node.id if node is not None and node.id != self._counter.me else None

    async def where(self, request: r.Where) -> v.WhereView:
        meant, found = await self._found(request.ref)
        limit = max(1, min(request.limit, MOST_AT_ONCE))
        start, stop = (request.start, found.job.spec.count) if meant.task is None else (meant.task, meant.task + 1)
        end = min(stop, start + limit)
        counter = self._counter
        told = project.observed(counter.state, None, counter.here(), counter.seen(), 0)
        indices = range(max(0, start), end)
        sizes = await self._sizes(found, indices)
        views = tuple(_where(found, index, told, sizes) for index in indices)
        return v.WhereView(found.job.id, views, end if end < stop else None)

    async def _found(self, ref: str) -> tuple[Meant, Found]:
        meant = resolve(ref, self._counter.state, rights.asker(self._counter).user)
        return meant, await self._past.find(meant.job)

    async def _sizes(self, found: Found, indices: Iterable[int]) -> Mapping[AttemptId, q.Size]:
        """Of the last tries of these tasks; those on a machine that does not answer are left out."""
        sizes: dict[AttemptId, q.Size] = {}
        there: dict[NodeId, list[tuple[TaskId, AttemptId]]] = {}
        for index in indices:
            task = found.records.tasks.get(task_id(found.job.id, index))
            if task is None or not (tries := tries_of(task)):
                continue
            attempt, number = tries[-1]
            if (node := self._other(number)) is None:
                sizes[attempt] = size_of(self._counter, task.id, attempt)
            else:
                there.setdefault(node, []).append((task.id, attempt))
        told = await asyncio.gather(*(sizes_of(self._counter, node, those) for node, those in there.items()))
        return sizes | {attempt: size for those in told for attempt, size in those.items()}


def _where(found: Found, index: int, told: project.Observed, sizes: Mapping[AttemptId, q.Size]) -> v.TaskWhere:
    task = found.records.tasks.get(task_id(found.job.id, index))
    if task is None:
        state = project.state_in(found.job, index)
        return v.TaskWhere(index, state.name.lower(), None, None, None, None, state in ENDED)
    tries, state_name = tries_of(task), task.state.name.lower()
    if not tries:
        return v.TaskWhere(index, state_name, None, None, None, None, task.state in ENDED)
    attempt, node = tries[-1]
    if attempt in told.bodies and task.state is TaskState.ASSIGNED:
        state_name = "running"
    size = sizes.get(attempt, q.Size())
    return v.TaskWhere(
        *(index, state_name, found.records.name(node), attempt, size.stdout, size.stderr, size.is_complete, size.cut),
        size.files,
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
