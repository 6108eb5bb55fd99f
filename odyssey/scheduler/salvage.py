"""What an old coordinator's log has that the mesh went on without: its tail, and what becomes of it.

The mesh was recovered on a log that ends at the fork, and an old voter comes back whose log went on behind it. It works
out its tail: the jobs that were submitted or changed there, and what was cancelled. The new coordinator weighs that
against its own state. Jobs are recognised by the client id of their submit: numbers given after the fork mean other
jobs on each side. A submit from before the fork is known to both, however long ago.

| at the old coordinator  | unknown here                                   | known here                          |
|-------------------------|------------------------------------------------|-------------------------------------|
| ended, or being stopped | becomes history, with its result               | what it is here counts; it is shown |
| not ended               | is offered to be submitted, with its client id | goes on here                        |
| cancelled               |                                                | is listed, if it is not over here   |

Promises: nothing that was acknowledged behind the fork is left out; nothing runs again that is known here.
Never: changes the new state. What is offered is submitted like anything else, so its client id is taken once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from odyssey.commands import CancelTasks, Entry, Span, SubmitJobs
from odyssey.events import CommandFailed, CommandRefused
from odyssey.ids import ClientId, JobId, NodeNumber, TaskId, UserId, job_of, task_id
from odyssey.model import Ending, Job, Task, TaskState
from odyssey.scheduler.apply import apply
from odyssey.scheduler.draft import replace
from odyssey.scheduler.runs import outside
from odyssey.scheduler.segments import Detail, Kept, Packed, contents, foreign
from odyssey.scheduler.state import State
from odyssey.spec import JobSpec

T = TaskState


class Left(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A job as the old coordinator had it."""

    job: Job
    detail: Detail
    tasks: tuple[Task, ...]
    is_new: bool  # submitted behind the fork
    position: int  # in its submit
    size: int  # of its submit

    @property
    def kept(self) -> Kept:
        return Kept(self.job, self.detail, self.tasks)

    @property
    def is_open(self) -> bool:
        """Something of it was still to be done. What was being cancelled is not."""
        return bool(self.job.counts[T.WAITING] or self.job.counts[T.ASSIGNED])


