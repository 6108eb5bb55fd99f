"""Between generations of a mesh: tells others of this one, hears of theirs, recovers, and founds.

`generation` and `recover` decide; this asks and answers. Its letters pass whatever generation they come from. What
follows from them (a store that adopts another lineage, or is set aside, and a daemon that starts anew on it) is the
business of who owns the daemon: `move` tells them once, and this one says no more. They ask `at_rest` once the store
is.

Promises: moves only where `judge` says so, or on a signed charter that names this member, as long as nothing has
changed here since it was asked. Who recovers is told once: that it has begun, why not, or that nobody knows.
Never: recovers by itself. It takes a person's word that the old coordinator is off.
"""

import enum
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from odyssey.clock import Clock, Entropy
from odyssey.ids import NodeId
from odyssey.mesh.generation import Charter, Fork, Lineage, Sign, Stand, Verdict, Verify, is_signed, judge, signed
from odyssey.mesh.recover import (
    AnyMessage,
    AskStanding,
    CannotRecover,
    Found,
    Founds,
    Keeps,
    Line,
    Recovery,
    Standing,
    child,
    declined,
    end_of,
    moved,
    recovery,
    step_to_child,
    under_way,
    unknown,
    why_not,
)
from odyssey.mesh.replica import TICK_MS, Replica
from odyssey.mesh.roles import LIVE_MS
from odyssey.mesh.store import Store

ASKED_TIMES: Final = 6
ASK_EVERY_MS: Final = 500
TELL_AGAIN_MS: Final = 1_000
GOSSIP_MS: Final = 5_000


class Move(enum.Enum):
    FOUND = "adopt it, and write its first entry"
    FOLLOW = "adopt it"
    BEGIN_ANEW = "set the store aside and begin with an empty one of that generation"


def at_rest(move: Move, lineage: Lineage, store: Store) -> Move | None:
    """What it still comes to once nothing is under way to the store any more: what was, may have become durable, and
    then the log ends behind the fork. None: nothing."""
    end, ahead = end_of(store.load()), lineage.since(store.identity.lineage.tip)
    if move is Move.FOUND:
        return move if ahead and end == ahead[-1].fork else None
    if move is Move.FOLLOW and (ahead is None or any(end > charter.fork for charter in ahead)):
        return Move.BEGIN_ANEW
    return move


class Keys(NamedTuple):
    sign: Sign
    verify: Verify


class Post(Protocol):
    def say(self, node: NodeId, message: AnyMessage) -> None: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


Told = Callable[[Recovery | CannotRecover], None]


class _Bid(NamedTuple):
    """Another machine is asked to begin, and a person waits for what comes of it."""

    found: Recovery
    done: Told

    @property
    def charter(self) -> Charter:
        return self.found.charter


