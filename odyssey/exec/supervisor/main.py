"""The supervisor's one thread: waits, and hands what came to the desk.

One supervisor serves one home. It takes a lock, finds out what the one before it left running and makes sure that it is
over, opens its door, says that it is ready, and serves one daemon at a time: the newest.

Promises: what was to be started is in the journal before it is; ends are told after they are in it. It runs on when the
daemon dies. With nothing to do it does not wake up.
Never: does anything else in between: a slow disk or a full pipe of a job holds up its runner, not this.
"""

import fcntl
import gc
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from odyssey.exec.supervisor import alone, frames, libc, slots, terminal
from odyssey.exec.supervisor.cgroups import Groups
from odyssey.exec.supervisor.crew import Crew, Folders
from odyssey.exec.supervisor.desk import Desk
from odyssey.exec.supervisor.frames import Ended, Hello, Keys, Message, Past, Splitter, Wrote, packed
from odyssey.exec.supervisor.journal import Journal, Told
from odyssey.exec.supervisor.nurse import Nurse, start
from odyssey.exec.supervisor.outlet import Outlet
from odyssey.exec.supervisor.proof import Before, make_sure_it_is_over
from odyssey.exec.supervisor.spans import Spans

READY: Final = b"ready\n"
OTHER: Final = b"other\n"  # another one serves this home
_READ: Final = 256 << 10
_NAP_S: Final = 0.002  # while runners have enough to do: what ends meanwhile is told at once
_LATER_MS: Final = 10_000  # idle runners are sent away after so long
_HOUR_MS: Final = 3_600_000
_FOREVER: Final = 1 << 60
_ENDING_S: Final = 5.0  # so long it waits at its own end for what it has killed
_BOOTTIME: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_CREDENTIALS: Final = struct.Struct("iII")


def boottime_ms() -> int:
    return time.clock_gettime_ns(_BOOTTIME) // 1_000_000


def boot_id() -> bytes:
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().strip()
    return b"unknown"


