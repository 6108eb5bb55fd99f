"""The control lane to one peer: letters out, letters in, each acknowledged once it was handed on.

Promises: a letter that was sent arrives, is sent again, or is counted as lost; what only matters now goes first.
Never: hands on a letter that is larger than its kind may be, or the same one twice from one run of the peer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from odyssey import wire
from odyssey.clock import Clock
from odyssey.errors import Malformed, NotUnderstood, TooLarge
from odyssey.ids import NodeId
from odyssey.mesh.letters import Forward, Letter
from odyssey.mesh.links.channel import Channel
from odyssey.mesh.links.frames import LETTER_BYTES, Ack, AnyFrame, Parcel
from odyssey.mesh.links.outbox import Inbox, Outbox
from odyssey.mesh.links.ports import Line, Timers
from odyssey.mesh.raft.types import Append, Heartbeat, HeartbeatReply, TakeOver, VoteReply, VoteRequest
from odyssey.messages import AskKeeper, Beat, Duty, Elsewhere, HandIn, JobsAre, Parts

# Said again soon by whoever said it, and worth nothing when it comes late.
FRESH: Final = (Beat, Duty, Elsewhere, Heartbeat, HeartbeatReply, VoteRequest, VoteReply, TakeOver)
# May hold a log entry, or as much as one: what is asked and answered may be as large as at a machine's own door.
LARGE: Final = (Append, Forward, Beat, Duty, JobsAre, HandIn, AskKeeper, Parts)
LIMITS: Final = wire.ENTRY._replace(bytes=LETTER_BYTES)


def packed(letter: Letter) -> bytes:
    """Raises TooLarge for what nobody would take."""
    return wire.encode_message(letter, _limits(letter))


def unpacked(load: bytes) -> Letter:
    letter = wire.decode_message(load, Letter, LIMITS)
    if len(load) > _limits(letter).bytes:
        raise TooLarge(f"a letter of {len(load)} bytes that may have {wire.ITEM.bytes}")
    return letter


def _limits(letter: Letter) -> wire.Limits:
    return LIMITS if isinstance(letter.content, LARGE) else wire.ITEM


class Letters:
    """`lost` is told how many letters will not arrive, or may not have, and why."""

    def __init__(
        self,
        channel: Channel,
        timers: Timers,
        clock: Clock,
        deliver: Callable[[NodeId, Letter], None],
        lost: Callable[[NodeId, int, str], None],
    ) -> None:
        self._channel, self._timers, self._clock = channel, timers, clock
        self._deliver, self._lost = deliver, lost
        self.outbox, self._inbox = Outbox(), Inbox()
        self._owes_ack = False
        self.unread = 0  # of a newer version than this one

    @property
    def wants(self) -> bool:
        return self.outbox.wants

    # -- out -----------------------------------------------------------------------------------------------------------

    def put(self, letter: Letter) -> None:
        try:
            load = packed(letter)
        except TooLarge:
            self._lose(1, "too large")
            return
        given_up = self.outbox.put(load, isinstance(letter.content, FRESH), self._clock.monotonic_ms())
        self._lose(given_up, "too many wait")
        self._pump()
        self._channel.need()

    def _pump(self) -> None:
        outbox, channel = self.outbox, self._channel
        while channel.line is not None and (out := outbox.next()) is not None:
            if not channel.send(Parcel(out.number, out.since), out.letter):
                return
            outbox.went()

    def up(self, anew: bool) -> None:
        if anew:
            self._inbox = Inbox()
        self.outbox.rewind()
        self._pump()

    def down(self, _: Line) -> None:
        """What was on it is sent again on the next one."""

    def unreached(self) -> None:
        """They wait for their time."""

    def tick(self, now_ms: int) -> None:
        why = "nobody took it in time" if self._channel.line is not None else self._channel.why or "not reached in time"
        self._lose(self.outbox.expire(now_ms), why)
        self._pump()

    def _lose(self, count: int, why: str) -> None:
        if count:
            self._channel.lost += count
            self._lost(self._channel.peer, count, why)

    # -- in ------------------------------------------------------------------------------------------------------------

    def hear(self, _: Line, frame: AnyFrame, load: bytes) -> None:
        match frame:
            case Parcel(number=0):
                self._hand_on(load)
            case Parcel(number=number, since=since):
                self._owe_ack()
                if self._inbox.takes(number, since):
                    self._hand_on(load)
            case Ack(number=number):
                self.outbox.acknowledged(number)
                self._pump()
            case _:
                raise Malformed(f"{type(frame).__name__} does not belong on the control lane")

    def _hand_on(self, load: bytes) -> None:
        """What a newer version would understand is no offence, and would not be understood if it came again."""
        try:
            letter = unpacked(load)
        except NotUnderstood:
            self.unread += 1
            return
        self._deliver(self._channel.peer, letter)

    def _owe_ack(self) -> None:
        """One for all that come in one turn."""
        if not self._owes_ack:
            self._owes_ack = True
            self._timers.call_later(0, self._acknowledge)

    def _acknowledge(self) -> None:
        self._owes_ack = False
        self._channel.send(Ack(self._inbox.last))
