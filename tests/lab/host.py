"""One host: namespaces with a hostname, a machine id, a home, a /tmp, processes and a clock of their own.

Its first process does nothing; when it is killed the kernel ends all others of the host at once, as a pulled plug
would. What was written stays, as on a disk that loses nothing; it begins again on it with another boot id.

Promises: a command that runs too long is ended and is an error; nothing of a host outlives it.
Never: knows what Odyssey is, but that there is a command of this name.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from shlex import join, quote
from typing import IO, Any, Final, NamedTuple

from tests.lab import wires
from tests.lab.able import SPACES

ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT_S: Final = 60
INSIDE: Final = ("--net", "--uts", "--mount", "--ipc", "--pid", "--time")
# Where this machine has none of these files, hosts have none either. What whoever sits here has in his start files is
# none of a host's: it may take seconds, and leave locks behind when the host is killed.
_BEGIN: Final = """
read -r pid rest < /proc/self/stat
hostname "$2"
for name in machine-id hosts; do test ! -e /etc/$name || mount --bind "$1/$name" /etc/$name; done
for name in .profile .bash_profile .bash_login .bashrc .zprofile .zshrc .config/fish/config.fish; do
  test ! -e ~root/$name || mount --bind /dev/null ~root/$name
done
mount --bind "$1/tmp" /tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t proc proc /proc
mount --bind "$1/boot-id" /proc/sys/kernel/random/boot_id
echo "$pid"
exec env --ignore-signal=CHLD sleep infinity
"""


class Done(NamedTuple):
    status: int
    out: str
    err: str


class Host:
    def __init__(self, number: int, name: str, folder: Path, first: int, groups: Sequence[Path]) -> None:
        """`first` is the lab's first process; `groups` are control groups of this host."""
        self.number, self.name, self.folder = number, name, folder
        self.subnet = 0
        self._odyssey = ROOT  # where its users' Odyssey is
        self._first, self._groups = first, groups
        self._holder: subprocess.Popen[bytes] | None = None
        self.process = 0  # the first one of this host, as it is numbered outside
        self._started = list[subprocess.Popen[str]]()
        self._stopped = list[int]()
        for part in ("home", "tmp"):
            (folder / part).mkdir(parents=True)
        (folder / "tmp").chmod(0o1777)
        (folder / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n")
        (folder / "clock").write_bytes(bytes(16))

    @property
    def address(self) -> str:
        return wires.address(self.number, self.subnet)

    @property
    def address6(self) -> str:
        return wires.address6(self.number, self.subnet)

    # -- on and off ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Its processes; `is_there` says when. All clocks of a machine begin somewhere else."""
        (self.folder / "boot-id").write_text(f"{uuid.uuid4()}\n")
        uptime = str(1000 * (self.number + 1))
        words = ["nsenter", f"--target={self._first}", "--pid", "unshare", *SPACES, "--propagation=private"]
        words += ["--boottime", uptime, "--monotonic", uptime]
        self._holder = subprocess.Popen(
            [*words, "sh", "-ec", _BEGIN, "sh", str(self.folder), self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def is_there(self) -> None:
        assert self._holder is not None
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        if not line:
            raise AssertionError(f"{self.name} did not start: {self._holder.wait()}")
        self.process = int(line)
        self._open_door(self._groups)

    def wire(self) -> None:
        self.ip(wires.host(self.number, self.subnet))

    def kill(self) -> None:
        """Power off."""
        assert self._holder is not None
        with suppress(ProcessLookupError):
            os.kill(self.process, signal.SIGKILL)
        self.bury()

    def bury(self) -> None:
        """Waits for its end."""
        if self._holder is not None:
            self._holder.wait()
            assert self._holder.stdout is not None
            self._holder.stdout.close()
        for started in self._started:
            started.send_signal(signal.SIGCONT)  # it stands still when what it waits for was frozen
            started.wait()
            for pipe in (started.stdin, started.stdout, started.stderr):
                if pipe is not None:
                    pipe.close()
        self._holder, self.process, self._started, self._stopped = None, 0, [], []

    @property
    def is_on(self) -> bool:
        return self._holder is not None

    # -- commands ------------------------------------------------------------------------------------------------------

    def inside(self, *words: str, limit_s: float = 0) -> list[str]:
        """The words with which these words run in the host, as its user would type them."""
        assert self.process, f"{self.name} is off"
        limit = ["timeout", "-s", "KILL", str(limit_s)] if limit_s else []
        return [str(self.door), *limit, *words]

    @property
    def door(self) -> Path:
        """A program that people may call, too: without words it is a shell in the host."""
        return self.folder / "enter"

    def install(self, odyssey: Path) -> None:
        """Another Odyssey, unpacked there: what is started from now on is that one."""
        self._odyssey = odyssey
        if self.is_on:
            self._open_door(self._groups)

    def _open_door(self, groups: Iterable[Path]) -> None:
        environment = [f"{name}={value}" for name, value in self._environment().items()]
        lines = [f"echo $$ > {quote(str(group / 'cgroup.procs'))}" for group in groups]
        lines += ["test $# != 0 || set -- bash --norc"]
        behind = ["env", "-i", "-C", str(self.folder / "home"), *environment]
        write_door(self.door, lines, self.process, INSIDE, behind)

    @property
    def card(self) -> Path:
        """Where an invite for this machine may lie."""
        return self.folder / "home" / "boot" / "odyssey.invite"

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder / "home"),
            "PATH": f"{self.folder.parent / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "USER": "root",
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "TERM": os.environ.get("TERM", "dumb"),
            "PS1": f"{self.name}:\\w\\$ ",
            "PYTHONPATH": f"{ROOT / 'tests/lab/clocks'}:{self._odyssey}",
            "PYTHONLABCLOCK": str(self.folder / "clock"),
            "ODYSSEY_DISK_BALLAST": "1M",
            "ODYSSEY_JOIN_PLACES": str(self.card),
        }

    def run(self, *words: str, limit_s: float = LIMIT_S, stdin: str = "", check: bool = True) -> Done:
        done = subprocess.run(
            self.inside(*words, limit_s=limit_s), input=stdin, capture_output=True, text=True, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(words)!r} on {self.name}: {done.returncode}\n{done.stdout}{done.stderr}")
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, stdout: IO[Any] | int = subprocess.PIPE, **more: Any) -> subprocess.Popen[str]:
        """It ends with the host at the latest."""
        given = {"stdin": subprocess.DEVNULL, "stdout": stdout, **more}
        started = subprocess.Popen(self.inside(*words), text=True, start_new_session=True, **given)
        self._started.append(started)
        return started

    def python(self, *words: str) -> tuple[str, ...]:
        """To be run or started."""
        return (sys.executable, "-P", *words)

    def ip(self, script: str) -> None:
        batch(self.process, script)

    # -- time ----------------------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Every process of it stands still, and those that they start meanwhile."""
        while new := [one for one in self.processes() if one not in self._stopped and not _stands(one)]:
            for process in new:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            self._stopped += new

    def thaw(self) -> None:
        """What stood still before goes on standing still."""
        stopped, self._stopped = self._stopped, []
        for process in reversed(stopped):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    def set_clock(self, wall_s: float = 0.0, asleep_s: float = 0.0) -> None:
        """How much its wall clock is wrong, and how long it has slept more than its processes could notice."""
        file = os.open(self.folder / "clock", os.O_WRONLY | os.O_CLOEXEC)  # in place: it is mapped
        try:
            os.pwrite(file, struct.pack("qq", int(wall_s * 1e9), int(asleep_s * 1e9)), 0)
        finally:
            os.close(file)

    # -- what is there -------------------------------------------------------------------------------------------------

    def processes(self) -> list[int]:
        """All of it, its first one before the others, also in pid namespaces that were made inside."""
        space = _space(self.process)
        parents = _parents()
        inside = [one for one in parents if _space(one) == space] if space else []
        found = sorted(inside, key=lambda one: one != self.process)  # numbers begin again when they are used up
        known = set(found)
        while more := [one for one, parent in parents.items() if parent in known and one not in known]:
            found += more
            known.update(more)
        return found


