"""What follows the end of an attempt: a result, another try, or giving up.

What the machine broke is always tried again elsewhere and never uses up retries; what the job broke is tried again only
as often as its submitter said. A job that may never run twice stays down once it may have run.

Promises: pure; the same end always has the same sequel, jitter included (it is made from the attempt's id).
Never: looks at the clock: a backoff is a length, and who counts it down is the coordinator.
"""

from typing import Final, NamedTuple

from odyssey.ids import AttemptId, NodeNumber
from odyssey.model import NOWHERE_LIMIT, POISON_LIMIT, Attempt, Cause, Ending, Outcome, Task, TaskState
from odyssey.spec import JobSpec

FIRST_BACKOFF_MS: Final = 1_000
MAX_BACKOFF_MS: Final = 60_000
REJECTED_BACKOFF_MS: Final = 1_000
_JITTER_PERCENT: Final = 20
_T = TaskState


class End(NamedTuple):
    """One attempt's end, as far as it matters for what follows."""

    attempt: Attempt
    outcome: Outcome
    code: int = 0
    cause: Cause | None = None  # given when the coordinator declared it lost
    machine_memory: int = 0


class Sequel(NamedTuple):
    state: TaskState
    ending: Ending = Ending.NONE
    backoff_ms: int = 0
    failures: int = 0
    deaths: int = 0
    refused_by: tuple[NodeNumber, ...] = ()
    memory_floor: int = 0


def sequel(spec: JobSpec, task: Task, end: End, others: int) -> Sequel:
    """What the task becomes; `others` counts its attempts that go on (only with --overlap ok)."""
    same = Sequel(task.state, task.ending, 0, task.failures, task.deaths, task.refused_by, task.memory_floor)
    if task.state in (_T.DONE, _T.FAILED, _T.CANCELLED, _T.SKIPPED):
        return same  # a loser of a race has stopped: the result stands
    if task.state is _T.CANCELLING:
        return same if others else same._replace(state=_T.CANCELLED, ending=Ending.CANCELLED)
    if end.outcome is Outcome.EXITED and end.code == 0:
        return same._replace(state=_T.DONE, ending=Ending.OWN)
    if others:
        return _while_another_goes_on(task, end, same)
    if end.outcome in _MACHINES:
        return _machines_fault(spec, task, end, same._replace(state=_T.WAITING))
    return _own_fault(spec, task, end, same._replace(state=_T.WAITING))


_MACHINES: Final = frozenset({Outcome.LOST, Outcome.EVICTED, Outcome.NOT_HERE, Outcome.REJECTED, Outcome.CANCELLED})
_WORDS: Final = {Outcome.EXITED: "exited", Outcome.SIGNALLED: "signalled", Outcome.TIMEOUT: "timeout"}


def _while_another_goes_on(task: Task, end: End, same: Sequel) -> Sequel:
    """Nothing follows yet, but what this attempt showed of machines counts when something does."""
    if end.outcome is Outcome.NOT_HERE:
        return same._replace(refused_by=(*task.refused_by, end.attempt.node))
    return same._replace(deaths=task.deaths + (end.cause is Cause.DOWN))


def _machines_fault(spec: JobSpec, task: Task, end: End, again: Sequel) -> Sequel:
    if end.outcome is Outcome.REJECTED:  # known never to have started: moves even with --once
        return again if end.attempt.recalled else again._replace(backoff_ms=REJECTED_BACKOFF_MS)
    if end.outcome is Outcome.NOT_HERE:
        refused = (*task.refused_by, end.attempt.node)
        if len(refused) >= NOWHERE_LIMIT:
            return again._replace(state=_T.FAILED, ending=Ending.NOWHERE, refused_by=refused)
        return again._replace(refused_by=refused)
    deaths = task.deaths + (end.cause is Cause.DOWN)
    if spec.once:
        return again._replace(state=_T.FAILED, ending=Ending.ONCE, deaths=deaths)
    if deaths >= POISON_LIMIT:
        return again._replace(state=_T.FAILED, ending=Ending.POISON, deaths=deaths)
    return again._replace(deaths=deaths)


def _own_fault(spec: JobSpec, task: Task, end: End, again: Sequel) -> Sequel:
    if end.outcome is Outcome.OOM and not spec.memory_is_limit and not task.memory_floor and not spec.once:
        return again._replace(memory_floor=max(1, end.machine_memory))  # once, on a machine with more
    wanted = not spec.retry_on or _WORDS.get(end.outcome) in spec.retry_on
    if task.failures >= spec.retries or not wanted:
        return again._replace(state=_T.FAILED, ending=Ending.OWN)
    failures = task.failures + 1
    return again._replace(failures=failures, backoff_ms=backoff_ms(failures, end.attempt.id))


def backoff_ms(failures: int, attempt: AttemptId) -> int:
    """1 s, 2 s, 4 s … 60 s, each ± 20 % by a hash of the attempt, so that a thousand retries do not come as one."""
    plain: int = min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS << min(failures - 1, 10))
    width = plain * _JITTER_PERCENT // 100
    return plain - width + mixed(attempt) % (2 * width + 1)


def mixed(value: int) -> int:
    """A fixed scrambling of 64 bits (the finaliser of splitmix64): neighbours become strangers."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    value = ((value ^ value >> 30) * 0xBF58_476D_1CE4_E5B9) & 0xFFFF_FFFF_FFFF_FFFF
    value = ((value ^ value >> 27) * 0x94D0_49BB_1331_11EB) & 0xFFFF_FFFF_FFFF_FFFF
    return value ^ value >> 31
