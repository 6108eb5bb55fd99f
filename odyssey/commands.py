"""Every order the log may hold. What is not listed here cannot change the state.

Commands of clients and machines may come from any node. Orders of the coordinator carry the (generation, term) they
were decided in and count only in an entry of that term: a deposed coordinator's order changes nothing.

Promises: frozen, exact, and strict: a replica that meets a field or kind it does not know stops instead of guessing.
Never: renumbers a tag or changes the meaning of a field. New fields go to the end, behind a feature level.
"""

from typing import Final

import msgspec

from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId
from odyssey.model import Cause, Outcome
from odyssey.resources import Resources
from odyssey.spec import JobSpec

Span = tuple[int, int]  # start <= i < stop
Held = tuple[AttemptId, TaskId]


class Fence(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, order=True):
    generation: int
    term: int


class Command(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The base of all orders; `LEVELS` says which feature level a kind needs."""


# -- of clients --------------------------------------------------------------------------------------------------------


class SubmitJobs(Command, frozen=True, tag=1):
    client: ClientId
    seen_index: int  # the newest log index this client was ever answered with
    specs: tuple[JobSpec, ...]


class CancelTasks(Command, frozen=True, tag=2):
    job: JobId
    only: tuple[Span, ...] = ()  # () means all
    by: UserId = UserId("")


class RetryTasks(Command, frozen=True, tag=3):
    job: JobId
    only: tuple[Span, ...] = ()
    by: UserId = UserId("")


class HoldJob(Command, frozen=True, tag=4):
    job: JobId
    by: UserId = UserId("")


class ReleaseJob(Command, frozen=True, tag=5):
    job: JobId
    by: UserId = UserId("")


class SetPriority(Command, frozen=True, tag=6):
    job: JobId
    priority: int
    by: UserId = UserId("")


# -- of machines -------------------------------------------------------------------------------------------------------


class Report(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """How one attempt ended, told by the machine that held it."""

    attempt: AttemptId
    task: TaskId
    outcome: Outcome
    code: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    run_ms: int = 0  # without frozen time
    cpu_ms: int = 0
    peak_memory: int = 0
    leaked: bool = False


class ReportAttempts(Command, frozen=True, tag=10):
    node: NodeNumber
    reports: tuple[Report, ...]


# -- of the coordinator ------------------------------------------------------------------------------------------------


class Batch(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Tasks of one job that go to one machine for one reason."""

    node: NodeNumber
    job: JobId
    spans: tuple[Span, ...]
    slot: bool = True
    why: int = 0  # index into AssignTasks.whys
    score: int = 0


class AssignTasks(Command, frozen=True, tag=20):
    fence: Fence
    batches: tuple[Batch, ...]
    whys: tuple[bytes, ...] = ()  # encoded decisions, one for each group of equal tasks


class LoseAttempts(Command, frozen=True, tag=21):
    fence: Fence
    cause: Cause
    attempts: tuple[Held, ...]


class RecallAttempts(Command, frozen=True, tag=22):
    """Ask backlog back. It moves when its machine reports that it never started."""

    fence: Fence
    attempts: tuple[Held, ...]


class EndBackoff(Command, frozen=True, tag=23):
    fence: Fence
    tasks: tuple[TaskId, ...]


class GiveUpTasks(Command, frozen=True, tag=24):
    """No machine can run these: every candidate said so."""

    fence: Fence
    tasks: tuple[TaskId, ...]


class AgeQueue(Command, frozen=True, tag=25):
    """Ten minutes have passed on the coordinator's clock: all that waits gains one point, up to ten."""

    fence: Fence


class DecayUsage(Command, frozen=True, tag=26):
    """Time has passed: what everyone used counts less. The part that is kept, per million."""

    fence: Fence
    keep_ppm: int


class ArchiveJobs(Command, frozen=True, tag=27):
    """These ended jobs are in the segment with this hash, and every replica has it."""

    fence: Fence
    digest: bytes
    size: int
    jobs: tuple[Span, ...]
    upto: int  # the log as far as the segment knows it: a job that ended later, or again, is not the one in it


class DropSegments(Command, frozen=True, tag=28):
    fence: Fence
    digests: tuple[bytes, ...]


class AdoptSegment(Command, frozen=True, tag=29):
    """Jobs of another generation, which the state never held, are in the segment with this hash, under the numbers
    they had there; and every replica has it."""

    fence: Fence
    digest: bytes
    size: int
    first: JobId
    last: JobId
    jobs: int


# -- about machines ----------------------------------------------------------------------------------------------------


class Facts(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What a machine says of itself; changes with its hardware, its software or its owner's mind."""

    total: Resources
    gpu_memory: int = 0
    os: str = "linux"
    arch: str = "x86_64"
    labels: tuple[tuple[str, str], ...] = ()
    speed: int = 1000
    level: int = 1
    shared: bool = False


class AdmitNode(Command, frozen=True, tag=30):
    id: NodeId
    name: str
    owner: UserId
    facts: Facts


class UpdateNode(Command, frozen=True, tag=31):
    node: NodeNumber
    facts: Facts


class RenameNode(Command, frozen=True, tag=32):
    node: NodeNumber
    name: str


class DrainNode(Command, frozen=True, tag=33):
    node: NodeNumber
    draining: bool


class RemoveNode(Command, frozen=True, tag=34):
    node: NodeNumber


# -- about the mesh ----------------------------------------------------------------------------------------------------


class SetLevel(Command, frozen=True, tag=40):
    fence: Fence
    level: int


class SetPolicy(Command, frozen=True, tag=41):
    name: str
    weights: tuple[tuple[str, int], ...] = ()  # the terms that differ from the policy's own weights
    by: UserId = UserId("")


class StartTerm(Command, frozen=True, tag=42):
    """The first entry of a new coordinator. Changes nothing; once applied, all older terms are known to be over."""

    fence: Fence


class ChangeMembers(Command, frozen=True, tag=43):
    """Who keeps the log from here on. Made by the log itself from its own entries, never proposed."""

    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...]


# -- about who belongs: what is signed is carried here, and believed by who verifies it --------------------------------


class MakeInvite(Command, frozen=True, tag=50):
    """The signed terms say what it allows; of its secret nothing is here but what they hold."""

    id: bytes
    terms: bytes
    uses: int
    until_ms: int  # for people; who lets in looks at his clock
    by: UserId = UserId("")


class EndInvites(Command, frozen=True, tag=51):
    """Taken back, or over."""

    ids: tuple[bytes, ...]
    by: UserId = UserId("")


class AdmitMember(Command, frozen=True, tag=52):
    """Counts one use of the invite. Only then is the certificate handed out."""

    node: NodeId
    certificate: bytes
    until_ms: int
    invite: bytes = b""  # none: a person has let it in
    by: UserId = UserId("")


class RenewMember(Command, frozen=True, tag=53):
    node: NodeId
    certificate: bytes
    until_ms: int


class Revoke(Command, frozen=True, tag=54):
    """A machine, or the key of an issuer, is put out for good."""

    subject: NodeId
    statement: bytes
    by: UserId = UserId("")


class AllowIssuer(Command, frozen=True, tag=55):
    """This machine may let others in."""

    node: NodeId
    certificate: bytes
    until_ms: int
    by: UserId = UserId("")


AnyCommand = (
    SubmitJobs
    | CancelTasks
    | RetryTasks
    | HoldJob
    | ReleaseJob
    | SetPriority
    | ReportAttempts
    | AssignTasks
    | LoseAttempts
    | RecallAttempts
    | EndBackoff
    | GiveUpTasks
    | AgeQueue
    | DecayUsage
    | ArchiveJobs
    | DropSegments
    | AdoptSegment
    | AdmitNode
    | UpdateNode
    | RenameNode
    | DrainNode
    | RemoveNode
    | SetLevel
    | SetPolicy
    | StartTerm
    | ChangeMembers
    | MakeInvite
    | EndInvites
    | AdmitMember
    | RenewMember
    | Revoke
    | AllowIssuer
)

URGENT: Final = (ReportAttempts, LoseAttempts)  # find room on the log however full it is
LEVELS: Final[dict[type[Command], int]] = {  # kinds that need more than feature level 1
    MakeInvite: 2,
    EndInvites: 2,
    AdmitMember: 2,
    RenewMember: 2,
    Revoke: 2,
    AllowIssuer: 2,
}
NEWEST_LEVEL: Final = 2


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One committed place of the log: the unit that is applied."""

    generation: int
    term: int
    index: int
    wall_ms: int  # for people; no rule compares it
    command: AnyCommand
