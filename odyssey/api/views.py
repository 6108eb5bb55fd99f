"""What people and programs are shown. Field names are those of the JSON that scripts rely on.

Promises: what is not known is None. A field that ends in `_at` is wall time in milliseconds; `documents` makes RFC 3339
of it. Frozen; fields are added at the end and have a default.
Never: holds a number that nobody has observed or decided.
"""

from typing import Final

import msgspec

JOB_STATES: Final = ("waiting", "running", "done", "skipped", "cancelled", "failed")
TASK_STATES: Final = ("waiting", "assigned", "running", "cancelling", "done", "failed", "cancelled", "skipped")
OUTCOMES: Final = ("exited", "signalled", "timeout", "oom", "cancelled", "lost", "evicted", "not_here", "rejected")
NODE_STATES: Final = ("up", "silent", "gone", "asleep", "finishing")
STDOUT: Final = 1
STDERR: Final = 2


class View(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of all of them."""


class Nothing(View, frozen=True):
    """It is done, and there is nothing to say."""


# -- jobs --------------------------------------------------------------------------------------------------------------


class Submitted(View, frozen=True):
    id: int  # of the first
    jobs: int
    tasks: int  # of all of them


class HowFar(View, frozen=True):
    """Of what is being put: how many bytes are here. `is_complete`: nothing more is needed."""

    size: int
    is_complete: bool


class Typed(View, frozen=True):
    """How many bytes of this writer are taken; the others found no room, and are to be sent again soon. Not ready:
    there is no terminal yet, or nobody can be asked for a moment. Not mine: somebody else types there."""

    taken: int
    is_ready: bool = True
    is_mine: bool = True


class Counts(View, frozen=True):
    total: int
    waiting: int
    running: int  # with a machine
    done: int
    failed: int
    cancelled: int
    skipped: int


class JobView(View, frozen=True):
    id: int
    name: str
    user: str
    state: str
    tasks: Counts
    node: str | None  # where it is or was, if that is one machine
    tries: int
    exit_code: int | None  # of the first task that failed, else 0 when it is done; None before, or if it has none
    reason: str | None  # in a few words: why it waits, or how it ended if not well
    submitted_at: int
    started_at: int | None
    ended_at: int | None
    command: str = ""
    priority: int = 0
    is_held: bool = False
    tags: tuple[tuple[str, str], ...] = ()
    exit_status: int | None = None  # what `run` and `wait` end with: the code, 128 + signal, 124, 125 or 127


class JobPage(View, frozen=True):
    jobs: tuple[JobView, ...]
    below: int = 0  # ask for the next page with this; 0: there is none
    age_ms: int = 0  # how old this is, at most; 0 while this machine coordinates


class SpecView(View, frozen=True):
    argv: tuple[bytes, ...]
    cwd: bytes
    env: tuple[tuple[bytes, bytes | None], ...]  # None: hidden
    cpus: str
    memory_bytes: int
    memory_is_limit: bool
    gpus: int
    gpu_memory_bytes: int
    disk_bytes: int
    needs: str
    os: str
    arch: str
    on: tuple[str, ...]
    avoid: tuple[str, ...]
    count: int
    start: int
    step: int
    priority: int
    retries: int
    retry_on: tuple[str, ...]
    timeout_ms: int
    once: bool
    after: tuple[int, ...]
    after_any: tuple[int, ...]
    has_stdin: bool
    has_items: bool
    origin: str | None  # the machine's name
    has_terminal: bool = False


class TryView(View, frozen=True):
    attempt: int
    node: str
    state: str  # assigned, running, cancelling, ended
    outcome: str | None
    exit_code: int | None
    signal: int | None
    reason: str | None
    assigned_at: int
    started_at: int | None
    ended_at: int | None
    cpu_ms: int | None = None
    peak_memory_bytes: int | None = None
    is_leaked: bool = False
    is_frozen: bool = False


class TaskView(View, frozen=True):
    index: int
    state: str
    exit_code: int | None
    tries: tuple[TryView, ...]  # oldest first; the newest eight
    tries_total: int = 0
    array_index: int = 0
    reason: str | None = None


class JobDetail(View, frozen=True):
    """In a document the fields of `job` stand beside the others."""

    job: JobView
    spec: SpecView
    task_list: tuple[TaskView, ...]
    next_task: int | None = None  # where the next page begins
    parents: tuple[int, ...] = ()
    children: tuple[int, ...] = ()
    age_ms: int = 0  # how old this is, at most; 0 while this machine coordinates


class DagView(View, frozen=True):
    """Jobs that hang together."""

    id: int  # the one that was asked about
    jobs: tuple[JobView, ...]
    edges: tuple[tuple[int, int], ...]  # who is waited for, and who waits
    chain: tuple[int, ...]  # the longest, first to last, by what is known of their times
    more: int = 0  # jobs that are not told


class Changed(View, frozen=True):
    """What was asked is on the log. `tasks` is how many it changed; 0: it was so already."""

    id: int
    tasks: int


class SteppedDown(View, frozen=True):
    coordinator: str  # now


class Lacking(msgspec.Struct, frozen=True):
    node: str
    text: str  # what it may have that is missing


class Recovered(View, frozen=True):
    """On whose log it goes on, or would."""

    founder: str
    generation: int
    missing: tuple[Lacking, ...]
    has_begun: bool


class DryRunView(View, frozen=True):
    would_start: bool
    node: str | None
    lines: tuple[str, ...]


# -- output ------------------------------------------------------------------------------------------------------------


class Item(View, frozen=True):
    """Something that is told of a job. They come in the order in which they are to be shown."""


class Began(Item, frozen=True, tag="began"):
    """A machine has this try now; `number` counts the tries of the task, from 1."""

    index: int
    attempt: int
    number: int
    node: str


class Output(Item, frozen=True, tag="output"):
    """Bytes at `offset` of a stream of one attempt, without a gap to the ones before."""

    index: int
    attempt: int
    stream: int
    offset: int
    data: bytes


class Cut(Item, frozen=True, tag="cut"):
    """So many bytes of a stream are not kept: it was longer than its limit."""

    index: int
    attempt: int
    stream: int
    missing: int


class Moved(Item, frozen=True, tag="moved"):
    """This try is over and the task starts again: its output so far is void, or repeated."""

    index: int
    attempt: int
    node: str
    outcome: str
    reason: str
    run_ms: int


class Ended(Item, frozen=True, tag="ended"):
    """A task is over, and all its output has been told."""

    index: int
    state: str
    exit_code: int | None
    signal: int | None
    outcome: str | None
    reason: str | None
    node: str | None
    attempt: int | None
    started_at: int | None
    ended_at: int | None
    exit_status: int = 0
    unread: int | None = None  # bytes of its standard input that it did not read, where that is known
    array_index: int = 0
    missing: str | None = None  # the rest of its output is on this machine, which is not there


class Progress(Item, frozen=True, tag="progress"):
    """How far the job is, when that has changed; at most some times a second."""

    tasks: Counts
    running: int | None = None  # as machines have told
    nodes: tuple[tuple[str, int], ...] = ()  # tasks with each machine now
    silent: tuple[str, ...] = ()  # machines that have output for whoever follows, and do not answer just now


class Over(Item, frozen=True, tag="over"):
    """The job has ended: always the last item."""

    job: JobView


AnyItem = Began | Output | Cut | Moved | Ended | Progress | Over


class Told(View, frozen=True):
    items: tuple[AnyItem, ...]


# -- machines ----------------------------------------------------------------------------------------------------------


class NodeView(View, frozen=True):
    name: str
    id: str
    state: str
    role: str | None
    coordinator: bool
    address: str | None
    owner: str
    os: str
    arch: str
    cpus: float
    memory_bytes: int
    gpus: int
    cpu_percent: float | None
    memory_percent: float | None
    load1: float | None
    box: str | None
    owner_state: str | None
    labels: dict[str, str]
    version: str | None
    last_seen_seconds: float | None
    is_draining: bool = False
    tasks: int = 0  # with it now


class NodeList(View, frozen=True):
    nodes: tuple[NodeView, ...]
    age_ms: int = 0  # how old this is, at most: nobody who knows better can be reached


class WeightView(View, frozen=True):
    """Its score for a task of one cpu and 512M, as a sum of terms."""

    policy: str
    score: float
    terms: dict[str, float]
    reason: str | None  # why it would not take that task now


class HeldView(View, frozen=True):
    """Tasks of one job that a machine has."""

    id: int
    name: str
    user: str
    tasks: int


class NodeDetail(View, frozen=True):
    """In a document the fields of `node` stand beside the others."""

    node: NodeView
    disk_bytes: int
    gpu_memory_bytes: int
    speed: float  # beside the reference machine
    weight: WeightView
    gives: tuple[str, ...] | None = None  # its owner's rules, in sentences; None: it could not be asked
    limits: tuple["Check", ...] | None = None  # what it can enforce; likewise
    own_labels: dict[str, str] | None = None  # those of its owner's; likewise
    runs: tuple["HeldView", ...] = ()  # what it has now


class Quorum(View, frozen=True):
    have: int
    need: int
    of: int = 0  # so many keepers vote; 0: not known


class InviteView(View, frozen=True):
    invite: str
    id: str
    expires_at: int
    uses: int


class AskerView(View, frozen=True):
    """A machine that asks to be let in. All but its address is its own word."""

    name: str
    node_id: str
    address: str
    about: str
    age: float  # seconds


class AskingView(View, frozen=True):
    asking: tuple[AskerView, ...] = ()


class Approval(View, frozen=True):
    """What came of a code that was typed: right, and then `code` is to be typed at that machine; or not."""

    name: str
    code: str = ""
    tries: int = 0  # that are left, where it was wrong


class Known(View, frozen=True):
    """A machine is called so now; `coordinator` is whom its beats are for, as far as whoever answers knows."""

    name: str
    coordinator: str = ""


class InviteRow(View, frozen=True):
    """An invite that somebody may still use, or that is used up."""

    id: str
    by: str
    uses: int
    used: int
    expires_at: int


class InviteList(View, frozen=True):
    invites: tuple[InviteRow, ...]


class LeavingView(View, frozen=True):
    """What leaving means on this machine; and, once it is done, what came of it."""

    mesh: str
    machine: str
    others: int  # machines that stay
    tasks: int = 0  # that run here, and start again elsewhere
    unfinished: int = 0  # jobs that nobody else has
    finished: int = 0  # likewise
    is_told: bool = False  # the others know


class Removed(View, frozen=True):
    """A machine that is none of the mesh's any more."""

    name: str
    is_shut_out: bool = False  # its certificate is worth nothing any more
    tasks: int = 0  # that it had


LEAVE: Final = "odyssey leave, then join again with a new invite"  # of a machine that was put out


class NetworkView(View, frozen=True):
    subnet: str
    router: str  # its hardware address; empty: there is none, or it has not told
    interface: str  # of this machine; empty: it is not there just now
    state: str  # known, new: this machine is quiet there, or away


class NetworkList(View, frozen=True):
    networks: tuple[NetworkView, ...]
    address: str = ""  # at which others join and find this machine


class StatusView(View, frozen=True):
    mesh: str
    mesh_id: str
    node: str
    node_id: str
    role: str
    coordinator: str | None
    term: int
    quorum: Quorum
    can_lose: int
    must_stay: tuple[str, ...]
    nodes: dict[str, int]
    jobs: dict[str, int]
    age_seconds: float
    pid: int
    supervisor_pid: int | None
    version: str = ""
    home: str = ""
    is_embedded: bool = False
    cpus: float | None = None  # of all machines that are up
    gpus: int | None = None
    notes: tuple[str, ...] = ()  # sentences about this machine: paused, on battery, its disk is nearly full
    owner: str = ""  # of this machine: whoever asks here
    machines: dict[str, str] = {}  # each one's state
    missing: tuple[str, ...] = ()  # keepers that vote and cannot be reached
    is_laptop: bool = False  # this machine: it has a lid or a battery
    tasks_here: int = 0  # with this machine now
    out: str = ""  # this machine was put out of the mesh, in a sentence; then nothing else is known
    listen: str = ""  # where this machine listens; empty: on its own socket only
    address: str = ""  # at which others join and find this machine; empty: nobody can just now
    keepers: tuple[str, ...] = ()  # machines that keep the jobs, also those that catch up


# -- why ---------------------------------------------------------------------------------------------------------------


class ReasonView(View, frozen=True):
    code: str
    text: str
    remedies: tuple[str, ...] = ()


class Candidate(View, frozen=True):
    node: str
    score: float | None
    terms: dict[str, float]
    excluded: str | None


class DecisionView(View, frozen=True):
    node: str
    term: int | None
    index: int
    decided_by: str | None
    policy: str
    candidates: tuple[Candidate, ...]
    runner_up: str | None
    margin: float | None
    counterfactual: str | None


class ExplainView(View, frozen=True):
    id: int
    state: str
    reason: ReasonView | None
    decision: DecisionView | None
    lines: tuple[str, ...] = ()  # all of it, in sentences


class Waiting(View, frozen=True):
    place: int
    id: int
    name: str
    user: str
    tasks: int
    priority: int
    age: int  # points gained by waiting
    asks_for: str
    reason: ReasonView
    starts_in_ms: int | None


class QueueView(View, frozen=True):
    waiting: tuple[Waiting, ...]
    more: int = 0


class TaskWhere(View, frozen=True):
    index: int
    state: str
    node: str | None
    attempt: int | None
    stdout_bytes: int | None
    stderr_bytes: int | None
    is_complete: bool
    cut_bytes: int = 0
    files: str | None = None  # the folder of what it has kept, on the machine that was asked


class WhereView(View, frozen=True):
    id: int
    tasks: tuple[TaskWhere, ...]
    next_task: int | None = None


# -- looking on --------------------------------------------------------------------------------------------------------


class EventView(View, frozen=True):
    at: int
    kind: str
    subject: str
    text: str
    data: dict[str, str | int]
    number: int = 0  # grows with every event of this daemon
    index: int = 0  # of the log entry that made it so; 0: a machine has observed it, and others may see it differently
    mark: int = 0  # the same event has the same one, whichever machine tells it


class EventPage(View, frozen=True):
    events: tuple[EventView, ...]
    index: int = 0  # so far the log is told; 0: not said


class Picture(View, frozen=True):
    """The first part of a watch has all; later ones what has changed since the part before. `status` and `nodes` are
    None when they are as they were."""

    is_first: bool
    jobs: tuple[JobView, ...]
    gone: tuple[int, ...]
    nodes: tuple[NodeView, ...] | None
    status: StatusView | None


# -- this machine ------------------------------------------------------------------------------------------------------


class PolicyView(View, frozen=True):
    name: str
    weights: dict[str, int]
    names: tuple[str, ...]  # that could be used


class ShareView(View, frozen=True):
    """The rules in force, in sentences and as they would be typed."""

    lines: tuple[str, ...]
    cpus: str | None = None
    mem: str | None = None
    hours: str | None = None
    quiet: str | None = None
    battery: str | None = None
    is_paused: bool = False
    paused_until_at: int | None = None
    lid: str | None = None


class Stopping(View, frozen=True):
    """What ran when the daemon was asked to end."""

    jobs: tuple[int, ...] = ()
    tasks: int = 0


class Check(View, frozen=True):
    name: str
    is_fine: bool | None  # None: cannot be told
    text: str
    hint: str | None = None
    is_limit: bool = False  # of what jobs may do here
    is_warning: bool = False  # it works, and not as it should

    @property
    def is_broken(self) -> bool:
        return self.is_fine is False and not (self.is_limit or self.is_warning)


class WayView(View, frozen=True):
    """A connection that was tried."""

    address: str
    port: int
    lane: str  # control, bulk
    answer: str  # open, closed (it says that nobody listens), silent, blocked (by the system here), nothing


class DoctorView(View, frozen=True):
    checks: tuple[Check, ...]
