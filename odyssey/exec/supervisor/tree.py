"""Who descends from a process, as /proc tells it, and signals to all of them.

Where a runner is the first process of a namespace, or adopts orphans, all that its attempt has started descends from
it, whatever it did to get away.

Promises: `signal_all` looks again until it finds nobody new, so that what forks meanwhile is found too.
Never: counts who has ended and only waits to be waited for.
"""

import os
import signal
import time
from contextlib import suppress
from typing import Final

ROUNDS: Final = 50
PATIENCE_S: Final = 5.0


def parents() -> dict[int, int]:
    """Every living process -> its parent."""
    found = dict[int, int]()
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat(int(name))
            if stat is not None and stat[0] not in "ZX":
                found[int(name)] = int(stat[1])
    return found


def began(pid: int) -> int | None:
    """In clock ticks since the boot; None if it is no more, or only waits to be waited for."""
    stat = _stat(pid)
    return None if stat is None or stat[0] in "ZX" else int(stat[19])


def _stat(pid: int) -> list[str] | None:
    """From the third field on: the second is a name, in which anything may occur."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def below(root: int) -> list[int]:
    """All descendants, parents first."""
    children = dict[int, list[int]]()
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found, at = list(children.get(root, ())), 0
    while at < len(found):
        found += children.get(found[at], ())
        at += 1
    return found


def signal_all(root: int, number: int) -> bool:
    """All descendants once; false if new ones came up to the end."""
    reached = set[int]()
    for _ in range(ROUNDS):
        new = [pid for pid in below(root) if pid not in reached]
        if not new:
            return True
        for pid in new:
            reached.add(pid)
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
    return False


def end(root: int) -> bool:
    """Kill all that descends from this process, and wait for them; true if somebody is left."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        signal_all(root, signal.SIGSTOP)  # so that nobody forks while the others are killed
        signal_all(root, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return False
        time.sleep(0.001)
    return True
