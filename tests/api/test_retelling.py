"""What happened is told without a gap and without doubles, although those who tell it change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.relay.choosing import Choosing
from odyssey.api.retelling import Retelling
from odyssey.errors import Unreachable
from odyssey.ids import NodeId
from tests.api.counter import until
from tests.api.relay.test_choosing import ME, Desk, Place


def of_log(index: int, part: int = 0) -> v.EventView:
    return v.EventView(0, "job-ended", f"{index}", f"{index}.{part}", {}, 0, index, 1_000 * index + part + 1)


def seen(subject: str, kind: str, mark: int) -> v.EventView:
    return v.EventView(0, kind, subject, kind, {"seen_by": "x"}, 0, 0, mark)


LOG = [of_log(index, part) for index in range(1, 30) for part in range(1 + index % 3)]


def pages(request: r.Events, ends: int, size: int) -> list[v.EventPage]:
    """As one that has applied the log up to `ends` tells it."""
    known = [one for one in LOG if one.index <= ends]
    asked = [one for one in known if one.index >= request.since] if request.since else known[-request.limit :]
    asked = asked if request.limit else []
    cut = [v.EventPage(tuple(asked[at : at + size])) for at in range(0, len(asked), size)]
    first = [v.EventPage((), 0 if cut else ends)] if request.with_position else []
    return [*first, *cut[:-1], *(v.EventPage(page.events, ends) for page in cut[-1:])]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 5), st.integers(0, 20)), max_size=12), st.integers(0, 40))
def test_each_event_is_told_once_and_in_order_whoever_tells(tellers: list[tuple[int, int, int]], limit: int) -> None:
    """Each has applied so much, tells so many at a time, and is gone after so many pages."""
    told, heard = Retelling(r.Events(limit, is_following=True)), list[v.EventView]()
    for ends, size, lasts in [*tellers, (29, 3, 1_000)]:
        for page in pages(told.request(0), ends, size)[:lasts]:
            heard += told.news(page, 0).events
    assert len({event.mark for event in heard}) == len(heard)
    if heard:
        first = LOG.index(heard[0])
        assert [event.mark for event in heard] == [event.mark for event in LOG[first:]]


def test_nothing_is_missed_by_who_was_told_nothing_yet() -> None:
    told = Retelling(r.Events(0, is_following=True))
    told.news(v.EventPage((), 7), 0)
    assert told.request(5_000).since == 7
    assert told.request(5_000).within_ms > 5_000


def test_the_same_observation_of_two_machines_is_told_once() -> None:
    told = Retelling(r.Events(is_following=True))
    assert told.news(v.EventPage((seen("pc4", "machine-gone", 1),), 3), 0).events
    assert not told.news(v.EventPage((seen("pc4", "machine-gone", 2),), 3), 0).events
    assert told.news(v.EventPage((seen("pc4", "machine-back", 3), seen("pc5", "machine-gone", 4)), 3), 0).events
    assert told.news(v.EventPage((seen("pc4", "machine-gone", 5),), 3), 0).events


# -- at the door -------------------------------------------------------------------------------------------------------


def marks(index: int) -> list[int]:
    """Of the log up to there."""
    return [event.mark for event in LOG if event.index <= index]


class Tellers:
    """The other machine: it tells the log as far as it is now, and may be gone."""

    def __init__(self) -> None:
        self.ends, self.is_there = 5, True
        self.news = asyncio.Event()
        self.asked = 0

    async def events(self, request: r.Events) -> AsyncGenerator[v.View, None]:
        self.asked += 1
        if not self.is_there:
            raise Unreachable("gone", hint="?")
        since, told = request, 0
        while True:
            for page in pages(since, self.ends, 2):
                yield page
            told = self.ends
            while self.ends == told:
                await self.news.wait()
                self.news.clear()
                if not self.is_there:
                    raise Unreachable("gone", hint="?")
            since = r.Events(is_following=True, since=told + 1)


def test_a_follow_goes_on_when_its_teller_is_gone_and_when_another_machine_coordinates() -> None:
    async def walk() -> None:
        place, tellers = Place(), Tellers()
        place.coordinator = NodeId("pc4")
        passed: dict[str, Any] = {**Desk("other").handlers, "events": tellers.events}
        ms = count()
        choosing = Choosing(place, Desk("own").handlers, passed, lambda: ME, lambda: next(ms))
        heard = list[int]()
        parts = choosing.handlers["events"](r.Events(is_following=True))

        async def take() -> None:
            async for page in parts:  # type: ignore[union-attr]
                assert isinstance(page, v.EventPage)
                heard.extend(event.mark for event in page.events)

        taking = asyncio.ensure_future(take())
        await until(lambda: heard[-1:] == marks(5)[-1:])
        tellers.is_there = False
        tellers.news.set()
        await until(lambda: tellers.asked >= 2)  # in vain
        tellers.ends, tellers.is_there = 9, True
        await until(lambda: heard[-1:] == marks(9)[-1:])
        asked, tellers.ends = tellers.asked, 12
        place.coordinator = NodeId("pc2")  # the one before has no news any more
        await until(lambda: heard[-1:] == marks(12)[-1:])
        assert tellers.asked == asked + 1
        assert heard == marks(12)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)

    asyncio.run(asyncio.wait_for(walk(), 30))
