"""What there is: jobs, tasks, attempts, machines, and the lifecycles they may walk, as tables.

A job is what a person ran; its tasks are the parts; an attempt is one start of a task on one machine. The records are
frozen: whoever changes something makes a new one, and the old one still tells the truth of its moment.

Promises: every record is exact (integers, text, bytes) and encodes the same everywhere.
Never: decides. What may follow what is in the tables; when it happens is the state machine's business.
"""

import enum
from typing import Final

import msgspec

from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId
from odyssey.resources import Resources
from odyssey.spec import JobSpec


class TaskState(enum.IntEnum):
    WAITING = 0
    ASSIGNED = 1
    CANCELLING = 2
    DONE = 3
    FAILED = 4
    CANCELLED = 5
    SKIPPED = 6


_T = TaskState
ENDED: Final = frozenset({_T.DONE, _T.FAILED, _T.CANCELLED, _T.SKIPPED})
LIVE: Final = frozenset(_T) - ENDED

TASK_STEPS: Final[dict[TaskState, frozenset[TaskState]]] = {
    _T.WAITING: frozenset({_T.ASSIGNED, _T.CANCELLED, _T.SKIPPED, _T.FAILED, _T.DONE}),  # done: a late report counts
    _T.ASSIGNED: frozenset({_T.WAITING, _T.CANCELLING, _T.DONE, _T.FAILED}),
    _T.CANCELLING: frozenset({_T.CANCELLED}),
    _T.DONE: frozenset(),
    _T.FAILED: frozenset({_T.WAITING}),  # the user's word: retry
    _T.CANCELLED: frozenset({_T.WAITING}),
    _T.SKIPPED: frozenset({_T.WAITING}),
}


class JobState(enum.IntEnum):
    WAITING = 0
    RUNNING = 1
    DONE = 2
    SKIPPED = 3
    CANCELLED = 4
    FAILED = 5


class Outcome(enum.IntEnum):
    """How an attempt ended."""

    EXITED = 0
    SIGNALLED = 1
    TIMEOUT = 2
    OOM = 3
    CANCELLED = 4
    LOST = 5
    EVICTED = 6
    NOT_HERE = 7
    REJECTED = 8  # never started: taken back, or refused by the machine


class Cause(enum.IntEnum):
    """Why the coordinator gave an attempt up."""

    DOWN = 0  # the machine went down while it held the task: counts towards the poison limit
    MASS = 1  # so did others within 30 s: says nothing about the task
    LEFT = 2  # the machine left or was removed
    CUT = 3  # the machine cannot be reached
    REBOOT = 4  # the machine is back with a new boot


class Ending(enum.IntEnum):
    """Why a task is over, where its last try does not say it."""

    NONE = 0
    OWN = 1  # its last try tells
    CANCELLED = 2
    PARENT = 3  # a job it waited for did not succeed
    POISON = 4  # machines kept going down under it
    ONCE = 5  # --once, and it may have run on a lost machine
    NOWHERE = 6  # every machine that could take it said: not here


class Attempt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A current try: a machine holds it, in a slot (its resources are taken) or in its backlog (they are not yet)."""

    id: AttemptId
    node: NodeNumber
    assigned_ms: int  # wall time, for people
    slot: bool = True
    recalled: bool = False  # the coordinator asked for it back, if it never started
    stopping: bool = False  # another attempt won, or the task is being cancelled
    score: int = 0
    why: bytes = b""  # the encoded Decision, shared by the batch


class Try(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """An ended attempt, as history keeps it."""

    attempt: AttemptId
    node: NodeNumber
    outcome: Outcome
    code: int = 0  # exit status, or the signal's number
    assigned_ms: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    run_ms: int = 0
    cpu_ms: int = 0
    peak_memory: int = 0
    leaked: bool = False
    score: int = 0
    why: bytes = b""


class Task(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A task that something has happened to. One that nothing has happened to is a number in its job's runs."""

    id: TaskId
    state: TaskState = TaskState.WAITING
    attempts: tuple[Attempt, ...] = ()
    tries: tuple[Try, ...] = ()  # the newest MAX_TRIES_KEPT
    tries_total: int = 0
    failures: int = 0  # its own failures, counted against --retries
    deaths: int = 0  # machines that went down under it
    refused_by: tuple[NodeNumber, ...] = ()  # machines that said: not here
    memory_floor: int = 0  # after an out-of-memory: only machines with more than this
    backoff_ms: int = 0  # waits for EndBackoff; how long is the coordinator's clock's business
    ending: Ending = Ending.NONE


