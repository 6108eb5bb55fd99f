"""Work for all cores, in processes that may die: one that does takes only the thing it worked on with it.

Promises: every thing gets a result or the reason why there is none; results come as they are there.
Never: waits for ever. Who takes longer than the limit is ended.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from time import monotonic
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")

LIMIT_SECONDS: Final = 120.0
_SPAWN: Final = multiprocessing.get_context("spawn")  # nothing is inherited that another run did


class Died(NamedTuple):
    why: str


@dataclass
class _Worker(Generic[T]):
    process: multiprocessing.process.BaseProcess
    pipe: Connection
    thing: T
    deadline: float

    def end(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()

    def why(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        return f"the process died of {signal.Signals(-code).name}" if code < 0 else f"the process ended with {code}"


class Pool(Generic[T, R]):
    def __init__(self, work: Callable[[T], R], workers: int, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._work, self._most, self._limit = work, workers, limit_seconds
        self._workers: list[_Worker[T]] = []

    def each(self, things: Iterable[T]) -> Iterator[tuple[T, R | Died]]:
        left = deque(things)
        try:
            while left or self._workers:
                while left and len(self._workers) < self._most:
                    self._hire(left.popleft())
                yield from self._collect(left)
        finally:
            for worker in self._workers:
                worker.end()
            self._workers.clear()

    def _hire(self, thing: T) -> None:
        here, there = _SPAWN.Pipe()
        process = _SPAWN.Process(target=_serve, args=(self._work, there), daemon=True)
        process.start()
        there.close()
        worker = _Worker(process, here, thing, 0.0)
        self._give(worker, thing)
        self._workers.append(worker)

    def _give(self, worker: _Worker[T], thing: T) -> None:
        worker.thing, worker.deadline = thing, monotonic() + self._limit
        with suppress(BrokenPipeError):  # it died; that is seen when its answer is looked for
            worker.pipe.send(thing)

    def _collect(self, left: deque[T]) -> Iterator[tuple[T, R | Died]]:
        first = min(worker.deadline for worker in self._workers)
        ready = wait([worker.pipe for worker in self._workers], max(0.0, first - monotonic()))
        for worker in list(self._workers):
            thing = worker.thing
            if worker.pipe in ready:
                yield thing, self._result(worker, left)
            elif worker.deadline <= monotonic():
                self._let_go(worker)
                yield thing, Died(f"no end within {self._limit:g} s")

    def _result(self, worker: _Worker[T], left: deque[T]) -> R | Died:
        try:
            result: R = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            died = Died(worker.why())
            self._let_go(worker)
            return died
        if left:
            self._give(worker, left.popleft())
        else:
            self._let_go(worker)
        return result

    def _let_go(self, worker: _Worker[T]) -> None:
        self._workers.remove(worker)
        worker.end()


def _serve(work: Callable[[T], R], pipe: Connection) -> None:
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            pipe.send(work(pipe.recv()))
