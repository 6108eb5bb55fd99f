"""Control groups of both kinds, as far as this machine lets us have them: one for each slot, made with its runner.

What is found is used: memory and number of processes are limited, the cpu's weight is the lowest, and all in a slot can
be frozen at once. Where a controller cannot be had, its part is missing, and `abilities` says so.

Promises: groups are made below the one we are in, so that whoever limits us limits them. Where they were made is
noted in the home (`oldgroups`).
Never: fails because a limit could not be set.
"""

import os
from contextlib import suppress
from typing import Final

from odyssey.exec.supervisor import oldgroups

RUNNER_MEMORY: Final = 8 << 20  # of the runner itself, on top of what its attempts may have
MOST_PROCESSES: Final = 4096
_ROOT: Final = "/sys/fs/cgroup"
_WANTED: Final = ("memory", "pids", "cpu")


class Groups:
    """All of one supervisor. `home` is a folder of its own: groups carry a name that is made of it."""

    def __init__(self, home: str, mounts: str = "/proc/self/mountinfo", mine: str = "/proc/self/cgroup") -> None:
        self._home, self._name = home, oldgroups.name(home)
        oldgroups.sweep(home)
        paths = _paths(_read(mounts), _read(mine))
        self._unified = self._made(paths.pop("", None))
        self._old = {kind: made for kind, path in paths.items() if (made := self._made(path)) is not None}
        self._controllers = _enabled(self._unified) if self._unified else frozenset[str]()
        self._kills = dict[int, int]()  # by slot: the file that counts who was killed for want of memory

    def _made(self, parent: str | None) -> str | None:
        """Our own group in one hierarchy, empty; None if it cannot be had."""
        if parent is None:
            return None
        path = os.path.join(parent, self._name)
        try:
            oldgroups.note(self._home, path)
            os.makedirs(path, exist_ok=True)
            oldgroups.remove_slots(path)
            os.mkdir(os.path.join(path, "probe"))
            os.rmdir(os.path.join(path, "probe"))
        except OSError:
            return None
        return path

    # -- what there is -------------------------------------------------------------------------------------------------

    def _where(self, kind: str) -> str | None:
        """The hierarchy that has this controller."""
        if kind in self._controllers:
            return self._unified
        return self._old.get(kind)

    def abilities(self) -> dict[str, str]:
        told = {kind: self._version(self._where(kind)) for kind in _WANTED}
        told["freeze"] = self._version(self._unified or self._old.get("freezer"))
        return told

    def _version(self, path: str | None) -> str:
        if path is None:
            return "none"
        return "cgroup2" if path == self._unified else "cgroup1"

    # -- one slot ------------------------------------------------------------------------------------------------------

    def _all(self) -> list[str]:
        return [path for path in (self._unified, *self._old.values()) if path is not None]

    def make(self, slot: int, memory: int) -> None:
        for path in self._all():
            with suppress(OSError):
                os.mkdir(_of(path, slot))
        pids, cpu = self._where("pids"), self._where("cpu")
        if pids is not None:
            _write(_of(pids, slot), "pids.max", MOST_PROCESSES)
        if cpu is not None:
            _write(_of(cpu, slot), "cpu.weight" if cpu == self._unified else "cpu.shares", 1)
        if memory:
            self._limit_memory(slot, memory + RUNNER_MEMORY)
        where = self._where("memory")
        if where is not None:
            with suppress(OSError):
                name = "memory.events" if where == self._unified else "memory.oom_control"
                self._kills[slot] = os.open(os.path.join(_of(where, slot), name), os.O_RDONLY | os.O_CLOEXEC)

    def _limit_memory(self, slot: int, memory: int) -> None:
        where = self._where("memory")
        if where is None:
            return
        group = _of(where, slot)
        if where == self._unified:
            _write(group, "memory.max", memory)
            _write(group, "memory.swap.max", 0)
        else:
            _write(group, "memory.limit_in_bytes", memory)
            _write(group, "memory.memsw.limit_in_bytes", memory)

    def enter(self, slot: int, pid: int) -> None:
        for path in self._all():
            _write(_of(path, slot), "cgroup.procs", pid)

    def remove(self, slot: int) -> None:
        if (file := self._kills.pop(slot, None)) is not None:
            os.close(file)
        for path in self._all():
            with suppress(OSError):
                os.rmdir(_of(path, slot))

    def close(self) -> None:
        """Once all slots are removed."""
        oldgroups.sweep(self._home)

    def limits_memory(self) -> bool:
        return self._where("memory") is not None

    def out_of_memory(self, slot: int) -> int:
        """How many processes the system has killed there for want of memory, whoever's limit it was."""
        with suppress(KeyError, OSError):
            for line in os.pread(self._kills[slot], 4096, 0).splitlines():
                word, _, number = line.partition(b" ")
                if word == b"oom_kill":
                    return int(number)
        return 0

    # -- force ---------------------------------------------------------------------------------------------------------

    def freeze(self, slot: int, frozen: bool) -> bool:
        """False: it cannot be done this way here."""
        if self._unified is not None:
            return _write(_of(self._unified, slot), "cgroup.freeze", int(frozen))
        if "freezer" in self._old:
            return _write(_of(self._old["freezer"], slot), "freezer.state", "FROZEN" if frozen else "THAWED")
        return False


def _of(path: str, slot: int) -> str:
    return os.path.join(path, f"slot-{slot}")


def _paths(mounts: str, mine: str) -> dict[str, str]:
    """Controller -> the folder of the group that we are in. The unified hierarchy has the name ""."""
    own = dict[str, str]()
    for line in mine.splitlines():
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    found = dict[str, str]()
    for line in mounts.splitlines():
        words = line.split()
        dash = words.index("-")
        root, at, system, options = words[3], words[4], words[dash + 1], words[dash + 3].split(",")
        kinds = [""] if system == "cgroup2" else options if system == "cgroup" else []
        for kind in kinds:
            if kind in ("", *_WANTED, "freezer") and kind in own:
                inside = os.path.relpath(own[kind], root) if own[kind].startswith(root) else "."
                found.setdefault(kind, os.path.normpath(os.path.join(at, inside)))
    return found


def _enabled(path: str) -> frozenset[str]:
    """Controllers of the unified hierarchy that groups below this one have; asked for where they are not yet."""
    parent = os.path.dirname(path)
    for folder in (parent, path):
        for kind in _WANTED:
            if kind in _read(os.path.join(folder, "cgroup.controllers")).split():
                _write(folder, "cgroup.subtree_control", f"+{kind}")
    return frozenset(_read(os.path.join(path, "cgroup.subtree_control")).split())


def _write(folder: str, name: str, value: object) -> bool:
    try:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(str(value))
    except OSError:
        return False
    return True


def _read(path: str) -> str:
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read()
    return ""
