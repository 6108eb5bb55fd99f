"""The join socket: where a machine that is no member comes with an invite or asks for itself, or to renew its
certificate.

It is apart from the links: a context of its own, in which any key may connect, short messages, few at a time, and for
each connection one dialogue that `trust.visitors` decides. Who asks without an invite waits for a person, apart from
the others.

Promises: a visitor's key is the one its connection was made with; what is proposed is on the log before the answer goes
out; strangers cost a bounded amount, however many there are.
Never: hands anything on to the mesh but what a dialogue proposes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Protocol

from odyssey.clock import Clock
from odyssey.commands import AdmitMember, RenewMember
from odyssey.errors import OdysseyError
from odyssey.ids import NodeId
from odyssey.mesh.links.askers import Asker, Askers
from odyssey.mesh.links.doorman import EVENTS
from odyssey.mesh.links.limits import Meter
from odyssey.mesh.links.ports import Lane, Line, Refusal
from odyssey.mesh.links.sockets import Keys, bound, check_fit, context, listening, monitor
from odyssey.mesh.links.wires import Hall
from odyssey.mesh.links.zap import Zap
from odyssey.mesh.trust.join_server import Answer
from odyssey.mesh.trust.letters import LONGEST
from odyssey.mesh.trust.pairing import Asking, PairServer

TICK_S: Final = 0.5
DIALOGUE_MS: Final = 10_000
MOST: Final = 64  # dialogues at a time
A_SECOND: Final = 2  # new ones from one address
BURST: Final = 30
ADDRESSES: Final = 1_024  # that are remembered
AGAIN_S: Final = 0.02

Told = Callable[[OdysseyError | None], None]
Take = Callable[[AdmitMember | RenewMember, Told], None]


class Server(Protocol):
    """What decides one dialogue: `trust.visitors`."""

    def step(self, data: bytes, now: int) -> Answer: ...

    def decided(self, refusal: OdysseyError | None) -> Answer: ...

    @property
    def pair(self) -> PairServer | None: ...

    @property
    def asks(self) -> Asking | None: ...


class _Dialogue:
    def __init__(self, server: Server, now: int) -> None:
        self.server, self.began_ms = server, now
        self.unsent: deque[bytes] = deque()
        self.ends = False


class Gate:
    """`take` puts something onto the log and says what came of it; `askers` are shown to people."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keys: Keys,
        clock: Clock,
        visit: Callable[[bytes], Server],
        take: Take,
        askers: Askers | None = None,
    ) -> None:
        check_fit()
        self._askers = askers if askers is not None else Askers()
        self._loop, self._keys, self._clock, self._visit, self._take = loop, keys, clock, visit, take
        self._ctx = context()
        self._zap = Zap(loop, self._ctx, self.admit)
        self._halls: list[Hall] = []
        self._dialogues: dict[Line, _Dialogue] = {}
        self._meters: OrderedDict[str, Meter] = OrderedDict()
        self._timer = loop.call_later(TICK_S, self._tick)
        self.turned = 0  # away

    def listen(self, host: str, port: int) -> int:
        """The port it has at this address. Raises CannotListen."""
        socket = listening(self._ctx, Lane.CONTROL, self._keys, LONGEST)
        watch = monitor(self._ctx, socket, EVENTS)
        try:
            taken = bound(socket, host, port)
        except BaseException:
            watch.close()
            socket.close()
            raise
        self._halls.append(Hall(self._loop, socket, watch, Lane.CONTROL, self._clock, self, host))
        return taken

    def leave(self, host: str) -> None:
        """No more at this address."""
        for hall in [hall for hall in self._halls if hall.host == host]:
            self._halls.remove(hall)
            hall.leave()

    def close(self) -> None:
        self._timer.cancel()
        for hall in self._halls:
            hall.close()
        self._zap.close()
        self._ctx.destroy(linger=0)

    # -- as the halls tell ---------------------------------------------------------------------------------------------

    def admit(self, _: bytes) -> NodeId | Refusal:
        """Whoever it is: what he may say is little."""
        return NodeId("")

    def heard(self, line: Line, head: bytes, load: bytes) -> None:
        dialogue = self._dialogues.get(line)
        if dialogue is None:
            if not self._may_come(line):
                self.turned += 1
                line.end()
                return
            dialogue = self._dialogues[line] = _Dialogue(self._visit(line.key), self._clock.monotonic_ms())
        if not dialogue.ends:
            self._answer(line, dialogue, dialogue.server.step(head + load, self._clock.wall_ms()))
            self._perhaps_asks(line, dialogue)

    def gone(self, line: Line, why: str) -> None:  # noqa: ARG002 - as halls tell it
        self._dialogues.pop(line, None)
        self._askers.forget(line)

    def turned_away(self, why: str) -> None:  # noqa: ARG002 - as halls tell it
        self.turned += 1

    def _may_come(self, line: Line) -> bool:
        now = self._clock.monotonic_ms()
        meter = self._meters.setdefault(line.address, Meter(A_SECOND, BURST, now))
        self._meters.move_to_end(line.address)
        if len(self._meters) > ADDRESSES:
            self._meters.popitem(last=False)
        return meter.take(1, now) and sum(line not in self._askers for line in self._dialogues) < MOST

    # -- those who wait for a person -----------------------------------------------------------------------------------

    def _perhaps_asks(self, line: Line, dialogue: _Dialogue) -> None:
        pair, asking, now = dialogue.server.pair, dialogue.server.asks, self._clock.monotonic_ms()
        if dialogue.ends:
            self._askers.forget(line)
        if dialogue.ends or pair is None or asking is None or line in self._askers:
            return

        def say(answer: Answer, told: Told | None = None) -> None:
            dialogue.began_ms = self._clock.monotonic_ms()  # time to take what it is given
            self._askers.forget(line)
            self._answer(line, dialogue, answer, told)

        if not self._askers.add(line, Asker(asking, pair, line.address, now, say)):
            self._answer(line, dialogue, pair.sent_off("too-many", "too many machines ask to be let in just now"))

    def _send_off_late(self, now: int) -> None:
        for asker in self._askers.late(now):
            asker.say(asker.pair.sent_off("late", "nobody has let this machine in within five minutes"))

    # -- answers -------------------------------------------------------------------------------------------------------

    def _answer(self, line: Line, dialogue: _Dialogue, answer: Answer, told: Told | None = None) -> None:
        if answer.propose is not None:
            self._take(answer.propose, lambda refusal: self._decided(line, dialogue, refusal, told))
            return
        dialogue.unsent.extend(answer.say)
        dialogue.ends = answer.ends
        self._send(line, dialogue)

    def _decided(self, line: Line, dialogue: _Dialogue, refusal: OdysseyError | None, told: Told | None) -> None:
        if self._dialogues.get(line) is dialogue:
            self._answer(line, dialogue, dialogue.server.decided(refusal))
        if told is not None:
            told(refusal)

    def _send(self, line: Line, dialogue: _Dialogue) -> None:
        while dialogue.unsent:
            if not line.send(dialogue.unsent[0]):
                self._loop.call_later(AGAIN_S, self._send_again, line, dialogue)
                return
            dialogue.unsent.popleft()

    def _send_again(self, line: Line, dialogue: _Dialogue) -> None:
        if self._dialogues.get(line) is dialogue:
            self._send(line, dialogue)

    def _tick(self) -> None:
        """Whoever has got what he came for goes by himself; who stays is sent off."""
        self._timer = self._loop.call_later(TICK_S, self._tick)
        for hall in self._halls:
            hall.doorman.tick()
        now = self._clock.monotonic_ms()
        self._send_off_late(now)
        for line, dialogue in list(self._dialogues.items()):
            if now - dialogue.began_ms >= DIALOGUE_MS and line not in self._askers:
                del self._dialogues[line]
                line.end()