class Run(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Neighbouring tasks, start <= index < stop, that share a state and have no record of their own."""

    start: int
    stop: int
    state: TaskState = TaskState.WAITING


class Job(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    id: JobId
    spec: JobSpec
    client: ClientId
    submitted_ms: int  # wall time, for people
    runs: tuple[Run, ...]  # the tasks without a record, in order
    counts: tuple[int, int, int, int, int, int, int]  # tasks by TaskState
    priority: int = 0
    held: bool = False
    blockers: tuple[JobId, ...] = ()  # parents that have not ended
    parents: tuple[JobId, ...] = ()  # all of them, as resolved at submit: first those that must succeed
    strict: int = 0  # how many of them must
    blamed: JobId = JobId(0)  # the parent that failed, when tasks were skipped
    attempts: int = 0  # current attempts of its tasks; an ended job may still have losers that are stopping
    ended_index: int = 0  # log index at which its last task ended; 0 while live
    ended_ms: int = 0  # wall time of that, for people

    @property
    def live(self) -> bool:
        return not self.ended_index

    @property
    def user(self) -> UserId:
        return self.spec.user


class Node(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """An admitted machine, as the log knows it. What changes by the second (load, power) is observed, not logged."""

    number: NodeNumber
    id: NodeId
    name: str
    owner: UserId
    total: Resources
    gpu_memory: int = 0
    os: str = "linux"
    arch: str = "x86_64"
    labels: tuple[tuple[str, str], ...] = ()  # sorted by name
    speed: int = 1000  # per mille of the reference machine
    level: int = 1  # highest feature level it understands
    shared: bool = False  # takes other people's work
    draining: bool = False
    removed: bool = False  # kept until its last attempt has moved


class Use(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What attempts in slots hold on one machine, and which wait there in order. Derived, never stored."""

    cpu_milli: int = 0
    memory: int = 0
    gpus: int = 0
    disk: int = 0
    slots: int = 0
    backlog: tuple[AttemptId, ...] = ()


class Health(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """How reliably a machine ends what it starts."""

    reliability: int = 1000  # per mille, a moving average
    ended: int = 0
    broke: int = 0


class Learned(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """How long a command takes on a machine."""

    count: int
    mean_ms: int


class Segment(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Ended jobs that left the state for a file known by its hash."""

    digest: bytes
    first: JobId
    last: JobId
    jobs: int
    size: int


class Invite(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """As the log knows it: how often it was used, and by whom."""

    id: bytes
    terms: bytes  # signed
    uses: int
    until_ms: int
    used: tuple[NodeId, ...] = ()
    by: UserId = UserId("")


class Member(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A machine that was let in, with its newest certificate."""

    node: NodeId
    certificate: bytes  # signed
    until_ms: int
    invite: bytes = b""
    by: UserId = UserId("")


MAX_TRIES_KEPT: Final = 8
POISON_LIMIT: Final = 5
NOWHERE_LIMIT: Final = 5
NO_TASKS: Final = (0, 0, 0, 0, 0, 0, 0)


def job_state(job: Job) -> JobState:
    """Running if any task is with a machine, else waiting if any waits, else the worst end."""
    counts = job.counts
    if counts[_T.ASSIGNED] or counts[_T.CANCELLING]:
        return JobState.RUNNING
    if counts[_T.WAITING]:
        return JobState.WAITING
    for task, state in _WORST_FIRST:
        if counts[task]:
            return state
    return JobState.DONE


_WORST_FIRST: Final = (
    (_T.FAILED, JobState.FAILED),
    (_T.CANCELLED, JobState.CANCELLED),
    (_T.SKIPPED, JobState.SKIPPED),
)


def array_index(spec: JobSpec, index: int) -> int:
    return spec.start + index * spec.step
