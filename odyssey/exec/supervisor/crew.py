"""The runners: forked when they are needed, given orders, signalled, and buried.

An order for one that is busy waits in its own socket, and can be taken back from there as long as it has not begun.

Promises: what a runner that was waited for had not begun is known exactly; what it had begun is over, with all its
descendants, where runners are alone in their namespaces.
Never: decides which attempt goes where.
"""

import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from typing import Final, NamedTuple

from odyssey.exec.supervisor import alone, emptying, libc, terminal, tree, workplace
from odyssey.exec.supervisor.alone import Way
from odyssey.exec.supervisor.cgroups import RUNNER_MEMORY, Groups
from odyssey.exec.supervisor.frames import GONE, OOM, Keys
from odyssey.exec.supervisor.orders import DONE, Done, attempt_in
from odyssey.exec.supervisor.outlet import ERR, OUT, Outlet
from odyssey.exec.supervisor.runner import CHUNK, MOST_ORDER, WROTE, Pipes, Place, Runner
from odyssey.exec.supervisor.runner import FILE as _FILE
from odyssey.exec.supervisor.slots import IDLE, MOST, NOBODY, Server, Slots
from odyssey.exec.supervisor.terminal import Keyboard

IDLE_RUNNERS: Final = 2  # so many of one kind wait for work; more are sent away when they have been idle
_KIND: Final = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
_GO: Final = b"go"  # said once the new runner is its supervisor's child and in its groups
_FAILED: Final = 70


class Folders(NamedTuple):
    own: str
    outputs: str
    spool: str
    files: str


@dataclass(slots=True)
class Hand:
    """One runner, from the supervisor's side."""

    slot: int
    pid: int
    memory: int
    post: socket.socket
    theirs: socket.socket  # its end, to take orders back from
    pipes: Pipes
    attempts: list[int] = field(default_factory=list)  # the first runs, the others wait in its socket
    oom: int = 0  # how often memory had run out there
    keyboard: Keyboard | None = None  # it has a terminal, and serves one attempt only


class Gone(NamedTuple):
    """A runner that has been waited for: what it ran, and what it never began."""

    slot: int
    ran: int | None
    not_begun: list[int]
    oom: bool
    leaked: bool  # its descendants may be left


