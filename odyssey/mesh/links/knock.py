"""Knocking at a join socket: all addresses at once, and the first that shows the right certificates is talked to.

Promises: what was refused by the mesh that was meant is what is told; else what came of each address; nothing is left
open.
Never: says more than `hello` to more than one machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from odyssey.clock import Clock
from odyssey.errors import NotPermitted, Unreachable
from odyssey.ids import NodeId
from odyssey.mesh.links.ports import Lane, Line, Refusal
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.links.wires import ZmqWires
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.join_client import Caller, Joined

PATIENCE_S: Final = 10.0


class _Knocking:
    def __init__(self, dialogue: Callable[[], Caller], clock: Clock) -> None:
        self._dialogue, self._clock = dialogue, clock
        self._lines: dict[Line, Caller] = {}
        self._chosen: Line | None = None
        self.joined: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
        self.failures: list[str] = []
        self._refusal: NotPermitted | None = None

    def dial(self, wires: ZmqWires, server: bytes, addresses: Sequence[Address]) -> None:
        for host, port in addresses:
            line, caller = wires.dial(server, host, port, Lane.CONTROL), self._dialogue()
            self._lines[line] = caller
            line.send(caller.begin())

    def heard(self, line: Line, head: bytes, load: bytes) -> None:
        caller = self._lines.get(line)
        if caller is None:
            return
        try:
            told = caller.step(head + load, self._clock.wall_ms())
        except NotPermitted as error:
            self._refusal = error
            self._failed(line, error.message)
            return
        if told.say and self._chosen is None:
            self._choose(line)
        if told.say:
            line.send(told.say)
        if told.joined is not None and not self.joined.done():
            self.joined.set_result(told.joined)

    def _choose(self, line: Line) -> None:
        self._chosen = line
        for other in [one for one in self._lines if one is not line]:
            del self._lines[other]
            other.end()

    def gone(self, line: Line, why: str) -> None:
        if line in self._lines:
            self._failed(line, why)

    def _failed(self, line: Line, why: str) -> None:
        del self._lines[line]
        line.end()
        self.failures.append(why)
        if not self._lines and not self.joined.done():
            self.joined.set_exception(self._refusal or self.nobody())

    def nobody(self) -> Unreachable:
        text = "; ".join(dict.fromkeys(self.failures)) or "nobody answers"
        hint = "is that machine on, on this network, and its port open? Ask it: odyssey doctor"
        return Unreachable(f"the mesh of this invite cannot be reached: {text}", hint=hint)

    def admit(self, _: bytes) -> NodeId | Refusal:
        return Refusal.UNKNOWN

    def turned_away(self, why: str) -> None:
        """Nobody can come here."""


async def knock(
    server: bytes,
    addresses: Sequence[Address],
    keys: Keys,
    dialogue: Callable[[], Caller],
    clock: Clock,
    patience_s: float = PATIENCE_S,
) -> Joined:
    """`server` is the curve key that must answer. Raises what a person is to be told."""
    if not addresses:
        raise Unreachable("this invite names no address", hint="odyssey join --addr HOST:PORT")
    knocking = _Knocking(dialogue, clock)
    wires = ZmqWires(asyncio.get_running_loop(), keys, clock, knocking, last_word_ms=0)  # it hears last, and goes
    try:
        knocking.dial(wires, server, addresses)
        return await asyncio.wait_for(knocking.joined, patience_s)
    except TimeoutError:
        raise knocking.nobody() from None
    finally:
        wires.close()
