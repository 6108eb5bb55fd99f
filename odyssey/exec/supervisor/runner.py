"""The process that starts the attempts of one slot, one after the other, and is what each of them is to be: its
namespaces, limits and priority are inherited, so they are paid for once and not per attempt.

It takes an order, starts it, reads the pipes of its output, feeds its standard input, waits for its end, makes sure
that nothing of it is left, and says how it ended. Where it is the first process of a pid namespace, nobody in there
can harm it, and all of them die with it.

Promises: an order is started at most once; an end is told after all output is in its place; while one runs, nothing of
the one before is left, or the end of that one said so.
Never: outlives the supervisor. Decides why an attempt had to end: it was told to kill, or it saw a death.
"""

import errno
import fcntl
import os
import select
import signal
import struct
import sys
import termios
import time
from contextlib import suppress
from socket import MSG_DONTWAIT, socket
from typing import TYPE_CHECKING, Final, NamedTuple

from odyssey.exec.supervisor import terminal, tree
from odyssey.exec.supervisor.frames import EXITED, NOT_HERE, REJECTED, SIGNALLED
from odyssey.exec.supervisor.orders import DONE, NO_TERMINAL, Done, Order, Reader, attempt_in
from odyssey.exec.supervisor.outlet import ERR, OUT, UNKNOWN, Outlet
from odyssey.exec.supervisor.slots import IDLE, Page, Slots
from odyssey.exec.supervisor.workplace import Workplace

if TYPE_CHECKING:
    from resource import struct_rusage

MOST_ORDER: Final = 4 << 10  # bytes of an order in one datagram: so many as may wait fit; a longer one is in a file
WROTE: Final = b"w"  # there is more to read of what a terminal shows; said by nobody else
FILE: Final = b"\xff"  # begins the path of an order in a file; no order begins so: attempts are numbers below 2 ** 63
CHUNK: Final = 64 << 10  # as much as a pipe holds
_DEFAULT_PATH: Final = b"/usr/local/bin:/usr/bin:/bin"
_NO_HANG: Final = os.WNOHANG


class Pipes(NamedTuple):
    """Made before the fork: the supervisor keeps the ends to read from, for when the runner is killed. Where the
    attempt gets a terminal, its master and its slave are in the place of the pipe for stdout."""

    out_read: int
    out_write: int
    err_read: int
    err_write: int
    poke_read: int
    poke_write: int


class Place(NamedTuple):
    """Where a runner works."""

    slot: int
    slots: Slots
    post: socket
    pipes: Pipes
    outputs: str
    spool: str
    files: str
    is_alone: bool  # the first process of a pid namespace of its own
    limit: int
    terminal: str = ""  # the path of the slave; then this runner is for one attempt only


class NotStarted(Exception):
    def __init__(self, outcome: int, note: str) -> None:
        self.outcome, self.note = outcome, note


