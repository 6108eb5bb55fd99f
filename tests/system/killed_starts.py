"""A program: starts a daemon on one fresh home after the other, kills it ever later, and starts it again.

`python -m tests.system.killed_starts DIRECTORY`: a line for each home: the step at which the first daemon was killed,
whether it had a key then, whether the second one served, and whether its key was still the same.
Never: is imported.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from odyssey.api.client import Client
from odyssey.api.requests import Down
from odyssey.daemon.process import run
from odyssey.mesh import identity
from odyssey.paths import Home
from tests.system.place import is_killed, is_swept, wait_for

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.chmod", "os.truncate", "sqlite3.connect")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def kill_at(step: int, home: str) -> None:
    """Before this process changes the home for the so-manieth time."""
    left = step

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        if (opens or event in CHANGES) and home in str(arguments[:2]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def start(home: Home, step: int) -> tuple[int, int]:
    """The daemon in a child, and the pipe in which it says that it is ready."""
    ours, its = os.pipe()
    if (child := os.fork()) == 0:
        os.close(ours)
        if step:
            kill_at(step, str(home.path))
        os._exit(run(["--home", str(home.path), "--foreground", "--ready", str(its)]))
    os.close(its)
    return child, ours


def try_step(home: Home, step: int) -> bool:
    child, pipe = start(home, step)
    came_through = bool(os.read(pipe, 1000))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(pipe)
    key = identity.load(home.key).id if home.key.exists() else None
    child, pipe = start(home, 0)
    answer = json.loads(os.read(pipe, 10_000) or b"{}")
    os.close(pipe)
    if served := "ready" in answer:
        with Client(answer["ready"]) as client:
            client.call(Down(now=True))
    ended = os.waitpid(child, 0)[1] == 0
    same = key is None or key == identity.load(home.key).id
    wait_for(lambda: is_killed(home))  # the hands of the first one may just have started another one
    wait_for(lambda: is_swept(home))
    print(step, "key" if key else "-", served and ended, same, flush=True)
    return came_through


def main(directory: Path) -> None:
    step = 1
    while not try_step(Home(directory / f"home{step}"), step):
        step += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
