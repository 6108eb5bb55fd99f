"""What a machine and its coordinator say to each other: the beat, and the Duty that answers it.

A beat says what the machine holds and how it is. Its Duty says everything the machine should hold from now on: not what
has changed, so a lost one is repaired by the next, and a new coordinator or a restarted daemon needs no special path.
What an attempt is to run is not part of it: the machine asks for the job by its number, once.

What ended is reported the same way: a beat carries all reports that are not settled, and a Duty says which are. So a
lost beat, a lost Duty or a new coordinator loses no result, and the machine forgets none too early.

A beat is named by boot, daemon run and number. All three are needed: a number alone would be said again by the next
daemon, a run alone by the next boot, and the answer to an old beat would pass for the answer to a new one.

Promises: frozen and exact; fields are added at the end and have a default, so that old and new daemons understand each
other; a word that is not known yet is read as the most careful known one.
Never: enters the log. A new coordinator hears it all again within a second.
"""

import enum
from typing import NewType, Self

import msgspec

from odyssey.commands import Fence, Report, SubmitJobs
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, TaskId
from odyssey.spec import JobSpec

BootId = NewType("BootId", bytes)  # the kernel's, new at every boot


class NodeState(enum.IntEnum):
    """What silence, or its absence, says of a machine."""

    UP = 0
    SILENT = 1
    GONE = 2
    ASLEEP = 3


class OwnerState(enum.IntEnum):
    FREE = 0
    IN_USE = 1
    PAUSED = 2

    @classmethod
    def _missing_(cls, _: object) -> Self:
        return cls(OwnerState.IN_USE)


class Pause(enum.IntEnum):
    """Why a machine whose owner is PAUSED gives nothing."""

    ASKED = 0
    BATTERY = 1
    LID = 2
    HOURS = 3
    RULES = 4  # the owner's rules cannot be followed

    @classmethod
    def _missing_(cls, _: object) -> Self:
        return cls(Pause.ASKED)


class Going(enum.IntEnum):
    """What a machine announces. All but RESTART are said after its attempts have ended."""

    STAYING = 0
    RESTART = 1  # the daemon only: attempts stay with the supervisor and are taken up again
    SLEEP = 2
    SHUTDOWN = 3
    LEAVE = 4

    @classmethod
    def _missing_(cls, _: object) -> Self:
        return cls(Going.STAYING)

    @property
    def away(self) -> bool:
        """Nothing runs there until it says so itself with a new beat."""
        return self >= Going.SLEEP


