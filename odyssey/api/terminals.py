"""The terminals of jobs, from the side of those who sit at them: one types, others look on.

Promises: only whose job it is types there, and never two at once; who goes gives it free, and who says so takes it. A
byte that was said twice is typed once.
Never: keeps what was typed: it goes on to the hands, who say how much they took.
"""

import asyncio
from typing import Final, NamedTuple

from odyssey.api import requests as r
from odyssey.api import rights
from odyssey.api import views as v
from odyssey.api.door import visit
from odyssey.api.names import resolve
from odyssey.api.ports import Counter
from odyssey.api.rights import Right
from odyssey.errors import OdysseyError, UsageError
from odyssey.ids import AttemptId, JobId, task_id

MOST: Final = 16 << 10  # bytes typed at once
_MAX_SIZE: Final = 0xFFFF


class Sitting(NamedTuple):
    """Who has a terminal to itself, and the connection over which that was said last."""

    writer: int
    visit: asyncio.Future[None] | None


class Terminals:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._sittings: dict[AttemptId, Sitting] = {}

    async def type(self, request: r.Type) -> v.Typed:
        _check(request)
        attempt = AttemptId(request.attempt)
        if not self._runs_here(request.ref, attempt):
            return v.Typed(0, is_ready=False)
        if not self._sits(attempt, request.writer, request.takes):
            return v.Typed(0, is_mine=False)
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def tell(taken: int) -> None:
            if not told.done():  # who asked may have gone
                told.set_result(taken)

        size = (request.rows, request.columns)
        self._counter.type(attempt, request.writer, request.offset, size, request.data, tell)
        taken = await told
        return v.Typed(max(0, taken), is_ready=taken >= 0)

    def _runs_here(self, ref: str, attempt: AttemptId) -> bool:
        """That attempt, of that job, of whoever asks."""
        state = self._counter.state
        number = resolve(ref, state, rights.asker(self._counter).user).job
        job = state.jobs.get(number)
        if job is None:
            return False  # it is history
        rights.check(self._counter, job, Right.CHANGE)
        self._check_place(number, attempt)
        here = self._counter.here().get(attempt)
        return here is not None and here.task == task_id(number, 0)

    def _check_place(self, job: JobId, attempt: AttemptId) -> None:
        state = self._counter.state
        task = state.tasks.get(task_id(job, 0))
        for one in task.attempts if task is not None else ():
            node = state.nodes.get(one.node)
            if one.id == attempt and node is not None and node.id != self._counter.me:
                text = f"job {job} runs on {node.name}, and its terminal is there"
                raise OdysseyError(text, hint=f"on {node.name}: odyssey attach {job}")

    def _sits(self, attempt: AttemptId, writer: int, takes: bool) -> bool:
        """From now on it does, if nobody else does or it takes the place."""
        here = self._sittings.get(attempt)
        if here is not None and here.writer != writer and not _has_gone(here) and not takes:
            return False
        self._sittings = {one: sitting for one, sitting in self._sittings.items() if not _has_gone(sitting)}
        self._sittings[attempt] = Sitting(writer, visit())
        return True


def _has_gone(sitting: Sitting) -> bool:
    return sitting.visit is not None and sitting.visit.done()


def _check(request: r.Type) -> None:
    numbers = (request.attempt, request.writer, request.offset)
    sizes = (request.rows, request.columns)
    if (
        not all(number >= 0 for number in numbers)
        or not all(0 <= size <= _MAX_SIZE for size in sizes)
        or len(request.data) > MOST
    ):
        raise UsageError("this cannot be typed", hint="upgrade the program that sent it")
