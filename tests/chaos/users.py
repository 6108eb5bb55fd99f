"""People at the doors of the hosts: they submit, cancel and look while all of it goes on, and remember what they were
told.

Each question is asked once, with a deadline. Who had no answer asks again at another door under the same id, and for
the history the first question stays unknown.

Promises: every question is in the history, with when it was asked and answered by one clock.
Never: believes an answer that came too late.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from odyssey.api import requests as r
from odyssey.api.client import Connection
from odyssey.api.operations import BY_REQUEST
from odyssey.errors import OdysseyError, UsageError
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.spec import JobSpec, Want
from tests.chaos import witness
from tests.linear import UNKNOWN, Call
from tests.linear_jobs import ABSENT, ACCEPTED, CLOSED, ENDED, LIVE, TOO_LATE, Ask, Told, What

PATIENCE_S: Final = 6.0
PAUSE_S: Final = 1.2
MOST_TASKS: Final = 6
MOST_BEATS: Final = 60
DONE: Final = frozenset(("done", "failed", "cancelled", "skipped"))
Door = Callable[[], str | None]


class Wish(NamedTuple):
    """One submit, and the job it gave."""

    number: int
    id: bytes
    spec: JobSpec


class Memory:
    """Of all of them together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.history: list[Call[Ask, Told]] = []
        self.jobs: dict[int, int] = {}  # of each wish that was acknowledged: its job
        self.wishes: dict[int, Wish] = {}
        self.cancelled: set[int] = set()
        self.refusals: dict[str, int] = {}

    def wish(self, spec: Callable[[int], JobSpec]) -> Wish:
        with self._lock:
            number = len(self.wishes) + 1
            made = self.wishes[number] = Wish(number, os.urandom(16), spec(number))
            return made

    def note(self, ask: Ask, begin: int, told: Told | None) -> None:
        with self._lock:
            if told is None:
                self.history.append(Call(ask, UNKNOWN, begin))
            else:
                self.history.append(Call(ask, told, begin, time.monotonic_ns()))
                if ask.what is What.SUBMIT:
                    self.jobs[ask.client] = told.job

    def refused(self, error: OdysseyError) -> None:
        with self._lock:
            text = f"{type(error).__name__}: {error.message}"
            self.refusals[text] = self.refusals.get(text, 0) + 1


class User(threading.Thread):
    def __init__(self, seed: int, doors: Sequence[Door], memory: Memory, folder: Path) -> None:
        super().__init__(name=f"user {seed}")
        self._chance, self._doors, self._memory, self._folder = random.Random(seed), doors, memory, folder
        self._over = threading.Event()
        self.bug: BaseException | None = None

    def stop(self) -> None:
        self._over.set()

    def run(self) -> None:
        try:
            while not self._over.wait(self._chance.random() * 2 * PAUSE_S):
                self._act()
        except BaseException as bug:  # noqa: BLE001 - told by whoever made this
            self.bug = bug

    def _act(self) -> None:
        deed = self._chance.random()
        known = sorted(self._memory.jobs)[-12:]
        if deed < 0.55 or not known:
            self.submit(self._memory.wish(self._spec))
        elif deed < 0.65:
            self.cancel(self._chance.choice(known))
        else:
            self.look(self._chance.choice(known))

    def _spec(self, number: int) -> JobSpec:
        beats = self._chance.randrange(MOST_BEATS) if self._chance.random() < 0.5 else self._chance.randrange(4)
        words = witness.argv(self._folder, str(number), beats)
        want = Want(Resources(1000, 64 << 20), key="sh")
        return JobSpec(UserId(""), words, want, count=1 + self._chance.randrange(MOST_TASKS), cwd=b"/")

    # -- questions -----------------------------------------------------------------------------------------------------

    def submit(self, wish: Wish) -> None:
        """Until somebody says yes, or the story is over."""
        while not self._over.is_set():
            view = self._ask(Ask(What.SUBMIT, wish.number), r.Submit(wish.id, (wish.spec,)), _submitted)
            if view is not None:
                return
            self._over.wait(0.2 + self._chance.random())

    def cancel(self, number: int) -> None:
        self._memory.cancelled.add(number)  # it may happen, whatever is answered
        self._ask(Ask(What.CANCEL, number), r.Cancel(str(self._memory.jobs[number])), _cancelled)

    def look(self, number: int) -> None:
        self._ask(Ask(What.GET, number), r.Job(str(self._memory.jobs[number])), _seen)

    def _ask(self, ask: Ask, request: r.Request[Any], told: Callable[[Any], Told | None]) -> Any:
        door = self._chance.choice(self._doors)()
        if door is None:
            return None
        begin = time.monotonic_ns()
        try:
            view = asked(door, request, PATIENCE_S)
        except OdysseyError as error:
            self._memory.refused(error)
            is_absent = ask.what is What.GET and isinstance(error, UsageError)
            self._memory.note(ask, begin, Told(0, ABSENT) if is_absent else None)
            return None
        except (OSError, TimeoutError):
            self._memory.note(ask, begin, None)
            return None
        said = told(view)
        if said is not None:
            self._memory.note(ask, begin, said)
        return view


def asked(door: str, request: r.Request[Any], patience_s: float) -> Any:
    """One question on a connection of its own, with a deadline."""
    row = BY_REQUEST[type(request)]
    connection = Connection(door, patience_s)
    try:
        return connection.answer(connection.ask(row, request), row, time.monotonic() + patience_s)
    finally:
        connection.close()


def _submitted(view: Any) -> Told:
    return Told(view.id)


def _cancelled(view: Any) -> Told:
    return Told(0, ACCEPTED if view.tasks else TOO_LATE)


def _seen(view: Any) -> Told | None:
    """What was told with an age is not of now, and says so: no call of a history."""
    if view.age_ms:
        return None
    states = {one.state for one in view.task_list}
    word = ENDED if view.job.state in DONE else CLOSED if states <= DONE | {"cancelling"} else LIVE
    return Told(view.job.id, word)
