"""History in pieces that never change: ended jobs as the bytes of a segment, and back.

A job leaves the state some time after it ended. Its segment holds the record of the job, those of its tasks with their
tries, and the names of the machines they speak of, so it can be read when the mesh has forgotten all of them. A segment
takes up to MAX_JOBS jobs and MAX_BYTES. A job that is larger than that by itself has one of its own, and gives up
details until it fits; what it gave up is written there.

A segment is made in steps, because making one takes longer than a tick may wait. The log goes on meanwhile. Its jobs
are those that had ended at the index where it was begun, and the order that removes them from the state says that
index: a job that was begun again since, and ended otherwise, stays.

Promises: equal jobs give equal bytes; what is read is whole, in order and of one segment, or it is an error.
Never: reads a format it does not know, or tells that a job is gone before the log does.
"""

import enum
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from heapq import merge, nsmallest
from operator import attrgetter
from typing import Final, NamedTuple

import msgspec

from odyssey import wire
from odyssey.commands import AdoptSegment, ArchiveJobs, Fence, Span
from odyssey.errors import Malformed, NotUnderstood
from odyssey.ids import JobId, NodeNumber, index_of, job_of, task_id
from odyssey.model import Job, Run, Task
from odyssey.scheduler.draft import replace
from odyssey.scheduler.dump import ROWS, SLICE, fitting
from odyssey.scheduler.runs import joined, outside, spans_of
from odyssey.scheduler.state import State

FORMAT: Final = 1
MAX_JOBS: Final = 1_000
MAX_BYTES: Final = 16 << 20
_LENGTH: Final = 4  # bytes before each piece
_REST: Final = 1 << 20  # kept free for the names of machines


class Detail(enum.IntEnum):
    """What is kept of a job's tasks."""

    ALL = 0
    LAST_TRY = 1  # and not why it went where it went
    STATES = 2  # as runs of the job


