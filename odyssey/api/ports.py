"""What the counter is handed of the daemon. The daemon fills these; tests fill them with fakes.

Promises: everything is called on the daemon's loop, and calls back there.
Never: blocks. What has to be read from a disk in more than a few milliseconds calls back.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from odyssey.api import views as v
from odyssey.api.errands import Errand
from odyssey.api.rights import Asker
from odyssey.clock import Clock
from odyssey.commands import Command
from odyssey.events import Event
from odyssey.exec.outputs import Extent
from odyssey.ids import AttemptId, NodeId, NodeNumber, TaskId, UserId
from odyssey.mesh.letters import Outcome
from odyssey.mesh.recover import CannotRecover, Recovery
from odyssey.messages import Beat, Here
from odyssey.scheduler.snapshot import Seen
from odyssey.scheduler.state import State

A = TypeVar("A")


class Outputs(Protocol):
    """What attempts of this machine have written; `stream` is views.STDOUT or STDERR."""

    def read(self, attempt: AttemptId, stream: int, offset: int, limit: int) -> bytes: ...

    def extent(self, attempt: AttemptId, stream: int) -> Extent | None:
        """None: nothing is known of it here."""
        ...

    def note(self, attempt: AttemptId) -> str | None:
        """What the machine said of its end, as one sentence: which program was not found."""
        ...

    def unread(self, attempt: AttemptId) -> int | None:
        """How many bytes of its standard input it left, where that is known."""
        ...

    def watch(self, changed: Callable[[AttemptId], None]) -> Callable[[], None]:
        """`changed` is called soon after an attempt has written; the answer ends that. It is a hint: some may be
        missing, so whoever follows also looks by itself from time to time."""
        ...


class Files(Protocol):
    def kept(self, task: TaskId, attempt: AttemptId) -> str | None:
        """Where that is on this machine which an attempt has put into its ODYSSEY_OUT; None: nothing."""
        ...


class Log(Protocol):
    """The replica, as far as the counter needs it."""

    @property
    def applied(self) -> int: ...

    def propose(self, command: Command, done: Callable[[Outcome], None]) -> None: ...

    def read(self, done: Callable[[int | None], None]) -> None: ...


class Manners(Protocol):
    """What the owner of this machine gives of it, and when. Mistakes in words are raised as errors for people."""

    def share(self, typed: Mapping[str, str]) -> v.ShareView:
        """With what was typed, by the names of `requests.Share`; without anything: tell."""
        ...

    def pause(self, for_ms: int) -> v.ShareView: ...

    def resume(self) -> v.ShareView: ...

    def label(self, words: Sequence[str]) -> Mapping[str, str]:
        """The owner's own labels of this machine, with what was typed: `k=v`, `k-`."""
        ...


class About(NamedTuple):
    """A machine, as this one knows it from the links."""

    address: str | None = None  # of its join port
    version: str | None = None  # of its Odyssey


class Examining(Protocol):
    """The other machines, from this one's place on the network."""

    async def knock(self, node: NodeId) -> tuple[v.WayView, ...]:
        """Tries to connect to each address that is known of this member. Bounded; raises where too much is asked."""
        ...

    async def doctor(self, name: str) -> tuple[v.Check, ...]:
        """All of another machine, nothing of this one; without a name a line for each of the others."""
        ...


class Membership(Protocol):
    """Who belongs to the mesh, and who comes into it."""

    def member(self, node: NodeId) -> tuple[str, UserId] | None:
        """The name it asked for and its owner, by its certificate; None: it is no member."""
        ...

    def about(self, node: NodeId) -> About: ...

    async def invite(self, uses: int, for_ms: int, owner: UserId) -> v.InviteView:
        """Raises where this machine may let nobody in."""
        ...

    async def allow(self, node: NodeId, words: Sequence[str], is_given: bool, by: UserId) -> None:
        """Words of `belonging.MAY`; what is taken back, too. Raises why not; once it returns it is on the log."""
        ...

    def offer(self) -> bytes:
        """The public half of a key with which this machine would let others in."""
        ...

    async def farewell(self, node: NodeId, by: UserId) -> None:
        """It has left, and its keys are gone: it is put out, unless others are members by what it has signed."""
        ...

    async def put_out(self, node: NodeId, by: UserId) -> None:
        """For good: once this returns it is on the log, and told to all. Raises why it is not; `by` is who asked, who
        may."""
        ...

    def asking(self) -> v.AskingView:
        """Who asks to be let in without one."""
        ...

    async def approve(self, machine: str, code: str, owner: UserId) -> v.Approval:
        """With the code that it shows. Raises where no such machine asks, or none may be let in."""
        ...

    def deny(self, machine: str) -> v.Approval: ...


