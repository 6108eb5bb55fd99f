"""Waiting until jobs have ended.

Promises: one part for each job, in the order in which they end.
Never: polls.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from odyssey.api import requests as r
from odyssey.api import rights
from odyssey.api import views as v
from odyssey.api.ledger import Ledger
from odyssey.api.names import resolve
from odyssey.api.past import Past
from odyssey.api.ports import Counter
from odyssey.errors import UsageError
from odyssey.ids import JobId


class Waiting:
    def __init__(self, counter: Counter, ledger: Ledger, past: Past) -> None:
        self._counter, self._ledger, self._past = counter, ledger, past

    async def wait(self, request: r.Wait) -> AsyncGenerator[v.JobView, None]:
        if not request.refs:
            raise UsageError("no job is named to wait for", hint="write its number, its name, or: last")
        state, user = self._counter.state, rights.asker(self._counter).user
        left = dict.fromkeys(resolve(ref, state, user).job for ref in request.refs)
        stirred = asyncio.Event()
        listeners = [self._ledger.listen(job, stirred) for job in left]
        try:
            while left:
                stirred.clear()
                for job in self._ended(left):
                    del left[job]
                    yield rights.shown(self._counter, (await self._past.find(job)).view)
                if left:
                    await stirred.wait()
        finally:
            for listener in listeners:
                self._ledger.leave(listener)

    def _ended(self, left: Iterable[JobId]) -> list[JobId]:
        """Those that have, in that order; what is history ended before all others."""
        jobs = self._counter.state.jobs
        over = [(jobs[job].ended_index if job in jobs else 0, job) for job in left]
        return [job for index, job in sorted(over) if index or job not in jobs]
