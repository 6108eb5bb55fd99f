"""Who answers at the door: the coordinator while it can be reached, else this machine if it keeps the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

import pytest

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.door import Handler
from odyssey.api.operations import ISSUED, TABLE
from odyssey.api.relay.choosing import Choosing, Own
from odyssey.api.relay.passing import ONCE
from odyssey.api.rights import Right
from odyssey.errors import NotPermitted, Unreachable
from odyssey.ids import NodeId

ME = Own("pi4", "id4", "worker", 7, None, "1", "/h", False, ("Paused.",), "ben")
STATUS = v.StatusView(
    "m", "id", "titan", "id1", "keeper", "titan", 3, v.Quorum(1, 1), 0, (), {}, {}, 0.0, 1, 2, "2", "/t", True, 8.0, 0,
    ("Full.",), "anna",
)  # fmt: skip


class Place:
    def __init__(
        self, coordinates: bool = False, keeps: bool = False, out: str = "", hears_nobody: bool = False
    ) -> None:
        self.coordinates, self.keeps, self.out = coordinates, keeps, out
        self.coordinator: NodeId | None = None
        self.issues, self.hears_nobody = coordinates, hears_nobody
        self.reaches = True


class Desk:
    """Handlers that say who they are; with an error before or after what they say."""

    def __init__(self, name: str, before: Exception | None = None, after: Exception | None = None) -> None:
        self.name, self.before, self.after = name, before, after
        self.asked: list[str] = []
        self.handlers: Mapping[str, Handler] = {row.name: self._handler(row.name, row.streams) for row in TABLE}

    def _handler(self, op: str, streams: bool) -> Handler:
        async def call(_: Any) -> v.View:
            self.asked.append(op)
            if self.before is not None:
                raise self.before
            return self._view(op)

        async def stream(_: Any) -> AsyncGenerator[v.View, None]:
            self.asked.append(op)
            if self.before is not None:
                raise self.before
            yield self._view(op)
            if self.after is not None:
                raise self.after

        return stream if streams else call

    def _view(self, op: str) -> v.View:
        if op == "status":
            return STATUS
        if op == "watch":
            return v.Picture(True, (), (), None, STATUS)
        return v.ReasonView("who", self.name)


GONE = Unreachable("gone", hint="?")


async def said(choosing: Choosing, op: str) -> list[str]:
    answer = choosing.handlers[op](r.Events() if op == "events" else r.Queue())
    if isinstance(answer, AsyncGenerator):
        return [part.text async for part in answer if isinstance(part, v.ReasonView)]
    view = await answer
    assert isinstance(view, v.ReasonView)
    return [view.text]


def choose(place: Place, own: Desk, passed: Desk) -> Choosing:
    return Choosing(place, own.handlers, passed.handlers, lambda: ME)


OPS = [row.name for row in TABLE if row.name not in ("status", "watch", "stdin_put", *ISSUED)]


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(
    ("place", "gone", "who"),
    [
        (Place(coordinates=True, keeps=True), False, "own"),
        (Place(keeps=True), False, "other"),
        (Place(), False, "other"),
        (Place(keeps=True), True, "own"),
        (Place(), True, "nobody"),
        (Place(keeps=True, hears_nobody=True), False, "own"),
    ],
)
def test_the_coordinator_is_asked_else_who_keeps_the_log(op: str, place: Place, gone: bool, who: str) -> None:
    own, passed = Desk("own"), Desk("other", GONE if gone else None)
    choosing = choose(place, own, passed)
    if next(row for row in TABLE if row.name == op).right is Right.HERE:
        who = "own"
    elif op in ONCE and gone:
        who = "nobody"  # it may have happened there
    if who == "nobody":
        with pytest.raises(Unreachable):
            asyncio.run(said(choosing, op))
    else:
        assert asyncio.run(said(choosing, op)) == [who]


def test_all_of_a_standard_input_goes_where_its_beginning_is() -> None:
    """Whoever coordinates meanwhile, and also if nobody answers there: half of it somewhere else is none."""

    class Spool:
        def __init__(self, name: str, asked: list[str]) -> None:
            self.name, self.asked = name, asked
            self.error: Unreachable | None = None

        async def stdin_put(self, request: r.PutStdin) -> v.HowFar:
            if self.error is not None:
                raise self.error
            self.asked.append(self.name)
            return v.HowFar(request.offset + 1, request.is_end)

    async def play() -> None:
        asked, place = list[str](), Place(coordinates=True, keeps=True)
        own, other = Spool("own", asked), Spool("other", asked)
        everywhere: dict[str, Handler] = {row.name: own.stdin_put for row in TABLE}
        there: dict[str, Handler] = {row.name: other.stdin_put for row in TABLE}
        choosing = Choosing(place, everywhere, there, lambda: ME)
        put: Any = choosing.handlers["stdin_put"]
        await put(r.PutStdin(b"a", 0, b"x"))
        place.coordinates = False
        await put(r.PutStdin(b"b", 0, b"x"))
        await put(r.PutStdin(b"a", 1, b"x"))
        other.error = GONE
        with pytest.raises(Unreachable):
            await put(r.PutStdin(b"b", 1, b"x"))
        other.error, place.coordinates = None, True
        await put(r.PutStdin(b"b", 1, b"", is_end=True))
        place.coordinates, place.hears_nobody = False, True
        await put(r.PutStdin(b"c", 0, b"x"))
        assert asked == ["own", "other", "own", "other", "own"], "who keeps the log and hears nobody takes it itself"

    asyncio.run(asyncio.wait_for(play(), 20))


@pytest.mark.parametrize("op", sorted(ISSUED))
@pytest.mark.parametrize("place", [Place(coordinates=True, keeps=True), Place(keeps=True), Place()])
def test_what_only_an_issuer_can_is_done_by_one_whoever_coordinates(op: str, place: Place) -> None:
    for place.issues, who in ((True, "own"), (False, "other")):
        assert asyncio.run(said(choose(place, Desk("own"), Desk("other")), op)) == [who]


@pytest.mark.parametrize("op", ["queue", "events"])
def test_what_was_refused_there_is_not_asked_here(op: str) -> None:
    own = Desk("own")
    with pytest.raises(NotPermitted):
        asyncio.run(said(choose(Place(keeps=True), own, Desk("other", NotPermitted("no", hint="?"))), op))
    assert own.asked == []


def test_what_has_begun_there_does_not_begin_again_here() -> None:
    own = Desk("own")
    with pytest.raises(Unreachable):
        asyncio.run(said(choose(Place(keeps=True), own, Desk("other", after=GONE)), "events"))
    assert own.asked == []


def test_of_itself_a_machine_tells_what_it_knows() -> None:
    choosing = choose(Place(), Desk("own"), Desk("other"))

    async def ask() -> tuple[v.View, v.View]:
        watched: Callable[[Any], Any] = choosing.handlers["watch"]
        return await choosing.handlers["status"](r.Status()), await anext(watched(r.Watch()))  # type: ignore[misc]

    status, picture = asyncio.run(ask())
    assert isinstance(status, v.StatusView)
    assert {field: getattr(status, field) for field in Own._fields} == ME._asdict()
    assert (status.coordinator, status.term, status.cpus) == ("titan", 3, 8.0)
    assert isinstance(picture, v.Picture)
    assert picture.status == status


@pytest.mark.parametrize("op", ["queue", "events"])
def test_a_machine_that_was_put_out_says_so_whatever_it_is_asked(op: str) -> None:
    own, passed = Desk("own"), Desk("other")
    choosing = choose(Place(keeps=True, out="This machine was removed."), own, passed)
    with pytest.raises(NotPermitted, match=r"this machine was removed$") as refused:
        asyncio.run(said(choosing, op))
    assert "odyssey leave" in (refused.value.hint or "")
    assert own.asked == passed.asked == []


def test_its_status_says_it_too() -> None:
    choosing = choose(Place(out="This machine was removed."), Desk("own"), Desk("other"))

    async def status() -> v.View:
        answer = choosing.handlers["status"](r.Status())
        assert not isinstance(answer, AsyncGenerator)
        return await answer

    view = asyncio.run(status())
    assert isinstance(view, v.StatusView)
    assert (view.out, view.node) == ("This machine was removed.", ME.node)


def test_a_machine_that_reaches_nobody_since_it_began_still_says_how_it_is_itself() -> None:
    choosing = choose(Place(), Desk("own"), Desk("passed", before=GONE))

    async def status() -> v.View:
        view: v.View = await choosing.handlers["status"](r.Status())  # type: ignore[misc]
        return view

    view = asyncio.run(status())
    assert isinstance(view, v.StatusView)
    assert (view.node, view.home, view.notes) == (ME.node, ME.home, ME.notes)
