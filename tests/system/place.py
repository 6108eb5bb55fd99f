"""A home under a temporary directory, with whatever daemon runs on it.

Promises: `end` leaves no process behind that has to do with this home, whatever the test did to it.
Never: touches another home.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from odyssey import starting
from odyssey.daemon.lock import owner_of
from odyssey.exec.supervisor import oldgroups
from odyssey.paths import Home, find_home
from odyssey.starting import Running

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PATIENCE_S: Final = 30.0


def wait_for(what: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    """The first answer that says yes."""
    deadline = time.monotonic() + patience_s
    while not (found := what()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {patience_s} s: {what}")
        time.sleep(0.01)
    return found


def processes_of(home: bytes) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                said = (entry / "environ").read_bytes().split(b"\0")
                if b"ODYSSEY_HOME=" + home in said or any(word.startswith(home) for word in words):
                    yield int(entry.name)


def is_killed(home: Home) -> bool:
    """Again and again: what dies may have started something meanwhile."""
    left = list(processes_of(os.fsencode(home.path)))
    for process in left:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return not left


def is_swept(home: Home) -> bool:
    """No control groups are left: as the next start on this home would do it. Who is dead and not waited for yet is
    still in his group."""
    hands = str(home.path / "hands")
    oldgroups.sweep(hands)
    return not oldgroups.noted(hands)


class Place:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ODYSSEY_", "XDG_"))},
            "ODYSSEY_HOME": str(directory),
            "ODYSSEY_DISK_BALLAST": "1M",
            "ODYSSEY_NET_LISTEN": "127.0.0.1:0",  # nothing of a test listens where others are
            "ODYSSEY_JOIN_PLACES": "",
            "PYTHONPATH": str(ROOT),
        }

    @property
    def home(self) -> Home:
        return find_home(self.environment)

    # -- daemons -------------------------------------------------------------------------------------------------------

    def start(self, is_embedded: bool = True) -> Running:
        return starting.ensure_running(is_embedded=is_embedded, environment=self.environment)

    @property
    def daemon(self) -> int | None:
        """The process that has the home, if one does."""
        if starting.wait_until_gone(self.home, 0.05):
            return None
        return owner_of(self.home.daemon_lock)

    def stop(self) -> None:
        """In order."""
        if (daemon := self.daemon) is not None:
            os.kill(daemon, signal.SIGTERM)
        assert starting.wait_until_gone(self.home)

    def kill(self) -> None:
        daemon = self.daemon
        assert daemon is not None
        os.kill(daemon, signal.SIGKILL)
        assert starting.wait_until_gone(self.home)

    def log(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in self.home.log.read_text("utf-8").splitlines()]
        except FileNotFoundError:
            return []

    # -- programs ------------------------------------------------------------------------------------------------------

    def python(self, *words: str, seconds: float = 60, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", *words]
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=seconds, check=False, **more
        )

    # -- the end -------------------------------------------------------------------------------------------------------

    def processes(self) -> Iterator[int]:
        """All that were started for this home: they say so in their environment or in their words."""
        yield from processes_of(self.environment["ODYSSEY_HOME"].encode())

    def end(self) -> None:
        with suppress(AssertionError, ProcessLookupError):
            self.stop()
        wait_for(self._are_gone)
        wait_for(lambda: is_swept(self.home))

    def _are_gone(self) -> bool:
        """Again and again: what dies may have started something meanwhile."""
        left = list(self.processes())
        for process in left:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        return not left
