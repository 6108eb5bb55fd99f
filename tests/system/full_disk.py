"""A program: a daemon on a small disk of its own, which others fill, to the guard and then to the last byte.

`unshare --mount --pid --fork --kill-child python -m tests.system.full_disk DIRECTORY`: a line for each thing that it
has seen. The disk goes with it, and so does all that was started.
Never: is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from odyssey.api import requests as r
from odyssey.api.client import Client
from odyssey.errors import OdysseyError
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.spec import JobSpec, Want
from tests.system.place import Place, wait_for

MIB = 1 << 20


def say(*words: object) -> None:
    print(*words, flush=True)


class Disk:
    def __init__(self, directory: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "none", str(directory)], check=True)
        self._ballast = directory / "others"

    @property
    def free(self) -> int:
        found = os.statvfs(self._ballast.parent)
        return found.f_bavail * found.f_frsize

    def fill(self, leave: int) -> None:
        with self._ballast.open("ab", buffering=0) as file, suppress(OSError):
            while self.free > leave:
                file.write(bytes(min(64 << 10, max(4096, self.free - leave))))

    def empty(self) -> None:
        self._ballast.unlink()


def submit(client: Client) -> str:
    spec = JobSpec(UserId(""), (b"true",), Want(Resources(1000, MIB), key="true"), cwd=b"/")
    return str(client.call(r.Submit(os.urandom(16), (spec,))).id)


def said(what: Callable[[], object]) -> str:
    try:
        what()
    except OdysseyError as error:
        return f"{error.exit_status} {error.message}"
    return "done"


def main(directory: Path) -> None:
    disk = Disk(directory)
    place = Place(directory / "home")
    place.environment |= {"ODYSSEY_DISK_GUARD": "8M", "ODYSSEY_DISK_BALLAST": "2M"}
    with Client(lambda: str(place.start().socket)) as client:
        daemon = client.call(r.Status()).pid

        def notes() -> str:
            return " ".join(client.call(r.Status()).notes)

        say("at first:", said(lambda: list(client.wait(submit(client)))))
        held = submit(client)
        disk.fill(4 * MIB)
        wait_for(lambda: "The disk is nearly full" in notes())
        say("nearly full:", said(lambda: submit(client)))
        disk.fill(0)
        # Each changes something, so each has to be written.
        for number in range(2_000):
            with suppress(OdysseyError):
                client.call(r.Prio(held, number % 10 + 1))
            if "cannot be used" in notes():
                break
        say("full:", "the log stands still" if "cannot be used" in notes() else "it had room to the end")
        say("status:", client.call(r.Status()).pid == daemon)
        disk.empty()
        wait_for(lambda: not notes())
        say("emptied:", said(lambda: list(client.wait(submit(client)))))
        say("the same daemon:", client.call(r.Status()).pid == daemon)
        client.call(r.Down(now=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
