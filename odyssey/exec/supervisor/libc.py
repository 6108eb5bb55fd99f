"""What Python's library does not offer of the kernel: namespaces, what follows a parent's death, alarms in sleep.

Promises: a call that fails raises OSError; on a system that lacks it, it raises OSError with ENOSYS.
Never: decides what to do then.
"""

import ctypes
import errno
import os
import platform
import sys
from typing import Final

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_SLAVE = 2, 4, 8, 0x4000, 1 << 19
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "armv7l": 314, "armv6l": 314, "ppc64le": 273}
_IOPRIO_IDLE: Final = 3 << 13
_CLOCK_BOOTTIME: Final = 7
_TFD: Final = os.O_NONBLOCK | os.O_CLOEXEC
_library: Final = ctypes.CDLL(None, use_errno=True)


class _Times(ctypes.Structure):
    _fields_ = (("every_s", ctypes.c_long), ("every_ns", ctypes.c_long), ("s", ctypes.c_long), ("ns", ctypes.c_long))


def _call(name: str, *words: object) -> int:
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, f"{name} is not there on this system")
    answer = int(getattr(_library, name)(*words))
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return answer


def unshare(what: int) -> None:
    _call("unshare", what)


def enter(namespace: int) -> None:
    """The namespace that this descriptor stands for."""
    _call("setns", namespace, 0)


def own_proc() -> None:
    """A /proc of the process's own pid namespace, in its own mount namespace."""
    _call("mount", b"none", b"/", None, _MS_REC | _MS_SLAVE, None)
    _call("mount", b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)


def die_with_parent(signal: int) -> None:
    """With the thread that forked this process, to be exact."""
    _call("prctl", _PR_SET_PDEATHSIG, signal, 0, 0, 0)


def adopt_orphans() -> None:
    """Descendants whose parents die become children of this process."""
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def lowest_disk_priority() -> None:
    number = _IOPRIO_SET.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, "ioprio_set is not known for this processor")
    _call("syscall", number, 1, 0, _IOPRIO_IDLE)


class Alarm:
    """A descriptor that can be read from a moment of the boot-time clock on, also when the machine slept meanwhile."""

    def __init__(self) -> None:
        self.fd = _call("timerfd_create", _CLOCK_BOOTTIME, _TFD)

    def set(self, at_ms: int) -> None:
        """At a moment that has passed: at once. 0: never."""
        at = _Times(0, 0, at_ms // 1000, at_ms % 1000 * 1_000_000)
        _call("timerfd_settime", self.fd, 1, ctypes.byref(at), None)

    def close(self) -> None:
        os.close(self.fd)
