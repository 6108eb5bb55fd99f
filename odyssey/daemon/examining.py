"""The other machines, examined from here: connections are tried in both directions, clocks and large frames compared.

Promises: what is tried are addresses that are known of members, and nothing is sent over such a connection; at most
MOST machines are knocked at or asked at a time; an examination ends, whoever does not answer.
Never: goes to an address that somebody names; judges: `api.diagnosis` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from odyssey import __version__
from odyssey.api import diagnosis
from odyssey.api.diagnosis import Seen
from odyssey.api.errands import Examine, Examined
from odyssey.api.machines import MOST_PADDING
from odyssey.api.ports import Examining
from odyssey.api.relay.passing import Passing
from odyssey.api.views import Check, NodeDetail, NodeList, NodeView, WayView
from odyssey.clock import Clock
from odyssey.errors import OdysseyError, Unreachable, UsageError, echo
from odyssey.ids import NodeId
from odyssey.mesh.discovery import knocking
from odyssey.mesh.links.ports import Directory, Lane
from odyssey.mesh.links.ports import Path as Way
from odyssey.mesh.links.switchboard import PeerState

MOST: Final = 8  # at a time
MOST_WAITING: Final = 64
MOST_ADDRESSES: Final = 4
KNOCK_S: Final = 2.0
ASK_S: Final = 8.0
SOON_S: Final = 2.0
LANES: Final = (Lane.CONTROL, Lane.BULK)


class Surroundings(NamedTuple):
    """What an examination needs of this machine."""

    me: NodeId
    passing: Passing
    directory: Directory
    peers: Callable[[], dict[NodeId, PeerState]]
    nodes: Callable[[], Awaitable[NodeList]]
    own: Callable[[], Awaitable[Examined]]
    clock: Clock


class _Asked(NamedTuple):
    answer: Examined
    by: str  # who asked for us; empty: this machine itself
    came_ms: int  # wall time here


class Examiner(Examining):
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._room, self._waiting = asyncio.Semaphore(MOST), 0

    # -- what other machines ask ---------------------------------------------------------------------------------------

    async def knock(self, node: NodeId) -> tuple[WayView, ...]:
        where = self._around.directory.where(node)
        if where is None or node == self._around.me:
            raise UsageError("that machine is no other member", hint="see: odyssey nodes")
        if self._waiting >= MOST_WAITING:
            raise OdysseyError("this machine examines too many others already", hint="try again in a while")
        self._waiting += 1
        try:
            async with self._room:
                return await _tried(where.paths[:MOST_ADDRESSES])
        finally:
            self._waiting -= 1

    # -- what people ask -----------------------------------------------------------------------------------------------

    async def doctor(self, name: str) -> tuple[Check, ...]:
        nodes = (await self._around.nodes()).nodes
        me, others = _split(nodes, self._around.me)
        if name:
            meant = _meant(name, nodes)
            return () if meant.id == self._around.me else tuple(diagnosis.checks(await self._seen(me, meant)))
        return tuple(diagnosis.summary(one) for one in await self._all(me, others))

    async def completed(self, detail: NodeDetail) -> NodeDetail:
        """With what only the machine itself knows, where it can be asked."""
        if detail.gives is not None:
            return detail
        try:
            async with asyncio.timeout(SOON_S):
                told = await self._told_by(NodeId(detail.node.id))
        except (OdysseyError, TimeoutError):
            return detail
        return replace(detail, gives=told.gives, limits=told.limits, own_labels=told.own_labels)

    async def _told_by(self, node: NodeId) -> Examined:
        return await (self._around.own() if node == self._around.me else self._around.passing.ask(node, Examine()))

    async def _all(self, me: str, others: Sequence[NodeView]) -> list[Seen]:
        room = asyncio.Semaphore(MOST)

        async def one(node: NodeView) -> Seen:
            async with room:
                return await self._seen(me, node)

        return await asyncio.gather(*map(one, others))

    async def _seen(self, me: str, node: NodeView) -> Seen:
        around, it = self._around, NodeId(node.id)
        peer = around.peers().get(it)
        is_linked = peer is not None and peer.up
        seen = Seen(me, node.name, node.state, is_linked, peer.why if peer is not None else "")
        ways, asked = await asyncio.gather(self._knock_there(it), self._ask(it, is_linked))
        seen = seen._replace(there=ways, own_version=__version__)
        if isinstance(asked, str):
            return seen._replace(trouble=asked)
        answer, by, came_ms = asked
        seen = seen._replace(
            back=answer.ways,
            asked_by=by,
            apart_ms=answer.wall_ms - came_ms,  # it looks at its clock last: only the way back is between
            round_trip_ms=peer.rtt_ms if peer is not None else None,
            version=answer.version,
        )
        if not is_linked:
            return seen
        large_ms = await self._large(it)
        return seen._replace(has_large=large_ms is not None, large_ms=large_ms)

    async def _knock_there(self, node: NodeId) -> tuple[WayView, ...]:
        try:
            return await self.knock(node)
        except OdysseyError:
            return ()

    async def _ask(self, node: NodeId, is_linked: bool) -> _Asked | str:
        """Itself; or, where there is no link, whoever coordinates asks it for us."""
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self._answer(node, is_linked)
        except OdysseyError as error:
            return error.message
        except TimeoutError:
            return "it did not answer in time"
        return _Asked(answer, "" if is_linked else "another machine", self._around.clock.wall_ms())

    async def _answer(self, node: NodeId, is_linked: bool) -> Examined:
        me, passing = self._around.me, self._around.passing
        if is_linked:
            return await passing.ask(node, Examine(back_to=me))
        for other in passing.who_keeps():
            peer = self._around.peers().get(other)
            if other != node and peer is not None and peer.up:
                return await passing.ask(other, Examine(machine=node, back_to=me))
        raise Unreachable("no machine can be asked to ask it", hint="see: odyssey nodes")

    async def _large(self, node: NodeId) -> int | None:
        """How long a question and an answer of many frames take; None: they do not arrive."""
        clock = self._around.clock
        began = clock.monotonic_ms()
        try:
            async with asyncio.timeout(ASK_S):
                await self._around.passing.ask(node, Examine(padding=bytes(MOST_PADDING), wants=MOST_PADDING))
        except (OdysseyError, TimeoutError):
            return None
        return clock.monotonic_ms() - began


async def _tried(paths: Sequence[Way]) -> tuple[WayView, ...]:
    async def one(way: Way, lane: Lane) -> WayView:
        port = way.port(lane)
        answer = await knocking.answer(way.host, port, KNOCK_S)
        return WayView(way.host, port, lane.name.lower(), answer.value)

    return tuple(await asyncio.gather(*(one(way, lane) for way in paths for lane in LANES)))


def _split(nodes: Sequence[NodeView], me: NodeId) -> tuple[str, list[NodeView]]:
    names = [one.name for one in nodes if one.id == me]
    return names[0] if names else "this machine", [one for one in nodes if one.id != me]


def _meant(name: str, nodes: Sequence[NodeView]) -> NodeView:
    fitting = [one for one in nodes if one.name == name] or [one for one in nodes if one.name.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(sorted(one.name for one in fitting))
        raise UsageError(f"{echo(name)} may mean several machines: {names}", hint="write more of the name")
    raise UsageError(f"there is no machine {echo(name)}", hint="see: odyssey nodes")