class Cancel(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    job: JobId
    only: tuple[Span, ...]
    by: UserId


class Tail(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """All numbers are those of the old coordinator."""

    origin: bytes  # the generation it is of
    index: int  # where its log ended
    jobs: tuple[Left, ...]
    cancels: tuple[Cancel, ...]
    names: tuple[tuple[NodeNumber, str], ...]  # of the machines that the tries speak of


# -- at the old coordinator --------------------------------------------------------------------------------------------


class _Before(NamedTuple):
    """What both sides know: the state at the fork. Not known any more where the last snapshot is newer."""

    jobs: dict[JobId, Job]
    tasks: dict[TaskId, Task]
    segments: frozenset[bytes]
    last_job: int
    fork: int
    is_known: bool

    def has_not(self, state: State, job: Job) -> bool:
        """Without the state at the fork the log index of the submit tells; one that is forgotten was long before."""
        if self.is_known:
            return job.id > self.last_job
        submitted = state.clients.get(job.client)
        return submitted is not None and submitted.index > self.fork


def tail_of(
    base: State, entries: Iterable[Entry], fork: int, origin: bytes, segment: Callable[[bytes], bytes | None]
) -> Tail:
    """`base` is the state of the last snapshot, which is used up, and `entries` all that follow. `segment` gives the
    bytes of those that are on this disk."""
    behind = []
    for entry in entries:
        if entry.index <= fork:
            apply(base, [entry])
        else:
            behind.append(entry)
    before = _before(base, fork)
    cancels = _walk(base, behind)
    names = {number: node.name for number, node in base.nodes.items()}
    found = list(_changed(base, before))
    for digest in [digest for digest in base.segments if digest not in before.segments]:
        data = segment(digest)
        if data is not None:
            read = contents(data)
            names = {**read.names, **names}
            found += [_left(base, before, one) for one in read.jobs]
    index = base.head.index
    return Tail(
        origin, index, tuple(sorted(found, key=lambda one: one.job.id)), tuple(cancels), _spoken_of(found, names)
    )


def _before(state: State, fork: int) -> _Before:
    if state.head.index > fork:
        return _Before({}, {}, frozenset(), 0, fork, False)
    return _Before(dict(state.jobs), dict(state.tasks), frozenset(state.segments), state.head.last_job, fork, True)


def _walk(state: State, entries: Sequence[Entry]) -> list[Cancel]:
    """Apply the tail; what was cancelled on the way."""
    cancels = []
    for entry in entries:
        _, events = apply(state, [entry])
        command = entry.command
        if isinstance(command, CancelTasks) and not isinstance(events[0], CommandRefused | CommandFailed):
            cancels.append(Cancel(command.job, command.only, command.by))
    return cancels


def _changed(state: State, before: _Before) -> Iterator[Left]:
    touched = {job.id for job in state.jobs.values() if before.jobs.get(job.id) != job}
    touched |= {job_of(task.id) for task in state.tasks.values() if before.tasks.get(task.id) != task}
    for number in touched:
        job = state.jobs[number]
        records = (state.tasks[task_id(number, index)] for index in outside(job.runs, job.spec.count))
        yield _left(state, before, Kept(job, Detail.ALL, tuple(records)))


def _left(state: State, before: _Before, kept: Kept) -> Left:
    submitted = state.clients.get(kept.job.client)
    position, size = (kept.job.id - submitted.first, submitted.jobs) if submitted is not None else (0, 1)
    return Left(kept.job, kept.detail, kept.tasks, before.has_not(state, kept.job), position, size)


def _spoken_of(found: Iterable[Left], names: dict[NodeNumber, str]) -> tuple[tuple[NodeNumber, str], ...]:
    numbers = {one.node for left in found for task in left.tasks for one in task.tries}
    return tuple(sorted((number, name) for number, name in names.items() if number in numbers))


# -- at the new one ----------------------------------------------------------------------------------------------------


class Offer(NamedTuple):
    """Jobs of one submit that never ended, and that nobody here knows of."""

    client: ClientId
    jobs: tuple[Left, ...]

    @property
    def needs_word(self) -> bool:
        """Something of it may have run that must not run twice: only people may submit it again."""
        return any(left.job.spec.once and any(one.attempts or one.tries for one in left.tasks) for left in self.jobs)


class Twice(NamedTuple):
    """It ended at the old coordinator too; what it is here counts."""

    job: JobId  # its number here
    there: Left


class CancelledThere(NamedTuple):
    job: JobId  # its number here, where it is not over
    only: tuple[Span, ...]
    by: UserId


class Weighed(NamedTuple):
    history: tuple[Left, ...]
    offers: tuple[Offer, ...]
    twice: tuple[Twice, ...]
    cancels: tuple[CancelledThere, ...]


def weigh(tail: Tail, state: State) -> Weighed:
    """May be done again, also after offers were submitted: they are known then."""
    numbers = _Numbers(tail, state)
    history, twice = [], []
    open_: dict[ClientId, list[Left]] = {}
    for left in tail.jobs:
        here = numbers.here(left)
        if left.job.ended_index:
            if here is None:
                history.append(left)
            else:
                twice.append(Twice(here, left))
        elif here is None and left.is_open:
            open_.setdefault(left.job.client, []).append(left)
        elif here is None:
            history.append(_stopped(left, tail.index))
    offers = tuple(Offer(client, tuple(jobs)) for client, jobs in open_.items())
    return Weighed(tuple(history), offers, tuple(twice), tuple(numbers.cancelled()))


def history_of(weighed: Weighed, tail: Tail) -> list[Packed]:
    """As segments for every keeper, to be adopted. Weighed again, they are the same ones."""
    return foreign((left.kept for left in weighed.history), dict(tail.names), tail.origin)


def _stopped(left: Left, index: int) -> Left:
    """Nothing of it was to be done any more but to stop what ran; and nothing of it runs now."""
    tasks = tuple(
        replace(task, state=T.CANCELLED, attempts=(), ending=Ending.CANCELLED) if task.state is T.CANCELLING else task
        for task in left.tasks
    )
    counts = list(left.job.counts)
    counts[T.CANCELLED] += counts[T.CANCELLING]
    counts[T.CANCELLING] = 0
    return replace(left, tasks=tasks, job=replace(left.job, counts=tuple(counts), attempts=0, ended_index=index))


class _Numbers:
    """What this side calls the jobs of the other."""

    def __init__(self, tail: Tail, state: State) -> None:
        self._tail, self._state = tail, state
        self.there = {left.job.id: left for left in tail.jobs}
        self._offered: dict[ClientId, list[JobId]] = {}
        for left in tail.jobs:
            if left.is_new and left.is_open and not left.job.ended_index:
                self._offered.setdefault(left.job.client, []).append(left.job.id)

    def here(self, left: Left) -> JobId | None:
        """None: nobody here has ever heard of it."""
        known = self._state.clients.get(left.job.client)
        if not left.is_new:
            return left.job.id
        if known is None:
            return None
        if known.jobs == left.size:
            return JobId(known.first + left.position)
        offered = self._offered.get(left.job.client, [])  # of a part of the submit: that is what came of the offer
        return JobId(known.first + offered.index(left.job.id)) if left.job.id in offered else None

    def of_parent(self, parent: JobId) -> JobId | None:
        left = self.there.get(parent)
        return parent if left is None else self.here(left)

    def cancelled(self) -> Iterator[CancelledThere]:
        for one in self._tail.cancels:
            left = self.there.get(one.job)
            here = self.here(left) if left is not None else None
            job = self._state.jobs.get(here) if here is not None else None
            if job is not None and job.live:
                yield CancelledThere(job.id, one.only, one.by)


# -- submitting it again -----------------------------------------------------------------------------------------------


def submit_of(offer: Offer, tail: Tail, state: State) -> SubmitJobs | None:
    """The offer as a submit of today. None: it waits for a job that is offered too, which is to be submitted first."""
    numbers = _Numbers(tail, state)
    places = {left.job.id: place for place, left in enumerate(offer.jobs)}
    waits = [left.job.blockers for left in offer.jobs]
    if any(parent not in places and numbers.of_parent(parent) is None for blockers in waits for parent in blockers):
        return None
    return SubmitJobs(
        offer.client, state.head.index, tuple(_spec(left.job, places, numbers, state) for left in offer.jobs)
    )


def _spec(job: Job, places: dict[JobId, int], numbers: _Numbers, state: State) -> JobSpec:
    """As it was when it was seen last: perhaps held, or with another priority; and it waits for what it still waited
    for."""

    def numbered(parents: Iterable[JobId]) -> tuple[JobId, ...]:
        here = [numbers.of_parent(one) for one in parents if one in job.blockers and one not in places]
        return tuple(one for one in here if one is not None and one in state.jobs)

    def placed(parents: Iterable[JobId]) -> tuple[int, ...]:
        return tuple(places[one] for one in parents if one in job.blockers and one in places)

    strict, others = job.parents[: job.strict], job.parents[job.strict :]
    return replace(
        job.spec,
        priority=job.priority,
        held=job.held,
        after=numbered(strict),
        after_any=numbered(others),
        after_here=placed(strict),
        after_any_here=placed(others),
    )
