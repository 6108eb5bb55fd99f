"""What became true when the log was applied, in the past tense: for watchers, history and the story told to people.

Promises: every applied entry yields at least one event, also when it changed nothing (then it says why).
Never: a source of truth. The state can be rebuilt from the log without them.
"""

import msgspec

from odyssey.commands import Span
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId
from odyssey.model import Ending, JobState, Outcome, TaskState


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of all facts; `index` is the log entry that made it true."""

    index: int


class JobSubmitted(Event, frozen=True, tag="job-submitted"):
    client: ClientId
    job: JobId
    tasks: int


class SubmitRepeated(Event, frozen=True, tag="submit-repeated"):
    """A client sent the same submit again; the answer is the first one's."""

    client: ClientId
    first: JobId
    jobs: int


class TasksAssigned(Event, frozen=True, tag="tasks-assigned"):
    job: JobId
    spans: tuple[Span, ...]
    node: NodeNumber
    first: AttemptId
    slot: bool


class AssignmentDropped(Event, frozen=True, tag="assignment-dropped"):
    """Re-checked at the door and found out of date: the task stays where it was."""

    job: JobId
    spans: tuple[Span, ...]
    node: NodeNumber
    reason: str


class AttemptEnded(Event, frozen=True, tag="attempt-ended"):
    attempt: AttemptId
    task: TaskId
    node: NodeNumber
    outcome: Outcome
    code: int


class ReportIgnored(Event, frozen=True, tag="report-ignored"):
    """History, never the result: the attempt is not the task's current one."""

    attempt: AttemptId
    task: TaskId
    node: NodeNumber


class BacklogPromoted(Event, frozen=True, tag="backlog-promoted"):
    attempt: AttemptId
    task: TaskId
    node: NodeNumber


class AttemptsRecalled(Event, frozen=True, tag="attempts-recalled"):
    attempts: tuple[AttemptId, ...]


class TaskRequeued(Event, frozen=True, tag="task-requeued"):
    task: TaskId
    outcome: Outcome
    backoff_ms: int


class BackoffEnded(Event, frozen=True, tag="backoff-ended"):
    tasks: tuple[TaskId, ...]


class TasksEnded(Event, frozen=True, tag="tasks-ended"):
    job: JobId
    spans: tuple[Span, ...]
    state: TaskState
    ending: Ending


class TasksCancelling(Event, frozen=True, tag="tasks-cancelling"):
    job: JobId
    tasks: tuple[TaskId, ...]


class TasksRetried(Event, frozen=True, tag="tasks-retried"):
    job: JobId
    spans: tuple[Span, ...]


class JobEnded(Event, frozen=True, tag="job-ended"):
    job: JobId
    state: JobState


class JobReady(Event, frozen=True, tag="job-ready"):
    """All it waited for is over."""

    job: JobId


class JobChanged(Event, frozen=True, tag="job-changed"):
    """Held, released, or its priority set."""

    job: JobId
    held: bool
    priority: int


class QueueAged(Event, frozen=True, tag="queue-aged"):
    upto: JobId


class UsageDecayed(Event, frozen=True, tag="usage-decayed"):
    keep_ppm: int


class JobsArchived(Event, frozen=True, tag="jobs-archived"):
    digest: bytes
    jobs: tuple[Span, ...]


class SegmentAdopted(Event, frozen=True, tag="segment-adopted"):
    """History of another generation has become part of this one's."""

    digest: bytes
    jobs: int


class SegmentsDropped(Event, frozen=True, tag="segments-dropped"):
    digests: tuple[bytes, ...]


class NodeAdmitted(Event, frozen=True, tag="node-admitted"):
    node: NodeNumber
    name: str


class NodeChanged(Event, frozen=True, tag="node-changed"):
    node: NodeNumber
    name: str
    draining: bool


class NodeRemoved(Event, frozen=True, tag="node-removed"):
    node: NodeNumber
    name: str


class LevelSet(Event, frozen=True, tag="level-set"):
    level: int


class PolicySet(Event, frozen=True, tag="policy-set"):
    name: str


class TermStarted(Event, frozen=True, tag="term-started"):
    generation: int
    term: int


class MembersChanged(Event, frozen=True, tag="members-changed"):
    """Who keeps the log."""

    voters: tuple[NodeId, ...]
    learners: tuple[NodeId, ...]


class InviteMade(Event, frozen=True, tag="invite-made"):
    invite: bytes
    uses: int
    by: UserId


class InvitesEnded(Event, frozen=True, tag="invites-ended"):
    invites: tuple[bytes, ...]


class MemberAdmitted(Event, frozen=True, tag="member-admitted"):
    """It has, or will have, a certificate."""

    node: NodeId
    invite: bytes
    left: int  # uses of the invite


class MemberRenewed(Event, frozen=True, tag="member-renewed"):
    node: NodeId


class Revoked(Event, frozen=True, tag="revoked"):
    subject: NodeId
    by: UserId


class IssuerAllowed(Event, frozen=True, tag="issuer-allowed"):
    node: NodeId


class CommandRefused(Event, frozen=True, tag="command-refused"):
    """Nothing changed. `code` is for programs, `text` and `hint` are the two lines a person reads."""

    code: str
    text: str
    hint: str = ""
    client: ClientId = ClientId(b"")


class CommandFailed(Event, frozen=True, tag="command-failed"):
    """Refused because of a bug in Odyssey: the state is as before the entry, and the log goes on."""

    text: str


class ChangedNothing(Event, frozen=True, tag="changed-nothing"):
    """Sound, but already so."""
