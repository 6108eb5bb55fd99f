"""What people may be told about jobs, one call after the other: the model that histories of real ones must fit.

A submit gives its job one number, however often it is sent. A job lives, or is closed by a cancel, or has ended by
itself, which may happen at any time. Who is told that a cancel was accepted never sees the job live again; who saw it
ended never sees it otherwise.

Promises: everything that can be seen through the three calls is judged: the number, the cancel's answer, the state.
Never: knows why a job ends.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tests.linear import Call, Unknown, by_thing, refusal


class What(enum.Enum):
    SUBMIT = "submit"
    CANCEL = "cancel"
    GET = "get"


class Ask(NamedTuple):
    what: What
    client: int  # whose submit made the job: all calls about one job have the same


class Told(NamedTuple):
    """The number of the job when it was told, and what was said of it."""

    job: int = 0
    word: str = ""


ABSENT: Final = "absent"
LIVE: Final = "live"  # something of it waits or runs
CLOSED: Final = "closed"  # cancelled, and something still has to stop
ENDED: Final = "ended"
ACCEPTED: Final = "accepted"
TOO_LATE: Final = "too late"
DONE: Final = "done"  # of a submit or cancel: on the log, and more was not said


class Job(NamedTuple):
    number: int  # 0: not known, nobody was told yet
    word: str


class JobModel:
    first: Final = Job(0, ABSENT)

    def step(self, job: Job, ask: Ask, told: Told | Unknown) -> Job | None:
        if isinstance(told, Unknown):
            return self._step(job, ask.what, Told(0, DONE)) if ask.what is not What.GET else job
        if told.job and job.number and told.job != job.number:
            return None
        after = self._step(job, ask.what, told)
        return after._replace(number=told.job or after.number) if after is not None else None

    def _step(self, job: Job, what: What, told: Told) -> Job | None:
        if what is What.SUBMIT:
            return Job(job.number, LIVE) if job.word == ABSENT else job
        if what is What.CANCEL:
            return self._cancel(job, told.word)
        return self._get(job, told.word)

    def _cancel(self, job: Job, word: str) -> Job | None:
        if job.word == ABSENT:
            return job if word in (ABSENT, DONE) else None
        if word == TOO_LATE:
            return job._replace(word=ENDED)
        if word == ACCEPTED:
            return job._replace(word=CLOSED) if job.word != ENDED else None
        return (job._replace(word=CLOSED) if job.word != ENDED else job) if word == DONE else None

    def _get(self, job: Job, word: str) -> Job | None:
        """What is seen is what is, or what it became by itself meanwhile."""
        if job.word == word:
            return job
        return job._replace(word=ENDED) if word == ENDED and job.word != ABSENT else None


JOBS: Final = JobModel()
History = Sequence[Call[Ask, Told]]


def complaints(history: History) -> Iterable[str]:
    """Why this cannot have been; nothing: it is linearizable."""
    for part in by_thing(history, lambda ask: ask.client):
        found = refusal(JOBS, part)
        if found is not None:
            done = " · ".join(map(show, found.done)) or "nothing"  # type: ignore[arg-type]
            yield f"client {part[0].ask.client}: after {done}: no place for {show(found.stuck)}"  # type: ignore[arg-type]
    yield from _numbers(history)


def show(call: Call[Ask, Told]) -> str:
    until = call.end if call.is_known else "…"
    said = " ".join(str(one) for one in call.answer if one) if isinstance(call.answer, Told) else "?"
    return f"{call.ask.what.value} [{call.begin}-{until}] {said}"


def _numbers(history: History) -> Iterable[str]:
    """Two submits never share a number, and who was told one before another was sent has the smaller one."""
    spans: dict[int, tuple[int, int, int]] = {}  # by number: the client, its first asking, the first answer
    asked: dict[int, int] = {}
    for call in sorted(history, key=lambda one: one.begin):
        if call.ask.what is not What.SUBMIT:
            continue
        begin = asked.setdefault(call.ask.client, call.begin)
        if not isinstance(call.answer, Told) or not call.answer.job:
            continue
        client, _, end = spans.get(call.answer.job, (call.ask.client, 0, call.end))
        if client != call.ask.client:
            yield f"clients {client} and {call.ask.client} were both told {call.answer.job}"
        spans[call.answer.job] = (client, begin, min(end, call.end))
    yield from _order(spans)


def _order(spans: dict[int, tuple[int, int, int]]) -> Iterable[str]:
    earliest, whose = 0, 0  # of the answers with greater numbers
    for number in sorted(spans, reverse=True):
        client, begin, end = spans[number]
        if whose and earliest < begin:
            yield f"client {client} asked at {begin} and was told {number}, client {whose} was told more at {earliest}"
        if not whose or end < earliest:
            earliest, whose = end, client
