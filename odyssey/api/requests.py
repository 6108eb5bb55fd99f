"""Everything that can be asked, one record each; `operations` says what is answered.

A `ref` is what people type for a job: `42`, a task of it `42/7`, a name or a prefix of one that only one job has,
`last`. The daemon resolves it. Numbers of tasks are positions from 0, as in `42/7`. Times are milliseconds.

Promises: frozen; fields are added at the end and have a default.
Never: names a user or an origin: whoever reaches this door is the owner of the machine, and the daemon knows
who that is.
"""

from typing import Generic, TypeVar

import msgspec

from odyssey.api import views as v
from odyssey.commands import Facts
from odyssey.spec import JobSpec

A = TypeVar("A", bound=v.View)

Span = tuple[int, int]  # start <= i < stop


class Request(msgspec.Struct, Generic[A], frozen=True, array_like=True, gc=False):
    """The base of all of them; A is what is answered, once or in parts."""


# -- jobs --------------------------------------------------------------------------------------------------------------


class Submit(Request[v.Submitted], frozen=True):
    """The same `client` (16 random bytes) gives the same jobs, however often it is sent. `user` and `origin` of the
    specs are stamped by the daemon. Blobs and standard input that specs name are put before."""

    client: bytes
    specs: tuple[JobSpec, ...]
    python: str = ""  # `3.11`: its tasks unpickle what this version has pickled


class DryRun(Request[v.DryRunView], frozen=True):
    """What would happen to this one? Nothing is submitted."""

    spec: JobSpec


class PutBlob(Request[v.HowFar], frozen=True):
    """A file known by its sha-256, in pieces of at most `frames.CHUNK` bytes, in order, from offset 0. One that is here
    already is not sent again: the answer to the first piece says so."""

    digest: bytes
    size: int
    offset: int
    data: bytes


class PutStdin(Request[v.HowFar], frozen=True):
    """More of a job's standard input, before or after the job was submitted. The same piece may come twice."""

    name: bytes
    offset: int
    data: bytes
    is_end: bool = False


class Type(Request[v.Typed], frozen=True):
    """What somebody types at the terminal of a job, while this attempt of it runs: bytes at an offset of all that this
    writer (a number of its own, drawn anew for each sitting) has typed. The same may be said again. With rows and
    columns the terminal has that size from now on; without bytes it says only that. The first writer has the terminal
    to itself until its connections are gone, or `is_over` is said for it, or somebody `takes` it."""

    ref: str
    attempt: int
    writer: int
    offset: int = 0
    data: bytes = b""
    rows: int = 0
    columns: int = 0
    takes: bool = False
    is_over: bool = False  # this writer has gone


class Jobs(Request[v.JobPage], frozen=True):
    """`states` of views.JOB_STATES; empty: what has not ended, and what ended in the last hour. Newest first; the next
    page begins `below` the last one of this one."""

    states: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    user: str = ""
    below: int = 0  # 0: from the newest on
    limit: int = 1000
    everything: bool = False  # all that has not become history


class Job(Request[v.JobDetail], frozen=True):
    """One job with its tasks from index `start` on, at most `limit`. A job that is history is found there. Where only
    tasks in some states are asked for, a page may be short or empty although there is more; `next_task` says so."""

    ref: str
    start: int = 0
    limit: int = 1000
    states: tuple[str, ...] = ()  # only tasks in these, of views.TASK_STATES; empty: all


class Dag(Request[v.DagView], frozen=True):
    """All jobs that wait for this one, or that it waits for, and so on: those that are not history, and the newest
    that are."""

    ref: str


class Cancel(Request[v.Changed], frozen=True):
    """`only` is empty: all of it, or the task that the ref names."""

    ref: str
    only: tuple[Span, ...] = ()


class Retry(Request[v.Changed], frozen=True):
    ref: str
    only: tuple[Span, ...] = ()


class Hold(Request[v.Changed], frozen=True):
    ref: str


class Release(Request[v.Changed], frozen=True):
    ref: str


class Prio(Request[v.Changed], frozen=True):
    ref: str
    priority: int


class Wait(Request[v.JobView], frozen=True):
    """One part for each job as it ends; done when all have."""

    refs: tuple[str, ...]


