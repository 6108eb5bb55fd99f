"""What happened, as people are told it: the newest events of this daemon, in memory.

Promises: numbers grow, also over restarts of the daemon; who follows misses nothing, unless he is so slow that the ring
has gone on: then he goes on with the oldest that is left.
Never: says how every single task ended: a job's end does, and what went wrong.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple

from odyssey import events as e
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.ports import Counter
from odyssey.api.saying import said
from odyssey.model import TaskState
from odyssey.scheduler.state import State

KEPT: Final = 20_000
PAGE: Final = 1_000


class Happened(NamedTuple):
    number: int
    at: int
    event: e.Event


class Chronicle:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._ring: deque[Happened] = deque(maxlen=KEPT)
        self._number = counter.clock.wall_ms() << 10
        self._more: set[asyncio.Event] = set()
        self.close = counter.subscribe(self._heard)

    def _heard(self, events: Sequence[e.Event]) -> None:
        told = [event for event in events if is_told(event)]
        for event in told:
            self._number += 1
            self._ring.append(Happened(self._number, self._counter.when_ms(event.index), event))
        if told:
            for more in self._more:
                more.set()

    async def events(self, request: r.Events) -> AsyncGenerator[v.EventPage, None]:
        """The events themselves are made into sentences when they are asked for: most never are."""
        limit = max(0, min(request.limit, KEPT))
        ready = [one for one in self._ring if one.number > request.after]
        last = request.after or self._number
        more = asyncio.Event()
        self._more.add(more)
        try:
            for page in _pages(ready[len(ready) - limit :] if limit else []):
                yield self._page(page)
                last = page[-1].number
            while request.is_following:
                await more.wait()
                more.clear()
                for page in _pages([one for one in self._ring if one.number > last]):
                    last = page[-1].number
                    yield self._page(page)
        finally:
            self._more.discard(more)

    def _page(self, happened: Sequence[Happened]) -> v.EventPage:
        state = self._counter.state
        return v.EventPage(tuple(_view(one, state) for one in happened))


def is_told(event: e.Event) -> bool:
    match event:
        case e.TasksEnded(state=state):
            return state is TaskState.FAILED
        case e.TaskRequeued():
            return True
        case _:
            return isinstance(event, TOLD)


def _pages(happened: Sequence[Happened]) -> list[Sequence[Happened]]:
    return [happened[at : at + PAGE] for at in range(0, len(happened), PAGE)]


def _view(one: Happened, state: State) -> v.EventView:
    subject, text, data = said(one.event, state)
    return v.EventView(one.at, str(one.event.__struct_config__.tag), subject, text, data, one.number)


TOLD: Final = (
    e.JobSubmitted,
    e.JobEnded,
    e.JobChanged,
    e.TasksRetried,
    e.NodeAdmitted,
    e.NodeChanged,
    e.NodeRemoved,
    e.LevelSet,
    e.PolicySet,
    e.TermStarted,
    e.MembersChanged,
    e.JobsArchived,
    e.SegmentAdopted,
    e.SegmentsDropped,
    e.InviteMade,
    e.InvitesEnded,
    e.MemberAdmitted,
    e.Revoked,
    e.IssuerAllowed,
    e.CommandRefused,
    e.CommandFailed,
)
