"""Who answers at this machine's door: itself, or the machine that coordinates.

Only the coordinator hears of all machines how they are, so it is asked, as long as it can be reached; else whoever
keeps the log answers with what it knows, and how old that is. What concerns this machine alone it answers itself.

Promises: the door has a handler for every operation, whoever coordinates just now; what the coordinator refused is
refused.
Never: asks this machine over the network.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from odyssey.api.door import Handler
from odyssey.api.operations import ISSUED, TABLE, Operation
from odyssey.api.relay.passing import ONCE
from odyssey.api.relay.remembered import Remembered
from odyssey.api.relay.writers import Homes
from odyssey.api.requests import Events, PutStdin
from odyssey.api.retelling import Retelling
from odyssey.api.rights import Right
from odyssey.api.views import LEAVE, EventPage, Picture, StatusView, View
from odyssey.errors import NotPermitted, Unreachable
from odyssey.ids import NodeId

AGAIN_S: Final = 0.3  # before somebody else is asked what happened
LOOK_S: Final = 0.5  # so often it is looked who coordinates, while somebody follows


class Own(NamedTuple):
    """What only this machine knows of itself; fields of `StatusView`."""

    node: str
    node_id: str
    role: str
    pid: int
    supervisor_pid: int | None
    version: str
    home: str
    is_embedded: bool
    notes: tuple[str, ...]
    owner: str
    is_laptop: bool = False
    listen: str = ""
    address: str = ""


def outside(sentence: str) -> NotPermitted:
    text = sentence[:1].lower() + sentence[1:].rstrip(".")
    return NotPermitted(text, hint=LEAVE)


class Place(Protocol):
    """This machine's in its mesh."""

    @property
    def coordinates(self) -> bool:
        """Or is alone."""
        ...

    @property
    def coordinator(self) -> NodeId | None:
        """As far as this machine has heard."""
        ...

    @property
    def hears_nobody(self) -> bool:
        """The log is here, and nobody coordinates just now."""
        ...

    @property
    def reaches(self) -> bool:
        """Some other machine can be talked to just now."""
        ...

    @property
    def keeps(self) -> bool:
        """The log is here, as far as this machine has heard."""
        ...

    @property
    def issues(self) -> bool:
        """It may let machines in, and put them out."""
        ...

    @property
    def out(self) -> str:
        """That this machine was put out of its mesh, as a sentence; empty while it was not."""
        ...


