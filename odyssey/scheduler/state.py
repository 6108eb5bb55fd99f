"""All that the log has made true: the records, and the indexes that make them quick to ask.

The records (jobs, tasks, machines, what was learned) are the state; the indexes (uses, who holds what, the queue,
children) are derived from them and are rebuilt when a snapshot is loaded. `Draft` is the only writer.

Promises: equal logs give equal records in every process and after every reload; records are frozen, so a snapshot can
be taken in slices while the log goes on.
Never: holds a float, a clock reading that a rule compares, or anything whose order comes from a hash.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId
from odyssey.model import Health, Invite, Job, Learned, Member, Node, Segment, Task, Use
from odyssey.scheduler.waiting import GroupKey, Waiting

MAX_CLIENTS: Final = 100_000
MAX_LEARNED: Final = 10_000
MAX_AGE: Final = 10
ANY_NODE: Final = NodeNumber(0)  # in `learned`: the command on the reference machine


class Head(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What is one of a kind."""

    generation: int = 0
    term: int = 0
    index: int = 0  # the last entry applied
    level: int = 1
    last_job: JobId = JobId(0)
    last_node: NodeNumber = NodeNumber(0)
    age_marks: tuple[JobId, ...] = ()  # the newest job at each of the last ten AgeQueue, oldest first
    client_floor: int = 0  # submits of clients that saw less than this index are refused
    last_given: NodeNumber = NodeNumber(0)  # the machine of the newest assignment
    policy: str = "weighted"
    weights: tuple[tuple[str, int], ...] = ()
    gave: int = 0  # the newest generation that has assigned anything


class Submitted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The answer to a submit, kept so that sending it again gives the same one."""

    index: int
    first: JobId
    jobs: int


LearnedKey = tuple[str, NodeNumber]


class State:
    """One mesh's truth. Read it freely; change it only through `odyssey.scheduler.apply`."""

    __slots__ = (
        "backoffs",
        "children",
        "clients",
        "ended",
        "head",
        "health",
        "held",
        "invites",
        "issuers",
        "jobs",
        "learned",
        "members",
        "nodes",
        "reserved",
        "revoked",
        "segments",
        "tasks",
        "usage",
        "uses",
        "waiting",
    )

    def __init__(self) -> None:
        # records
        self.head = Head()
        self.jobs: dict[JobId, Job] = {}
        self.tasks: dict[TaskId, Task] = {}
        self.nodes: dict[NodeNumber, Node] = {}
        self.health: dict[NodeNumber, Health] = {}
        # The two from whose front the oldest go: a plain dict would look through the places of all that went before.
        self.learned: OrderedDict[LearnedKey, Learned] = OrderedDict()  # least recently changed first
        self.clients: OrderedDict[ClientId, Submitted] = OrderedDict()  # oldest first
        self.usage: dict[UserId, int] = {}  # core-milliseconds, decaying
        self.segments: dict[bytes, Segment] = {}  # oldest first
        self.invites: dict[bytes, Invite] = {}
        self.members: dict[NodeId, Member] = {}
        self.issuers: dict[bytes, bytes] = {}  # certificates by their digest, oldest first
        self.revoked: dict[NodeId, bytes] = {}  # signed statements; nothing leaves this
        # derived
        self.uses: dict[NodeNumber, Use] = {}
        self.held: dict[NodeNumber, dict[AttemptId, TaskId]] = {}
        self.reserved: dict[UserId, int] = {}  # cpu_milli in slots now
        self.waiting = Waiting()
        self.backoffs: dict[TaskId, None] = {}
        self.children: dict[JobId, dict[JobId, None]] = {}  # those still blocked, in no order
        self.ended: dict[JobId, None] = {}

    def age(self, job: JobId) -> int:
        """Points of priority a job has gained by waiting: one for each mark that is not older than it."""
        return sum(1 for mark in self.head.age_marks if mark >= job)


def queue_key(job: Job) -> GroupKey | None:
    """The job's place in the queue as far as the job's own record tells; None while it may not start."""
    if job.held or job.blockers or job.ended_index:
        return None
    return GroupKey(job.spec.user, job.priority, job.spec.want)