# -- output ------------------------------------------------------------------------------------------------------------


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far the output of an attempt has been taken."""

    attempt: int
    stdout: int = 0
    stderr: int = 0
    is_over: bool = False  # its end was told too


class Follow(Request[v.Told], frozen=True):
    """Everything that is told of a job until it has ended: output, moves, ends. Of a job that has ended: all at once.

    `is_grouped`: the output of a task comes when the task has ended, as one piece after the other, never mixed with
    that of others; only its last try. Else it comes as it is written, of all tries.

    A client that comes back says what it has: tasks whose end it was `told`, and how far it is with the others."""

    ref: str
    is_grouped: bool = False
    told: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    without_output: bool = False  # ends only, for progress


class Logs(Request[v.Told], frozen=True):
    """What there is of the output of a job, or of one task, in order of the tasks. Then it is done."""

    ref: str
    stream: str = ""  # `stdout`, `stderr`; both when empty
    tail: int = -1  # the last so many lines of each stream; -1: all
    attempt: int = 0  # this try; 0: the last one of each task
    all_tries: bool = False


# -- looking on --------------------------------------------------------------------------------------------------------


class Watch(Request[v.Picture], frozen=True):
    """A snapshot of jobs, machines and status, then what has changed, some times a second at most."""

    states: tuple[str, ...] = ()
    limit: int = 1000


class Events(Request[v.EventPage], frozen=True):
    """The last `limit` events, oldest first; with `is_following` also those to come. `after`: only newer ones."""

    limit: int = 1000
    is_following: bool = False
    after: int = 0
    since: int = 0  # in place of the last `limit`: those of the log from this entry on
    within_ms: int = 0  # with `since`: and what was observed so long ago or less
    with_position: bool = False  # the first page says how far the log is told, also if it has nothing to tell


class Status(Request[v.StatusView], frozen=True):
    pass


class TellFacts(Request[v.Known], frozen=True):
    """From the daemon of a machine that does not lead: what it has and gives now. A member that is not among the
    machines yet comes in with that."""

    facts: Facts


class Invite(Request[v.InviteView], frozen=True):
    """A text with which machines get in: so many, for so long; whose they will be (empty: whoever asks)."""

    uses: int = 1
    for_ms: int = 3_600_000
    owner: str = ""


class Asking(Request[v.AskingView], frozen=True):
    """Which machines ask to be let in without an invite."""


class Approve(Request[v.Approval], frozen=True):
    """Let in a machine that asks: its name, address or a beginning of its id, and the code that it shows. Whose it will
    be (empty: whoever lets it in). Or send it off."""

    machine: str
    code: str = ""
    owner: str = ""
    is_denied: bool = False


class Nodes(Request[v.NodeList], frozen=True):
    pass


class Node(Request[v.NodeDetail], frozen=True):
    """One machine: its name, or a beginning that only one has. Empty: this one."""

    name: str = ""


class Label(Request[v.NodeDetail], frozen=True):
    """Labels of this machine's owner: `k=v` sets one, `k-` takes it away."""

    name: str
    words: tuple[str, ...]


class Rename(Request[v.NodeDetail], frozen=True):
    name: str
    to: str


class Drain(Request[v.NodeDetail], frozen=True):
    """It ends what it has and takes nothing new; or it takes again."""

    name: str
    is_draining: bool = True


class Remove(Request[v.Removed], frozen=True):
    """This machine is none of the mesh any more, wherever it is: nothing that it says counts from then on."""

    name: str


class Allow(Request[v.Known], frozen=True):
    """What a machine may do, in words of `belonging.MAY`; or, with `is_given` False, may not any more."""

    name: str
    words: tuple[str, ...]
    is_given: bool = True


class Goodbye(Request[v.Known], frozen=True):
    """From the daemon of a machine that leaves: it is none of the mesh any more."""


class Leave(Request[v.LeavingView], frozen=True):
    """This machine leaves its mesh: what runs here ends, and the others are told. Its daemon is to be ended then. With
    `is_trial`: only what that would mean."""

    is_trial: bool = False


class Invites(Request[v.InviteList], frozen=True):
    pass


class EndInvites(Request[v.InviteList], frozen=True):
    """Nobody comes in by these any more; by the beginnings of their ids. Answers which."""

    ids: tuple[str, ...]


class StepDown(Request[v.SteppedDown], frozen=True):
    """Another keeper is to coordinate."""


class Recover(Request[v.Recovered], frozen=True):
    """Begin again on the best log within reach: the old coordinator is off for good. Not sure: what would come of it
    is only told."""

    is_sure: bool = False


class Queue(Request[v.QueueView], frozen=True):
    """What waits, in the order in which its turn comes."""

    limit: int = 1000


class Explain(Request[v.ExplainView], frozen=True):
    """Why does it wait, or why did it go there?"""

    ref: str


class History(Request[v.JobPage], frozen=True):
    """Jobs that ended, newest first, also those that have left the state long ago."""

    limit: int = 1000
    below: int = 0
    name: str = ""
    states: tuple[str, ...] = ()


class Where(Request[v.WhereView], frozen=True):
    """Where a job's tasks run or ran, and how much output is kept there."""

    ref: str
    start: int = 0
    limit: int = 1000


# -- this machine and its mesh -----------------------------------------------------------------------------------------


class Policy(Request[v.PolicyView], frozen=True):
    """With a name or weights: use these from now on. Without: tell."""

    name: str = ""
    weights: tuple[tuple[str, int], ...] = ()


class Share(Request[v.ShareView], frozen=True):
    """What this machine gives, as people type it: `cpus` 4 or 50%, `mem` 8G, `hours` 22-08, `quiet` 22-08; `off` takes
    a limit away; None leaves it as it is."""

    cpus: str | None = None
    mem: str | None = None
    hours: str | None = None
    quiet: str | None = None
    battery: str | None = None
    lid: str | None = None


class Pause(Request[v.ShareView], frozen=True):
    for_ms: int = 0  # 0: until `resume`


class Resume(Request[v.ShareView], frozen=True):
    pass


class Networks(Request[v.NetworkList], frozen=True):
    """Those that this machine knows and is on. `trust`: all that it is on just now are known from now on; `forget` one:
    by its subnet, its router or this machine's interface."""

    trust: bool = False
    forget: str = ""


class Doctor(Request[v.DoctorView], frozen=True):
    """Of this machine, with a line for each other one; or of another one as seen from here, by its name."""

    name: str = ""


class Down(Request[v.Stopping], frozen=True):
    """The daemon ends; what runs goes on. `now`: what runs ends too, and waits for the next daemon."""

    now: bool = False
