"""What is to be told of one job next, to somebody who has been told so much already.

The truth is the state and what the outputs hold; a listener only says where to look. So whoever comes back after a
restart of the daemon, or takes his time, misses nothing and hears nothing twice.

Promises: of each task first that a machine has it, then its output, byte for byte, then how it ended; tries one after
the other; the job's end last, once. What is told at a time is bounded.
Never: waits: `look_again` says whether something may come without an event.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from odyssey.api import project
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.distant import Distant
from odyssey.api.ports import Outputs
from odyssey.api.project import Records
from odyssey.commands import Span
from odyssey.exec.outputs import Extent
from odyssey.ids import AttemptId, JobId, NodeId, NodeNumber, index_of, task_id
from odyssey.model import ENDED, Job, Outcome, Task, TaskState, Try, array_index
from odyssey.scheduler.runs import outside

PIECE: Final = 64 << 10  # of one stream at a time
ENOUGH_BYTES: Final = 256 << 10
ENOUGH_ITEMS: Final = 256
MOST_FETCHED: Final = 256  # tasks that have ended, at a time
COMPLETE_MS: Final = 2_000  # for the last bytes of an attempt to arrive whose end is known


Extents = tuple[tuple[int, Extent], ...]  # of the streams of one attempt that are known


class Thread:
    """How far one task has been told."""

    __slots__ = ("announced", "cut", "ended_ms", "finished", "index", "is_far", "offsets")

    def __init__(self, index: int, finished: frozenset[AttemptId]) -> None:
        self.index = index
        self.finished = set(finished)  # tries of which all is told
        self.announced: AttemptId | None = None
        self.offsets = {v.STDOUT: 0, v.STDERR: 0}  # of the try that is being told
        self.cut: set[int] = set()  # streams of it of which it was told that they are cut
        self.ended_ms: int | None = None  # since when its last bytes are waited for
        self.is_far = False  # that try is on another machine

    def begin(self, attempt: AttemptId, marks: dict[int, r.Mark]) -> None:
        mark = marks.get(attempt)
        self.announced, self.ended_ms = attempt, None
        self.cut.clear()
        self.offsets = {v.STDOUT: mark.stdout if mark else 0, v.STDERR: mark.stderr if mark else 0}

    def finish(self, attempt: AttemptId) -> None:
        self.finished.add(attempt)
        self.announced = None


class Teller:
    """`distant` has the output of those machines that `elsewhere` names; it is None for this one."""

    def __init__(
        self,
        job: JobId,
        only: int | None,
        request: r.Follow,
        outputs: Outputs,
        distant: Distant | None = None,
        elsewhere: Callable[[NodeNumber], NodeId | None] = lambda _: None,
    ) -> None:
        self.job, self._only, self._request, self._outputs = job, only, request, outputs
        self._distant, self._elsewhere = distant or Distant(lambda *_: None), elsewhere
        self._marks = {mark.attempt: mark for mark in request.marks}
        self._finished = frozenset(AttemptId(mark.attempt) for mark in request.marks if mark.is_over)
        self._told: set[int] = {index for start, stop in request.told for index in range(start, stop)}
        self._todo: deque[int] = deque()
        self._threads: dict[int, Thread] = {}
        self._open: set[int] = set()  # tasks of which more may come without an event
        self._fetching: set[int] = set()  # of those: that have ended, on other machines
        self._focus: int | None = None  # in groups: of this one a part was told, so nothing else is
        self._is_quiet = request.is_grouped or request.without_output  # of a task nothing is shown before its end
        self.is_over = False

    # -- where to look -------------------------------------------------------------------------------------------------

    def all_of(self, job: Job) -> None:
        """Look at every task that something has happened to."""
        ended = (range(run.start, run.stop) for run in job.runs if run.state in ENDED)
        recorded = outside(job.runs, job.spec.count)
        self.look_at(index for indices in (recorded, *ended) for index in indices)

    def look_at(self, indices: Iterable[int]) -> None:
        only = self._only
        self._todo.extend(index for index in indices if only is None or index == only)

    def again(self, spans: Iterable[Span]) -> None:
        """These were retried: their ends will come once more."""
        for start, stop in spans:
            self._told.difference_update(range(start, stop))

    @property
    def has_more(self) -> bool:
        if self._focus is not None:
            return bool(self._todo) and self._todo[0] == self._focus
        return bool(self._todo) and len(self._fetching) < MOST_FETCHED

    @property
    def look_again(self) -> bool:
        """Somebody writes, or its last bytes are on their way."""
        return bool(self._open)

    @property
    def waits_for_rest(self) -> bool:
        """The last bytes of something that has ended here are on their way. Of those elsewhere it is told."""
        return any(self._threads[index].ended_ms is not None for index in self._open)

    def silent(self) -> frozenset[NodeId]:
        """Machines that have output for this one, and do not answer just now."""
        return self._distant.silent()

    def tells(self, attempt: AttemptId) -> bool:
        """It is one whose output is told as it is written."""
        return any(self._threads[index].announced == attempt for index in self._open)

    # -- what there is to tell -----------------------------------------------------------------------------------------

    def items(self, records: Records, now_ms: int) -> list[v.AnyItem]:
        """Up to so much of it. None is left when this gives none and `has_more` is False."""
        job = records.jobs[self.job]
        found: list[v.AnyItem] = []
        todo = deque(sorted(self._open)) if self._focus is None else deque((self._focus,))
        size = 0
        while (index := self._next(todo)) is not None:
            if index in self._told:
                continue
            for item in self._of_task(records, job, index, now_ms):
                found.append(item)
                size += len(item.data) if isinstance(item, v.Output) else 0
                if size >= ENOUGH_BYTES or len(found) >= ENOUGH_ITEMS:
                    self._todo.appendleft(index)  # there may be more of it
                    return found
        return found

    def _next(self, todo: deque[int]) -> int | None:
        if self._focus is not None:  # alone, and once
            ours = (those for those in (todo, self._todo) if those and those[0] == self._focus)
            index = next((those.popleft() for those in ours), None)
            todo.clear()
            return index
        if todo:
            return todo.popleft()
        return self._todo.popleft() if self.has_more else None

    def _of_task(self, records: Records, job: Job, index: int, now_ms: int) -> Iterator[v.AnyItem]:
        """All that is noted of what was told is noted before it is given: whoever asks may have enough at any item."""
        task = records.tasks.get(task_id(job.id, index))
        if task is None:
            self._focus = None if self._focus == index else self._focus
            yield from self._untouched(job, index)
            return
        name, is_over, last = records.name, task.state in ENDED, None
        thread = self._threads.setdefault(index, Thread(index, self._finished))
        self._open.discard(index)
        for number, one in enumerate(task.tries, task.tries_total - len(task.tries) + 1):
            is_last = is_over and one is task.tries[-1]
            if one.attempt in thread.finished or self._skips(thread, one, is_last):
                continue
            yield from self._announce(thread, index, one.attempt, number, name, one.node)
            if is_last or not self._is_quiet:
                extents = self._extents(thread, one.attempt)
                if self._waits_for_more(thread, one.attempt, extents, now_ms, is_last):
                    self._open.add(index)
                    return
                if self._is_quiet:
                    self._focus = index
                    self._distant.prefer(one.attempt)
                yield from self._output(thread, index, one.attempt, extents)
                if not self._has_all(thread, one.attempt, extents, now_ms, is_last):
                    self._open.add(index)
                    return
                yield from self._cut(thread, index, one.attempt, extents)
            moved = None if is_last else self._moved(thread, one, index, name)
            last = ended(job, task, name, self._of(thread)) if is_last else None
            if last is not None and self._distant.is_missing(one.attempt):
                last = replace(last, missing=name(one.node))
            self._finish(thread, index, one.attempt)
            if moved is not None:
                yield moved
        if is_over:
            self._told.add(index)
            del self._threads[index]
            yield last if last is not None else ended(job, task, name, self._outputs)
            return
        yield from self._current(thread, task, index, name, is_screen=job.spec.terminal != (0, 0))

    def _skips(self, thread: Thread, one: Try, is_last: bool) -> bool:
        """What never began has nothing to tell, nor has, in groups, what nobody heard begin."""
        if is_last or thread.announced == one.attempt:
            return False
        return self._is_quiet or one.outcome is Outcome.REJECTED

    def _current(
        self, thread: Thread, task: Task, index: int, name: Callable[[NodeNumber], str], is_screen: bool
    ) -> Iterator[v.AnyItem]:
        """The try that a machine has now. Of two that race the older one is told, until one has won. `is_screen`: who
        sits there must know at once that nothing more is shown."""
        current = next((one for one in task.attempts if one.slot), None)
        if current is None:
            return
        if not self._is_quiet:
            self._open.add(index)
        yield from self._announce(thread, index, current.id, task.tries_total + 1, name, current.node)
        if not self._is_quiet:
            extents = self._extents(thread, current.id)
            yield from self._output(thread, index, current.id, extents)
            if is_screen:
                yield from self._cut(thread, index, current.id, extents)

    def _announce(
        self,
        thread: Thread,
        index: int,
        attempt: AttemptId,
        number: int,
        name: Callable[[NodeNumber], str],
        node: NodeNumber,
    ) -> Iterator[v.AnyItem]:
        if thread.announced == attempt:
            return
        thread.begin(attempt, self._marks)
        there = None if self._request.without_output else self._elsewhere(node)
        thread.is_far = there is not None
        if there is not None:
            self._distant.begin(attempt, there, thread.offsets[v.STDOUT], thread.offsets[v.STDERR])
        yield v.Began(index, attempt, number, name(node))

    def _of(self, thread: Thread) -> Outputs | Distant:
        return self._distant if thread.is_far else self._outputs

    def _finish(self, thread: Thread, index: int, attempt: AttemptId) -> None:
        thread.finish(attempt)
        self._distant.end(attempt)
        self._fetching.discard(index)
        self._focus = None if self._focus == index else self._focus

    def _extents(self, thread: Thread, attempt: AttemptId) -> Extents:
        """Asked once: finding them takes longer than all the rest."""
        if self._request.without_output:
            return ()
        outputs = self._of(thread)
        found = ((stream, outputs.extent(attempt, stream)) for stream in (v.STDOUT, v.STDERR))
        return tuple((stream, extent) for stream, extent in found if extent is not None)

    def _output(self, thread: Thread, index: int, attempt: AttemptId, extents: Extents) -> Iterator[v.AnyItem]:
        outputs = self._of(thread)
        for stream, extent in extents:
            while thread.offsets[stream] < extent.size:
                at = thread.offsets[stream]
                data = outputs.read(attempt, stream, at, min(PIECE, extent.size - at))
                if not data:
                    break
                thread.offsets[stream] += len(data)
                yield v.Output(index, attempt, stream, at, data)

    def _cut(self, thread: Thread, index: int, attempt: AttemptId, extents: Extents) -> Iterator[v.AnyItem]:
        for stream, extent in extents:
            if extent.cut_bytes and stream not in thread.cut:
                thread.cut.add(stream)
                yield v.Cut(index, attempt, stream, extent.cut_bytes)

    def _waits_for_more(self, thread: Thread, attempt: AttemptId, extents: Extents, now_ms: int, is_last: bool) -> bool:
        """In groups: as long as it is not all here, others are told first, unless there is no room for more of it."""
        if not (self._is_quiet and thread.is_far) or self._has_all(thread, attempt, extents, now_ms, is_last):
            return False
        return self._distant.has_room_beside(attempt)

    def _has_all(self, thread: Thread, attempt: AttemptId, extents: Extents, now_ms: int, is_last: bool) -> bool:
        """Of an attempt that has ended. Bytes that do not come in a while will not come."""
        if all(extent.is_complete for _, extent in extents):
            return True
        if thread.is_far:
            self._distant.settle(attempt, now_ms)
            self._fetching.add(thread.index)
            return not is_last and self._distant.is_silent(attempt)
        if thread.ended_ms is None:
            thread.ended_ms = now_ms
        return now_ms - thread.ended_ms >= COMPLETE_MS

    def _moved(self, thread: Thread, one: Try, index: int, name: Callable[[NodeNumber], str]) -> v.Moved:
        told = project.told(one)
        reason = self._of(thread).note(one.attempt) or told.reason or ""
        return v.Moved(index, one.attempt, name(one.node), v.OUTCOMES[one.outcome], reason, one.run_ms)

    def _untouched(self, job: Job, index: int) -> Iterator[v.AnyItem]:
        """A task that is only a number in a run: it has ended without a try, or it waits."""
        state = project.state_in(job, index)
        if state in ENDED:
            self._told.add(index)
            view = project.untouched_view(job, index, state)
            status = project.INTERRUPTED if state is TaskState.CANCELLED else project.OURS
            yield v.Ended(
                index, view.state, None, None, None, view.reason, None, None, None, None, status,
                array_index=view.array_index,
            )  # fmt: skip


def ended(job: Job, task: Task, name: Callable[[NodeNumber], str], outputs: Outputs | Distant) -> v.Ended:
    end = project.ending(task)
    last = task.tries[-1] if task.tries else None
    attempt = last.attempt if last is not None else None
    return v.Ended(
        index_of(task.id),
        task.state.name.lower(),
        end.exit_code,
        end.signal,
        v.OUTCOMES[end.outcome] if end.outcome is not None else None,
        (outputs.note(attempt) if end.reason and attempt is not None else None) or end.reason,
        name(last.node) if last is not None else None,
        attempt,
        last.started_ms or None if last is not None else None,
        last.ended_ms or None if last is not None else None,
        end.exit_status,
        outputs.unread(attempt) if job.spec.stdin and attempt is not None else None,
        array_index(job.spec, index_of(task.id)),
    )
