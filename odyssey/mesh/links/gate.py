"""The join socket: where a machine that is no member comes with an invite, or to renew its certificate.

It is apart from the links: a context of its own, in which any key may connect, short messages, few at a time, and for
each connection one dialogue that `trust.join_server` decides.

Promises: a visitor's key is the one its connection was made with; what is proposed is on the log before the answer goes
out; strangers cost a bounded amount, however many there are.
Never: hands anything on to the mesh but what a dialogue proposes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from odyssey.clock import Clock
from odyssey.commands import AdmitMember, RenewMember
from odyssey.errors import OdysseyError
from odyssey.ids import NodeId
from odyssey.mesh.links.doorman import EVENTS
from odyssey.mesh.links.limits import Meter
from odyssey.mesh.links.ports import Lane, Line, Refusal
from odyssey.mesh.links.sockets import Keys, bound, check_fit, context, listening, monitor
from odyssey.mesh.links.wires import Hall
from odyssey.mesh.links.zap import Zap
from odyssey.mesh.trust.join_server import Answer, JoinServer
from odyssey.mesh.trust.letters import LONGEST

TICK_S: Final = 0.5
DIALOGUE_MS: Final = 10_000
MOST: Final = 64  # dialogues at a time
A_SECOND: Final = 2  # new ones from one address
BURST: Final = 30
ADDRESSES: Final = 1_024  # that are remembered
AGAIN_S: Final = 0.02

Take = Callable[[AdmitMember | RenewMember, Callable[[OdysseyError | None], None]], None]


class _Dialogue:
    def __init__(self, server: JoinServer, now: int) -> None:
        self.server, self.began_ms = server, now
        self.unsent: deque[bytes] = deque()
        self.ends = False


class Gate:
    """`take` puts something onto the log and says what came of it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keys: Keys,
        clock: Clock,
        visit: Callable[[bytes], JoinServer],
        take: Take,
    ) -> None:
        check_fit()
        self._loop, self._keys, self._clock, self._visit, self._take = loop, keys, clock, visit, take
        self._ctx = context()
        self._zap = Zap(loop, self._ctx, self.admit)
        self._halls: list[Hall] = []
        self._dialogues: dict[Line, _Dialogue] = {}
        self._meters: OrderedDict[str, Meter] = OrderedDict()
        self._timer = loop.call_later(TICK_S, self._tick)
        self.turned = 0  # away

    def listen(self, host: str, port: int) -> int:
        """The port it has. Raises PortTaken."""
        socket = listening(self._ctx, Lane.CONTROL, self._keys, LONGEST)
        watch = monitor(self._ctx, socket, EVENTS)
        try:
            taken = bound(socket, host, port)
        except BaseException:
            watch.close()
            socket.close()
            raise
        self._halls.append(Hall(self._loop, socket, watch, Lane.CONTROL, self._clock, self))
        return taken

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

    def gone(self, line: Line, why: str) -> None:  # noqa: ARG002 - as halls tell it
        self._dialogues.pop(line, None)

    def turned_away(self, why: str) -> None:  # noqa: ARG002 - as halls tell it
        self.turned += 1

    def _may_come(self, line: Line) -> bool:
        now = self._clock.monotonic_ms()
        meter = self._meters.setdefault(line.address, Meter(A_SECOND, BURST, now))
        self._meters.move_to_end(line.address)
        if len(self._meters) > ADDRESSES:
            self._meters.popitem(last=False)
        return meter.take(1, now) and len(self._dialogues) < MOST

    # -- answers -------------------------------------------------------------------------------------------------------

    def _answer(self, line: Line, dialogue: _Dialogue, answer: Answer) -> None:
        if answer.propose is not None:
            self._take(answer.propose, lambda refusal: self._decided(line, dialogue, refusal))
            return
        dialogue.unsent.extend(answer.say)
        dialogue.ends = answer.ends
        self._send(line, dialogue)

    def _decided(self, line: Line, dialogue: _Dialogue, refusal: OdysseyError | None) -> None:
        if self._dialogues.get(line) is dialogue:
            self._answer(line, dialogue, dialogue.server.decided(refusal))

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
        for line, dialogue in list(self._dialogues.items()):
            if now - dialogue.began_ms >= DIALOGUE_MS:
                del self._dialogues[line]
                line.end()
