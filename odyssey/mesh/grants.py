"""The coordinator's side of the lease: which Duties may leave, and which attempts may be given to others.

One object per term. It remembers, per machine, which boot is served, which beat may be quoted, and when the last beat
that a Duty quoted came in; `lease` tells why that is enough for a task never to run twice at once.

A machine has one boot in force. Another boot of it gets nothing until the one in force has been silent for GIVE_AWAY_MS
or has said that it goes: an identity that was copied to a second machine looks just like a reboot. From then on new
attempts are for the new boot, and those given before are lost. `since` draws the line: the first attempt id that can
only be this boot's. Each Duty tells it, and the machine tells it to the next coordinator, who would otherwise not know
whether an attempt that nobody holds was started by a boot before.

The causes of a loss, for the poison limit: DOWN counts against the task. What says nothing about it does not: MASS
(another machine fell silent within MASS_MS: a fuse, a switch), CUT (another member still hears it), LEFT (it said so
or was removed), REBOOT (it is back and holds the attempt no more).

Work that has run for long is waited for: PATIENCE_PERCENT of its run time, at most PATIENCE_MOST_MS, unless its job
says otherwise; after the announcement of a daemon's restart PATIENCE_MOST_MS. Patience is policy: it is only ever
added to what safety asks.

A machine that is heard and does not hear (a cut in one direction) would keep its attempts for ever, frozen: each beat
is answered, no answer arrives. Its beats tell it: they name the newest Duty it goes by. When that has not been one of
this coordinator's newest for DEAF_MS, Duties that list anything are held back, and what it holds moves like the work of
one that is silent, as CUT.

Times are monotonic milliseconds of this machine. A moment is read after the beat came in, and after the election was
won. Time that this process itself slept through counts for nothing, so nobody is given up for its sake.

Promises: what `give_away` has returned is never listed again by this coordinator, however the proposal fares in the
log.
Never: answers a beat before an entry of its own term is applied and a quorum was heard after the beat came in.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from odyssey.commands import Fence, Held
from odyssey.ids import AttemptId, NodeNumber, TaskId, attempt_id
from odyssey.mesh.lease import GIVE_AWAY_MS, LEASE_MS
from odyssey.mesh.membership import GONE_MS, Listening
from odyssey.messages import Beat, BeatId, Duty, Going, Listed
from odyssey.model import Cause

PATIENCE_PERCENT: Final = 10
PATIENCE_MOST_MS: Final = 5 * 60_000
RECOVERED_MS: Final = 10_000  # after `mesh recover`: members still find their new coordinator
MASS_MS: Final = 30_000
DEAF_MS: Final = 15_000  # Duties do not get through: two leases
MOST_PENDING: Final = 8  # beats of a machine, one for each round of heartbeats, that wait for a quorum


class Work(NamedTuple):
    """A current attempt, as the log knows it."""

    attempt: AttemptId
    task: TaskId
    patience_ms: int = -1  # what its job says; -1: nothing


class _Quotable(NamedTuple):
    round: int  # once a quorum has answered it, leadership after the beat is proven
    beat: BeatId
    received_ms: int


class _Machine:
    """What is known of one machine: its boot in force, and what that last said."""

    def __init__(self, beat: Beat, since: AttemptId, now: int) -> None:
        self.boot = beat.id.boot
        self.order = (0, 0)
        self.since = since  # 0: not known yet
        self.heard_ms = now
        self.answered_ms = now  # when the newest beat that was answered came in; the first counts as answered
        self.pending: deque[_Quotable] = deque()
        self.quotable: _Quotable | None = None
        self.revision = 0  # of the newest Duty of this coordinator that it goes by
        self.owing_ms: int | None = None  # since then Duties were sent, and it goes by none of them
        self.going = Going.STAYING
        self.leaves_nothing = False
        self.held: dict[AttemptId, int] = {}  # with how long it has run
        self.sorted = False  # what is not this boot's has been found

    def take(self, beat: Beat, fence: Fence, round_: int, now: int) -> None:
        if beat.fence == fence and beat.revision > self.revision:
            self.revision, self.owing_ms = beat.revision, None
        self.order, self.heard_ms, self.going = beat.id.order, now, beat.going
        self.leaves_nothing = beat.leaves_nothing
        self.held = {one.attempt: one.elapsed_ms for one in beat.holds if not (one.ended and beat.going.away)}
        if beat.going.away:
            self.pending.clear()
            self.quotable = None
        else:
            self._await(_Quotable(round_, beat.id, now))

    def _await(self, new: _Quotable) -> None:
        """The oldest is the next to be proven, so it stays, however fast beats come and however slow answers are."""
        if self.pending and (self.pending[-1].round == new.round or len(self.pending) == MOST_PENDING):
            self.pending.pop()
        self.pending.append(new)

    def confirm(self, round_: int) -> None:
        while self.pending and self.pending[0].round <= round_:
            self.quotable = self.pending.popleft()

    @property
    def is_deaf(self) -> bool:
        return self.owing_ms is not None and self.heard_ms >= self.owing_ms + DEAF_MS

    def owns(self, attempt: AttemptId) -> bool:
        """Whether no boot before can have been given it."""
        return attempt >= self.since or attempt in self.held

    def is_free(self, now: int) -> bool:
        """Whether another boot may take its place."""
        return self.leaves_nothing or now >= self.heard_ms + GIVE_AWAY_MS


class Grants:
    """`start` is the index of this coordinator's first entry, `elected_ms` a moment after it was elected."""

    def __init__(self, fence: Fence, start: int, elected_ms: int, recovered: bool = False) -> None:
        self.fence = fence
        # Who says that there is a newer coordinator, and the round that shows it: a quorum that answers that one has
        # elected none until then. Who was wrong is not believed again in this term.
        self._doubts: dict[NodeNumber, int] = {}
        self._disproved: set[NodeNumber] = set()
        self._start, self._applied = start, 0
        self._first = attempt_id(fence.generation, start, 0)  # attempts below were given by earlier coordinators
        self._clock = Listening(elected_ms)
        self._elected_ms = elected_ms
        self._recovered = recovered
        self._settled_ms = elected_ms + (RECOVERED_MS if recovered else GIVE_AWAY_MS)  # earlier leases are over
        self._revision = 0
        self._round = 0
        self._machines: dict[NodeNumber, _Machine] = {}
        self._missing: set[NodeNumber] = set()  # hold attempts, but were never heard by this coordinator
        self._removed: set[NodeNumber] = set()
        self._proposed: dict[NodeNumber, set[AttemptId]] = {}
        self._dead: dict[NodeNumber, set[AttemptId]] = {}

    # -- what comes in -------------------------------------------------------------------------------------------------

    def applied(self, index: int) -> None:
        """The state holds all entries up to this one."""
        was_ready = self.ready
        self._applied = max(self._applied, index)
        if self.ready and not was_ready:
            for machine in self._machines.values():
                self._know_since(machine)

    def confirmed(self, round_: int) -> None:
        """A quorum has answered this heartbeat round."""
        self._round = max(self._round, round_)
        if self._doubts:
            wrong = [node for node, asked in self._doubts.items() if asked <= self._round]
            self._disproved.update(wrong)
            for node in wrong:
                del self._doubts[node]

    def dead(self, node: NodeNumber, attempts: Iterable[AttemptId]) -> None:
        """A witness has waited for the end of these."""
        self._dead.setdefault(node, set()).update(attempts)

    def removed(self, node: NodeNumber) -> None:
        """It is no member any more: it is not answered, and its attempts move when its lease is over."""
        self._removed.add(node)

    def beat(self, node: NodeNumber, beat: Beat, round_: int, now_ms: int) -> bool:
        """A beat came in, and heartbeat round `round_` is the next to be sent. False: it is old, or of a boot that is
        not in force."""
        now = self._clock.at(now_ms)
        if beat.fence > self.fence and node not in self._disproved:
            self._doubts.setdefault(node, round_)
        machine = self._machines.get(node)
        if machine is None:
            machine = self._serve(node, beat, beat.since, now)
        elif beat.id.boot != machine.boot:
            if not machine.is_free(now):
                return False
            machine = self._serve(node, beat, AttemptId(0), now)
        elif beat.id.order <= machine.order:
            return False
        machine.take(beat, self.fence, round_, now)
        self._know_since(machine)
        return True

    def _serve(self, node: NodeNumber, beat: Beat, since: AttemptId, now: int) -> _Machine:
        self._missing.discard(node)
        machine = self._machines[node] = _Machine(beat, since, now)
        return machine

    def _know_since(self, machine: _Machine) -> None:
        """Whatever is assigned from now on is for this boot."""
        if not machine.since and self.ready:
            machine.since = attempt_id(self.fence.generation, self._applied + 1, 0)

    # -- Duties --------------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Knows all that earlier coordinators did."""
        return self._applied >= self._start and not self._doubts

    def duty(self, node: NodeNumber, current: Sequence[Listed], now_ms: int) -> Duty | None:
        """A machine's Duty, given all its current attempts; None while none may leave. It may be sent late: its lease
        counts from the beat it quotes. Several may quote the same beat."""
        now = self._clock.at(now_ms)
        machine = self._machines.get(node)
        if machine is None or not self.ready or node in self._removed:
            return None
        machine.confirm(self._round)
        self._know_since(machine)
        quoted = machine.quotable
        if quoted is None or now >= quoted.received_ms + LEASE_MS:
            return None
        if current and machine.is_deaf:
            return None
        machine.answered_ms = quoted.received_ms
        if machine.owing_ms is None:
            machine.owing_ms = now
        self._revision += 1
        gone = self._gone(node, current)
        holds = tuple(one for one in current if one.attempt not in gone and machine.owns(one.attempt))
        return Duty(quoted.beat, self.fence, self._revision, machine.since, holds)

    def waits(self, node: NodeNumber) -> bool:
        """It has been heard, and no beat of it can be quoted yet."""
        machine = self._machines.get(node)
        return machine is not None and machine.quotable is None and bool(machine.pending)

    def is_deaf(self, node: NodeNumber) -> bool:
        """It is heard, but Duties have not reached it for long."""
        machine = self._machines.get(node)
        return machine is not None and machine.is_deaf

    def _gone(self, node: NodeNumber, current: Sequence[Listed]) -> set[AttemptId]:
        """What is dead or proposed as lost. What is current no more never will be again, and is forgotten."""
        gone: set[AttemptId] = set()
        for attempts in (self._proposed.get(node), self._dead.get(node)):
            if attempts:
                attempts.intersection_update([one.attempt for one in current])
                gone |= attempts
        return gone

    def may_give(self, now_ms: int) -> bool:
        """Whether anything may be given to anybody: not while what another generation gave may still run."""
        return not self._recovered or self._clock.at(now_ms) >= self._settled_ms

    # -- losses --------------------------------------------------------------------------------------------------------

    def give_away(
        self, node: NodeNumber, current: Iterable[Work], now_ms: int, cut: Collection[NodeNumber] = ()
    ) -> dict[Cause, list[Held]]:
        """Those of a machine's current attempts that may go to others now: propose exactly these as lost. `cut` are
        machines that another member still hears. Costs nothing while the machine is well; to be asked every second."""
        now = self._clock.at(now_ms)
        machine = self._machines.get(node)
        if machine is None:
            self._missing.add(node)
        if not self.ready or (self._recovered and now < self._settled_ms) or self._is_well(node, machine, now):
            return {}
        proposed = self._proposed.setdefault(node, set())
        found: dict[Cause, list[Held]] = {}
        for work in current:
            cause = None if work.attempt in proposed else self._lost(node, machine, work, now)
            if cause is not None:
                found.setdefault(cause, []).append((work.attempt, work.task))
                proposed.add(work.attempt)
        if machine is not None:
            machine.sorted = now >= self._settled_ms
        if Cause.DOWN in found:
            found[self._excuse(node, now, cut)] = found.pop(Cause.DOWN)
        return found

    def withdraw(self, node: NodeNumber, attempts: Iterable[AttemptId]) -> None:
        """The log did not take the proposal of their loss: they are what they were before."""
        self._proposed.get(node, set()).difference_update(attempts)

    def _is_well(self, node: NodeNumber, machine: _Machine | None, now: int) -> bool:
        if machine is None or node in self._removed or self._dead.get(node):
            return False
        silent = machine.is_deaf or now >= machine.heard_ms + GONE_MS
        return machine.sorted and not machine.going.away and not silent

    def _lost(self, node: NodeNumber, machine: _Machine | None, work: Work, now: int) -> Cause | None:
        attempt = work.attempt
        if attempt in self._dead.get(node, ()):
            return Cause.DOWN
        if now < self._settled_ms and (machine is None or attempt < self._first):
            return None
        if machine is not None and not machine.owns(attempt):
            return Cause.REBOOT
        if machine is not None and machine.going.away and attempt not in machine.held:
            return Cause.LEFT
        if node in self._removed:
            return Cause.LEFT if machine is None or now >= machine.answered_ms + GIVE_AWAY_MS else None
        return Cause.DOWN if self._is_due(machine, work, now) else None

    def _is_due(self, machine: _Machine | None, work: Work, now: int) -> bool:
        if machine is None:
            return now >= self._settled_ms + max(0, work.patience_ms)
        silent = machine.is_deaf or now >= machine.heard_ms + GONE_MS
        return silent and now >= machine.answered_ms + GIVE_AWAY_MS + patience_ms(
            machine.held.get(work.attempt, 0), work.patience_ms, machine.going is Going.RESTART
        )

    def _excuse(self, node: NodeNumber, now: int, cut: Collection[NodeNumber]) -> Cause:
        """Why a machine fell silent, as far as that can be known from here."""
        if node in cut or (node in self._machines and self._machines[node].is_deaf):
            return Cause.CUT
        heard = {number: one.heard_ms for number, one in self._machines.items() if not one.going.away}
        heard |= dict.fromkeys(self._missing, self._elected_ms)
        mine = heard.pop(node, self._elected_ms)
        for number, other in heard.items():
            if number not in self._removed and now >= other + GONE_MS and abs(other - mine) <= MASS_MS:
                return Cause.MASS
        return Cause.DOWN


def patience_ms(run_ms: int, asked_ms: int = -1, restarting: bool = False) -> int:
    """How much longer than necessary an attempt is waited for."""
    if asked_ms >= 0:
        return asked_ms
    if restarting:
        return PATIENCE_MOST_MS
    return min(max(0, run_ms) * PATIENCE_PERCENT // 100, PATIENCE_MOST_MS)