class Networks(Protocol):
    """This machine on the networks that it is on. Mistakes in words are raised as errors for people."""

    @property
    def listen(self) -> str:
        """Where it listens, as its owner would write it; empty: on its socket only."""
        ...

    @property
    def address(self) -> str:
        """At which others find it; empty: nobody can."""
        ...

    async def show(self) -> v.NetworkList: ...

    async def trust(self) -> v.NetworkList:
        """Those that it is on now are known."""
        ...

    async def forget(self, which: str) -> v.NetworkList: ...


class Others(Protocol):
    """The other machines of the mesh, asked on behalf of jobs."""

    async def ask(self, node: NodeId, errand: Errand[A]) -> A:
        """Raises Unreachable when it does not answer."""
        ...

    def who_keeps(self) -> Sequence[NodeId]:
        """Machines that may hold what jobs need before they start, the best one to ask first."""
        ...


class Helm(Protocol):
    """Who coordinates."""

    def hand_over(self) -> bool:
        """To another keeper, soon. False: there is none that could, or this machine does not coordinate."""
        ...

    def recover(self, is_sure: bool, done: Callable[[Recovery | CannotRecover], None]) -> None:
        """Begin again on the best log within reach, or only tell what would come of it."""
        ...


class Standing(NamedTuple):
    """This daemon and its mesh, as only the daemon knows them."""

    mesh: str
    mesh_id: str
    role: str  # keeper or worker
    coordinator: NodeId | None
    term: int
    have: int  # live keepers that vote
    need: int
    can_lose: int
    must_stay: tuple[NodeId, ...]
    age_ms: int  # how old what it knows may be
    pid: int
    supervisor_pid: int | None
    home: str
    is_embedded: bool
    keepers: frozenset[NodeId] = frozenset()
    notes: tuple[str, ...] = ()
    voters: int = 0  # keepers that vote
    missing: tuple[NodeId, ...] = ()  # of those: not heard just now
    is_laptop: bool = False
    listen: str = ""
    address: str = ""


class Counter(Protocol):
    """The daemon, from the side of those who ask."""

    @property
    def me(self) -> NodeId: ...

    @property
    def host(self) -> Asker:
        """Who asks at this machine's own door: its owner."""
        ...

    @property
    def state(self) -> State:
        """As far as the log is applied here. Ask each time: a snapshot that is loaded is another one."""
        ...

    @property
    def log(self) -> Log: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def outputs(self) -> Outputs: ...

    @property
    def files(self) -> Files: ...

    @property
    def manners(self) -> Manners: ...

    @property
    def membership(self) -> Membership: ...

    @property
    def networks(self) -> Networks: ...

    @property
    def others(self) -> Others: ...

    @property
    def examining(self) -> Examining: ...

    @property
    def helm(self) -> Helm: ...

    @property
    def home(self) -> Path:
        """`blobs/` and `spool/stdin/` are in it."""
        ...

    def here(self) -> Mapping[AttemptId, Here]:
        """What the hands of this machine hold."""
        ...

    def seen(self) -> Mapping[NodeNumber, Seen]:
        """What beats have told the coordinator; empty where another machine coordinates."""
        ...

    def beats(self) -> Mapping[NodeNumber, tuple[Beat, int]]:
        """The last beat of each machine and how many ms ago it came; empty where another machine coordinates."""
        ...

    def standing(self) -> Standing: ...

    def subscribe(self, heard: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """`heard` is called with what each piece of the log has made true, after the state has changed. The answer
        ends that."""
        ...

    def when_ms(self, index: int) -> int:
        """When this entry was made, by the clock of who made it: for those whose events are being told. A daemon that
        starts is told of what happened long ago."""
        ...

    def segment(self, digest: bytes, done: Callable[[bytes | None], None]) -> None:
        """The bytes of a piece of history that is on this disk."""
        ...

    def stdin_grew(self, name: bytes, size: int, is_complete: bool) -> None:
        """More of a job's standard input is in the spool, for whoever feeds it."""
        ...

    def look_for(self, programs: frozenset[str]) -> frozenset[str]:
        """Those that are on the owner's path of this machine. From now on its labels say so; the log hears it soon."""
        ...

    def type(
        self, attempt: AttemptId, writer: int, offset: int, size: tuple[int, int], data: bytes,
        told: Callable[[int], None],
    ) -> None:  # fmt: skip
        """Into the terminal of an attempt here. `told` how many bytes of this writer are taken; less than 0: there is
        no such terminal, or nobody can be asked just now."""
        ...

    def doctor(self, done: Callable[[v.DoctorView], None], afresh: bool = False) -> None:
        """`afresh`: what takes a moment is looked at again too."""
        ...

    async def leave(self, is_trial: bool) -> v.LeavingView:
        """Leave the mesh: what runs here ends and the others are told; or what that would mean. Raises where others
        would lose by it what nobody else has."""
        ...

    def down(self, now: bool) -> None:
        """Soon: the answer to who asked still goes out."""
        ...