class Piece(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Part of a segment: its length, then it, in the envelope of the log."""


class Begin(Piece, frozen=True, tag="segment"):
    format: int
    origin: bytes  # the generation whose numbers these are, if it is another one than the log's; else empty


class JobRow(Piece, frozen=True, tag="job"):
    job: Job
    detail: Detail
    tasks: int  # records that follow


class TaskRows(Piece, frozen=True, tag="tasks"):
    rows: tuple[Task, ...]


class Names(Piece, frozen=True, tag="machines"):
    rows: tuple[tuple[NodeNumber, str], ...]


class End(Piece, frozen=True, tag="end"):
    jobs: int


AnyPiece = Begin | JobRow | TaskRows | Names | End


class Kept(NamedTuple):
    """An ended job, as history has it."""

    job: Job
    detail: Detail
    tasks: tuple[Task, ...]


class Contents(NamedTuple):
    origin: bytes
    jobs: tuple[Kept, ...]
    names: dict[NodeNumber, str]


class Packed(NamedTuple):
    """A segment that is ready to be laid by."""

    digest: bytes
    data: bytes
    jobs: tuple[Span, ...]
    upto: int  # the log as far as it was known

    def order(self, fence: Fence) -> ArchiveJobs:
        return ArchiveJobs(fence, self.digest, len(self.data), self.jobs, self.upto)

    def adoption(self, fence: Fence) -> AdoptSegment:
        """The order for one whose jobs the log never held."""
        count = sum(stop - start for start, stop in self.jobs)
        first, last = JobId(self.jobs[0][0]), JobId(self.jobs[-1][1] - 1)
        return AdoptSegment(fence, self.digest, len(self.data), first, last, count)


# -- which -------------------------------------------------------------------------------------------------------------


class Ripe(NamedTuple):
    jobs: list[JobId]  # that may leave, first those that ended first, as many as a segment takes
    total: int  # of all of them
    oldest: int  # the index at which the first of them ended; 0 if there is none


def ripe(state: State) -> Ripe:
    ready = [(state.jobs[job].ended_index, job) for job in state.ended if is_ripe(state, state.jobs[job])]
    first = nsmallest(MAX_JOBS, ready)
    return Ripe([job for _, job in first], len(ready), first[0][0] if first else 0)


def is_ripe(state: State, job: Job) -> bool:
    """No machine holds anything of it any more, and nobody waits for it."""
    return bool(job.ended_index) and not job.attempts and not state.children.get(job.id)


# -- out ---------------------------------------------------------------------------------------------------------------


class Packing:
    """One segment in the making. Call `step` until it gives something; a step is about a slice of a snapshot."""

    def __init__(self, state: State, jobs: Sequence[JobId]) -> None:
        self._state, self._upto = state, state.head.index
        self._pieces, self._size = [framed(Begin(FORMAT, b""))], 0
        self._digest = sha256(self._pieces[0])
        self._taken: list[JobId] = []
        self._nodes: set[NodeNumber] = set()
        self._steps = self._pack(jobs[:MAX_JOBS])

    def step(self) -> Packed | None:
        """None: there is more to do. A segment may turn out to be without jobs, if none is as it was any more."""
        if next(self._steps, None) is not None:
            return None
        return self._sealed()

    def _sealed(self) -> Packed:
        nodes = self._state.nodes
        names = tuple((number, nodes[number].name) for number in sorted(self._nodes) if number in nodes)
        for piece in (*map(_frame, fitting(Names, names)), framed(End(len(self._taken)))):
            self._pieces.append(piece)
            self._digest.update(piece)
        return Packed(self._digest.digest(), b"".join(self._pieces), spans_of(sorted(self._taken)), self._upto)

    def _pack(self, jobs: Iterable[JobId]) -> Iterator[int]:
        for number in jobs:
            job = self._state.jobs.get(number)
            if job is None or not is_ripe(self._state, job) or job.ended_index > self._upto:
                continue
            fits = yield from self._take(job)
            if not fits:
                return  # the next segment begins with it

    def _take(self, job: Job) -> Generator[int, None, bool]:
        for detail in Detail:
            pieces = yield from self._encode(job, detail)
            if pieces is not None:
                self._taken.append(job.id)
                for piece in pieces:
                    self._pieces.append(piece)
                    self._size += len(piece)
                    self._digest.update(piece)
                    yield len(piece)
                return True
            if self._taken:
                break  # it may be whole in a segment of its own
        return False

    def _encode(self, job: Job, detail: Detail) -> Generator[int, None, list[bytes] | None]:
        """None: this does not fit."""
        indices: Sequence[int] = list(outside(job.runs, job.spec.count))
        if detail is Detail.STATES:
            job = _only_states(job, (self._state.tasks[task_id(job.id, index)] for index in indices))
            indices = ()
        pieces = [framed(JobRow(job, detail, len(indices)))]
        left = MAX_BYTES - _REST - self._size - len(pieces[0])
        for start in range(0, len(indices), ROWS):
            tasks = [self._state.tasks[task_id(job.id, index)] for index in indices[start : start + ROWS]]
            rows = tuple(tasks if detail is Detail.ALL else map(_shortened, tasks))
            added = [_frame(encoded) for encoded in fitting(TaskRows, rows)]
            pieces += added
            left -= sum(map(len, added))
            if left < 0:
                return None
            self._nodes.update(one.node for task in rows for one in task.tries)
            yield start
        return pieces if left >= 0 else None


def foreign(kept: Iterable[Kept], names: Mapping[NodeNumber, str], origin: bytes) -> Iterator[Packed]:
    """Jobs that this log never held, with the numbers they had in the generation `origin`: as many segments as it
    takes, one in memory at a time. One job at least is in each, with the details that fit."""
    pieces: list[bytes] = []
    jobs: list[Kept] = []
    size = 0
    for one in kept:
        added = _fitted(one)
        more = sum(map(len, added))
        if jobs and (len(jobs) == MAX_JOBS or size + more > MAX_BYTES - _REST):
            yield _foreign(pieces, jobs, names, origin)
            pieces, jobs, size = [], [], 0
        pieces += added
        jobs.append(one)
        size += more
    if jobs:
        yield _foreign(pieces, jobs, names, origin)


def as_it_is(data: bytes, jobs: Iterable[Kept]) -> Packed:
    """One that was foreign already."""
    return Packed(sha256(data).digest(), data, spans_of(sorted(one.job.id for one in jobs)), 0)


def _foreign(pieces: list[bytes], jobs: list[Kept], names: Mapping[NodeNumber, str], origin: bytes) -> Packed:
    nodes = {one.node for kept in jobs for task in kept.tasks for one in task.tries}
    named = tuple((number, names[number]) for number in sorted(nodes) if number in names)
    ends = (*map(_frame, fitting(Names, named)), framed(End(len(jobs))))
    data = b"".join((framed(Begin(FORMAT, origin)), *pieces, *ends))
    return Packed(sha256(data).digest(), data, spans_of(sorted(one.job.id for one in jobs)), 0)


def _fitted(kept: Kept) -> list[bytes]:
    pieces: list[bytes] = []
    for detail in [one for one in Detail if one >= kept.detail]:
        less = _reduced(kept, detail)
        pieces = [framed(JobRow(less.job, detail, len(less.tasks)))]
        for start in range(0, len(less.tasks), ROWS):
            pieces += [_frame(encoded) for encoded in fitting(TaskRows, less.tasks[start : start + ROWS])]
        if sum(map(len, pieces)) <= MAX_BYTES - _REST:
            break
    return pieces


def _reduced(kept: Kept, detail: Detail) -> Kept:
    if detail <= kept.detail:
        return kept
    if detail is Detail.LAST_TRY:
        return Kept(kept.job, detail, tuple(map(_shortened, kept.tasks)))
    return Kept(_only_states(kept.job, kept.tasks), detail, ())


def _shortened(task: Task) -> Task:
    return replace(task, tries=tuple(replace(one, why=b"") for one in task.tries[-1:]))


def _only_states(job: Job, tasks: Iterable[Task]) -> Job:
    """All its tasks as runs, as if nothing had been recorded of any."""
    recorded = (Run(index_of(task.id), index_of(task.id) + 1, task.state) for task in tasks)
    return replace(job, runs=joined(merge(job.runs, recorded, key=attrgetter("start"))))


def framed(piece: Piece) -> bytes:
    return _frame(wire.encode_log(piece, SLICE))


def _frame(encoded: bytes) -> bytes:
    return len(encoded).to_bytes(_LENGTH, "big") + encoded


# -- in ----------------------------------------------------------------------------------------------------------------


def contents(data: bytes) -> Contents:
    pieces = _pieces(data)
    begin = next(pieces, None)
    if not isinstance(begin, Begin):
        raise Malformed("the segment does not begin with its beginning")
    if begin.format > FORMAT:
        raise NotUnderstood(f"the segment has format {begin.format}, this version reads {FORMAT}")
    if begin.format < 1:
        raise Malformed(f"the segment has format {begin.format}")
    jobs: list[Kept] = []
    names: dict[NodeNumber, str] | None = None
    for piece in pieces:
        match piece:
            case JobRow() if names is None:
                jobs.append(_with_tasks(piece, pieces))
            case Names(rows):
                names = {**(names or {}), **dict(rows)}
            case End(count) if names is not None and count == len(jobs) and next(pieces, None) is None:
                return Contents(begin.origin, tuple(jobs), names)
            case _:
                raise Malformed("the segment has a piece in the wrong place")
    raise Malformed("the segment ends too early")


def _pieces(data: bytes) -> Iterator[AnyPiece]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + _LENGTH], "big")
        at += _LENGTH
        if at + size > len(data):
            raise Malformed("the segment ends within a piece")
        yield wire.decode_log(data[at : at + size], AnyPiece, SLICE)
        at += size


def _with_tasks(row: JobRow, pieces: Iterator[AnyPiece]) -> Kept:
    tasks: list[Task] = []
    while len(tasks) < row.tasks:
        piece = next(pieces, None)
        if not isinstance(piece, TaskRows) or not piece.rows:
            raise Malformed(f"job {row.job.id} has {len(tasks)} of {row.tasks} tasks")
        tasks += piece.rows
    expected = list(outside(row.job.runs, row.job.spec.count))
    if any(job_of(task.id) != row.job.id for task in tasks) or [index_of(task.id) for task in tasks] != expected:
        raise Malformed(f"job {row.job.id} has tasks that are not its own")
    return Kept(row.job, row.detail, tuple(tasks))
