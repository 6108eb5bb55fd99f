"""A counter whose jobs really run, as children of the test: for programs that need an answer.

Promises: every task gets a process of its own with the job's words, environment, directory and standard input; none is
left when the counter is closed.
Never: freezes, limits or re-runs anything: that is tested with the real hands.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from odyssey import events as e
from odyssey.events import Event
from odyssey.ids import index_of, job_of
from odyssey.model import Outcome
from tests.api.counter import FakeCounter, blocking, opened

T = TypeVar("T")


class RunningCounter(FakeCounter):
    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(4)
        self.children: dict[tuple[int, int], asyncio.subprocess.Process] = {}
        self.subscribe(self._start)

    def _start(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, e.JobSubmitted):
                for index in range(event.tasks):
                    task = asyncio.get_running_loop().create_task(self._run(event.job, index))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            if isinstance(event, e.TasksCancelling):
                for task_id in event.tasks:
                    if (child := self.children.get((job_of(task_id), index_of(task_id)))) is not None:
                        child.kill()

    async def _run(self, job: int, index: int) -> None:
        async with self._room:
            spec = self.mesh.job(job).spec
            if self.mesh.job(job).ended_index or not any(
                run.start <= index < run.stop for run in self.mesh.job(job).runs
            ):
                return
            (attempt,) = self.assign(job, index)
            env = {**dict(spec.env), b"ODYSSEY_TASK": b"%d" % index, b"PATH": os.environb[b"PATH"]}
            stdin = (self.home / "spool" / "stdin" / spec.stdin.hex()).read_bytes() if spec.stdin else b""
            child = await asyncio.create_subprocess_exec(
                *spec.argv, env=env, cwd=spec.cwd or None, stdin=-1, stdout=-1, stderr=-1
            )
            self.children[job, index] = child
            try:
                out, err = await child.communicate(stdin)
            except asyncio.CancelledError:
                child.kill()
                await child.wait()
                raise
            finally:
                del self.children[job, index]
            self.outputs.write(attempt, out)
            self.outputs.write(attempt, err, 2)
            assert child.returncode is not None
            died = child.returncode < 0
            self.end(job, index, Outcome.SIGNALLED if died else Outcome.EXITED, abs(child.returncode))

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*list(self._tasks), return_exceptions=True)


def used(tmp_path: Path, program: Callable[[str], T]) -> T:
    """What the program gives that is told where the socket is."""

    async def run() -> T:
        counter = RunningCounter(tmp_path)
        async with asyncio.timeout(60), opened(counter, tmp_path / "s"):
            try:
                return await blocking(lambda: program(str(tmp_path / "s")))
            finally:
                await counter.close()

    return asyncio.run(run())