class Runner:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._outlet = Outlet(place.outputs, place.slots.life, place.slot, place.limit)
        self._workplace = Workplace(place.files, place.slot)
        with suppress(OSError):  # tried again with each attempt
            self._workplace.open()
        self._reader = Reader()
        self._null = os.open(os.devnull, os.O_RDONLY)
        self._page = IDLE
        self._where = b""
        self._home = os.getcwdb()
        self._paths: dict[tuple[bytes, bytes], bytes] = {}
        self._actions: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_DUP2, self._null, 0),
            (os.POSIX_SPAWN_DUP2, place.pipes.out_write, 1),
            (os.POSIX_SPAWN_DUP2, place.pipes.err_write, 2),
        ]
        self._pace: terminal.Pace | None = None
        if place.terminal:
            self._pace = terminal.Pace(time.monotonic())
            self._actions = [  # who begins a session has the first terminal that it opens
                (os.POSIX_SPAWN_OPEN, 0, place.terminal, os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ]
        self._wake, wake_write = os.pipe()
        for end in (self._wake, wake_write, place.pipes.out_read, place.pipes.err_read):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, _nothing)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self._poll = select.poll()
        for end in (self._wake, place.pipes.out_read, place.pipes.err_read):
            self._poll.register(end, select.POLLIN)

    def serve(self) -> None:
        """Until the supervisor closes its end, or, with a terminal, for one attempt."""
        post = self._place.post
        while data := post.recv(MOST_ORDER + 1024):
            if data[:1] == FILE:
                data = _fetched(data[1:])
            done, note = self._carry_out(data)
            post.send(DONE.pack(*done) + note)
            with suppress(OSError):
                self._workplace.clear()
            if self._place.terminal:
                return

    # -- one attempt ---------------------------------------------------------------------------------------------------

    def _carry_out(self, data: bytes) -> tuple[Done, bytes]:
        attempt, began, wall = attempt_in(data), _boottime_ms(), time.time_ns() // 1_000_000
        self._outlet.begin(attempt)
        self._tell(attempt, began)
        stdin: Feed | None = None
        try:
            order = self._reader.read(data)
            self._provide(order)
            stdin = Feed(self._place.spool, order.stdin) if order.stdin else None
            child = self._spawn(order, stdin)
        except NotStarted as fault:
            note = fault.note.encode("utf-8", "surrogateescape")
            if stdin is not None:
                stdin.close()
            self._outlet.end(UNKNOWN, note)
            self._place.slots.clear(self._place.slot)
            return Done(attempt, fault.outcome, 0, 0, wall, 0, 0, 0, 0), note
        status, usage = self._attend(child, stdin)
        if stdin is not None:
            stdin.leave(self._poll)
        leaked = self._clear()
        self._drain()
        note = self._workplace.keep(order.task, attempt).encode("utf-8", "surrogateescape")
        unread = UNKNOWN
        if stdin is not None:
            unread = stdin.unread()
            stdin.close()
        if self._outlet.is_disk_full:
            note = b"the disk was full: a part of the output is lost"
            self._outlet.is_disk_full = False
        self._outlet.end(unread, note)
        self._place.slots.clear(self._place.slot)
        for end in (self._place.pipes.out_write, self._place.pipes.err_write):
            os.set_blocking(end, True)  # a job may have changed it
        code = os.waitstatus_to_exitcode(status)
        outcome = SIGNALLED if code < 0 else EXITED
        ran = _boottime_ms() - began
        cpu = round((usage.ru_utime + usage.ru_stime) * 1000)
        peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return Done(attempt, outcome, abs(code), wall, wall + ran, ran, cpu, peak, int(leaked)), note

    def _tell(self, attempt: int, began_ms: int) -> None:
        outlet = self._outlet
        self._page = Page(
            attempt, began_ms, outlet.number, outlet.at[OUT], outlet.size[OUT],
            outlet.cut[OUT], outlet.at[ERR], outlet.size[ERR], outlet.cut[ERR], int(outlet.is_open),
        )  # fmt: skip
        self._place.slots.write(self._place.slot, self._page)

    # -- starting ------------------------------------------------------------------------------------------------------

    def _spawn(self, order: Order, stdin: "Feed | None") -> int:
        self._go_to(order.cwd)
        actions = self._actions
        if order.size != NO_TERMINAL:
            terminal.resize(self._place.pipes.out_read, *order.size)
        if stdin is not None:
            actions = [(os.POSIX_SPAWN_DUP2, stdin.read_end, 0), *self._actions[1:]]
        name = order.argv[0]
        path = order.env.get(b"PATH", _DEFAULT_PATH)
        known = self._paths.get((name, path))
        candidates = (name,) if b"/" in name else _candidates(name, path)
        faults: list[tuple[bytes, int]] = []
        for program in (known, *candidates) if known is not None else candidates:
            try:
                child = os.posix_spawn(
                    program,
                    order.argv,
                    order.env,
                    file_actions=actions,
                    setsid=True,
                    setsigmask=(),
                    setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
                )
            except OSError as error:
                faults.append((program, error.errno or 0))
            else:
                if program != known and b"/" not in name:
                    self._paths = {(name, path): program}
                return child
        raise _not_started(name, faults)

    def _provide(self, order: Order) -> None:
        try:
            self._workplace.open()
        except OSError as error:
            raise NotStarted(REJECTED, f"this machine has no room for its files: {error.strerror}") from None
        self._workplace.tell(order.env)

    def _go_to(self, cwd: bytes) -> None:
        wanted = cwd or self._home
        try:
            os.chdir(wanted)  # each time: it may have been made anew meanwhile
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise NotStarted(NOT_HERE, f"the directory {os.fsdecode(wanted)} cannot be entered: {reason}") from None

    # -- while it runs -------------------------------------------------------------------------------------------------

    def _attend(self, child: int, stdin: "Feed | None") -> "tuple[int, struct_rusage]":
        """Until the first process of the attempt has ended."""
        out, err = self._place.pipes.out_read, self._place.pipes.err_read
        poke = self._place.pipes.poke_read
        poll = self._poll
        if stdin is not None:
            poll.register(poke, select.POLLIN)
            stdin.feed()
        while True:
            if stdin is not None:
                stdin.settle(poll)
            busy = False
            for end, _ in poll.poll():
                if end == self._wake:
                    os.read(end, 4096)
                    while (found := self._reap()) is not None:
                        if found[0] == child:
                            if stdin is not None:
                                poll.unregister(poke)
                            return found[1], found[2]
                elif end == out:
                    busy |= self._take(OUT, end)
                elif end == err:
                    busy |= self._take(ERR, end)
                elif end == poke:
                    os.read(end, 4096)
                    assert stdin is not None
                    stdin.feed()
                else:
                    assert stdin is not None
                    stdin.feed()
            if busy:
                self._tell(self._page.attempt, self._page.began_ms)
                if self._place.terminal:
                    self._say_so()

    def _reap(self) -> "tuple[int, int, struct_rusage] | None":
        try:
            pid, status, usage = os.wait4(-1, _NO_HANG)
        except ChildProcessError:
            return None
        return (pid, status, usage) if pid else None

    def _take(self, stream: int, end: int) -> bool:
        """What is in the pipe now."""
        try:
            data = os.read(end, CHUNK)
        except BlockingIOError:
            return False
        self._outlet.write(stream, data)
        if self._pace is not None and (wait_s := self._pace.wait_s(len(data), time.monotonic())):
            time.sleep(wait_s)
        return True

    def _say_so(self) -> None:
        """Somebody may wait for just this. If what was said before has not been heard, that will do."""
        with suppress(BlockingIOError):
            self._place.post.send(WROTE, MSG_DONTWAIT)

    def _drain(self) -> None:
        """All that is left, when nobody writes any more."""
        while ready := self._poll.poll(0):
            for end, _ in ready:
                if end == self._place.pipes.out_read:
                    self._take(OUT, end)
                elif end == self._place.pipes.err_read:
                    self._take(ERR, end)
                else:
                    os.read(end, 4096)  # a wake for somebody who has been waited for

    # -- after it ------------------------------------------------------------------------------------------------------

    def _clear(self) -> bool:
        """Nothing of the attempt is left; true if something may be."""
        while True:
            try:
                pid, _ = os.waitpid(-1, _NO_HANG)
            except ChildProcessError:
                return False
            if not pid:
                break
        return _end_all_here() if self._place.is_alone else tree.end(os.getpid())