class Crew:
    def __init__(
        self,
        slots: Slots,
        folders: Folders,
        limit: int,
        groups: Groups,
        way: Way,
        in_child: Callable[[], None],
    ) -> None:
        """`in_child` is called in each new runner, to close what belongs to the supervisor."""
        self._slots, self._folders, self._limit, self._in_child = slots, folders, limit, in_child
        self.hands: dict[int, Hand] = {}
        self.new: list[Hand] = []  # forked since somebody looked
        self.wrote = set[int]()  # attempts with a terminal that wrote since then
        self.stuck: list[Keyboard] = []  # that wait for room since then
        self._free: list[int] = []
        self._next = 0
        self._idle: dict[int, list[int]] = {}  # by memory limit: slots
        self._big = 0
        self._groups = groups
        self._way, self.is_alone = way, way is not Way.NOT
        self._cleaner: int | None = None  # the process that empties the trash
        self._has_trash = workplace.has_trash(folders.files)

    @property
    def life(self) -> int:
        return self._slots.life

    # -- orders --------------------------------------------------------------------------------------------------------

    def begin(self, attempt: int, order: bytes, memory: int, has_terminal: bool) -> int:
        """In which slot. OSError: this machine can fork no runner now, or has no terminal left."""
        idle = None if has_terminal else self._idle.get(memory)
        hand = self.hands[idle.pop()] if idle else self._fork(memory, has_terminal)
        self._send(hand, attempt, order)
        return hand.slot

    def queue(self, slot: int, attempt: int, order: bytes) -> None:
        """Behind what runs there."""
        self._send(self.hands[slot], attempt, order)

    def _send(self, hand: Hand, attempt: int, order: bytes) -> None:
        hand.attempts.append(attempt)
        if len(order) > MOST_ORDER:
            self._big += 1
            path = os.path.join(self._folders.own, f"order-{self._big}")
            with open(path, "wb", opener=_private) as file:
                file.write(order)
            order = _FILE + os.fsencode(path)
        with suppress(BrokenPipeError, ConnectionResetError):  # it is dead: that is noticed by waiting
            hand.post.send(order)

    def take_back(self, slot: int) -> list[int]:
        """What waits there behind the first and has not begun. A new runner may not have come to the first yet: that
        one stays."""
        hand = self.hands[slot]
        drained = self._drained(hand)
        if _GO in drained:
            hand.post.send(_GO)
        back = list[int]()
        for data in drained:
            if data == _GO:
                continue
            attempt = _attempt_in(data)
            if attempt == hand.attempts[0]:
                hand.post.send(data)
            else:
                back.append(attempt)
                _discard(data)
        hand.attempts = [attempt for attempt in hand.attempts if attempt not in back]
        return back

    def _drained(self, hand: Hand) -> list[bytes]:
        found = list[bytes]()
        with suppress(BlockingIOError):
            while data := hand.theirs.recv(MOST_ORDER + 1024, socket.MSG_DONTWAIT):
                found.append(data)
        return found

    def began_ms(self, slot: int, attempt: int) -> int | None:
        page = self._slots.read(slot)
        return page.began_ms if page.attempt == attempt else None

    def hear(self, slot: int) -> tuple[Done, bytes] | None:
        """What ended there."""
        hand = self.hands[slot]
        data = b""
        try:
            while (data := hand.post.recv(8192, socket.MSG_DONTWAIT)) == WROTE:
                self.wrote.add(hand.attempts[0])
        except BlockingIOError:
            return None
        except ConnectionResetError:
            pass
        if not data:
            return None
        done = Done(*DONE.unpack_from(data))
        has_run_out = self._ran_out(hand)  # looked at each time: the next one is not to blame
        if has_run_out and (done.outcome or done.code):
            done = done._replace(outcome=OOM)
        hand.attempts.remove(done.attempt)
        if not hand.attempts and hand.keyboard is None:
            self._idle.setdefault(hand.memory, []).append(slot)
        return done, data[DONE.size :]

    def is_cut_off(self, slot: int) -> bool:
        """Nothing more will be heard from there: its runner is dead."""
        try:
            return not self.hands[slot].post.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def poke(self) -> None:
        for hand in self.hands.values():
            if hand.attempts:
                with suppress(BlockingIOError):
                    os.write(hand.pipes.poke_write, b".")

    def type(self, slot: int, keys: Keys) -> int:
        """How much of what this writer types is taken; GONE: there is no terminal."""
        keyboard = self.hands[slot].keyboard
        if keyboard is None:
            return GONE
        if keys.rows and keys.columns:
            terminal.resize(keyboard.master, keys.rows, keys.columns)
        taken = keyboard.type(keys.writer, keys.offset, keys.tail)
        if keyboard.is_stuck:
            self.stuck.append(keyboard)
        return taken

    def _ran_out(self, hand: Hand) -> bool:
        """Of memory, since it was looked at."""
        before, hand.oom = hand.oom, self._groups.out_of_memory(hand.slot)
        return hand.oom > before

    # -- force ---------------------------------------------------------------------------------------------------------

    def term(self, slot: int) -> None:
        """To all that it runs; what has stopped itself must run to hear it."""
        pid = self.hands[slot].pid
        tree.signal_all(pid, signal.SIGTERM)
        if self.hands[slot].keyboard is not None:
            tree.signal_all(pid, signal.SIGHUP)  # an interactive shell ends when its terminal goes, not before
        tree.signal_all(pid, signal.SIGCONT)

    def kill(self, slot: int) -> None:
        """With its runner, where that is the first process of its namespace; else the runner sees to it that all of
        them are gone."""
        hand = self.hands[slot]
        if self.is_alone:
            os.kill(hand.pid, signal.SIGKILL)
        else:
            tree.signal_all(hand.pid, signal.SIGSTOP)  # so that nobody forks while the others are killed
            tree.signal_all(hand.pid, signal.SIGKILL)
        self._groups.freeze(slot, False)  # the frozen do not die

    def end(self) -> None:
        """All runners, with all they run."""
        for slot, hand in self.hands.items():
            with suppress(ProcessLookupError):
                os.kill(hand.pid, signal.SIGKILL if self.is_alone else signal.SIGTERM)
            self._groups.freeze(slot, False)

    def freeze(self, slot: int) -> None:
        if not self._groups.freeze(slot, True):
            tree.signal_all(self.hands[slot].pid, signal.SIGSTOP)

    def thaw(self, slot: int) -> None:
        if not self._groups.freeze(slot, False):
            tree.signal_all(self.hands[slot].pid, signal.SIGCONT)

    def dismiss_idle(self) -> None:
        for idle in self._idle.values():
            while len(idle) > IDLE_RUNNERS:
                self._dismiss(self.hands[idle.pop(0)])

    def _dismiss(self, hand: Hand) -> None:
        hand.post.shutdown(socket.SHUT_RDWR)
        hand.theirs.shutdown(socket.SHUT_RDWR)

    # -- runners come and go -------------------------------------------------------------------------------------------

    def _fork(self, memory: int, has_terminal: bool) -> Hand:
        if not self._free and self._next >= MOST:
            raise OSError("all slots are taken")
        pair = terminal.opened() if has_terminal else None
        if self._free:
            slot = heappop(self._free)
        else:
            slot, self._next = self._next, self._next + 1
        mine, theirs = socket.socketpair(socket.AF_UNIX, _KIND)
        out = os.pipe() if pair is None else (pair.master, pair.slave)
        pipes = Pipes(*out, *os.pipe(), *os.pipe())
        self._groups.make(slot, memory)
        try:
            pid = alone.fork(self._way)
        except OSError:
            self._groups.remove(slot)
            heappush(self._free, slot)
            for end in pipes:
                os.close(end)
            mine.close()
            theirs.close()
            raise
        if not pid:
            self._become_runner(slot, memory, theirs, pipes, pair.path if pair is not None else "")
        os.set_blocking(pipes.poke_write, False)
        for end in (pipes.out_write, pipes.err_write, pipes.poke_read):
            os.close(end)
        self._groups.enter(slot, pid)
        mine.send(_GO)
        self._slots.write(slot, IDLE)
        self._slots.serve(slot, Server(pid, tree.began(pid) or 0))
        self.hands[slot] = hand = Hand(slot, pid, memory, mine, theirs, pipes)
        if pair is not None:
            hand.keyboard = Keyboard(pair.master)
        self.new.append(hand)
        return hand

    def _become_runner(self, slot: int, memory: int, post: socket.socket, pipes: Pipes, path: str) -> None:
        """Never returns."""
        try:
            keep = {post.fileno(), *pipes} - {pipes.poke_write}
            self._in_child()
            _close_all_but(keep)
            if post.recv(len(_GO)) != _GO:
                os._exit(0)  # the supervisor is gone
            if self.is_alone:
                alone.furnish()
            else:
                signal.signal(signal.SIGTERM, partial(_end_with_all, self._slots, slot))
                with suppress(OSError):
                    libc.adopt_orphans()
            with suppress(OSError):
                libc.die_with_parent(signal.SIGKILL if self.is_alone else signal.SIGTERM)
            if _has_hung_up(post):  # before that
                os._exit(0)
            _limit_memory(0 if self._groups.limits_memory() else memory)
            _be_modest()
            folders = self._folders[1:]
            place = Place(
                slot, self._slots, post, pipes, *folders, is_alone=self.is_alone, limit=self._limit, terminal=path
            )
            Runner(place).serve()
            os._exit(0)
        except Exception:  # noqa: BLE001 - said in the log, and seen by whoever waits for it
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(_FAILED)

    def bury(self) -> list[Gone]:
        """Those that have ended. `hear` tells what they said before."""
        found = list[Gone]()
        by_pid = {hand.pid: hand for hand in self.hands.values()}
        with suppress(ChildProcessError):
            while (pid := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                if pid in by_pid:
                    found.append(self._bury(by_pid[pid]))
                elif pid == self._cleaner:
                    self._cleaner = None
        return found

    # -- files ---------------------------------------------------------------------------------------------------------

    def rescue(self, slot: int, attempt: int, task: int | None) -> None:
        """What one whose runner was killed has kept; `task` is None where nobody knows whose it is."""
        self._has_trash |= workplace.rescue(self._folders.files, slot, task, attempt)

    def clean(self) -> None:
        """By a process of its own: trash may be more than this one has time for."""
        if not self._has_trash or self._cleaner is not None:
            return
        try:
            pid = os.fork()
        except OSError:
            return  # later
        if not pid:
            self._become_cleaner()
        self._has_trash, self._cleaner = False, pid

    def _become_cleaner(self) -> None:
        """Never returns."""
        try:
            self._in_child()
            _close_all_but(set())
            with suppress(OSError):
                libc.die_with_parent(signal.SIGKILL)
            _be_modest()
            emptying.empty(os.path.join(self._folders.files, "trash"))
        finally:
            os._exit(0)

    def _bury(self, hand: Hand) -> Gone:
        drained = [data for data in self._drained(hand) if data != _GO]
        not_begun = [_attempt_in(data) for data in drained]
        for data in drained:
            _discard(data)
        begun = [attempt for attempt in hand.attempts if attempt not in not_begun]
        ran = begun[0] if begun else None
        if ran is not None:
            self._save_output(hand, ran)
        oom = self._ran_out(hand)
        self._groups.remove(hand.slot)
        hand.post.close()
        hand.theirs.close()
        for end in (hand.pipes.out_read, hand.pipes.err_read, hand.pipes.poke_write):
            os.close(end)
        self._slots.serve(hand.slot, NOBODY)
        self._slots.write(hand.slot, IDLE)
        del self.hands[hand.slot]
        idle = self._idle.get(hand.memory, [])
        if hand.slot in idle:
            idle.remove(hand.slot)
        heappush(self._free, hand.slot)
        return Gone(hand.slot, ran, not_begun, oom, not self.is_alone)

    def _save_output(self, hand: Hand, attempt: int) -> None:
        """What the dead runner had written, and what is still in its pipes."""
        page = self._slots.read(hand.slot)
        outlet = Outlet(self._folders.outputs, self._slots.life, hand.slot, self._limit)
        if page.attempt == attempt and page.has_segment:
            outlet.resume(page.segment, attempt, [0, page.out_at, page.err_at], [0, page.out_cut, page.err_cut])
        else:
            outlet.number = page.segment
            outlet.begin(attempt)
        for stream, end in ((OUT, hand.pipes.out_read), (ERR, hand.pipes.err_read)):
            os.set_blocking(end, False)
            with suppress(OSError):  # there is no more; a terminal whose programs are dead says so with an error
                while data := os.read(end, CHUNK):
                    outlet.write(stream, data)
        outlet.end()
        outlet.close()


def _has_hung_up(post: socket.socket) -> bool:
    poll = select.poll()
    poll.register(post, select.POLLHUP)
    return bool(poll.poll(0))


def _be_modest() -> None:
    """Whoever uses the machine goes first."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 19)
    with suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(OSError):
        libc.lowest_disk_priority()


def _attempt_in(data: bytes) -> int:
    """Of an order as it is in a socket."""
    if data[:1] == _FILE:
        with open(data[1:], "rb") as file:
            data = file.read(64)
    return attempt_in(data)


def _discard(data: bytes) -> None:
    if data[:1] == _FILE:
        os.unlink(data[1:])


def _end_with_all(pages: Slots, slot: int, _number: int, _frame: object) -> None:
    """The supervisor is gone. Without a namespace that goes too, all descendants are looked for; the next supervisor
    believes only who says that all are gone."""
    if not tree.end(os.getpid()):
        pages.serve(slot, NOBODY)
    os._exit(0)


def _limit_memory(memory: int) -> None:
    """Where no group does it: an attempt is refused more, instead of being killed."""
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory + RUNNER_MEMORY,) * 2)


def _close_all_but(keep: set[int]) -> None:
    at = 3
    for end in sorted(keep):
        os.closerange(at, end)
        at = end + 1
    os.closerange(at, 65536)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