class Choosing:
    """`passed` are the handlers that ask another machine."""

    def __init__(
        self,
        place: Place,
        own: Mapping[str, Handler],
        passed: Mapping[str, Handler],
        me: Callable[[], Own],
        now: Callable[[], int] = lambda: 0,
    ) -> None:
        """`now` is a clock that does not go back, in ms."""
        self._place, self._own, self._passed, self._me, self._now = place, own, passed, me, now
        self._remembered, self._homes = Remembered(), Homes()
        self.handlers: Mapping[str, Handler] = {row.name: self._handler(row) for row in TABLE}

    def _handler(self, row: Operation) -> Handler:
        if row.right is Right.HERE:
            return self._own[row.name]
        if row.name == "stdin_put":
            return lambda request: self._put(row, request)
        if row.name == "events":
            return lambda request: self._events(row, request)
        if row.streams:
            return lambda request: self._stream(row, request)
        return lambda request: self._call(row, request)

    @property
    def _passes_on(self) -> bool:
        """Who keeps the log and hears of no coordinator knows as much as whoever it could ask."""
        return not (self._place.coordinates or self._place.hears_nobody)

    async def _call(self, row: Operation, request: Any) -> View:
        if self._place.out:
            return self._told_outside(await self._own[row.name](self._check_outside(row, request)))  # type: ignore[misc]
        if row.name in ISSUED:
            handlers = self._own if self._place.issues else self._passed
            return self._told_here(await handlers[row.name](request))  # type: ignore[misc]
        if self._passes_on:
            try:
                view: View = await self._passing(row)(request)  # type: ignore[misc]
            except Unreachable:
                if row.name in ONCE and self._place.reaches:
                    raise  # it may have happened there
                if not self._place.keeps:
                    if (known := self._known(row)) is not None:
                        return known
                    if row.name != "status":
                        raise
                    return self._told_here(await self._own["status"](request))  # type: ignore[misc]
            else:
                self._remembered.note(view, self._now())
                return self._told_here(view)
        own: View = await self._own[row.name](request)  # type: ignore[misc]
        return own

    def _passing(self, row: Operation) -> Handler:
        """Who was in touch and reaches nobody any more need not wait to hear nothing."""
        return self._passed[row.name] if self._place.reaches or not self._remembered.has(row.answer) else _nobody

    async def _put(self, row: Operation, request: PutStdin) -> View:
        """All of one standard input goes where its beginning is: anywhere else there would be a gap."""
        if self._place.out:
            raise outside(self._place.out)
        is_own = self._homes.is_own(request.name, not self._passes_on)
        here = await (self._own if is_own else self._passed)[row.name](request)  # type: ignore[misc]
        self._homes.note(request.name, is_own, here.is_complete)
        view: View = here
        return view

    def _check_outside(self, row: Operation, request: Any) -> Any:
        """In no mesh: only how it stands with this machine can be asked."""
        if row.name != "status":
            raise outside(self._place.out)
        return request

    def _told_outside(self, view: View) -> View:
        assert isinstance(view, StatusView)
        return msgspec.structs.replace(view, out=self._place.out, **self._me()._asdict())

    async def _stream(self, row: Operation, request: Any) -> AsyncGenerator[View, None]:
        if self._place.out:
            raise outside(self._place.out)
        if self._passes_on:
            has_begun = False
            try:
                async with aclosing(self._passed[row.name](request)) as parts:  # type: ignore[type-var]
                    async for part in parts:  # type: ignore[union-attr]
                        has_begun = True
                        self._remembered.note(part, self._now())
                        yield self._told_here(part)
                return
            except Unreachable:
                if has_begun or not self._place.keeps:
                    raise
        async with aclosing(self._own[row.name](request)) as parts:  # type: ignore[type-var]
            async for part in parts:  # type: ignore[union-attr]
                yield part

    # -- what happens --------------------------------------------------------------------------------------------------

    async def _events(self, row: Operation, request: Events) -> AsyncGenerator[View, None]:
        """Who follows goes on with another machine when the one that was asked is gone, or coordinates no more."""
        if not request.is_following:
            async with aclosing(self._stream(row, request)) as parts:
                async for part in parts:
                    yield part
            return
        told = Retelling(request)
        while True:
            try:
                async with aclosing(self._while_it_coordinates(row, told.request(self._now()))) as parts:
                    async for part in parts:
                        assert isinstance(part, EventPage)
                        news = told.news(part, self._now())
                        if news.events or request.with_position:
                            yield news
            except Unreachable:
                if not told.has_begun:
                    raise
            await asyncio.sleep(AGAIN_S)

    async def _while_it_coordinates(self, row: Operation, request: Events) -> AsyncGenerator[View, None]:
        """Until another machine does."""
        asked = self._place.coordinator
        async with aclosing(self._stream(row, request)) as parts:
            coming = asyncio.ensure_future(anext(parts, None))
            try:
                while self._place.coordinator in (None, asked):
                    await asyncio.wait({coming}, timeout=LOOK_S)
                    if not coming.done():
                        continue
                    part = coming.result()
                    if part is None:
                        return
                    yield part
                    coming = asyncio.ensure_future(anext(parts, None))
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)

    # -- told here -----------------------------------------------------------------------------------------------------

    def _known(self, row: Operation) -> View | None:
        """What can still be told of the mesh while nobody answers."""
        me = self._me().node
        if row.name == "status":
            found = self._remembered.status(me, self._now())
            return self._told_here(found) if found is not None else None
        return self._remembered.nodes(me, self._now()) if row.name == "nodes" else None

    def _told_here(self, view: View) -> View:
        """Of the mesh as the other machine knows it, of this machine as it knows itself."""
        if isinstance(view, StatusView):
            return msgspec.structs.replace(view, **self._me()._asdict())
        if isinstance(view, Picture) and view.status is not None:
            return msgspec.structs.replace(view, status=self._told_here(view.status))
        return view


async def _nobody(_: Any) -> View:
    raise Unreachable("no other machine can be reached just now", hint="see: odyssey doctor")
