"""Runners that are alone: each the first process of a pid namespace of its own, with a /proc that shows it.

Then nothing that an attempt starts can get away, and all of it dies with its runner. Root may make such namespaces;
others may inside of a user namespace, where the system lets them, and are who they are in there too. It is tried, not
guessed.

Promises: a fork leaves this process as it was. The child is its child, also where another one was in between.
Never: is called with a second thread about.
"""

import enum
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from odyssey.exec.supervisor import libc

_WORKS: Final = 0


class Way(enum.Enum):
    """How runners come to be alone on this machine."""

    NOT = "no"
    PLAIN = "yes"
    OWN_USER = "user"


def find_way() -> Way:
    for way in (Way.PLAIN, Way.OWN_USER):
        if _works(way):
            with suppress(OSError):
                libc.adopt_orphans()  # of the one in between
            return way
    with suppress(OSError):
        libc.adopt_orphans()
    return Way.NOT


def fork(way: Way) -> int:
    """As os.fork, but the child is alone. It must `furnish` its namespace."""
    if way is Way.PLAIN:
        return _fork_plainly()
    return _fork_by_another() if way is Way.OWN_USER else os.fork()


def furnish() -> None:
    """In the child: mounts of its own, and a /proc that tells of its namespace."""
    libc.unshare(libc.CLONE_NEWNS)
    libc.own_proc()


def _fork_plainly() -> int:
    own = os.open("/proc/self/ns/pid", os.O_RDONLY)
    libc.unshare(libc.CLONE_NEWPID)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:  # in the child there is nothing to come back to
            libc.enter(own)
        os.close(own)
    return pid


def _fork_by_another() -> int:
    """This process may not come back from such namespaces, so another one goes there, forks, and is gone."""
    read_end, write_end = os.pipe()
    between = os.fork()
    if not between:
        pid = -1
        try:
            _own_user()
            libc.unshare(libc.CLONE_NEWPID)
            pid = os.fork()
            if pid:
                os.write(write_end, b"%d" % pid)
        finally:
            if pid:
                os._exit(0)
        return 0
    os.close(write_end)
    os.waitpid(between, 0)
    told = os.read(read_end, 32)
    os.close(read_end)
    if not told:
        raise OSError("no namespace can be made now")
    return int(told)


def _own_user() -> None:
    """A user namespace in which everybody is who they are outside."""
    user, group = os.geteuid(), os.getegid()
    libc.unshare(libc.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with suppress(FileNotFoundError), open(f"/proc/self/{name}", "w", encoding="utf-8") as file:
            file.write(text)


def _works(way: Way) -> bool:
    """Tried by a child, so that nothing is changed here."""
    return _in_child(lambda: _in_alone(way, _is_furnished))


def _in_alone(way: Way, check: Callable[[], bool]) -> bool:
    with suppress(OSError):
        libc.adopt_orphans()
    pid = fork(way)
    if not pid:
        _exit_with(check)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == _WORKS


def _is_furnished() -> bool:
    furnish()
    return os.readlink("/proc/self") == "1"


def _in_child(check: Callable[[], bool]) -> bool:
    try:
        pid = os.fork()
    except OSError:
        return False
    if not pid:
        _exit_with(check)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == _WORKS


def _exit_with(check: Callable[[], bool]) -> None:
    """Never returns."""
    works = False
    try:
        with suppress(OSError):
            works = check()
    finally:
        os._exit(_WORKS if works else 1)