class Message(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The base of what travels. Fields that are not known are ignored."""


class BeatId(msgspec.Struct, frozen=True, array_like=True, gc=False):
    boot: BootId
    run: int  # the boot-time clock when this daemon began: the next daemon of the same boot has a larger one
    number: int  # from 1 on, in each run

    @property
    def order(self) -> tuple[int, int]:
        """Beats of one boot, in the order they were sent. Those of two boots have none."""
        return self.run, self.number


# -- machine to coordinator --------------------------------------------------------------------------------------------


class Here(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An attempt as the supervisor tells of it. One that has ended is told as long as it may still be listed."""

    task: TaskId
    started: bool = True
    frozen_at_ms: int | None = None
    ended: bool = False
    elapsed_ms: int = 0  # without frozen time


class Holding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt that is here: waiting for room, running, frozen, or ended and not yet on the log."""

    attempt: AttemptId
    task: TaskId
    started: bool = False
    ended: bool = False
    frozen: bool = False
    elapsed_ms: int = 0  # without frozen time


class Telemetry(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How the machine is. What it does not know is None."""

    load_milli: int | None = None
    cpu_free_milli: int | None = None  # what programs of others leave
    memory_free: int | None = None  # available, not total
    owner: OwnerState | None = None
    mains: bool | None = None
    stay_ms: int | None = None  # how long it is expected to stay
    pause: Pause | None = None


class Keeping(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How well the machine could keep the log."""

    store: bytes = b""  # the id of its store; empty: it has none
    keeper_only: bool = False
    laptop: bool | None = None
    wired: bool | None = None
    uptime_ms: int | None = None
    fsync_ms: int | None = None


class Beat(Message, frozen=True, tag="beat"):
    id: BeatId
    holds: tuple[Holding, ...] = ()
    going: Going = Going.STAYING
    telemetry: Telemetry = Telemetry()
    keeping: Keeping = Keeping()
    fence: Fence = Fence(0, 0)  # the newest coordinator this machine has heard of; it refuses older ones
    revision: int = 0  # of the Duty it goes by
    since: AttemptId = AttemptId(0)  # as the last Duty of this boot said; 0: there was none
    reports: tuple[Report, ...] = ()  # of what ended here and is not settled; the oldest, if they are many

    @property
    def leaves_nothing(self) -> bool:
        """The machine goes, and nothing runs there any more."""
        return self.going.away and all(one.ended for one in self.holds)


class AskJobs(Message, frozen=True, tag="ask-jobs"):
    """What are these to run?"""

    jobs: tuple[JobId, ...]


# -- coordinator to machine --------------------------------------------------------------------------------------------


class Listed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One attempt the machine should hold."""

    attempt: AttemptId
    task: TaskId
    slot: bool = True  # False: in the backlog
    stop: bool = False  # end it
    recall: bool = False  # give it back, if it has never started
    number: int = 0  # of this try of its task, from 1 on; 0: not told


class Duty(Message, frozen=True, tag="duty"):
    """All that the machine should hold. It may run for a lease, counted from when the quoted beat was sent."""

    beat: BeatId
    fence: Fence
    revision: int  # grows with every Duty of a coordinator
    since: AttemptId  # attempts from here on were given to this boot, older ones perhaps to another
    holds: tuple[Listed, ...] = ()
    settled: tuple[AttemptId, ...] = ()  # reported, and their end is on the log: to be forgotten
    keepers: tuple[NodeId, ...] = ()  # of the log: ask these who coordinates if this coordinator is heard no more


class JobsAre(Message, frozen=True, tag="jobs-are"):
    jobs: tuple[tuple[JobId, JobSpec], ...]


class Elsewhere(Message, frozen=True, tag="elsewhere"):
    """This machine does not coordinate; as far as it knows, that one does."""

    coordinator: NodeId


# -- between those that keep the log -----------------------------------------------------------------------------------


class OfferSegment(Message, frozen=True, tag="offer-segment"):
    """The coordinator would take the jobs of this segment out of the state, once all who keep the log have it."""

    fence: Fence
    number: int  # grows with every offer of a coordinator
    index: int  # what it had applied: the fate of all earlier offers is in the log up to here
    digest: bytes
    size: int


class HaveSegment(Message, frozen=True, tag="have-segment"):
    """It is on this disk, and stays there while it is on offer or in the state. Answers one offer."""

    store: bytes  # the id of the store it is in
    fence: Fence
    number: int
    digest: bytes


class WantSegment(Message, frozen=True, tag="want-segment"):
    """Send it over the bulk lane."""

    digest: bytes


# -- between an old coordinator's machine and the new one --------------------------------------------------------------


class HandIn(Message, frozen=True, tag="hand-in"):
    """From the tail of an old log: submit these, if nobody knows them. And what is known of those?"""

    number: int  # grows with every letter of a daemon
    clients: tuple[ClientId, ...] = ()
    jobs: tuple[JobId, ...] = ()
    submits: tuple[SubmitJobs, ...] = ()


class HandedIn(Message, frozen=True, tag="handed-in"):
    """Every submit of that letter is on the log, or was refused by it."""

    number: int
    known: tuple[tuple[ClientId, JobId, int], ...] = ()  # the first job of that submit, and how many
    live: tuple[JobId, ...] = ()
    refused: tuple[ClientId, ...] = ()


class HandInSegment(Message, frozen=True, tag="hand-in-segment"):
    """Jobs that ended behind the fork: the segment is here, to be fetched and adopted."""

    store: bytes  # the id of the store it is in
    digest: bytes
    size: int
    first: JobId
    last: JobId
    jobs: int


class SegmentTaken(Message, frozen=True, tag="segment-taken"):
    """The log has adopted it."""

    digest: bytes


# -- between a machine that keeps no log and one that does -------------------------------------------------------------


class AskKeeper(Message, frozen=True, tag="ask-keeper"):
    """Somebody at this machine asks this of the mesh. The same question may come several times under its number."""

    run: int  # of the daemon that asks, as in BeatId
    number: int  # grows with every question of a run
    op: str
    body: bytes


class Taken(Message, frozen=True, tag="taken"):
    """So many parts of the answer have arrived; and whoever asked still waits."""

    run: int
    number: int
    parts: int
    wants_more: bool = True  # False: there is no room for more just now


class StopAsking(Message, frozen=True, tag="stop-asking"):
    """Nobody waits any more, or all has arrived."""

    run: int
    number: int


class Refusal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An error, as a person reads it."""

    error: str
    hint: str | None
    exit_status: int
    fault: str
    code: str


class Parts(Message, frozen=True, tag="parts"):
    """Of an answer, from the part `first` on. None and not the last: a sign of life."""

    run: int
    number: int
    first: int
    parts: tuple[bytes, ...] = ()
    is_last: bool = False
    refusal: Refusal | None = None  # it ends with that


Asked = AskKeeper | Taken | StopAsking


# -- between all machines: who belongs, and where they are -------------------------------------------------------------


class Acquaintance(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A machine of the mesh, as others are told of it."""

    certificate: bytes  # believed for its signature, whoever tells
    addresses: tuple[str, ...] = ()  # of its join port; whether it is there shows when it is dialled


class HereIAm(Message, frozen=True, tag="here-i-am"):
    """Who this machine is and where it can be dialled; and how much it has heard of whom it says this to."""

    me: Acquaintance
    run: int = 0  # of the daemon it has heard that from; 0: nothing
    members: int = 0
    statements: int = 0


class MembersAre(Message, frozen=True, tag="members-are"):
    """What somebody has not heard yet of who belongs: all from one place of its teller's list to another. The list is
    this daemon's own, and begins anew with its run. Run 0: statements that are new, told by the way."""

    run: int
    since: tuple[int, int] = (0, 0)  # members and statements: who has heard less takes the statements only
    upto: tuple[int, int] = (0, 0)
    members: tuple[Acquaintance, ...] = ()
    statements: tuple[bytes, ...] = ()  # signed: who may let machines in, and who was put out


class CopySeen(Message, frozen=True, tag="copy-seen"):
    """Another machine says that it is the one this is said to, and is not let in: its home is a copy."""

    address: str


Acquainted = HereIAm | MembersAre | CopySeen

AnyMessage = (
    Beat
    | AskJobs
    | Duty
    | JobsAre
    | Elsewhere
    | OfferSegment
    | HaveSegment
    | WantSegment
    | HandIn
    | HandedIn
    | HandInSegment
    | SegmentTaken
    | Asked
    | Parts
    | Acquainted
)
