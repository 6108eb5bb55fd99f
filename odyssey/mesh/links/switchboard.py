"""All links of one machine: who is on which line, and what comes of it.

It is asked before somebody is let in, and told what came on which line. With every message the doorkeeper says again
whose key the line's is, so a peer that is put out is not heard any more, whatever is still open; the same is looked at
every quarter of a second for lines on which nothing comes.

Whoever says what may not be said, or too much, loses its lines and is not let in for a while. Nothing of what others
were promised is lost by that: it is sent again.

Promises: a letter is handed on under the name of whose key it was encrypted with; what was not heard is counted.
Never: opens a socket, or decides who is a member.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from odyssey.clock import Clock, Entropy
from odyssey.errors import WireError
from odyssey.ids import NodeId
from odyssey.mesh.letters import Letter
from odyssey.mesh.links import frames
from odyssey.mesh.links.answers import Answers, Guarded
from odyssey.mesh.links.channel import Channel, Office
from odyssey.mesh.links.frames import Hello, Question, Segment, Slices
from odyssey.mesh.links.letters import Letters
from odyssey.mesh.links.limits import (
    BURST,
    BURST_BYTES,
    BURST_HANDSHAKES,
    BYTES_A_SECOND,
    HANDSHAKES_A_SECOND,
    MESSAGES_A_SECOND,
    Meter,
)
from odyssey.mesh.links.ports import Directory, Doorkeeper, Lane, Line, Refusal, Source, Timers, Wires
from odyssey.mesh.raft.types import Member
from odyssey.mesh.transfer import Bulk

TICK_MS: Final = 250
LATE_MS: Final = 2_000  # this machine was away itself: silence says nothing
AWAY_MS: Final = 5_000  # whoever broke the rules is not let in for so long
FORGET_MS: Final = 10 * 60_000
FEATURES: Final[tuple[str, ...]] = ()


class Versions(NamedTuple):
    lowest: int = frames.LOWEST
    highest: int = frames.HIGHEST
    program: str = ""  # for people


class PeerState(NamedTuple):
    """How it stands with one peer, for people. What is not known is None. Times are monotonic ms."""

    up: bool
    since_ms: int
    heard_ms: int | None
    rtt_ms: int | None
    address: str
    dialled: bool
    version: int | None
    program: str
    sent_bytes: int
    received_bytes: int
    queued: int
    queued_bytes: int
    unacknowledged: int
    lost: int
    refused: Mapping[str, int]
    why: str  # it is not up


class _Peer:
    def __init__(self, control: Channel, bulk: Channel, letters: Letters, answers: Answers, now_ms: int) -> None:
        self.control, self.bulk, self.letters, self.answers = control, bulk, letters, answers
        self.refused: Counter[str] = Counter()
        self.away_until_ms: int | None = None  # it broke the rules
        self.messages = Meter(MESSAGES_A_SECOND, BURST, now_ms)
        self.bytes = Meter(BYTES_A_SECOND, BURST_BYTES, now_ms)
        self.handshakes = Meter(HANDSHAKES_A_SECOND, BURST_HANDSHAKES, now_ms)

    @property
    def channels(self) -> tuple[Channel, Channel]:
        return self.control, self.bulk

    def channel(self, lane: Lane) -> Channel:
        return self.control if lane is Lane.CONTROL else self.bulk

    def pays_for(self, lane: Lane, size: int, now_ms: int) -> bool:
        fits = lane is Lane.BULK or self.bytes.take(size, now_ms)
        return self.messages.take(1, now_ms) and fits


class World(NamedTuple):
    """All that is not the links."""

    door: Doorkeeper
    directory: Directory
    source: Source
    timers: Timers
    clock: Clock
    entropy: Entropy
    deliver: Callable[[NodeId, Letter], None]
    lost: Callable[[NodeId, int, str], None] = lambda *_: None  # so many letters will not arrive, or may not have
    copied: Callable[[NodeId, str], None] = lambda *_: None  # another machine has the key of this one, at this address
    may_fetch: Callable[[NodeId], bool] = lambda _: True  # what lies on this disk of the log
    sent_away: Callable[[NodeId, str], None] = lambda *_: None  # a member that breaks the rules


class Switchboard(Bulk):
    """Letters out by `send`, questions by `ask`. Made before its wires, which need it; begin with `start`."""

    def __init__(self, me: NodeId, world: World, versions: Versions = Versions()) -> None:  # noqa: B008 - frozen
        self.me, self._world = me, world
        run = world.entropy.token(frames.RUN_BYTES)
        self._hello = Hello(versions.lowest, versions.highest, run, FEATURES, versions.program)
        self._peers: dict[NodeId, _Peer] = {}
        self._holders: dict[Line, NodeId] = {}
        self._ticked_ms = world.clock.monotonic_ms()
        self._wires: Wires | None = None
        self.refused: Counter[str] = Counter()  # of those who are no peers

    def start(self, wires: Wires) -> None:
        self._wires = wires
        self._ticked_ms = self._world.clock.monotonic_ms()
        self._world.timers.call_later(TICK_MS / 1000, self._tick)

    def stop(self) -> None:
        """Whoever is on a line is told."""
        self._wires = None
        for peer in self._peers.values():
            for channel in peer.channels:
                channel.close("it is being stopped")
        self._peers.clear()
        self._holders.clear()

    # -- saying --------------------------------------------------------------------------------------------------------

    def send(self, to: NodeId, letter: Letter) -> None:
        if self._wires is not None and to != self.me:
            self._peer(to).letters.put(letter)

    def ask(
        self, source: Member, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]
    ) -> None:
        self._ask(source.node, Slices(digest, first, doubted), done)

    def ask_segment(self, source: Member, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        self._ask(source.node, Segment(digest, start), lambda parts: done(parts[0] if parts else None))

    def look_again(self, node: NodeId) -> None:
        """Something new is known of this machine: where it is, or that it is a member."""
        peer = self._peers.get(node)
        if peer is not None and self._wires is not None:
            for channel in peer.channels:
                channel.look_again()

    def _ask(self, source: NodeId, question: Question, done: Callable[[Sequence[bytes] | None], None]) -> None:
        if self._wires is None or source == self.me:
            self._world.timers.call_later(0, lambda: done(None))
        else:
            self._peer(source).answers.ask(question, done)

    def _peer(self, node: NodeId) -> _Peer:
        peer = self._peers.get(node)
        if peer is None:
            peer = self._peers[node] = self._made(node)
        return peer

    def _made(self, node: NodeId) -> _Peer:
        world = self._world
        assert self._wires is not None
        office = Office(
            self._wires,
            world.door,
            world.directory,
            world.timers,
            world.clock,
            world.entropy,
            self._hello,
            self._took_up,
            world.copied,
        )
        control, bulk = Channel(node, Lane.CONTROL, office), Channel(node, Lane.BULK, office)
        control.traffic = letters = Letters(control, world.timers, world.clock, world.deliver, world.lost)
        source = Guarded(world.source, lambda: world.may_fetch(node))
        bulk.traffic = answers = Answers(bulk, world.clock, source)
        return _Peer(control, bulk, letters, answers, world.clock.monotonic_ms())

    def _took_up(self, line: Line, peer: NodeId) -> None:
        self._holders[line] = peer

    # -- hearing -------------------------------------------------------------------------------------------------------

    def admit(self, key: bytes) -> NodeId | Refusal:
        found = self._world.door.who(key)
        if isinstance(found, Refusal):
            self.refused[found.name.lower()] += 1
            return found
        if found == self.me or self._wires is None:
            return Refusal.UNKNOWN
        peer, now = self._peer(found), self._world.clock.monotonic_ms()
        if not peer.handshakes.take(1, now):
            peer.refused["handshakes"] += 1
            return Refusal.UNKNOWN
        if peer.away_until_ms is not None and now < peer.away_until_ms:
            peer.refused["away"] += 1
            return Refusal.UNKNOWN
        return found

    def heard(self, line: Line, head: bytes, load: bytes) -> None:
        if self._wires is None:
            return
        holder, named = self._holders.get(line), self._world.door.who(line.key)
        if isinstance(named, Refusal) or holder not in (None, named) or named == self.me:
            self._refuse(line, holder, "put out" if holder is not None else "no member")
            return
        peer = self._peer(named)
        self._holders[line] = named
        self._hear(peer, line, head, load)

    def _hear(self, peer: _Peer, line: Line, head: bytes, load: bytes) -> None:
        channel, size = peer.channel(line.lane), len(head) + len(load)
        channel.received += size
        if not peer.pays_for(line.lane, size, self._world.clock.monotonic_ms()):
            self._send_away(peer, line, "too much")
            return
        try:
            channel.hear(line, frames.unpacked(head), load)
        except WireError as error:
            self._send_away(peer, line, type(error).__name__.lower())

    def gone(self, line: Line, why: str) -> None:
        holder = self._holders.pop(line, None)
        peer = self._peers.get(holder) if holder is not None else None
        if peer is not None:
            peer.channel(line.lane).lose(line, why)

    def turned_away(self, why: str) -> None:
        self.refused[why] += 1

    def _refuse(self, line: Line, holder: NodeId | None, why: str) -> None:
        peer = self._peers.get(holder) if holder is not None else None
        (peer.refused if peer is not None else self.refused)[why] += 1
        line.end()
        self.gone(line, why)

    def _send_away(self, peer: _Peer, line: Line, why: str) -> None:
        peer.away_until_ms = self._world.clock.monotonic_ms() + AWAY_MS
        holder = self._holders.get(line)
        if holder is not None:
            self._world.sent_away(holder, why)
        self._refuse(line, holder, why)

    # -- time ----------------------------------------------------------------------------------------------------------

    def recheck(self) -> None:
        """The table of members has changed. Asked for or not, this is done with every tick."""
        for line, holder in list(self._holders.items()):
            if self._world.door.who(line.key) != holder:
                self._refuse(line, holder, "put out")

    def _tick(self) -> None:
        if self._wires is None:
            return
        self._world.timers.call_later(TICK_MS / 1000, self._tick)
        now = self._world.clock.monotonic_ms()
        was_away, self._ticked_ms = now - self._ticked_ms >= LATE_MS, now
        self.recheck()
        for node, peer in list(self._peers.items()):
            for channel in peer.channels:
                channel.tick(now, was_away)
            if self._is_forgotten(peer, now):
                del self._peers[node]
        held = {line for peer in self._peers.values() for channel in peer.channels for line in channel.lines}
        self._holders = {line: holder for line, holder in self._holders.items() if line in held}

    @staticmethod
    def _is_forgotten(peer: _Peer, now_ms: int) -> bool:
        quiet = all(not one.lines and now_ms - one.used_ms >= FORGET_MS for one in peer.channels)
        return quiet and not peer.letters.wants and not peer.answers.waiting

    # -- looking on ----------------------------------------------------------------------------------------------------

    def peers(self) -> dict[NodeId, PeerState]:
        return {node: _state(peer) for node, peer in self._peers.items()}


def _state(peer: _Peer) -> PeerState:
    control, outbox, line = peer.control, peer.letters.outbox, peer.control.line
    unread = Counter({"newer": peer.letters.unread} if peer.letters.unread else {})
    return PeerState(
        up=line is not None,
        since_ms=control.changed_ms,
        heard_ms=control.heard_ms,
        rtt_ms=control.rtt_ms,
        address=line.address if line is not None else "",
        dialled=line is not None and line.dialled,
        version=control.version,
        program=control.program,
        sent_bytes=sum(one.sent for one in peer.channels),
        received_bytes=sum(one.received for one in peer.channels),
        queued=len(outbox) + peer.answers.waiting,
        queued_bytes=outbox.bytes,
        unacknowledged=outbox.unacknowledged,
        lost=control.lost,
        refused=dict(peer.refused + unread),
        why=control.why,
    )
