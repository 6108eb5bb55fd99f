"""One replica of the log: drives the consensus core with ticks, messages and a disk, and hands on what is agreed.

It is made of callbacks, so the same code runs on real time with a store thread and on virtual time in the simulator.
All that waits is here: proposals for their entry, reads for a round of heartbeats, everything for the disk.

Promises: an entry takes effect (is applied, answered) once, in order, when it is committed; every proposal gets exactly
one outcome, and `Unknown` means what it says; a write is on disk before what depends on it is sent.
Never: waits for the disk while a tick or a message is there to be handled, or knows what a command means.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol

from odyssey import wire
from odyssey.clock import Clock, Entropy
from odyssey.commands import URGENT, Command, Entry, SubmitJobs
from odyssey.errors import NotUnderstood, WireError
from odyssey.ids import NodeId
from odyssey.mesh.letters import (
    NO_ROOM,
    NOT_SURE,
    Accepted,
    Again,
    AskRead,
    Content,
    Forward,
    Forwarded,
    Letter,
    Logged,
    NoRoom,
    Outcome,
    ReadAt,
    Scope,
    Unknown,
    entry_of,
)
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import (
    AnyMessage,
    AppendReply,
    Busy,
    Config,
    HeartbeatReply,
    LogEntry,
    Member,
    Message,
    NotLeader,
    Snapshot,
    Write,
)

TICK_MS: Final = 100
REST_MS: Final = 500  # between two ticks, where nobody waits for time
FORWARD_MS: Final = 5_000  # after that nobody knows
READ_MS: Final = 2_000
BUSY_MS: Final = 50
SLOW_WRITE_MS: Final = 1_000  # a leader whose disk is that slow hands over to a faster voter
HAND_OVER_EVERY_MS: Final = 10 * 60_000
_ANSWERS: Final = (AppendReply, HeartbeatReply)
_LATE_MS: Final = 1_000  # boot time went on that much while we did not: the machine slept


# -- ports -------------------------------------------------------------------------------------------------------------


class Machine(Protocol):
    """What the log is applied to."""

    def apply(self, entries: Sequence[Entry]) -> Mapping[int, object]:
        """Answers by index."""

    def load(self, slices: Iterable[bytes]) -> None: ...


class Disk(Protocol):
    """The store, from the side of somebody who must not wait."""

    def write(self, write: Write, done: Callable[[], None]) -> None: ...

    def fetch(self, snapshot: Snapshot, source: Member, done: Callable[[Iterable[bytes] | None], None]) -> None:
        """Get the bytes of a snapshot over the bulk lane and keep them, so that a write may install them. None: it
        broke off; what has come is kept for the next try."""


class Post(Protocol):
    def send(self, to: NodeId, letter: Letter) -> None: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    term: int
    done: Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class _Asked:
    deadline_ms: int
    done: Callable[[Outcome], None]


@dataclass(frozen=True, slots=True)
class _Read:
    deadline_ms: int
    done: Callable[[int | None], None]


@dataclass(frozen=True, slots=True)
class _Proof:
    """Once a quorum has answered the round, this replica led when `index` was the newest that was committed."""

    term: int
    round: int
    index: int
    done: Callable[[int], None]


_NO_INDEX: Final[dict[int, Outcome]] = {0: Again(BUSY_MS), NO_ROOM: NoRoom()}


def _told(outcome: Outcome) -> int:
    """What goes back to who forwarded it."""
    match outcome:
        case Accepted(index=index):
            return index
        case Again():
            return 0
        case NoRoom():
            return NO_ROOM
        case Unknown():
            return NOT_SURE


class Replica:
    """Call `start` once; then everything happens through `receive`, the timers, and the disk's `done`."""

    def __init__(
        self,
        scope: Scope,
        core: Core,
        machine: Machine,
        disk: Disk,
        post: Post,
        timers: Timers,
        clock: Clock,
        entropy: Entropy,
        look: Callable[[], None] = lambda: None,
        prepare: Callable[[Command, Callable[[], None]], None] = lambda _, go_on: go_on(),
        number_at: Callable[[int], int] | None = None,
        ticked: Callable[[int], bool] = lambda _: False,
        vouched: Callable[[Command], bool] = lambda _: True,
    ) -> None:
        """`look` is called whenever something may have changed: who leads, what is applied, who has answered.
        `prepare` is told what is to go onto the log here; it goes there when that calls back. `number_at` tells in
        which generation an entry was written; without it all are of this one. `ticked` is called after each tick
        with what `monotonic_ms` said, so that one timer is enough for a daemon, and one look at the clock. It answers
        whether ticks may be rare until something comes in here: each costs an idle machine its sleep. `vouched` says
        whether what another machine has forwarded may go onto the log."""
        self._vouched = vouched
        self.scope, self.core, self._look, self._prepare = scope, core, look, prepare
        self._number_at, self._ticked = number_at or (lambda _: scope.generation), ticked
        self.told_ms = clock.monotonic_ms()  # while it does not lead: when who leads last spoke
        self.heard_ms: dict[Member, int] = {}  # while this replica leads: when who last answered it
        self.applied = core.log.snapshot.index
        self.low = False  # the disk is nearly full: no jobs are taken in, and somebody else should lead
        self.stopped: NotUnderstood | None = None  # an entry of a newer version: this replica stands down
        self._machine, self._disk, self._post, self._timers, self._clock = machine, disk, post, timers, clock
        self._leader: Member | None = None
        self._waiting: dict[int, _Waiting] = {}  # own proposals by index
        self._asked: dict[int, _Asked] = {}  # forwarded ones by request
        self._arrived: list[tuple[int, int]] = []  # (index, request) of forwarded ones that are applied at the leader
        self._taken_in: dict[tuple[Member, int], int] = {}  # forwards, and when
        self._requests = entropy.bits(62)  # answers to what this machine asked before a restart are not for these
        self._reads: dict[int, _Read] = {}  # by request
        self._proofs: list[_Proof] = []
        self._later: list[tuple[int, Callable[[], None]]] = []  # to be called when applied that far
        self._fetching: bytes | None = None
        self._running = self._pumping = self._again = self._rests = False
        self._tick_number = 0
        self._asleep_ms = 0
        self._writing_since_ms: int | None = None
        self._handed_over_ms = -HAND_OVER_EVERY_MS

    @property
    def me(self) -> Member:
        return self.core.me

    def start(self) -> None:
        self._running = True
        self._asleep_ms = self._clock.boottime_ms() - self._clock.monotonic_ms()
        self._next_tick(TICK_MS)
        self._pump()

    def hurry(self) -> None:
        """Where nobody else votes, nobody has to be waited for: it leads without a first tick."""
        if self.core.config.voters == (self.me,):
            self.core.tick()
            self._pump()

    def stop(self) -> None:
        """No more ticks, nothing is sent or answered any more."""
        self._running = False

    def give_up(self) -> None:
        """The disk has failed, so this replica has no part in the log any more. Who waits is told that nobody knows."""
        self.stop()
        self._tell_unknown()

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _next_tick(self, after_ms: int) -> None:
        self._tick_number += 1
        number = self._tick_number
        self._timers.call_later(after_ms / 1000, lambda: self._tick(number))

    def _rouse(self) -> None:
        """There is something to do, so time counts again."""
        if self._rests:
            self._rests = False
            self._next_tick(TICK_MS)

    def _tick(self, number: int) -> None:
        if not self._running or number != self._tick_number:  # another one takes its place
            return
        self._rests = False
        now = self._clock.monotonic_ms()
        self._notice_sleep(self._clock.boottime_ms() - now)
        if self.stopped is None:
            self.core.tick()
        if self._asked or self._reads:
            self._end_what_is_late(now)
        if self._taken_in:
            self._forget_forwards(now)
        self._hand_over_if_unfit(now)
        self._pump()
        self._rests = self._ticked(now) and not (self._waiting or self._asked or self._reads)
        self._next_tick(REST_MS if self._rests else TICK_MS)

    def _end_what_is_late(self, now: int) -> None:
        for request in [request for request, asked in self._asked.items() if asked.deadline_ms <= now]:
            if (asked := self._asked.pop(request, None)) is not None:  # who is told may ask anew, and all may change
                asked.done(Unknown())
        for request in [request for request, read in self._reads.items() if read.deadline_ms <= now]:
            self._answer_read(request, None)

    def _hand_over_if_unfit(self, now: int) -> None:
        """The disk is slow, or nearly full."""
        since = self._writing_since_ms
        slow = since is not None and now - since > SLOW_WRITE_MS
        if (slow or self.low) and now - self._handed_over_ms >= HAND_OVER_EVERY_MS and self._transfer(now):
            self._handed_over_ms = now

    def hand_over(self) -> bool:
        """To the keeper that has most of the log, of those that answer. False: there is none, or no lead."""
        has_begun = self._running and self._transfer(self._clock.monotonic_ms())
        self._pump()
        return has_begun

    def _transfer(self, now: int) -> bool:
        if not self.core.leads_safely or self.core.transferring is not None:
            return False
        heirs = [one for one in self.core.config.voters if now - self.heard_ms.get(one, -SLOW_WRITE_MS) < SLOW_WRITE_MS]
        if not heirs:
            return False
        self.core.transfer(max(heirs, key=lambda one: (self.core.peers[one].match, one)))
        return True

    def _notice_sleep(self, asleep_ms: int) -> None:
        if asleep_ms - self._asleep_ms > _LATE_MS:
            self.core.step_down()
        self._asleep_ms = asleep_ms

    def receive(self, letter: Letter) -> None:
        if not self._running or letter.scope != self.scope or letter.store != self.me.store:
            return
        self._rouse()
        match letter.content:
            case Message() as message:  # by far the most
                self._step(message)
            case Forward(sender, request, data):
                self._on_forward(sender, request, data)
            case Forwarded(_, request, index):
                self._on_forwarded(request, index)
            case AskRead(sender, request):
                self._on_ask_read(sender, request)
            case ReadAt(_, request, index):
                self._when_applied(index, lambda: self._answer_read(request, index))
            case _:
                return  # not for the log
        self._pump()

    def _step(self, message: AnyMessage) -> None:
        if self.stopped is not None:
            return  # what would be answered never leaves, and would only pile up
        try:
            self.core.step(message)
        except NotUnderstood as newer:  # members in a form of a newer version: the log is as it was
            self._stand_down(newer)
        if isinstance(message, _ANSWERS) and message.term == self.core.term:
            self.heard_ms[message.sender] = self._clock.monotonic_ms()
        elif message.sender == self.core.leader:
            self.told_ms = self._clock.monotonic_ms()

    # -- proposals -----------------------------------------------------------------------------------------------------

    def propose(self, command: Command, done: Callable[[Outcome], None]) -> None:
        """Here if this replica leads, else through the leader. Orders of a coordinator are never forwarded."""
        self._rouse()
        if not self._running:
            done(Again(BUSY_MS))
        elif self.core.is_leader and self.low and isinstance(command, SubmitJobs):
            done(NoRoom())
        elif self.core.is_leader:
            self._propose_prepared(command, self._logged(command), done, isinstance(command, URGENT))
        elif self.core.leader is None or hasattr(command, "fence"):
            done(Again(BUSY_MS))
        else:
            self._requests += 1
            self._asked[self._requests] = _Asked(self._clock.monotonic_ms() + FORWARD_MS, done)
            self._send(self.core.leader, Forward(self.me, self._requests, self._logged(command)))
            self._pump()

    def _logged(self, command: Command) -> bytes:
        return wire.encode_log(Logged(self._clock.wall_ms(), command))  # type: ignore[arg-type]

    def ask_round(self) -> None:
        """Prove now that this replica leads, instead of with the next heartbeat; unless that is under way."""
        if self.core.is_leader and self.core.confirmed_round + 1 == self.core.next_round:
            self.core.confirm()
            self._pump()

    def propose_config(self, config: Config) -> int:
        index = self.core.propose_config(config)
        self._pump()
        return index

    def _propose_prepared(
        self, command: Command, data: bytes, done: Callable[[Outcome], None], urgent: bool = False
    ) -> None:
        def go_on() -> None:
            self._propose_here(data, done, urgent)
            self._pump()

        self._prepare(command, go_on)

    def _propose_here(self, data: bytes, done: Callable[[Outcome], None], urgent: bool = False) -> None:
        try:
            index = self.core.propose(data, urgent)
        except (Busy, NotLeader):
            done(Again(BUSY_MS))
            return
        self._waiting[index] = _Waiting(self.core.term, done)

    def _on_forward(self, sender: Member, request: int, data: bytes) -> None:
        """A copy of what was taken in is for nobody: the first one gets the answer, and it may not be the same."""

        def answer(outcome: Outcome) -> None:
            self._send(sender, Forwarded(self.me, request, _told(outcome)))

        try:
            command = wire.decode_log(data, Logged).command
        except WireError:
            return  # nobody else could read it on the log either
        if hasattr(command, "fence"):
            return
        if (sender, request) in self._taken_in:
            return
        if not self.core.is_leader:
            answer(Unknown())
            return
        if not self._vouched(command):
            answer(Again(BUSY_MS))
            return
        self._taken_in[sender, request] = self._clock.monotonic_ms()
        if self.low and isinstance(command, SubmitJobs):
            answer(NoRoom())
        else:
            self._propose_prepared(command, data, answer)

    def _forget_forwards(self, now: int) -> None:
        """Nobody waits for the answer to these any more."""
        for known in list(takewhile(lambda one: self._taken_in[one] < now - 2 * FORWARD_MS, self._taken_in)):
            del self._taken_in[known]

    def _on_forwarded(self, request: int, index: int) -> None:
        asked = self._asked.get(request)
        if asked is None:
            return
        if index <= 0:
            self._asked.pop(request).done(_NO_INDEX.get(index, Unknown()))
        elif index <= self.applied:
            self._asked.pop(request).done(Accepted(index, None))
        else:
            self._arrived.append((index, request))

    # -- reads ---------------------------------------------------------------------------------------------------------

    def read(self, done: Callable[[int | None], None]) -> None:
        """Calls back when everything is applied here that was committed anywhere when this was asked; with None when
        nobody could prove that in READ_MS."""
        if not self._running:
            done(None)
            return
        self._requests += 1
        request = self._requests
        self._reads[request] = _Read(self._clock.monotonic_ms() + READ_MS, done)
        if self.core.leads_safely:
            self._prove(lambda index: self._when_applied(index, lambda: self._answer_read(request, index)))
        elif self.core.leader is not None and self.core.leader != self.me:
            self._send(self.core.leader, AskRead(self.me, request))
        self._pump()

    def _on_ask_read(self, sender: Member, request: int) -> None:
        if self.core.leads_safely:
            self._prove(lambda index: self._send(sender, ReadAt(self.me, request, index)))

    def _prove(self, done: Callable[[int], None]) -> None:
        self._proofs.append(_Proof(self.core.term, self.core.confirm(), self.core.log.commit, done))

    def _answer_read(self, request: int, index: int | None) -> None:
        read = self._reads.pop(request, None)
        if read is not None:
            read.done(index)

    def _pass_proofs(self) -> None:
        term = self.core.term if self.core.is_leader else -1  # what another term proves says nothing about this one
        confirmed = self.core.confirmed_round
        proofs = [proof for proof in self._proofs if proof.term == term]
        self._proofs = [proof for proof in proofs if proof.round > confirmed]
        ready = [proof for proof in proofs if proof.round <= confirmed]
        for proof in ready:
            proof.done(proof.index)

    def _when_applied(self, index: int, call: Callable[[], None]) -> None:
        if index <= self.applied:
            call()
        else:
            self._later.append((index, call))

    # -- what is to be done --------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Also called from within, by who is told an outcome: then the outer one goes on with what came."""
        if self._pumping:
            self._again = True
            return
        self._pumping = self._again = True
        try:
            while self._again:
                self._again = False
                self._carry_out()
                self._look()
        finally:
            self._pumping = False

    def _carry_out(self) -> None:
        while self._running and self.stopped is None:
            ready = self.core.ready()
            if ready.write is not None:
                self._write(ready.write)
            for outgoing in ready.messages:
                self._send(outgoing.to, outgoing.message)
            if ready.fetch is not None and ready.fetch.digest != self._fetching and self.core.leader is not None:
                self._fetch(ready.fetch, self.core.leader)
            self._leader_changed()
            if ready.committed:
                self._apply(ready.committed)
            if self._proofs:
                self._pass_proofs()
            if not ready.committed:
                return

    def _write(self, write: Write) -> None:
        def done() -> None:
            if self._running:
                self._writing_since_ms = None
                self.core.written(write.number)
                self._pump()

        self._writing_since_ms = self._clock.monotonic_ms()
        self._disk.write(write, done)

    def _fetch(self, snapshot: Snapshot, source: Member) -> None:
        def done(slices: Iterable[bytes] | None) -> None:
            self._fetching = None  # if it is still wanted, the next tick asks again, whoever leads then
            if slices is not None and self._running and self.core.install(snapshot):
                self._load(snapshot, slices)
                self._pump()

        self._fetching = snapshot.digest
        self._disk.fetch(snapshot, source, done)

    def _load(self, snapshot: Snapshot, slices: Iterable[bytes]) -> None:
        try:
            self._machine.load(slices)
        except NotUnderstood as newer:  # nothing of it is written: the disk stays as it is
            self._stand_down(newer)
            return
        self.applied = snapshot.index
        self._deliver({})

    def _send(self, to: Member, content: Content) -> None:
        if self._running:
            self._post.send(to.node, Letter(self.scope, content, to.store))

    def _leader_changed(self) -> None:
        """Whoever waits for an old leader's word will not hear it."""
        core = self.core
        if core.leader == self._leader and (core.is_leader or not self._waiting):
            return
        self._leader = core.leader
        self.heard_ms.clear()
        self._tell_unknown()

    def _tell_unknown(self) -> None:
        lost = [one.done for one in self._waiting.values()] + [one.done for one in self._asked.values()]
        self._waiting.clear()
        self._asked.clear()
        self._arrived.clear()
        for request in list(self._reads):
            self._answer_read(request, None)
        for done in lost:
            done(Unknown())

    def _apply(self, committed: Sequence[LogEntry]) -> None:
        try:
            entries = [entry_of(one, self._number_at(one.index)) for one in committed]
        except NotUnderstood as newer:
            self._stand_down(newer)
            return
        answers = self._machine.apply(entries)
        self.applied = committed[-1].index
        for one in committed:
            waiting = self._waiting.pop(one.index, None)
            if waiting is not None:
                ours = waiting.term == one.term
                waiting.done(Accepted(one.index, answers.get(one.index)) if ours else Unknown())
        self._deliver(answers)

    def _stand_down(self, newer: NotUnderstood) -> None:
        """Nothing is applied any more, so whoever waits for that is told."""
        self.stopped = newer
        self.core.step_down()
        self._leader_changed()

    def _deliver(self, answers: Mapping[int, object]) -> None:
        if self._arrived:
            self._tell_arrived(answers)
        if self._later:
            self._call_later_ones()

    def _tell_arrived(self, answers: Mapping[int, object]) -> None:
        for index, request in [known for known in self._arrived if known[0] <= self.applied]:
            self._arrived.remove((index, request))
            if (asked := self._asked.pop(request, None)) is not None:
                asked.done(Accepted(index, answers.get(index)))

    def _call_later_ones(self) -> None:
        due = [call for index, call in self._later if index <= self.applied]
        self._later = [known for known in self._later if known[0] > self.applied]
        for call in due:
            call()
