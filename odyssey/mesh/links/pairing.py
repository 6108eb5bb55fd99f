"""Asking to be let in without an invite: doors are knocked at, the first that shows certificates is talked to, and
then people type.

Promises: of what the mesh gives nothing is used before the code was typed here; however it ends, that is one sentence,
and nothing is left open.
Never: says more than `knock` to more than one machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from odyssey.clock import Clock
from odyssey.errors import NotPermitted, OdysseyError, Unreachable
from odyssey.ids import NodeId
from odyssey.mesh.links.ports import Lane, Line, Refusal
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.links.wires import ZmqWires
from odyssey.mesh.trust.join_client import Joined, NotJoined
from odyssey.mesh.trust.pairing import PATIENCE_MS, PairClient, WrongCode

PATIENCE_S: Final = 10.0  # until a door has answered
_AGAIN: Final = "begin again: odyssey join"


class Door(NamedTuple):
    key: bytes  # whoever answers there must have it
    host: str
    port: int


class Person(Protocol):
    """Who sits at this machine."""

    async def type(self, code: str, mesh: str, door: Door) -> str:
        """Shows the code, and gives what was typed. `mesh` is a stranger's word."""
        ...

    def was_wrong(self, error: WrongCode) -> None: ...


class _Pairing:
    def __init__(self, dialogue: Callable[[bytes], PairClient], clock: Clock) -> None:
        self._dialogue, self._clock = dialogue, clock
        self._lines: dict[Line, tuple[PairClient, Door]] = {}
        self._failures: list[str] = []
        self._refusal: NotPermitted | None = None
        loop = asyncio.get_running_loop()
        self.chosen: asyncio.Future[tuple[PairClient, Door]] = loop.create_future()
        self.joined: asyncio.Future[Joined] = loop.create_future()

    def dial(self, wires: ZmqWires, doors: Sequence[Door]) -> None:
        for door in doors:
            line, caller = wires.dial(door.key, door.host, door.port, Lane.CONTROL), self._dialogue(door.key)
            self._lines[line] = caller, door
            line.send(caller.begin())

    def heard(self, line: Line, head: bytes, load: bytes) -> None:
        if line not in self._lines:
            return
        caller, door = self._lines[line]
        try:
            told = caller.step(head + load, self._clock.wall_ms())
        except NotPermitted as error:
            self._refusal = self._refusal or error
            self._failed(line, error.message)
            return
        if told.say:
            self._end_others(line)
            line.send(told.say)
            self.chosen.set_result((caller, door))
        if told.joined is not None and not self.joined.done():
            self.joined.set_result(told.joined)

    def _end_others(self, line: Line) -> None:
        for other in [one for one in self._lines if one is not line]:
            del self._lines[other]
            other.end()

    def gone(self, line: Line, why: str) -> None:
        if line in self._lines and not self._lines[line][0].is_admitted:
            self._failed(line, why)

    def _failed(self, line: Line, why: str) -> None:
        del self._lines[line]
        line.end()
        self._failures.append(why)
        if not self._lines:
            self._end(self._refusal or self.nobody())

    def _end(self, error: OdysseyError) -> None:
        if not self.chosen.done():
            self.chosen.set_exception(error)
        elif not self.joined.done():
            self.joined.set_exception(error)

    def nobody(self) -> Unreachable:
        text = "; ".join(dict.fromkeys(self._failures)) or "nobody answers"
        if self.chosen.done() and not self.chosen.cancelled():
            return Unreachable(f"not let in: {text}", hint=_AGAIN)
        return Unreachable(
            f"no mesh could be asked: {text}", hint="is that machine on, and its port open? odyssey doctor"
        )

    def admit(self, _: bytes) -> NodeId | Refusal:
        return Refusal.UNKNOWN

    def turned_away(self, why: str) -> None:
        """Nobody can come here."""


async def pair(
    doors: Sequence[Door],
    keys: Keys,
    dialogue: Callable[[bytes], PairClient],
    person: Person,
    clock: Clock,
    patience_s: float = PATIENCE_S,
) -> Joined:
    """`dialogue` is given the curve key of the door. Raises what a person is to be told."""
    pairing = _Pairing(dialogue, clock)
    wires = ZmqWires(asyncio.get_running_loop(), keys, clock, pairing)
    try:
        pairing.dial(wires, doors)
        caller, door = await _answered(pairing, patience_s)
        typing = asyncio.ensure_future(_typed(caller, door, person, clock))
        return await _first(typing, pairing.joined)
    finally:
        wires.close()


async def _answered(pairing: _Pairing, patience_s: float) -> tuple[PairClient, Door]:
    try:
        return await asyncio.wait_for(pairing.chosen, patience_s)
    except TimeoutError:
        raise pairing.nobody() from None


async def _first(typing: asyncio.Future[Joined | None], joined: asyncio.Future[Joined]) -> Joined:
    """The code is typed and all is here, in whatever order; or one of them has failed."""
    try:
        both: set[asyncio.Future[Any]] = {typing, joined}
        done, _ = await asyncio.wait(both, timeout=PATIENCE_MS / 1000, return_when=asyncio.FIRST_COMPLETED)
        if joined in done:
            return joined.result()
        if typing in done:
            at_once = typing.result()
            return at_once if at_once is not None else await asyncio.wait_for(joined, PATIENCE_MS / 1000)
        raise TimeoutError
    except TimeoutError:
        raise NotJoined("the codes were not typed within five minutes", hint=_AGAIN) from None
    finally:
        typing.cancel()
        joined.cancel()
        await asyncio.gather(typing, joined, return_exceptions=True)


async def _typed(caller: PairClient, door: Door, person: Person, clock: Clock) -> Joined | None:
    began = clock.monotonic_ms()
    while True:
        text = await person.type(caller.code, caller.mesh_name, door)
        try:
            return caller.typed(text, clock.wall_ms(), clock.monotonic_ms() - began).joined
        except WrongCode as error:
            person.was_wrong(error)
