"""People at a shell: `odyssey` typed in a home of its own, with pipes, files and terminals around it.

Promises: nothing that was started here is left when the place ends.
Never: types what a person could not.
"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

from tests.system.place import Place

LIMIT_S: Final = 180.0  # jobs run only where nothing else wants to: on a busy machine that is rarely
ODYSSEY: Final = (sys.executable, "-P", "-m", "odyssey")

Ended = subprocess.CompletedProcess[bytes]


def odyssey(place: Place, *words: str | bytes, stdin: bytes | IO[bytes] | None = None, **more: Any) -> Ended:
    """`stdin`: bytes come through a pipe; None is /dev/null."""
    given: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
    return subprocess.run(
        [*ODYSSEY, *words], env=place.environment, capture_output=True, timeout=LIMIT_S, check=False, **given, **more
    )


def with_program(place: Place) -> dict[str, str]:
    """An environment in which `odyssey` is a command."""
    programs = place.home.path.parent / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "odyssey").write_text(f'#!/bin/sh\nexec {" ".join(ODYSSEY)} "$@"\n')
    (programs / "odyssey").chmod(0o755)
    return {**place.environment, "PATH": f"{programs}:{place.environment['PATH']}", "TERM": "xterm", "NO_COLOR": "1"}


def shell(place: Place, script: str, folder: Path | None = None, **more: Any) -> Ended:
    """A script in which `odyssey` is a command."""
    return subprocess.run(
        ["bash", "-c", script],
        env=with_program(place),
        cwd=folder,
        capture_output=True,
        timeout=LIMIT_S,
        check=False,
        stdin=subprocess.DEVNULL,
        **more,
    )


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, process: int, master: int) -> None:
        self._process, self._master = process, master
        self.seen = b""

    def types(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def until(self, text: bytes, seconds: float = LIMIT_S) -> bytes:
        """What was shown, up to and including this text for the first time from here on."""
        start, deadline = len(self.seen), time.monotonic() + seconds
        while text not in self.seen[start:]:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} was never shown, only {self.seen[start:]!r}")
        return self.seen[start:]

    def ends(self, seconds: float = LIMIT_S) -> int:
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> None:
        os.close(self._master)
        self._master = -1

    def resizes(self, rows: int, columns: int) -> None:
        termios.tcsetwinsize(self._master, (rows, columns))

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self._master)

    @property
    def is_raw(self) -> bool:
        return not self.modes[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def signal(self, number: int) -> None:
        os.kill(self._process, number)

    def end(self) -> None:
        if self._master >= 0:
            os.close(self._master)
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)

    def _read(self, deadline: float) -> bool:
        if not select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise AssertionError(f"nothing more was shown in time after {self.seen!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is gone
            return False
        self.seen += data
        return bool(data)


def typed(place: Place, line: str, folder: Path) -> str:
    """What a line at the prompt of a shell shows on its terminal."""
    with terminal(place, command=("bash", "-c", f"cd {folder}; {line}"), columns=120) as screen:
        screen.ends()
    return screen.seen.decode()


@contextmanager
def terminal(place: Place, *words: str, command: tuple[str, ...] = ODYSSEY, columns: int = 100) -> Iterator[Terminal]:
    environment = with_program(place)
    process, master = pty.fork()
    if process == 0:
        try:
            termios.tcsetwinsize(0, (40, columns))
            os.execvpe(command[0], [*command, *words], environment)
        finally:
            os._exit(125)
    one = Terminal(process, master)
    try:
        yield one
    finally:
        one.end()
