"""Following a job until it has ended: output as it is written, moves, ends.

Promises: the first byte is on its way within 30 ms of being written, the end of a job at once; whoever reads slowly
slows down nobody but himself.
Never: holds output in memory beyond one piece.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Final

from odyssey.api import project, rights
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.fetching import Fetching
from odyssey.api.ledger import Ledger, Listener
from odyssey.api.names import resolve
from odyssey.api.past import Found, Past
from odyssey.api.ports import Counter
from odyssey.api.teller import Teller
from odyssey.ids import AttemptId, NodeId, NodeNumber
from odyssey.model import Job

SOON_SECONDS: Final = 0.02  # until the next look for bytes that are on their way
HINTED_SECONDS: Final = 0.5  # while somebody writes, and it is told when he has
CALM_SECONDS: Final = 1.0
PROGRESS_MS: Final = 200


class Following:
    def __init__(self, counter: Counter, ledger: Ledger, past: Past) -> None:
        self._counter, self._ledger, self._past = counter, ledger, past

    async def follow(self, request: r.Follow) -> AsyncGenerator[v.Told, None]:
        meant = resolve(request.ref, self._counter.state, rights.asker(self._counter).user)
        listener = self._ledger.listen(meant.job)
        fetching = Fetching(self._counter, listener.stir)
        elsewhere = partial(other, self._counter)
        teller = Teller(meant.job, meant.task, request, self._counter.outputs, fetching.outputs, elsewhere)
        is_live = not (request.is_grouped or request.without_output)
        deaf = self._watch(teller, listener) if is_live else None
        try:
            found = await self._past.find(meant.job)
            rights.check(self._counter, found.job, rights.Right.READ)
            teller.all_of(found.job)
            telling = self._old(teller, found) if found.is_past else self._tell(teller, listener)
            async with aclosing(telling):
                async for told in telling:
                    yield told
        finally:
            if deaf is not None:
                deaf()
            fetching.close()
            self._ledger.leave(listener)

    def _watch(self, teller: Teller, listener: Listener) -> Callable[[], None]:
        def changed(attempt: AttemptId) -> None:
            if teller.tells(attempt):
                listener.stir()

        return self._counter.outputs.watch(changed)

    async def _old(self, teller: Teller, found: Found) -> AsyncGenerator[v.Told, None]:
        """A job that is history: nothing changes any more."""
        clock = self._counter.clock
        while teller.has_more or teller.look_again:
            items = teller.items(found.records, clock.monotonic_ms())
            if items:
                yield v.Told(tuple(items))
            elif not teller.has_more:
                await asyncio.sleep(SOON_SECONDS)
        yield v.Told((v.Over(found.view),))

    async def _tell(self, teller: Teller, listener: Listener) -> AsyncGenerator[v.Told, None]:
        clock = self._counter.clock
        progress = _Progress(clock.monotonic_ms())
        items: list[v.AnyItem] = []
        may_wait = True  # that something began is told together with what it writes, if that comes soon
        while True:
            job = self._counter.state.jobs.get(teller.job)
            if job is None:  # a slow reader: it has become history meanwhile
                if items:
                    yield v.Told(tuple(items))
                async for told in self._old(teller, await self._past.find(teller.job)):
                    yield told
                return
            self._hear(teller, listener, job)
            now = clock.monotonic_ms()
            items += teller.items(project.records_of(self._counter.state), now)
            if job.ended_index and not teller.has_more and not teller.look_again:
                yield v.Told((*items, v.Over(self._ledger.view(job))))
                return
            items += progress.items(job, now, partial(self._progress, teller))
            if items and not is_news(items) and may_wait:
                may_wait = False
                await listener.wait(SOON_SECONDS)
            elif items:
                yield v.Told(tuple(items))
                items, may_wait = [], True
            elif not teller.has_more:
                await listener.wait(patience(teller))

    def _hear(self, teller: Teller, listener: Listener, job: Job) -> None:
        retried, listener.retried = listener.retried, []
        teller.again(retried)
        if listener.is_everything:
            listener.is_everything = False
            teller.all_of(job)
        dirty, listener.dirty = listener.dirty, {}
        teller.look_at(dirty)

    def _progress(self, teller: Teller, job: Job) -> v.Progress:
        told, state = self._ledger.observed(), self._counter.state
        now = project.going(told).get(job.id)
        running = now.running if now is not None else 0
        there = teller.silent()
        silent = tuple(sorted(node.name for node in state.nodes.values() if node.id in there)) if there else ()
        return v.Progress(project.counts(job, running), running, project.spread(state, job.id), silent)


def other(counter: Counter, number: NodeNumber) -> NodeId | None:
    """The machine with that number; None: it is this one, or there is none any more."""
    node = counter.state.nodes.get(number)
    return node.id if node is not None and node.id != counter.me else None


def patience(teller: Teller) -> float:
    if teller.waits_for_rest:
        return SOON_SECONDS
    return HINTED_SECONDS if teller.look_again else CALM_SECONDS


def is_news(items: list[v.AnyItem]) -> bool:
    return not all(isinstance(item, v.Began) for item in items)


class _Progress:
    """Some times a second at most, and only when it has changed."""

    def __init__(self, now: int) -> None:
        self._next_ms = now + PROGRESS_MS
        self._last: v.Progress | None = None

    def items(self, job: Job, now: int, make: Callable[[Job], v.Progress]) -> list[v.AnyItem]:
        if now < self._next_ms:
            return []
        self._next_ms = now + PROGRESS_MS
        made = make(job)
        if made == self._last:
            return []
        self._last = made
        return [made]
