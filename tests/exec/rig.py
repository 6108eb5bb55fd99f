"""Real hands in a temporary home, driven step by step.

Promises: `close` ends the supervisor with all that it runs, also after a failure. Waits for facts, with a deadline.
"""

from __future__ import annotations

import asyncio
import os
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from odyssey.clock import SystemClock
from odyssey.commands import Report
from odyssey.errors import OdysseyError
from odyssey.exec.hands import Places, SupervisorHands
from odyssey.exec.launch import Launcher, Machine, Words
from odyssey.exec.outputs import STDERR, STDOUT, Outputs
from odyssey.exec.supervisor.main import main as supervisor
from odyssey.exec.supervisor.outlet import LIMIT
from odyssey.ids import AttemptId, UserId, attempt_id, task_id
from odyssey.messages import Listed
from odyssey.resources import Resources
from odyssey.spec import JobSpec, Want

DEADLINE_S = 30
FOREVER = 1 << 62
ROOT = Path(__file__).resolve().parents[2]


def a_spec(*words: str | bytes, memory: int = 0, **more: Any) -> JobSpec:
    argv = tuple(os.fsencode(word) for word in words)
    return JobSpec(UserId("anna"), argv, Want(Resources(1000, memory)), **more)


def shell(script: str, **more: Any) -> JobSpec:
    return a_spec("sh", "-c", script, **more)


def listed(number: int, task: int | None = None, which: int = 1) -> Listed:
    return Listed(attempt_id(1, number, 0), task_id(task or number, 0), number=which)


class Rig:
    """A home, and one daemon's hands at a time."""

    def __init__(
        self,
        home: Path,
        words: Words = lambda _spec, _position: None,
        begin: int = 1,
        limit: int = LIMIT,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.places = Places(
            home / "exec", home / "outputs", home / "spool", home / "files", home / "door", home / "log", limit
        )
        self.loop = asyncio.new_event_loop()
        self.troubles: list[OdysseyError] = []
        self.wrote: list[AttemptId] = []  # told while somebody types there
        self.freed: list[bool] = []  # what was told of room
        self.clock = SystemClock()
        self._words = words
        self._last = begin - 1
        self.outputs = Outputs(self.places.outputs, self.places.own / "slots", self.loop)
        self.hands = self._made()

    def start_supervisor(self, prepare: Callable[[], None]) -> Rig:
        """One that finds another machine: `prepare` is called in its process before it begins."""
        for folder in self.places[:4]:
            folder.mkdir(parents=True, exist_ok=True)
        read_end, write_end = os.pipe()
        pid = os.fork()
        if not pid:
            _become_supervisor(self.places, write_end, prepare)
        os.close(write_end)
        os.waitpid(pid, 0)
        said = os.read(read_end, 100)
        os.close(read_end)
        assert said == b"ready\n"
        return self.open()

    def _made(self) -> SupervisorHands:
        machine = Machine("nova", b"/usr/bin:/bin")
        launcher = Launcher(machine, self._words)
        return SupervisorHands(
            *(self.loop, self.places, self.clock, launcher, self.freed.append, self.troubles.append),
            on_wrote=self.wrote.append,
        )

    def open(self, until_ms: int = FOREVER) -> Rig:
        opened: list[bool] = []
        self.hands.open(lambda: opened.append(True))
        self.until(lambda: opened)
        self.lease(until_ms)
        return self

    def lease(self, until_ms: int) -> None:
        told: list[bool] = []
        self.hands.lease(until_ms, lambda: told.append(True))
        self.until(lambda: told)

    def reopen(self) -> None:
        """The daemon dies, and the next one comes."""
        self.hands.close()
        self.hands = self._made()
        self.open()

    def turn(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def until(self, happened: Callable[[], object], seconds: float = DEADLINE_S) -> None:
        deadline = time.monotonic() + seconds
        while not happened():
            assert self.troubles == []
            assert time.monotonic() < deadline, self.said()
            self.loop.call_later(0.005, self.loop.stop)
            self.loop.run_forever()

    def said(self) -> str:
        """By the supervisor, in its log."""
        return self.places.log.read_text() if self.places.log.exists() else ""

    def start(self, spec: JobSpec, number: int = 1) -> AttemptId:
        """`number` counts the tries of its task."""
        self._last += 1
        one = listed(self._last, which=number)
        self.hands.start(one, spec)
        return one.attempt

    def wait(self, attempt: AttemptId, seconds: float = DEADLINE_S) -> Report:
        self.until(lambda: attempt in self.hands.reports(), seconds)
        return self.hands.reports()[attempt]

    def run(self, spec: JobSpec, seconds: float = DEADLINE_S) -> Report:
        return self.wait(self.start(spec), seconds)

    def out(self, attempt: AttemptId, stream: int = STDOUT) -> bytes:
        extent = self.outputs.extent(attempt, stream)
        return b"" if extent is None else self.outputs.read(attempt, stream, 0, extent.size)

    def err(self, attempt: AttemptId) -> bytes:
        return self.out(attempt, STDERR)

    def close(self) -> None:
        ended: list[bool] = []
        pid = self.hands.pid
        self.hands.end(lambda: ended.append(True))
        try:
            self.until(lambda: ended)
            self.until(lambda: pid is None or not is_there(pid))
        finally:
            self.loop.close()


def _become_supervisor(places: Places, ready: int, prepare: Callable[[], None]) -> None:
    """Never returns. The process in between is gone at once, so that nobody has to wait for the supervisor."""
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
        log = os.open(places.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for end in (1, 2):
            os.dup2(log, end)
        os.dup2(ready, 3)
        prepare()
        words = (*places[:4], places.socket, places.output_limit, 3)
        supervisor([str(word) for word in words])
    except BaseException:  # noqa: BLE001 - said in the log
        traceback.print_exc()
    finally:
        os._exit(0)


def is_there(pid: int) -> bool:
    """Alive, and not only waiting to be waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def running(word: str) -> Sequence[int]:
    """Processes on this machine that were started with this word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word.encode() in words and is_there(int(path.parent.name)):
            found.append(int(path.parent.name))
    return found