def _end_all_here() -> bool:
    """Everybody in this namespace but its first process, which is this one; over when all have been waited for."""
    while True:
        with suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return False


def _nothing(_number: int, _frame: object) -> None:
    """The byte in the wake pipe is what counts."""


def _boottime_ms() -> int:
    return time.clock_gettime_ns(BOOTTIME) // 1_000_000


BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _fetched(path: bytes) -> bytes:
    with open(path, "rb") as file:
        data = file.read()
    os.unlink(path)
    return data


def _candidates(name: bytes, path: bytes) -> list[bytes]:
    return [(folder or b".") + b"/" + name for folder in path.split(b":")]


def _not_started(name: bytes, faults: list[tuple[bytes, int]]) -> NotStarted:
    """The fault that says most: a program that is there but cannot be started, before one that is not there."""
    said = os.fsdecode(name)
    there = [(program, fault) for program, fault in faults if fault not in (errno.ENOENT, errno.ENOTDIR)]
    if not there:
        if any(os.path.exists(program) for program, _ in faults):
            return NotStarted(NOT_HERE, f"'{said}' needs an interpreter that is not there")
        return NotStarted(NOT_HERE, f"'{said}' was not found")
    program, fault = there[0]
    path = os.fsdecode(program)
    match fault:
        case errno.ENOEXEC:
            return NotStarted(NOT_HERE, f"'{path}' is not a program for this machine, or a script without a #! line")
        case errno.EACCES | errno.EPERM:
            return NotStarted(NOT_HERE, f"'{path}' may not be executed")
        case errno.E2BIG:
            return NotStarted(NOT_HERE, "the command and its environment are too long for this machine")
        case errno.EAGAIN | errno.ENOMEM | errno.EMFILE | errno.ENFILE:
            return NotStarted(REJECTED, f"this machine can start no process now: {os.strerror(fault).lower()}")
    return NotStarted(NOT_HERE, f"'{path}' cannot be started: {os.strerror(fault).lower()}")


class Feed:
    """A standard input on its way from the spool into a pipe. The file with `.end` says that no more will come."""

    def __init__(self, spool: str, name: bytes) -> None:
        base = os.path.join(spool, name.hex())
        try:
            self._file = os.open(base, os.O_RDONLY)
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            raise NotStarted(NOT_HERE, f"its standard input is not here: {reason}") from None
        self._end_mark = base + ".end"
        self.read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._fed = 0
        self._left = b""
        self._wants_room = self._is_over = self._is_watched = False

    def feed(self) -> None:
        """As much as is there and fits."""
        while not self._is_over:
            is_complete = os.path.exists(self._end_mark)  # looked at before what is there
            if not self._left:
                self._left = os.pread(self._file, 1 << 16, self._fed)
            self._wants_room = False
            if not self._left:
                self._is_over = is_complete
                return
            try:
                done = os.write(self._write_end, self._left)
            except BlockingIOError:
                self._wants_room = True
                return
            self._fed += done
            self._left = self._left[done:]

    def settle(self, poll: "select.poll") -> None:
        """Before each wait."""
        wanted = self._wants_room and not self._is_over
        if wanted and not self._is_watched:
            poll.register(self._write_end, select.POLLOUT)
        elif self._is_watched and not wanted:
            poll.unregister(self._write_end)
        self._is_watched = wanted
        if self._is_over:
            self._shut()

    def _shut(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    def unread(self) -> int:
        in_pipe = struct.unpack("i", fcntl.ioctl(self.read_end, termios.FIONREAD, b"\0\0\0\0"))[0]
        return os.fstat(self._file).st_size - self._fed + int(in_pipe)

    def leave(self, poll: "select.poll") -> None:
        """Nobody reads it any more."""
        if self._is_watched:
            poll.unregister(self._write_end)
            self._is_watched = False

    def close(self) -> None:
        self._shut()
        os.close(self.read_end)
        os.close(self._file)
