"""One lane to one peer: a line when there is something to say, and no more lines than needed.

Either side may dial. Of the lines that are there the newest that has said hello is used: a peer that dials again has
lost the old one, whatever this side still thinks of it. So replies travel on the connection a machine has dialled
itself, and one that cannot be dialled is reached as long as it keeps its own. All its addresses are tried at once.

A line is alive as long as something is heard on it; a ping asks for that, and tells how long an answer takes.

Promises: nothing is handed on before a hello with a version that both speak; whoever is not reached is dialled again
after a while that grows, as long as there is something to say.
Never: knows what travels, or who may talk: that was asked before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from odyssey.clock import Clock, Entropy
from odyssey.errors import Malformed, one_line
from odyssey.ids import NodeId
from odyssey.mesh.links import frames
from odyssey.mesh.links.frames import AnyFrame, Bye, Hello, Ping, Pong
from odyssey.mesh.links.limits import OUT_MS, Backoff
from odyssey.mesh.links.ports import Directory, Doorkeeper, Lane, Line, Timers, Wires

DIAL_MS: Final = 5_000  # until both have said hello
PING_MS: Final = 2_000  # without a word
MEASURE_MS: Final = 10_000  # how long an answer takes is asked so often, whatever is heard
SILENT_MS: Final = 6_000
ANSWER_MS: Final = 1_500
IDLE_MS: Final = 60_000  # after that a line this side has dialled is given up
MOST_LINES: Final = 8  # of one peer on one lane
STEADY_MS: Final = 5_000  # a line that held so long is no failure
PUT_OUT: Final = "it says that this machine is not a member any more"
COPY: Final = "another machine has this one's key: its home was copied"
IS_COPY: Final = f"it said: {COPY}"
TWIN_MS: Final = 60_000  # so long after a machine was heard, another one with its key is not let in
_LONGEST_REASON: Final = 200


class Traffic(Protocol):
    """What travels on a lane."""

    @property
    def wants(self) -> bool:
        """Is there something to say?"""

    def up(self, anew: bool, /) -> None:
        """There is a line, or another one. Anew: the peer does not know what its last run was told."""

    def down(self, line: Line, /) -> None: ...

    def unreached(self) -> None:
        """It was dialled in vain; it is dialled again after a while."""

    def hear(self, line: Line, frame: AnyFrame, load: bytes, /) -> None:
        """Raises a `WireError` for what may not be said."""

    def tick(self, now_ms: int) -> None: ...


class Office(NamedTuple):
    """What all channels of a machine share."""

    wires: Wires
    door: Doorkeeper
    directory: Directory
    timers: Timers
    clock: Clock
    entropy: Entropy
    hello: Hello
    took_up: Callable[[Line, NodeId], None]  # a line was made
    copied: Callable[[NodeId, str], None] = lambda *_: None  # somebody else has its key, at this address


@dataclass(slots=True)
class _Talk:
    """What is known of one line."""

    began_ms: int
    heard_ms: int
    used_ms: int
    version: int | None = None  # None: no hello yet
    asked: int = 0
    asked_ms: int = 0
    run: bytes = b""
    is_asked_for: bool = False  # another run of the peer is here: an answer to that ping shows that both live


class Channel:
    def __init__(self, peer: NodeId, lane: Lane, office: Office) -> None:
        self.peer, self.lane, self._office = peer, lane, office
        self.traffic: Traffic
        self._talks: dict[Line, _Talk] = {}
        self._backoff = Backoff(office.entropy)
        self._waits = self._stopped = False
        self._run = b""
        self._known_ms = 0  # when it was heard, after its hello
        self._copies: dict[bytes, int] = {}  # runs of somebody else with its key, and when they came last
        self.line: Line | None = None  # the one in use
        self.changed_ms = self.used_ms = office.clock.monotonic_ms()
        self.heard_ms: int | None = None
        self.rtt_ms: int | None = None
        self.sent = self.received = self.lost = 0
        self.why = ""  # it is not up
        self.program = ""
        self.version: int | None = None
        self.features: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._talks)

    # -- saying --------------------------------------------------------------------------------------------------------

    def send(self, frame: AnyFrame, load: bytes | memoryview = b"", line: Line | None = None) -> bool:
        """On the line in use, if no other is named. False: not now."""
        to = line if line is not None else self.line
        if to is None or to not in self._talks:
            return False
        head = frames.packed(frame)
        if not to.send(head, load):
            return False
        self.sent += len(head) + len(load)
        if not isinstance(frame, Ping | Pong):
            self.used_ms = self._talks[to].used_ms = self._office.clock.monotonic_ms()
        return True

    # -- dialling ------------------------------------------------------------------------------------------------------

    def need(self) -> None:
        """There is something to say."""
        if self.line is None and not self._waits and not self._stopped and not self._dials:
            self._dial()

    def look_again(self) -> None:
        """Another address is known, or the peer is: whatever failed before says nothing of that."""
        self._backoff.reset()
        if self.line is None and not self._stopped and not self._dials and self.traffic.wants:
            self._dial()

    @property
    def _dials(self) -> bool:
        return any(line.dialled for line in self._talks)

    def _dial(self) -> None:
        where = self._office.directory.where(self.peer)
        if where is None or not where.paths or self._office.door.who(where.key) != self.peer:
            self.why = "no address of a member is known"
            self._wait(self._backoff.next_ms())
            self._office.timers.call_later(0, self.traffic.unreached)
            return
        for path in where.paths:
            line = self._office.wires.dial(where.key, path.host, path.port(self.lane), self.lane)
            self._office.took_up(line, self.peer)
            self._greet(line)

    def _greet(self, line: Line) -> None:
        now = self._office.clock.monotonic_ms()
        self._talks[line] = _Talk(now, now, now)
        self.send(self._office.hello, line=line)

    def _wait(self, ms: int) -> None:
        self._waits = True
        self._office.timers.call_later(ms / 1000, self._waited)

    def _waited(self) -> None:
        self._waits = False
        if self.traffic.wants:
            self.need()

    # -- hearing -------------------------------------------------------------------------------------------------------

    def hear(self, line: Line, frame: AnyFrame, load: bytes) -> None:
        talk = self._talks.get(line)
        now = self._office.clock.monotonic_ms()
        if talk is None and not line.dialled:
            self._expect_hello(frame)
            if len(self._talks) >= MOST_LINES:
                self.lose(next(iter(self._talks)), "it opens line after line")
            self._greet(line)
            talk = self._talks[line]
        if talk is None:
            return
        self.heard_ms = talk.heard_ms = now
        if talk.version is not None:
            self._known_ms = now
        match frame:
            case Hello():
                self._agree(line, talk, frame)
            case Bye(reason=reason):
                self.lose(line, f"it said: {one_line(reason[:_LONGEST_REASON])}")
            case _ if talk.version is None:
                self._expect_hello(frame)
            case Ping(number=number):
                self.send(Pong(number), line=line)
            case Pong(number=number):
                if number == talk.asked:
                    self.rtt_ms = now - talk.asked_ms
                    if talk.is_asked_for:
                        self._keep_out(line, talk)
            case _ if talk.is_asked_for:
                pass  # of a run that is over, most likely; what still comes of it would be taken for the new one's
            case _:
                self.used_ms = talk.used_ms = now
                self.traffic.hear(line, frame, load)

    @staticmethod
    def _expect_hello(frame: AnyFrame) -> None:
        if not isinstance(frame, Hello):
            raise Malformed("the first word is no hello")

    def _agree(self, line: Line, talk: _Talk, theirs: Hello) -> None:
        if talk.version is not None or len(theirs.run) != frames.RUN_BYTES:
            raise Malformed("a hello that is none")
        mine = self._office.hello
        version = frames.shared_version((mine.lowest, mine.highest), (theirs.lowest, theirs.highest))
        self.program = one_line(theirs.program[:_LONGEST_REASON])
        if version is None:
            why = f"no common version: {mine.lowest} to {mine.highest} here, {theirs.lowest} to {theirs.highest} there"
            self.send(Bye(why), line=line)
            self.lose(line, why)
            return
        now, is_copy = self._office.clock.monotonic_ms(), theirs.run in self._copies and theirs.run != self._run
        if is_copy and self._is_there(now):
            self._copies[theirs.run] = now
            self._send_off(line)
            self._office.copied(self.peer, line.address)
            return
        talk.version, talk.run, self.version = version, theirs.run, version
        self.features = tuple(one for one in theirs.features if one in mine.features)
        self._take(line, theirs.run)

    def _take(self, line: Line, run: bytes) -> None:
        """Others that were dialled with it are not needed, and what belongs to an older run of the peer is over. What
        this side dials while the peer has dialled it goes on: if both gave theirs up, none would be left."""
        anew, self._run = run != self._run, run
        self._copies.pop(run, None)  # it is let in
        if self.line is None:
            self.changed_ms = self._office.clock.monotonic_ms()
        self.line, self.why = line, ""
        for other, talk in list(self._talks.items()):
            is_spare = line.dialled and other.dialled and talk.version is None
            if other is not line and is_spare:
                self._drop(other)
            elif other is not line and anew and talk.version is not None:
                self._ask_after(other, talk)
        self.traffic.up(anew)

    # -- two machines with one key -------------------------------------------------------------------------------------

    def _ask_after(self, line: Line, talk: _Talk) -> None:
        """The peer has begun anew, so this line is of a run that is over. Unless it answers what it is asked now: then
        there are two."""
        talk.asked, talk.asked_ms, talk.is_asked_for = talk.asked + 1, self._office.clock.monotonic_ms(), True
        if not self.send(Ping(talk.asked), line=line):
            self._drop(line)

    def _keep_out(self, line: Line, talk: _Talk) -> None:
        """Who was here first stays; the other one is told why it is not let in."""
        now, copy = self._office.clock.monotonic_ms(), self._run
        theirs = [other for other, its in self._talks.items() if its.run == copy]
        if not theirs:  # whoever that was has gone again
            self._go_back(line, talk)
            return
        for other in theirs:
            self._send_off(other)
        self._copies = {run: at for run, at in self._copies.items() if now - at < TWIN_MS} | {copy: now}
        self._go_back(line, talk)
        self._office.copied(self.peer, theirs[-1].address)

    def _go_back(self, line: Line, talk: _Talk) -> None:
        """What came on it meanwhile was not taken, so it is begun anew: both sides say again what was not answered."""
        self._run, self.line, self.why = talk.run, line, ""
        for its in self._talks.values():
            its.is_asked_for = False
        self.traffic.up(True)
        self.lose(line, "it is begun anew")

    def _send_off(self, line: Line) -> None:
        self.send(Bye(COPY), line=line)
        self.lose(line, "somebody else has its key")

    def _is_there(self, now: int) -> bool:
        """Whoever was here first."""
        return self.line is not None or now - self._known_ms < TWIN_MS

    # -- ends ----------------------------------------------------------------------------------------------------------

    def lose(self, line: Line, why: str) -> None:
        """It broke, or the peer may not talk on it any more."""
        talk = self._talks.get(line)
        if talk is None:
            return
        now = self._office.clock.monotonic_ms()
        self._drop(line)
        self.why = why
        if talk.version is not None and now - talk.began_ms >= STEADY_MS:
            self._backoff.reset()
        if not self._talks and not self._waits and not self._stopped:
            self._wait(OUT_MS if why in (PUT_OUT, IS_COPY) else self._backoff.next_ms())
            if talk.version is None:
                self.traffic.unreached()

    def _drop(self, line: Line) -> None:
        talk = self._talks.pop(line)
        line.end()
        was_used = line is self.line
        if was_used:
            self.line = next((one for one, its in reversed(self._talks.items()) if its.version is not None), None)
        if talk.version is not None:
            self.traffic.down(line)
        if was_used and self.line is not None:
            self.traffic.up(False)
        elif was_used:
            self.changed_ms = self._office.clock.monotonic_ms()

    def close(self, reason: str) -> None:
        self._stopped = True
        for line in list(self._talks):
            self.send(Bye(reason), line=line)
            self._drop(line)

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, was_away: bool) -> None:
        """After this machine was away itself, what nobody has read yet is no silence."""
        for line, talk in list(self._talks.items()):
            if was_away:
                talk.heard_ms = now_ms
            if line in self._talks:
                self._look_at(line, talk, now_ms)
        self.traffic.tick(now_ms)
        if self.traffic.wants:
            self.need()

    def _look_at(self, line: Line, talk: _Talk, now_ms: int) -> None:
        if talk.version is None:
            if now_ms - talk.began_ms >= DIAL_MS:
                self.lose(line, f"no answer at {line.address}")
        elif talk.is_asked_for and now_ms - talk.asked_ms >= ANSWER_MS:
            self._drop(line)  # of a run that is over
        elif now_ms - talk.heard_ms >= SILENT_MS:
            self.lose(line, f"not heard for {SILENT_MS // 1000} s")
        elif line.dialled and now_ms - talk.used_ms >= IDLE_MS and not self.traffic.wants:
            self.send(Bye("there was nothing to say"), line=line)
            self._drop(line)
        elif now_ms - max(talk.heard_ms, talk.asked_ms) >= PING_MS or now_ms - talk.asked_ms >= MEASURE_MS:
            talk.asked, talk.asked_ms = talk.asked + 1, now_ms
            self.send(Ping(talk.asked), line=line)
