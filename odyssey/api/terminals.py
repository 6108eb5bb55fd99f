"""The terminals of jobs, from the side of those who sit at them: one types, others look on.

Promises: only whose job it is types there, and never two at once; who goes gives it free, and who says so takes it. A
byte that was said twice is typed once.
Never: keeps what was typed: it goes on to the hands, who say how much they took.
"""

import asyncio
from typing import Final, NamedTuple

from odyssey.api import errands as q
from odyssey.api import requests as r
from odyssey.api import rights
from odyssey.api import views as v
from odyssey.api.names import resolve
from odyssey.api.ports import Counter
from odyssey.api.rights import Right
from odyssey.api.visits import Visits
from odyssey.errors import UsageError
from odyssey.ids import AttemptId, JobId, NodeId, task_id

MOST: Final = 16 << 10  # bytes typed at once
_MAX_SIZE: Final = 0xFFFF


class Sitting(NamedTuple):
    """Who has a terminal to itself, and the connection over which that was said last."""

    writer: int
    visit: asyncio.Future[None] | None


class Terminals:
    def __init__(self, counter: Counter, visits: Visits) -> None:
        self._counter, self._visits = counter, visits
        self._sittings: dict[AttemptId, Sitting] = {}

    async def type(self, request: r.Type) -> v.Typed:
        check_keys(request.attempt, request.writer, request.offset, (request.rows, request.columns), request.data)
        attempt = AttemptId(request.attempt)
        job = self._job(request.ref)
        node = self._machine(job, attempt) if job is not None else None
        if request.is_over:
            self._get_up(attempt, request.writer)
        if job is None or node is None or request.is_over:
            return v.Typed(0, is_ready=False)
        if not self._sits(attempt, request.writer, request.takes):
            return v.Typed(0, is_mine=False)
        if node == self._counter.me:
            return await typed(self._counter, attempt, request)
        keys = q.Keys(
            *(task_id(job, 0), attempt, request.writer, request.offset, request.data),
            *(request.rows, request.columns),
        )
        return await self._counter.others.ask(node, keys)

    def _job(self, ref: str) -> JobId | None:
        """Of whoever asks; None: it is history."""
        state = self._counter.state
        number = resolve(ref, state, rights.asker(self._counter).user).job
        job = state.jobs.get(number)
        if job is None:
            return None
        rights.check(self._counter, job, Right.CHANGE)
        return number

    def _machine(self, job: JobId, attempt: AttemptId) -> NodeId | None:
        """Where that attempt of that job is; None: nowhere any more, or it has not begun there."""
        state = self._counter.state
        task = state.tasks.get(task_id(job, 0))
        for one in task.attempts if task is not None else ():
            node = state.nodes.get(one.node)
            if one.id == attempt and node is not None:
                is_here = node.id == self._counter.me
                return None if is_here and attempt not in self._counter.here() else node.id
        return None

    def _sits(self, attempt: AttemptId, writer: int, takes: bool) -> bool:
        """From now on it does, if nobody else does or it takes the place."""
        here = self._sittings.get(attempt)
        if here is not None and here.writer != writer and not _has_gone(here) and not takes:
            return False
        self._sittings = {one: sitting for one, sitting in self._sittings.items() if not _has_gone(sitting)}
        self._sittings[attempt] = Sitting(writer, self._visits.now())
        return True

    def _get_up(self, attempt: AttemptId, writer: int) -> None:
        here = self._sittings.get(attempt)
        if here is not None and here.writer == writer:
            del self._sittings[attempt]


def _has_gone(sitting: Sitting) -> bool:
    return sitting.visit is not None and sitting.visit.done()


async def typed(counter: Counter, attempt: AttemptId, keys: r.Type | q.Keys) -> v.Typed:
    """Into the terminal of an attempt of this machine."""
    told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def tell(taken: int) -> None:
        if not told.done():  # who asked may have gone
            told.set_result(taken)

    counter.type(attempt, keys.writer, keys.offset, (keys.rows, keys.columns), keys.data, tell)
    taken = await told
    return v.Typed(max(0, taken), is_ready=taken >= 0)


def check_keys(attempt: int, writer: int, offset: int, size: tuple[int, int], data: bytes) -> None:
    numbers = (attempt, writer, offset)
    if not all(number >= 0 for number in numbers) or not all(0 <= one <= _MAX_SIZE for one in size) or len(data) > MOST:
        raise UsageError("this cannot be typed", hint="upgrade the program that sent it")
