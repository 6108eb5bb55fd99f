"""What happened, as people are told it: the newest events in memory, older ones in a storybook on this disk.

A daemon that starts is told by the log again what happened since its last snapshot: what is in the book already is no
news, and the rest is written down then. So a book that lost its last lines is whole again after a start.

Promises: numbers grow, also over restarts of the daemon; each event is told once, with the time at which it was; who
follows misses nothing, unless he is so slow that the ring has gone on: then he goes on with the oldest that is left.
Never: says how every single task ended: a job's end does, and what went wrong.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from odyssey import events as e
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.ports import Counter
from odyssey.api.saying import said
from odyssey.api.storybook import MOST, Line, Storybook
from odyssey.ids import NodeId
from odyssey.mesh import observing
from odyssey.model import TaskState

KEPT: Final = 5_000  # in memory
MARKS: Final = 50_000  # of events that would be recognised, should the log tell them again
PAGE: Final = 1_000
WRITE_SECONDS: Final = 1.0
_ENCODE: Final = msgspec.msgpack.Encoder().encode


class Happened(msgspec.Struct, frozen=True, gc=False):
    at: int
    event: e.Event
    mark: int


class Chronicle:
    def __init__(self, counter: Counter, most: int = MOST) -> None:
        self._counter = counter
        self._book = Storybook(counter.home, most)
        self._marks: OrderedDict[int, None] = OrderedDict()
        self._new: list[Happened] = []  # not made into sentences yet
        self._unwritten: list[Line] = []
        self._writing: asyncio.TimerHandle | None = None
        self._more: set[asyncio.Event] = set()
        known = self._book.read()
        self._ring: deque[Line] = deque(known[-KEPT:], maxlen=KEPT)
        self._note(line.mark for line in known[-MARKS:])
        now = counter.clock.wall_ms()
        self._number = max(now << 10, known[-1].number if known else 0)
        self._end = counter.subscribe(self._heard)

    def close(self) -> None:
        self._end()
        if self._writing is not None:
            self._writing.cancel()
        self._write()

    # -- what happens --------------------------------------------------------------------------------------------------

    def _heard(self, events: Sequence[e.Event]) -> None:
        told = [event for event in events if is_told(event)]
        news = [one for event, at in zip(told, self._times(told), strict=True) if (one := self._news(event, at))]
        if not news:
            return
        self._new += news
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._write)
        for more in self._more:
            more.set()

    def _times(self, events: Sequence[e.Event]) -> list[int]:
        """What the log does by itself has no time of its own: it is that of what came next, or of now."""
        at, found = self._counter.clock.wall_ms(), []
        for event in reversed(events):
            at = self._counter.when_ms(event.index) or at
            found.append(at)
        return found[::-1]

    def _news(self, event: e.Event, at: int) -> Happened | None:
        """None: it was told before."""
        mark = _mark(event, self._counter.when_ms(event.index))
        if mark in self._marks:
            return None
        self._note((mark,))
        return Happened(at, event, mark)

    def _note(self, marks: Iterable[int]) -> None:
        self._marks.update(dict.fromkeys(marks))
        while len(self._marks) > MARKS:
            self._marks.popitem(last=False)

    def _settle(self) -> None:
        """Sentences are made some at a time, away from whoever makes things happen."""
        state = self._counter.state
        for one in self._new:
            self._number += 1
            subject, text, data = said(one.event, state, self._coordinator(one.event))
            kind = str(one.event.__struct_config__.tag)
            line = Line(self._number, one.at, kind, subject, text, data, one.mark, one.event.index)
            self._ring.append(line)
            self._unwritten.append(line)
        self._new.clear()

    def _coordinator(self, event: e.Event) -> NodeId | None:
        """Whose term it is, while that is known."""
        if not isinstance(event, e.TermStarted):
            return None
        standing = self._counter.standing()
        return standing.coordinator if standing.term == event.term else None

    def _write(self) -> None:
        self._writing = None
        self._settle()
        lines, self._unwritten = self._unwritten, []
        if lines:
            self._book.add(lines)

    # -- what is asked -------------------------------------------------------------------------------------------------

    async def events(self, request: r.Events) -> AsyncGenerator[v.EventPage, None]:
        self._settle()
        told, last = self._counter.state.head.index, request.after or self._number
        more = asyncio.Event()
        self._more.add(more)
        try:
            known = await self._asked(request)
            if request.with_position:
                yield v.EventPage((), 0 if known else told)
            for page in _pages(known, told):
                yield page
                last = page.events[-1].number
            while request.is_following:
                self._settle()
                told = self._counter.state.head.index
                for page in _pages([line for line in self._ring if line.number > last], told):
                    last = page.events[-1].number
                    yield page
                await more.wait()
                more.clear()
        finally:
            self._more.discard(more)

    async def _asked(self, request: r.Events) -> list[Line]:
        """What there is already."""
        if request.since:
            oldest = self._counter.clock.wall_ms() - request.within_ms
            known = await self._known(MOST, 0, request.since)
            return [line for line in known if line.index >= request.since or (not line.index and line.at >= oldest)]
        limit = max(0, min(request.limit, MOST))
        known = await self._known(limit, request.after)
        return [line for line in known if line.number > request.after][-limit:] if limit else []

    async def _known(self, limit: int, after: int, since: int = 0) -> list[Line]:
        """The ring, and where that is not enough, what is in the book besides."""
        ring = list(self._ring)
        if not ring or limit <= len(ring) or (after and after >= ring[0].number):
            return ring
        if since and any(0 < line.index < since for line in ring):
            return ring
        self._write()
        older = await asyncio.to_thread(self._book.read)
        return [*(line for line in older if line.number < ring[0].number), *ring]


def _mark(event: e.Event, when: int) -> int:
    return int.from_bytes(blake2b(_ENCODE((when, event)), digest_size=7).digest())


def is_told(event: e.Event) -> bool:
    match event:
        case e.TasksEnded(state=state):
            return state is TaskState.FAILED
        case e.TaskRequeued():
            return True
        case _:
            return isinstance(event, TOLD)


def _pages(lines: Sequence[Line], told: int) -> list[v.EventPage]:
    """The last one says how far the log is told."""
    starts = range(0, len(lines), PAGE)
    return [
        v.EventPage(tuple(line.view for line in lines[at : at + PAGE]), told if at + PAGE >= len(lines) else 0)
        for at in starts
    ]


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
    *observing.EVENTS,
)