class Supervisor:
    def __init__(self, folders: Folders, door: str, limit: int) -> None:
        self._door_path = door
        self._journal = Journal(os.path.join(folders.own, "journal"), boot_id())
        told = self._journal.open()
        pages = os.path.join(folders.own, "slots")
        before = make_sure_it_is_over(folders.own)
        way = alone.find_way()
        self._groups = Groups(folders.own)
        terminals = "pty" if terminal.can_be_had() else "none"
        self._abilities = {"namespaces": way.value, "terminals": terminals, **self._groups.abilities()}
        shared = slots.make(pages, time.time_ns() // 1_000_000, way is not alone.Way.NOT)
        self._crew = Crew(shared, folders, limit, self._groups, way, self._close_in_child)
        self._desk = Desk(self._crew)
        self._notes = Outlet(folders.outputs, self._crew.life, slots.MOST)  # of those that no runner has begun
        self._take_over(told, before)
        self._poll = select.poll()
        self._served: dict[int, Callable[[], object]] = {}
        self._daemon: socket.socket | None = None
        self._splitter = Splitter()
        self._unsent = b""
        self._watched = set[int]()  # attempts at whose terminal somebody sits, as far as this daemon has told
        self._is_over = False
        self._lock_path = os.path.join(folders.own, "lock")
        self._lock = _identity(self._lock_path)
        self._nurse = Nurse(self._start_daemon)
        self._dismiss_ms: int | None = None
        self._wake, wake_write = os.pipe()
        for end in (self._wake, wake_write):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda _number, _frame: self._end())
        self._serve(self._wake, self._on_child)
        self._alarm, self._alarm_ms = _alarm(), 0
        if self._alarm is not None:
            self._serve(self._alarm.fd, self._on_alarm)
        self._door = _opened_door(door)
        self._serve(self._door.fileno(), self._on_knock)

    def _take_over(self, told: Told, before: Before) -> None:
        """What ran when the supervisor before this one died is lost, and known to be over."""
        now = time.time_ns() // 1_000_000
        self._desk.past = told.past
        self._desk.ended = told.ended
        note = b"the process that ran it on this machine died"
        for slot, attempt in enumerate(before.ran):
            self._crew.rescue(slot, attempt, told.running.get(attempt))
        for attempt, task in told.running.items():
            lost = Ended(attempt, task, frames.LOST, 0, 0, now, 0, 0, 0, int(attempt in before.unproven), 0, note)
            self._desk.ended[attempt] = lost
            self._desk.notes.append((attempt, note))
            self._journal.add(packed(lost))
        self._journal.flush()

    # -- the loop ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self._is_over:
            now = boottime_ms()
            due = self._desk.tick(now)
            if self._dismiss_ms is not None and now >= self._dismiss_ms:
                self._dismiss_ms = None
                self._crew.dismiss_idle()
            self._nurse.tick(now)
            self._settle(now)
            self._set_alarm()
            for end, _ in self._poll.poll(self._patience(due, now)):
                handler = self._served.get(end)
                if handler is not None:
                    handler()
            self._settle(boottime_ms())
            if self._desk.is_provided:
                time.sleep(_NAP_S)

    def _patience(self, due: int | None, now: int) -> int | None:
        """Milliseconds to wait. The alarm goes on in sleep; the wait of poll does not, so it is only the second."""
        times = [at for at in (due, self._dismiss_ms, self._nurse.due_ms, self._lease_end()) if at is not None]
        return min(max(0, min(times) - now) + 1, _HOUR_MS) if times else None

    def _lease_end(self) -> int | None:
        """If anything is to be frozen then."""
        until = self._desk.until_ms
        return until if until < _FOREVER and self._desk.runs_any else None

    def _set_alarm(self) -> None:
        at = self._lease_end() or 0
        if self._alarm is not None and at != self._alarm_ms:
            self._alarm.set(at)
            self._alarm_ms = at

    def _settle(self, now: int) -> None:
        """The journal, then what begins, then what is told."""
        desk = self._desk
        ends = dict[int, bytes]()  # what is written is also told
        while desk.records or desk.forgotten:  # what could not begin has ended, which is written too
            for first, stop in desk.forgotten.spans():
                self._journal.add(packed(Past(first, stop)))
            desk.forgotten = Spans()
            for record in desk.records:
                line = packed(record)
                self._journal.add(line)
                if isinstance(record, Ended):
                    ends[record.attempt] = line
            desk.records.clear()
            desk.begin(now, self._journal.flush())
        self._crew.clean()
        for attempt, note in desk.notes:
            self._notes.begin(attempt)
            self._notes.end(note=note)
        desk.notes.clear()
        while self._crew.new:
            hand = self._crew.new.pop()
            self._serve(hand.post.fileno(), partial(self._on_done, hand.slot))
        if desk.answers:
            lines = [ends.get(one.attempt) if isinstance(one, Ended) else None for one in desk.answers]
            answers = b"".join([line or packed(one) for line, one in zip(lines, desk.answers, strict=True)])
            desk.answers.clear()
            self._say(answers)
        if self._journal.is_large:
            running = {attempt: one.start.task for attempt, one in desk.attempts.items() if one.slot >= 0}
            with suppress(OSError):
                self._journal.rewrite(Told(running, desk.ended, desk.past))

    # -- what comes ----------------------------------------------------------------------------------------------------

    def _serve(self, end: int, handler: Callable[[], object]) -> None:
        self._served[end] = handler
        self._poll.register(end, select.POLLIN)

    def _leave(self, end: int) -> None:
        if self._served.pop(end, None) is not None:
            self._poll.unregister(end)

    def _on_alarm(self) -> None:
        assert self._alarm is not None
        with suppress(BlockingIOError):
            os.read(self._alarm.fd, 8)
        self._alarm_ms = 0

    def _on_done(self, slot: int) -> None:
        hand = self._crew.hands.get(slot)
        if hand is None:
            return
        told = self._crew.hear(slot)
        if self._crew.wrote:
            self._tell_who_wrote()
        if told is None:  # what it said was heard already, or it is dead; then waiting for it says the rest
            if self._crew.is_cut_off(slot):
                self._leave(hand.post.fileno())
            return
        self._desk.wall_ms = time.time_ns() // 1_000_000
        while told is not None:
            self._desk.done(*told, boottime_ms())
            told = self._crew.hear(slot)
        if self._dismiss_ms is None:
            self._dismiss_ms = boottime_ms() + _LATER_MS

    def _on_child(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)
        self._desk.wall_ms = time.time_ns() // 1_000_000
        ends = self._ends()
        for slot in list(self._crew.hands):
            while (told := self._crew.hear(slot)) is not None:
                self._desk.done(*told, boottime_ms())
        for gone in self._crew.bury():
            ran = None if gone.ran is None else self._desk.attempts[gone.ran].start.task
            self._crew.rescue(gone.slot, gone.ran or 0, ran)
            self._desk.gone(gone.slot, gone.ran, gone.not_begun, gone.oom, gone.leaked, boottime_ms())
        for end in ends - self._ends():
            self._leave(end)

    def _ends(self) -> set[int]:
        """Of what is open to each runner and may be waited for."""
        hands = self._crew.hands.values()
        return {hand.post.fileno() for hand in hands} | {hand.keyboard.master for hand in hands if hand.keyboard}

    # -- terminals -----------------------------------------------------------------------------------------------------

    def _tell_who_wrote(self) -> None:
        """Only to a daemon at whose side somebody waits for it."""
        self._desk.answers += (Wrote(attempt) for attempt in self._crew.wrote & self._watched)
        self._crew.wrote.clear()

    def _type(self, keys: Keys, now: int) -> None:
        self._watched &= self._desk.attempts.keys()
        self._watched.add(keys.attempt)
        self._desk.take(keys, now)
        while self._crew.stuck:
            keyboard = self._crew.stuck.pop()
            self._served[keyboard.master] = partial(self._on_room, keyboard)
            self._poll.register(keyboard.master, select.POLLOUT)

    def _on_room(self, keyboard: terminal.Keyboard) -> None:
        """What was typed ahead goes on."""
        keyboard.flush()
        if not keyboard.is_stuck:
            self._leave(keyboard.master)

    # -- the daemon ----------------------------------------------------------------------------------------------------

    def _on_knock(self) -> None:
        try:
            daemon, _ = self._door.accept()
        except OSError:
            return
        if not _is_ours(daemon):
            daemon.close()
            return
        while self._on_daemon():
            pass  # what the one before said last
        self._part()
        self._nurse.knocked()
        daemon.setblocking(False)
        self._daemon, self._splitter, self._unsent = daemon, Splitter(), b""
        self._serve(daemon.fileno(), self._on_daemon)

    def _on_daemon(self) -> bool:
        """True if it said something."""
        daemon = self._daemon
        if daemon is None:
            return False
        try:
            data = daemon.recv(_READ)
        except BlockingIOError:
            if self._unsent:
                self._say(b"")
            return False
        except OSError:
            data = b""
        if not data:
            self._part()
            return False
        now = boottime_ms()
        self._desk.wall_ms = time.time_ns() // 1_000_000
        try:
            for message in self._splitter.feed(data):
                self._take(message, now)
        except frames.Garbled as fault:
            sys.stderr.write(f"the daemon said what cannot be understood: {fault}\n")
            sys.stderr.flush()
            self._part()
        return True

    def _take(self, message: Message, now: int) -> None:
        match message:
            case Hello():
                able = b"".join(f"{name}={how}".encode() + b"\0" for name, how in self._abilities.items())
                self._say(packed(Hello(frames.VERSION, os.getpid(), self._desk.until_ms, able)))
                if message.version != frames.VERSION:
                    return
                self._watched.clear()
                self._nurse.met(message.tail, now)
                self._desk.greet(now)
            case frames.End():
                self._end()
            case frames.Leave():
                self._nurse.left()
            case Keys():
                self._type(message, now)
            case _:
                self._desk.take(message, now)

    def _say(self, data: bytes) -> None:
        daemon = self._daemon
        if daemon is None:
            return
        self._unsent += data
        try:
            while self._unsent:
                self._unsent = self._unsent[daemon.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._part()
            return
        self._poll.register(daemon.fileno(), select.POLLIN | (select.POLLOUT if self._unsent else 0))

    def _part(self) -> None:
        if self._daemon is not None:
            self._leave(self._daemon.fileno())
            self._daemon.close()
            self._daemon = None
            self._nurse.lost(boottime_ms())

    def _start_daemon(self, words: Sequence[bytes]) -> None:
        """Unless the home is gone: a new one would know nothing of this process."""
        if _identity(self._lock_path) == self._lock:
            start(words)
        else:
            self._end()

    # -- the end -------------------------------------------------------------------------------------------------------

    def _close_in_child(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _end(self) -> None:
        self._crew.end()
        self._is_over = True

    def close(self) -> None:
        """All that runs was killed: wait for it, tell it, and shut the door."""
        deadline = time.monotonic() + _ENDING_S
        while self._crew.hands and time.monotonic() < deadline:
            self._on_child()
            time.sleep(0.001)
        self._settle(boottime_ms())
        self._groups.close()
        with suppress(FileNotFoundError):
            os.unlink(self._door_path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _alarm() -> libc.Alarm | None:
    try:
        return libc.Alarm()
    except OSError:
        return None


def _opened_door(path: str) -> socket.socket:
    with suppress(FileNotFoundError):
        os.unlink(path)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(path)
    os.chmod(path, 0o600)
    door.listen(4)
    door.setblocking(False)
    return door


def _is_ours(peer: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the folder of the door is ours alone
    _, user, _ = _CREDENTIALS.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return user in (0, os.getuid())


def main(words: Sequence[str]) -> None:
    own, outputs, spool, files, door, limit, ready = words
    os.closerange(int(ready) + 1, 65536)  # whatever was open where it was started from
    lock = os.open(os.path.join(own, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with suppress(BrokenPipeError):
            os.write(int(ready), OTHER)
        return
    gc.disable()  # nothing here makes cycles, and a runner that collects would copy pages that it shares
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 5)
    supervisor = Supervisor(Folders(own, outputs, spool, files), door, int(limit))
    gc.freeze()
    with suppress(BrokenPipeError):  # whoever started it was killed meanwhile; the next one finds it
        os.write(int(ready), READY)
    os.close(int(ready))
    supervisor.run()
    supervisor.close()