def write_door(path: Path, before: Sequence[str], process: int, spaces: Sequence[str], behind: Sequence[str]) -> None:
    """A program that runs its words where this process is. Who comes from outside of our user namespace enters it."""
    ours = os.readlink("/proc/self/ns/user")
    enter = f"nsenter --target={process} $user {join(spaces)} {join(behind)}"
    asks = f"test \"$(readlink /proc/self/ns/user)\" = '{ours}' || user='--user --preserve-credentials'"
    is_own = Path("/proc/self/uid_map").read_text().split()[-1] != str((1 << 32) - 1)
    path.write_text("\n".join(("#!/bin/sh", *before, "user=", *[asks] * is_own, f'exec {enter} "$@"', "")))
    path.chmod(0o755)


def has_link(process: int, name: str) -> bool:
    """In the network of this process."""
    words = ["nsenter", f"--target={process}", "--net", "ip", "link", "show", name]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def batch(process: int, script: str) -> None:
    """For `ip`, in the network of this process."""
    words = ["nsenter", f"--target={process}", "--net", "ip", "-batch", "-"]
    done = subprocess.run(words, input=script, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"ip says {done.stderr.strip()} to:\n{script}")


def _parents() -> dict[int, int]:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                stat = Path(f"/proc/{entry}/stat").read_text(errors="replace")
                found[int(entry)] = int(stat.rpartition(")")[2].split()[1])
    return dict(sorted(found.items()))


def _space(process: int) -> str:
    try:
        return os.readlink(f"/proc/{process}/ns/pid")
    except OSError:
        return ""


def _stands(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] in "TZX"
    except OSError:
        return True
