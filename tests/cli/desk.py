"""A desk for tests: streams that are kept, and a daemon that answers with fixed views.

Promises: what is asked without a scripted answer fails the test; every request is kept in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from odyssey.api.requests import Events, Follow, Request, Wait
from odyssey.api.views import AnyItem, Counts, EventPage, JobView, View
from odyssey.cli.desk import Desk, Reach
from odyssey.cli.main import Table, run
from odyssey.cli.output import Output
from odyssey.errors import Unreachable

Answer = View | Sequence[View] | BaseException | Callable[[Any], Any]


class Kept:
    """A stream that remembers."""

    def __init__(self, is_terminal: bool = False, width: int = 100) -> None:
        self.is_terminal, self.width = is_terminal, width
        self.data = b""
        self.fails: OSError | None = None

    def write(self, data: bytes) -> None:
        if self.fails is not None:
            raise self.fails
        self.data += data

    @property
    def text(self) -> str:
        return self.data.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class FakeAsker:
    """Answers by the type of the request: a view, a list of views for a stream, an error, or a function of it."""

    def __init__(self, answers: Mapping[Any, Any]) -> None:
        self.answers: Mapping[type[Request[Any]], Answer] = answers
        self.asked: list[Request[Any]] = []

    def call(self, request: Request[Any]) -> Any:
        return self._answer(request)

    def stream(self, request: Request[Any]) -> Iterator[Any]:
        yield from self._answer(request)

    def follow(self, request: Follow, reach: Reach = lambda _: None) -> Iterator[AnyItem]:
        yield from self._answer(request)

    def events(self, request: Events) -> Iterator[EventPage]:
        yield from self._answer(request)

    def wait(self, *refs: str) -> Iterator[JobView]:
        yield from self._answer(Wait(refs))

    def _answer(self, request: Request[Any]) -> Any:
        self.asked.append(request)
        if type(request) not in self.answers:
            raise AssertionError(f"nobody has said what to answer to {request}")
        answer = self.answers[type(request)]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Result(NamedTuple):
    status: int
    out: Kept
    err: Kept
    asked: list[Request[Any]]
    started: bool  # a daemon would have been started

    @property
    def error(self) -> str:
        return self.err.lines[0]

    @property
    def hint(self) -> str:
        return self.err.lines[1]


def type_in(
    *words: str,
    answers: Mapping[Any, Any] | None = None,
    terminal: bool = False,
    environment: Mapping[str, str] | None = None,
    folder: bytes = b"/home/anna/fit",
) -> Result:
    """What happens when somebody types `odyssey` and these words. Without answers there is no daemon."""
    out, err = Kept(terminal), Kept(terminal)
    asker = FakeAsker(answers or {})
    started: list[bool] = []

    def connect(environment: Mapping[str, str], *, start: bool, say: Callable[[str], None]) -> FakeAsker:
        started.append(start)
        if answers is None:
            raise Unreachable("no daemon runs here", hint="odyssey up")
        return asker

    given = dict(environment or {})
    output = Output(out, err, given)
    table = Table(output, lambda: Desk(output, given, connect, folder))
    return Result(run(words, table), out, err, asker.asked, any(started))


def counts(total: int = 1, **of: int) -> Counts:
    every = {"waiting": 0, "running": 0, "done": 0, "failed": 0, "cancelled": 0, "skipped": 0} | of
    return Counts(total, **every)


def a_job(number: int = 42, state: str = "done", **fields: Any) -> JobView:
    tasks = fields.pop("tasks", None) or counts(1, **{state: 1})
    given: dict[str, Any] = {
        "name": "fit",
        "user": "anna",
        "node": "nova",
        "tries": 1,
        "exit_code": 0 if state == "done" else None,
        "reason": None,
        "submitted_at": 1_790_000_000_000,
        "started_at": 1_790_000_001_000,
        "ended_at": 1_790_000_004_500 if state not in ("waiting", "running") else None,
        "command": "./fit 1",
        "exit_status": 0 if state == "done" else None,
    } | fields
    return JobView(id=number, state=state, tasks=tasks, **given)
