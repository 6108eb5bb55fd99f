"""Between generations of a mesh: tells others of this one, hears of theirs, recovers, and founds.

`generation` and `recover` decide; this asks and answers. Its letters pass whatever generation they come from. What
follows from them (a store that adopts another lineage, or is set aside, and a daemon that starts anew on it) is the
business of who owns the daemon: `move` tells them once, and this one says no more. They ask `at_rest` once the store
is.

Promises: moves only where `judge` says so, or on a signed charter that names this member, as long as nothing has
changed here since it was asked.
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
    Keeps,
    Line,
    Recovery,
    Standing,
    child,
    end_of,
    recovery,
    step_to_child,
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
        self._answers: list[Standing] | None = None  # while a recovery is being asked for
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
                if self._answers is not None:
                    self._answers.append(message)
            case Line(lineage):
                self._hear(sender, lineage)
            case Found(charter):
                self._on_found(charter)

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
        self._move(move, lineage)

    # -- recovering ----------------------------------------------------------------------------------------------------

    def recover(self, done: Callable[[Recovery | CannotRecover], None]) -> None:
        """A person has said that the old coordinator is off. What is answered is under way, not yet done."""
        self._answers = []
        self._ask(ASKED_TIMES, lambda: self._decide(done))

    def _ask(self, times: int, then: Callable[[], None]) -> None:
        """Letters are lost, above all where a mesh is in trouble."""
        if times == 0:
            then()
            return
        answered = {one.member.node for one in self._answers or ()}
        for node in self._others():
            if node not in answered:
                self._post.say(node, AskStanding())
        self._timers.call_later(ASK_EVERY_MS / 1000, lambda: self._ask(times - 1, then))

    def _decide(self, done: Callable[[Recovery | CannotRecover], None]) -> None:
        answers, self._answers = self._answers, None
        if answers is None or self._moved:
            return
        mine = self._standing()
        newest = {one.member.node: one for one in (*answers, mine)}
        try:
            found = recovery(list(newest.values()), mine.member.node, self._entropy)
        except CannotRecover as refusal:
            done(refusal)
            return
        charter = signed(found.charter, self._keys.sign)
        done(found._replace(charter=charter))
        if charter.founder == mine.member:
            self._on_found(charter)
        else:
            self._bid(charter, ASKED_TIMES)

    def _bid(self, charter: Charter, times: int) -> None:
        """It is begun once, however often it is told."""
        if times > 0 and not self._moved:
            self._post.say(charter.founder.node, Found(charter))
            self._timers.call_later(ASK_EVERY_MS / 1000, lambda: self._bid(charter, times - 1))

    def _on_found(self, charter: Charter) -> None:
        log = self._replica.core.log
        if log.stable < log.last or not is_signed(charter, self._keys.verify):
            return
        if not why_not(charter, self._standing()):
            self._go(Move.FOUND, self.lineage.with_child(charter))

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
