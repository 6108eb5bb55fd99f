"""What an old coordinator's log has that the mesh went on without: its tail, and what becomes of it.

The mesh was recovered on a log that ends at the fork, and an old voter comes back whose log went on behind it. It works
out its tail: the jobs that were submitted or changed there, and what was cancelled. Jobs are recognised by the client
id of their submit: numbers given after the fork mean other jobs on each side. A submit from before the fork is known to
both, however long ago.

| at the old coordinator  | unknown here                                | known here                                   |
|-------------------------|---------------------------------------------|----------------------------------------------|
| ended, or being stopped | becomes history, with its result            | so too; what it is here counts               |
| not ended               | is submitted, with its client id, or listed | goes on here                                 |
| cancelled               |                                             | the cancel is listed, if it is not over here |

Its history follows from the tail alone, whatever is known here by now: worked out again, it is the same bytes, and the
mesh takes them once.

Promises: nothing that was acknowledged behind the fork is left out; nothing runs again that is known here.
Never: changes the new state. What is offered is submitted like anything else, so its client id is taken once.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import msgspec

from odyssey.commands import CancelTasks, Entry, Span, SubmitJobs
from odyssey.events import CommandFailed, CommandRefused
from odyssey.ids import ClientId, JobId, NodeNumber, TaskId, UserId, job_of, task_id
from odyssey.model import Ending, Job, Task, TaskState
from odyssey.scheduler.apply import apply
from odyssey.scheduler.draft import replace
from odyssey.scheduler.runs import outside
from odyssey.scheduler.segments import Detail, Kept, Packed, as_it_is, contents, foreign
from odyssey.scheduler.state import State
from odyssey.spec import JobSpec

T = TaskState


class Left(msgspec.Struct, frozen=True, gc=False):
    """A job as the old coordinator had it."""

    job: Job
    tasks: tuple[Task, ...]
    is_new: bool  # submitted behind the fork
    position: int  # in its submit
    size: int  # of its submit

    @property
    def kept(self) -> Kept:
        return Kept(self.job, Detail.ALL, self.tasks)

    @property
    def is_open(self) -> bool:
        """Something of it was still to be done. What was being cancelled is not."""
        return not self.job.ended_index and bool(self.job.counts[T.WAITING] or self.job.counts[T.ASSIGNED])

    @property
    def is_stopping(self) -> bool:
        return not self.job.ended_index and not self.is_open


class Cancel(msgspec.Struct, frozen=True, gc=False):
    of: Left  # without its tasks
    only: tuple[Span, ...]
    by: UserId


class Tail(NamedTuple):
    """All numbers are those of the old coordinator."""

    origin: bytes  # the generation it is of
    fork: int  # the last entry that both sides have
    end: int  # the last entry of its log
    jobs: tuple[Left, ...]  # by number
    cancels: tuple[Cancel, ...]
    names: dict[NodeNumber, str]  # of machines
    segments: tuple[bytes, ...]  # of history, that were made or adopted behind the fork


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


def tail_of(base: State, entries: Iterable[Entry], fork: int, origin: bytes) -> Tail:
    """`base` is the state of the last snapshot, which is used up, and `entries` all that follow."""
    following = iter(entries)
    behind: Iterable[Entry] = ()
    for entry in following:
        if entry.index > fork:
            behind = chain((entry,), following)
            break
        apply(base, [entry])
    before = _before(base, fork)
    cancels = _walk(base, behind, before)
    names = {number: node.name for number, node in base.nodes.items()}
    found = sorted(_changed(base, before), key=lambda one: one.job.id)
    segments = tuple(digest for digest in base.segments if digest not in before.segments)
    return Tail(origin, fork, base.head.index, tuple(found), tuple(cancels), names, segments)


def _before(state: State, fork: int) -> _Before:
    if state.head.index > fork:
        return _Before({}, {}, frozenset(), 0, fork, False)
    return _Before(dict(state.jobs), dict(state.tasks), frozenset(state.segments), state.head.last_job, fork, True)


def _walk(state: State, entries: Iterable[Entry], before: _Before) -> list[Cancel]:
    """Apply the tail; what was cancelled on the way."""
    cancels = []
    for entry in entries:
        _, events = apply(state, [entry])
        command = entry.command
        if isinstance(command, CancelTasks) and not isinstance(events[0], CommandRefused | CommandFailed):
            cancels.append(Cancel(_left(state, before, state.jobs[command.job], ()), command.only, command.by))
    return cancels


def _changed(state: State, before: _Before) -> Iterator[Left]:
    touched = {job.id for job in state.jobs.values() if before.jobs.get(job.id) != job}
    touched |= {job_of(task.id) for task in state.tasks.values() if before.tasks.get(task.id) != task}
    for number in touched:
        job = state.jobs[number]
        records = (state.tasks[task_id(number, index)] for index in outside(job.runs, job.spec.count))
        yield _left(state, before, job, tuple(records))


def _left(state: State, before: _Before, job: Job, tasks: tuple[Task, ...]) -> Left:
    submitted = state.clients.get(job.client)
    position, size = (job.id - submitted.first, submitted.jobs) if submitted is not None else (0, 1)
    return Left(job, tasks, before.has_not(state, job), position, size)


# -- history -----------------------------------------------------------------------------------------------------------


def history_of(tail: Tail) -> Iterator[Packed]:
    """As segments for every keeper, to be adopted, one after the other; whatever is known here, the same ones."""
    ended = (left.kept for left in tail.jobs if left.job.ended_index > tail.fork)
    stopped = (_stopped(left, tail.end) for left in tail.jobs if left.is_new and left.is_stopping)
    return foreign(chain(ended, stopped), tail.names, tail.origin)


def history_again(data: bytes, tail: Tail) -> Iterator[Packed]:
    """Of a segment that was made or adopted behind the fork: what ended there, under its origin."""
    read = contents(data)
    if read.origin:
        yield as_it_is(data, read.jobs)
        return
    jobs = (one for one in read.jobs if one.job.ended_index > tail.fork)
    yield from foreign(jobs, {**read.names, **tail.names}, tail.origin)


def _stopped(left: Left, index: int) -> Kept:
    """Nothing of it was to be done any more but to stop what ran; and nothing of it runs now."""
    tasks = tuple(
        replace(task, state=T.CANCELLED, attempts=(), ending=Ending.CANCELLED) if task.state is T.CANCELLING else task
        for task in left.tasks
    )
    counts = list(left.job.counts)
    counts[T.CANCELLED] += counts[T.CANCELLING]
    counts[T.CANCELLING] = 0
    job = replace(left.job, counts=tuple(counts), attempts=0, ended_index=index)
    return Kept(job, Detail.ALL, tasks)


# -- what goes on ------------------------------------------------------------------------------------------------------


class Offer(msgspec.Struct, frozen=True, gc=False):
    """Jobs of one submit behind the fork that never ended: to be submitted again, unless somebody here knows them."""

    client: ClientId
    jobs: tuple[Left, ...]

    @property
    def needs_word(self) -> bool:
        """Something of it may have run that must not run twice: only people may submit it again."""
        return any(left.job.spec.once and any(one.attempts or one.tries for one in left.tasks) for left in self.jobs)


def offers_of(tail: Tail) -> list[Offer]:
    """Parents come before those that wait for them."""
    found: dict[ClientId, list[Left]] = {}
    for left in tail.jobs:
        if left.is_new and left.is_open:
            found.setdefault(left.job.client, []).append(left)
    return [Offer(client, tuple(jobs)) for client, jobs in found.items()]


class Numbers:
    """What the mesh calls the jobs of the tail, as far as it has said."""

    def __init__(self, tail: Tail) -> None:
        self.there = {left.job.id: left for left in tail.jobs}
        self._known: dict[ClientId, tuple[JobId, int]] = {}
        self._offered: dict[ClientId, list[JobId]] = {
            offer.client: [left.job.id for left in offer.jobs] for offer in offers_of(tail)
        }

    def learn(self, client: ClientId, first: JobId, jobs: int) -> None:
        self._known[client] = first, jobs

    def knows(self, client: ClientId) -> bool:
        return client in self._known

    def here(self, left: Left) -> JobId | None:
        """None: nobody here has ever heard of it."""
        if not left.is_new:
            return left.job.id
        known = self._known.get(left.job.client)
        if known is None:
            return None
        first, jobs = known
        if jobs == left.size:
            return JobId(first + left.position)
        offered = self._offered.get(left.job.client, [])  # of a part of the submit: that is what came of the offer
        if jobs != len(offered) or left.job.id not in offered:
            return None
        return JobId(first + offered.index(left.job.id))

    def of_parent(self, parent: JobId) -> JobId | None:
        left = self.there.get(parent)
        return parent if left is None else self.here(left)

    def to_ask(self, jobs: Iterable[Left]) -> list[ClientId]:
        """The submits of these, and of what they wait for."""
        waited = (self.there.get(parent) for left in jobs for parent in left.job.blockers)
        news = [left.job.client for left in (*jobs, *filter(None, waited)) if left.is_new]
        return [client for client in dict.fromkeys(news) if client not in self._known]


# -- submitting it again -----------------------------------------------------------------------------------------------


def submit_of(offer: Offer, numbers: Numbers) -> SubmitJobs | None:
    """The offer as a submit of today. None: it waits for a job that nobody here knows, and that must come first."""
    places = {left.job.id: place for place, left in enumerate(offer.jobs)}
    waits = [left.job.blockers for left in offer.jobs]
    if any(parent not in places and numbers.of_parent(parent) is None for blockers in waits for parent in blockers):
        return None
    return SubmitJobs(offer.client, 0, tuple(_spec(left.job, places, numbers) for left in offer.jobs))


def _spec(job: Job, places: dict[JobId, int], numbers: Numbers) -> JobSpec:
    """As it was when it was seen last: perhaps held, or with another priority; and it waits for what it still waited
    for."""

    def numbered(parents: Iterable[JobId]) -> tuple[JobId, ...]:
        here = [numbers.of_parent(one) for one in parents if one in job.blockers and one not in places]
        return tuple(one for one in here if one is not None)

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


def of_today(command: SubmitJobs, state: State) -> SubmitJobs:
    """What it waits for and is history by now is waited for no more."""

    def there(parents: Iterable[JobId]) -> tuple[JobId, ...]:
        return tuple(one for one in parents if one in state.jobs)

    specs = tuple(replace(one, after=there(one.after), after_any=there(one.after_any)) for one in command.specs)
    return SubmitJobs(command.client, state.head.index, specs)
