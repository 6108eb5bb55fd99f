"""Who is here: from beats, and the time since, to up, silent, gone or asleep; and what changed, as events.

A machine is known by the boot that is in force. A beat of another boot is a reboot, or an identity that was copied to
a second machine: nobody can tell from one beat. So the other boot waits until the one in force has been silent for as
long as its work needs to stop (GIVE_AWAY_MS), or has said that it goes; when both keep beating, it is an alarm. A new
daemon in the same boot changes nothing but its number.

SILENT_MS is three beats: one may be lost and one late. GONE_MS is where people are told; nothing else hangs on it:
work is given away by `grants`, later and with proof.

Promises: a machine that was never heard counts as silent first, then as gone, from when we began to listen; a moment in
which we ourselves did not listen makes nobody silent.
Never: decides what becomes of a machine's work.
"""

from typing import Final, NamedTuple

from odyssey.ids import NodeNumber
from odyssey.mesh.lease import GIVE_AWAY_MS
from odyssey.messages import Beat, BootId, Going, NodeState

SILENT_MS: Final = 3_000
GONE_MS: Final = 5_000
LONGEST_STEP_MS: Final = 1_000
PROOF_BEATS: Final = 2  # of each boot since both are there: one alone may have been on its way for long


class Listening:
    """Time in which this process was listening. To be asked several times a second; a longer gap counts as a second."""

    def __init__(self, now_ms: int) -> None:
        self._last = self._now = now_ms

    def at(self, now_ms: int) -> int:
        self._now += min(max(0, now_ms - self._last), LONGEST_STEP_MS)
        self._last = max(self._last, now_ms)
        return self._now


# -- what became true --------------------------------------------------------------------------------------------------


class StateChanged(NamedTuple):
    node: NodeNumber
    before: NodeState | None  # None: heard for the first time
    after: NodeState


class Announced(NamedTuple):
    node: NodeNumber
    going: Going


class DaemonRestarted(NamedTuple):
    """Its attempts go on: the supervisor holds them."""

    node: NodeNumber
    run: int


class Rebooted(NamedTuple):
    """Another boot is in force now; nothing runs of the one before."""

    node: NodeNumber
    before: BootId
    after: BootId


class CopiedHome(NamedTuple):
    """Two live machines have one identity. The first one is served; the other must get its own."""

    node: NodeNumber
    served: BootId
    other: BootId


Event = StateChanged | Announced | DaemonRestarted | Rebooted | CopiedHome


# -- what is known -----------------------------------------------------------------------------------------------------


class _Rival:
    """A boot that is not in force, and how often both were heard since it came."""

    def __init__(self, boot: BootId) -> None:
        self.boot = boot
        self.heard_ms = 0
        self.order = (0, 0)
        self.beats = 0
        self.served_beats = 0
        self.told = False

    def hear(self, beat: Beat, now: int) -> None:
        if beat.id.order > self.order:
            self.order, self.heard_ms = beat.id.order, now
            self.beats += 1

    def is_there(self, now: int) -> bool:
        return now < self.heard_ms + SILENT_MS

    def alarm(self, node: NodeNumber, served: BootId) -> list[Event]:
        """Once, when it is proven."""
        if self.told or min(self.beats, self.served_beats) < PROOF_BEATS:
            return []
        self.told = True
        return [CopiedHome(node, served, self.boot)]


class _Machine:
    def __init__(self, now: int) -> None:
        self.state: NodeState | None = None
        self.beat: Beat | None = None
        self.heard_ms = now
        self.rival: _Rival | None = None


class Membership:
    """Filled with the admitted machines; each method that may change something gives back what it changed."""

    def __init__(self, now_ms: int) -> None:
        self._clock = Listening(now_ms)
        self._machines: dict[NodeNumber, _Machine] = {}

    # -- asked by the driver -------------------------------------------------------------------------------------------

    def state(self, node: NodeNumber) -> NodeState | None:
        machine = self._machines.get(node)
        return machine.state if machine is not None else None

    def last(self, node: NodeNumber) -> Beat | None:
        """The newest beat of the boot in force."""
        machine = self._machines.get(node)
        return machine.beat if machine is not None else None

    def age_ms(self, node: NodeNumber, now_ms: int) -> int | None:
        """How long ago that was."""
        machine = self._machines.get(node)
        return self._clock.at(now_ms) - machine.heard_ms if machine is not None and machine.beat is not None else None

    # -- what comes in -------------------------------------------------------------------------------------------------

    def admit(self, node: NodeNumber, now_ms: int) -> None:
        self._machines.setdefault(node, _Machine(self._clock.at(now_ms)))

    def forget(self, node: NodeNumber) -> None:
        """It is no member any more."""
        self._machines.pop(node, None)

    def hear(self, node: NodeNumber, beat: Beat, now_ms: int) -> list[Event]:
        now = self._clock.at(now_ms)
        machine = self._machines.get(node)
        if machine is None:
            return []
        before = machine.beat
        if before is not None and before.id.boot != beat.id.boot:
            if not before.leaves_nothing and now < machine.heard_ms + GIVE_AWAY_MS:
                return _hear_rival(node, machine, before.id.boot, beat, now)
        elif before is not None and beat.id.order <= before.id.order:
            return []
        machine.beat, machine.heard_ms = beat, now
        return [*_news(node, machine, before, beat, now), *self._judge(node, machine, now)]

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> list[Event]:
        now = self._clock.at(now_ms)
        return [event for node, machine in self._machines.items() for event in self._judge(node, machine, now)]

    def _judge(self, node: NodeNumber, machine: _Machine, now: int) -> list[Event]:
        state = _state(machine, now)
        if state is machine.state:
            return []
        before, machine.state = machine.state, state
        return [StateChanged(node, before, state)]


def _news(node: NodeNumber, machine: _Machine, before: Beat | None, beat: Beat, now: int) -> list[Event]:
    """What a beat of the boot in force says that the one before did not."""
    events: list[Event] = []
    if before is not None and before.id.boot != beat.id.boot:
        machine.rival = None
        events.append(Rebooted(node, before.id.boot, beat.id.boot))
    elif before is not None and before.id.run != beat.id.run:
        events.append(DaemonRestarted(node, beat.id.run))
    if beat.going is not Going.STAYING and (before is None or before.going is not beat.going):
        events.append(Announced(node, beat.going))
    rival = machine.rival
    if rival is not None and rival.is_there(now):
        rival.served_beats += 1
        events += rival.alarm(node, beat.id.boot)
    return events


def _hear_rival(node: NodeNumber, machine: _Machine, served: BootId, beat: Beat, now: int) -> list[Event]:
    rival = machine.rival
    if rival is None or not rival.is_there(now):
        rival = machine.rival = _Rival(beat.id.boot)
    if rival.boot == beat.id.boot:
        rival.hear(beat, now)
    return rival.alarm(node, served)


def _state(machine: _Machine, now: int) -> NodeState:
    beat, silent_ms = machine.beat, now - machine.heard_ms
    if beat is not None and beat.going.away:
        return NodeState.ASLEEP if beat.going is Going.SLEEP else NodeState.GONE
    if silent_ms >= GONE_MS:
        return NodeState.GONE
    return NodeState.SILENT if beat is None or silent_ms >= SILENT_MS else NodeState.UP