class Succession:
    def __init__(
        self,
        lineage: Lineage,
        replica: Replica,
        served: Callable[[], tuple[NodeId, int] | None],
        others: Callable[[], Sequence[NodeId]],
        post: Post,
        timers: Timers,
        clock: Clock,
        entropy: Entropy,
        keys: Keys,
        move: Callable[[Move, Lineage], None],
    ) -> None:
        """`served` is the coordinator whose Duty came last, and how many ms ago."""
        self.lineage, self._replica, self._served, self._post = lineage, replica, served, post
        self._others = others
        self._timers, self._clock, self._entropy, self._keys, self._move = timers, clock, entropy, keys, move
        self._told_ms: dict[NodeId, int] = {}
        self._gossip_ms = clock.monotonic_ms()
        self._answers: list[Standing] = []  # while a recovery is being asked for
        self._asks_for: Told | None = None
        self._is_sure = True
        self._bid: _Bid | None = None
        self._has_won = False  # against another generation of this number: a child is to be founded
        self._moved = False

    def _standing(self) -> Standing:
        core = self._replica.core
        log, config, hears = core.log, core.config, self._served()
        if core.leader is not None:
            hears = core.leader.node, core.silent_ticks * TICK_MS
        keeps = Keeps.VOTER if core.me in config.voters else Keeps.STANDBY if log.stable else Keeps.NOTHING
        end = Fork(log.term(log.stable) or 0, log.stable)
        return Standing(
            core.me, self.lineage, keeps, end, core.term, log.commit, config.voters, *(hears or (None, None))
        )

    # -- letters -------------------------------------------------------------------------------------------------------

    def meet(self, stranger: NodeId) -> None:
        """A letter came from another generation: whoever is behind should hear of the newer one."""
        now = self._clock.monotonic_ms()
        if not self._moved and now - self._told_ms.get(stranger, now - TELL_AGAIN_MS) >= TELL_AGAIN_MS:
            self._told_ms[stranger] = now
            self._post.say(stranger, Line(self.lineage))

    def receive(self, sender: NodeId, message: AnyMessage) -> None:
        if self._moved:
            return
        match message:
            case AskStanding():
                self._post.say(sender, self._standing())
            case Standing():
                if self._asks_for is not None:
                    self._answers.append(message)
            case Line(lineage):
                self._hear(sender, lineage)
            case Found(charter):
                self._on_found(sender, charter)
            case Founds(generation, reason):
                bid = self._bid
                if bid is not None and (bid.charter.generation, bid.charter.founder.node) == (generation, sender):
                    self._end_bid(reason)

    def _hear(self, sender: NodeId, lineage: Lineage) -> None:
        verdict = judge(Stand(self.lineage, self._standing().end), lineage, self._keys.verify)
        if verdict is Verdict.FOLLOW:
            self._go(Move.FOLLOW, lineage)
        elif verdict.moves:
            self._go(Move.BEGIN_ANEW, lineage)
        elif verdict in (Verdict.OLDER, Verdict.LOST):
            self.meet(sender)
        elif verdict is Verdict.WON:
            self._has_won = True

    def _go(self, move: Move, lineage: Lineage) -> None:
        self._moved = True
        if self._asks_for is not None:
            self._asks_for(moved(self._replica.me.node))
            self._asks_for = None
        if self._bid is not None:
            self._end_bid("" if self._bid.charter in lineage.charters else "another generation has begun meanwhile")
        self._move(move, lineage)

    # -- recovering ----------------------------------------------------------------------------------------------------

    def recover(self, done: Told, is_sure: bool = True) -> None:
        """A person has said that the old coordinator is off. `done` is called once: with what was begun, or with why
        nothing was, as far as that is known. Who is not sure is told what would be begun."""
        if self._asks_for is not None or self._bid is not None:
            done(under_way(self._replica.me.node))
            return
        self._answers, self._asks_for, self._is_sure = [], done, is_sure
        self._ask(ASKED_TIMES, self._decide)

    def _ask(self, times: int, then: Callable[[], None]) -> None:
        """Letters are lost, above all where a mesh is in trouble."""
        if times == 0:
            then()
            return
        answered = {one.member.node for one in self._answers}
        for node in self._others():
            if node not in answered:
                self._post.say(node, AskStanding())
        self._timers.call_later(ASK_EVERY_MS / 1000, lambda: self._ask(times - 1, then))

    def _decide(self) -> None:
        done, self._asks_for = self._asks_for, None
        if done is None:
            return  # it has moved, and said so
        mine = self._standing()
        newest = {one.member.node: one for one in (*self._answers, mine)}
        try:
            found = recovery(list(newest.values()), mine.member.node, self._entropy)
        except CannotRecover as refusal:
            done(refusal)
            return
        if not self._is_sure:
            done(found)
            return
        self._bid = _Bid(found._replace(charter=signed(found.charter, self._keys.sign)), done)
        if found.founder == mine.member:
            self._begin(self._bid.charter)
        else:
            self._ask_founder(self._bid, ASKED_TIMES)

    def _ask_founder(self, bid: _Bid, times: int) -> None:
        """It is begun once, however often it is told."""
        if self._bid is not bid:
            return
        if times == 0:
            self._bid = None
            bid.done(unknown(bid.charter))
            return
        self._post.say(bid.charter.founder.node, Found(bid.charter))
        self._timers.call_later(ASK_EVERY_MS / 1000, lambda: self._ask_founder(bid, times - 1))

    def _end_bid(self, reason: str) -> None:
        bid, self._bid = self._bid, None
        if bid is not None:
            bid.done(declined(bid.charter, reason) if reason else bid.found)

    def _begin(self, charter: Charter) -> None:
        """By oneself."""
        reason = self._why_not(charter)
        if reason:
            self._end_bid(reason)
        else:
            self._go(Move.FOUND, self.lineage.with_child(charter))

    def _on_found(self, sender: NodeId, charter: Charter) -> None:
        """Asked once more after it has begun, it says so."""
        reason = "" if charter in self.lineage.charters else self._why_not(charter)
        self._post.say(sender, Founds(charter.generation, reason))
        if not reason and charter not in self.lineage.charters:
            self._go(Move.FOUND, self.lineage.with_child(charter))

    def _why_not(self, charter: Charter) -> str:
        log = self._replica.core.log
        if not is_signed(charter, self._keys.verify):
            return "it does not know the key that signed this"
        if log.stable < log.last:
            return "its disk is busy with what its log has"
        return why_not(charter, self._standing())

    # -- two generations of one number ---------------------------------------------------------------------------------

    def tick(self) -> None:
        if self.lineage.charters and self._clock.monotonic_ms() >= self._gossip_ms and not self._moved:
            self._gossip()
        self._found_child()

    def _gossip(self) -> None:
        """Two generations may have come to know only their own machines: somebody must look up the others."""
        self._gossip_ms = self._clock.monotonic_ms() + self._entropy.spread(GOSSIP_MS, 50)
        others = self._others()
        if others:
            self._post.say(self._entropy.choose(others), Line(self.lineage))

    def _found_child(self) -> None:
        """The coordinator of the one that has won becomes the only voter, and founds a child that all can move to."""
        core = self._replica.core
        if not self._has_won or self._moved or not core.leads_safely or core.log.config_index > core.log.commit:
            return
        now, heard = self._clock.monotonic_ms(), self._replica.heard_ms
        live = {one for one in core.config.voters if one == core.me or now - heard.get(one, -LIVE_MS) < LIVE_MS}
        step = step_to_child(core.config, core.me, live)
        if step is not None:
            self._replica.propose_config(step)
        elif core.log.commit == core.log.last == core.log.stable:
            charter = child(self._standing(), self._entropy)
            self._go(Move.FOUND, self.lineage.with_child(signed(charter, self._keys.sign)))
