"""The hands of this machine, from the daemon's side: what the agent asks for goes to the supervisor, and what that
tells is here to be looked at.

It finds the supervisor of this home or starts one, and says Hello; the supervisor tells all that it holds. From then on
this is a mirror of it. When the connection breaks, the next one begins the same way: what the supervisor does not know
of is not here any more, and the agent asks for it again.

Promises: nothing waits for the supervisor, but `open`, which calls back; a report is given once what the attempt has
written is on the disk, and until it is forgotten.
Never: believes that something ended because nobody answers: what ran is here until a supervisor says how it ended.
"""

import asyncio
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from odyssey.clock import Clock
from odyssey.commands import Report
from odyssey.errors import Fault, OdysseyError
from odyssey.exec.launch import Launch, Trouble
from odyssey.exec.supervisor import frames
from odyssey.exec.supervisor.frames import UNKNOWN_MS, Message, packed
from odyssey.exec.supervisor.orders import NO_TERMINAL
from odyssey.exec.supervisor.outlet import LIMIT
from odyssey.exec.synced import Synced
from odyssey.ids import AttemptId, TaskId
from odyssey.messages import Here, Listed
from odyssey.model import Outcome
from odyssey.spec import JobSpec

_READ: Final = 256 << 10
_READY: Final = b"ready\n"
_AGAIN_S: Final = 0.05
_TRIES: Final = 20  # of _AGAIN_S each, until somebody must be told


class Places(NamedTuple):
    """What the supervisor needs of a home. All but the socket's folder are on its disk."""

    own: Path  # its journal, its lock, its shared pages
    outputs: Path
    spool: Path  # standard inputs
    files: Path  # what attempts keep, and where they work
    socket: Path
    log: Path
    output_limit: int = LIMIT  # bytes of one stream of one attempt


class NoHands(OdysseyError):
    """The process that runs jobs on this machine cannot be started."""

    fault = Fault.MACHINE


@dataclass(slots=True)
class _One:
    """An attempt, as far as the supervisor has told of it."""

    task: TaskId
    started: bool
    began_ms: int
    stood_ms: int = 0
    frozen_at_ms: int | None = None
    report: Report | None = None
    still: Here | None = None  # as long as time changes nothing about it

    def __post_init__(self) -> None:
        self.rest()

    def rest(self) -> None:
        """To be called when it began, or froze, or went on."""
        is_still = not self.started or self.frozen_at_ms is not None or self.report is not None
        self.still = self.here(0) if is_still else None

    def settle(self) -> None:
        """Its end is told from now on."""
        self.still = Here(self.task, self.started, self.frozen_at_ms, True, self.elapsed_ms(0))

    def here(self, now_ms: int) -> Here:
        return Here(self.task, self.started, self.frozen_at_ms, False, self.elapsed_ms(now_ms))

    def elapsed_ms(self, now_ms: int) -> int:
        if self.report is not None:
            return self.report.run_ms
        if not self.started:
            return 0
        until = now_ms if self.frozen_at_ms is None else self.frozen_at_ms
        return max(0, until - self.began_ms - self.stood_ms)


class _Unsure(NamedTuple):
    """Its end is known here, but what it has written may not be on the disk yet."""

    report: Report
    has_freed: bool  # room that nobody here has taken


def _nothing() -> None:
    pass


def _ignored(_attempt: AttemptId) -> None:
    pass


class SupervisorHands:
    """The port `agent.Hands`. Call `open` first."""

    _without_terminals: Final = Trouble(Outcome.NOT_HERE, "the process that runs jobs there has no terminals to give")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        places: Places,
        clock: Clock,
        launcher: Callable[[Listed, JobSpec], Launch | Trouble | None],
        on_end: Callable[[bool], None],
        on_trouble: Callable[[OdysseyError], None],
        again: tuple[bytes, ...] = (),
        on_wrote: Callable[[AttemptId], None] = _ignored,
    ) -> None:
        """`on_end` is told whether room is free now that nothing here has taken; `again` is how this daemon is started
        again when it dies; `on_trouble` is told when no supervisor starts; `on_wrote` when an attempt has written at
        whose terminal somebody types."""
        self._loop, self._places, self._clock, self._launcher = loop, places, clock, launcher
        self._on_end, self._on_trouble, self._again, self._on_wrote = on_end, on_trouble, again, on_wrote
        self._all: dict[AttemptId, _One] = {}
        self._reports: dict[AttemptId, Report] = {}
        self._unsure: dict[AttemptId, _Unsure] = {}  # whose output may not be on the disk yet
        self._ended_now: dict[AttemptId, TaskId] = {}
        self._synced = Synced(loop, places.outputs, places.files, self._are_sure)
        self._telling: dict[AttemptId, _One] | None = None  # what a supervisor has told since its Hello
        self._socket: socket.socket | None = None
        self._splitter = frames.Splitter()
        self._out: list[bytes] = []
        self._forgotten = list[int]()
        self._unsent = b""
        self._is_flushing = self._is_closed = False
        self._tries = 0
        self._opened = self._ended = _nothing
        self._until_ms: int | None = None  # what the agent said last
        self._number = 0
        self._told: dict[int, Callable[[], None]] = {}
        self._typing: dict[tuple[int, int], deque[Callable[[int], None]]] = {}  # by attempt and writer: who is answered
        self._child: int | None = None
        self.until_ms = 0  # what the supervisor knew when it was found
        self.pid: int | None = None
        self.abilities: dict[str, str] = {}  # what the supervisor can do on this machine: `namespaces`, `memory`, …

    # -- the port ------------------------------------------------------------------------------------------------------

    def here(self) -> Mapping[AttemptId, Here]:
        now = self._clock.boottime_ms()
        return {attempt: one.still or one.here(now) for attempt, one in self._all.items()}

    def reports(self) -> Mapping[AttemptId, Report]:
        return dict(self._reports)

    def lease(self, until_ms: int, told: Callable[[], None] = _nothing) -> None:
        if until_ms == self._until_ms and not self._told:
            told()
            return
        self._until_ms = until_ms
        self._number += 1
        self._told[self._number] = told
        self._send(frames.Lease(until_ms, self._number))

    def start(self, one: Listed, spec: JobSpec) -> None:
        known = self._all.get(one.attempt)
        if known is None or not known.started:
            self._begin(one, spec, follows=False)

    def follow(self, one: Listed, spec: JobSpec) -> None:
        if one.attempt not in self._all and spec.terminal == NO_TERMINAL:  # a terminal is in no slot before
            self._begin(one, spec, follows=True)

    def _begin(self, one: Listed, spec: JobSpec, follows: bool) -> None:
        now = self._clock.boottime_ms()
        if self._socket is None or self._telling is not None or now >= (self._until_ms or 0):
            return
        launch = self._without_terminals if self._lacks_terminals(spec) else self._launcher(one, spec)
        if launch is None:  # what it needs is on its way: it is asked for again
            return
        if isinstance(launch, Trouble):
            self._send(frames.Refuse(one.attempt, one.task, launch.outcome, launch.why.encode()))
            return
        self._all[one.attempt] = _One(one.task, not follows, now)
        kind = frames.Follow if follows else frames.Start
        self._send(kind(one.attempt, one.task, launch.room, launch.timeout_ms, launch.memory, launch.order))

    def _lacks_terminals(self, spec: JobSpec) -> bool:
        return spec.terminal != NO_TERMINAL and self.abilities.get("terminals", "none") == "none"

    def refuse(self, one: Listed) -> None:
        self._send(frames.Refuse(one.attempt, one.task, Outcome.REJECTED))

    def stop(self, attempt: AttemptId) -> None:
        self._send(frames.Stop(attempt))

    def freeze(self, attempt: AttemptId) -> None:
        self._send(frames.Freeze(attempt))

    def thaw(self, attempt: AttemptId) -> None:
        self._send(frames.Thaw(attempt))

    def kill(self, attempt: AttemptId) -> None:
        self._send(frames.Kill(attempt))

    def forget(self, attempt: AttemptId) -> None:
        if attempt in self._reports:
            del self._all[attempt], self._reports[attempt]
            self._forgotten.append(attempt)
            self._flush_soon()

    # -- more than the port --------------------------------------------------------------------------------------------

    def stdin_grew(self, name: bytes, _size: int, is_complete: bool) -> None:
        """More of a standard input is in the spool. That it is complete is noted beside it, for runners to see."""
        if is_complete:
            (self._places.spool / f"{name.hex()}.end").touch(mode=0o600)
        self._send(frames.Grew(name))

    def type(
        self, attempt: AttemptId, writer: int, offset: int, size: tuple[int, int], data: bytes,
        told: Callable[[int], None],
    ) -> None:  # fmt: skip
        """What somebody types there; `told` how much of all that this writer types is taken, or GONE."""
        one = self._all.get(attempt)
        if self._socket is None or self._telling is not None or one is None or not one.started or one.report:
            told(frames.GONE)
            return
        self._typing.setdefault((attempt, writer), deque()).append(told)
        self._send(frames.Keys(attempt, writer, offset, *size, data))

    def open(self, done: Callable[[], None]) -> None:
        """`done` once all that the supervisor holds is known here."""
        self._opened = done
        for folder in (*self._places[:4], self._places.socket.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._attach()

    def leave(self) -> None:
        """This daemon goes on purpose. What runs goes on."""
        self._send(frames.Leave())
        self.close()

    def end(self, done: Callable[[], None]) -> None:
        """All that runs is killed, and the supervisor ends; `done` when it has."""
        self._is_closed = True
        if self._socket is None:
            self._synced.close()
            done()
            return
        self._ended = done
        self._send(frames.End())

    def close(self) -> None:
        self._flush()
        self._is_closed = True
        self._synced.close()
        self._hang_up()

    # -- finding a supervisor ------------------------------------------------------------------------------------------

    def _attach(self) -> None:
        if self._is_closed:
            return
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            end.connect(str(self._places.socket))
        except OSError:
            end.close()
            self._start_supervisor()
            return
        end.setblocking(False)
        self._socket, self._splitter, self._telling = end, frames.Splitter(), {}
        self._unsent, self._out = b"", []
        self._loop.add_reader(end.fileno(), self._on_data)
        self._send(frames.Hello(frames.VERSION, os.getpid(), 0, b"".join(word + b"\0" for word in self._again)))

    def _start_supervisor(self) -> None:
        self._reap()
        self._tries += 1
        if self._tries > _TRIES:
            self._tries = 0
            said = _last_line(self._places.log)
            self._on_trouble(NoHands(f"the process that runs jobs does not start: {said}"))
        read_end, write_end = os.pipe()
        program = str(Path(__file__).with_name("supervisor") / "__main__.py")
        words = [sys.executable, "-S", "-E", program]
        places = self._places
        words += map(str, (*places[:4], places.socket, places.output_limit))
        log = os.open(self._places.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._child = os.posix_spawn(
                sys.executable,
                [*words, "3"],
                {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, null, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                    (os.POSIX_SPAWN_DUP2, write_end, 3),
                ],
                setsid=True,
                setsigdef=(signal.SIGPIPE,),
            )
        finally:
            for end in (write_end, log, null):
                os.close(end)
        self._loop.add_reader(read_end, self._on_started, read_end)

    def _on_started(self, read_end: int) -> None:
        said = os.read(read_end, 64)
        self._loop.remove_reader(read_end)
        os.close(read_end)
        if said == _READY:
            self._attach()
        else:
            self._loop.call_later(_AGAIN_S, self._attach)

    def _reap(self) -> None:
        if self._child is not None:
            with suppress(ChildProcessError):
                if os.waitpid(self._child, os.WNOHANG)[0]:
                    self._child = None

    # -- the connection ------------------------------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        if self._socket is None:
            return
        self._tell_forgotten()
        self._out.append(packed(message))
        self._flush_soon()

    def _tell_forgotten(self) -> None:
        """In one frame, before whatever was said after."""
        if self._forgotten:
            self._out.append(packed(frames.Forget(frames.packed_numbers(self._forgotten))))
            self._forgotten.clear()

    def _flush_soon(self) -> None:
        if not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        end = self._socket
        if end is None:
            self._forgotten.clear()
            return
        self._tell_forgotten()
        data = self._unsent + b"".join(self._out)
        self._out.clear()
        was_waiting = bool(self._unsent)
        try:
            while data:
                data = data[end.send(data) :]
        except BlockingIOError:
            pass
        except OSError:
            self._broke()
            return
        self._unsent = data
        if data and not was_waiting:
            self._loop.add_writer(end.fileno(), self._flush)
        elif was_waiting and not data:
            self._loop.remove_writer(end.fileno())

    def _on_data(self) -> None:
        end = self._socket
        assert end is not None
        try:
            data = end.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._broke()
            return
        has_ended = False
        for message in self._splitter.feed(data):
            has_ended |= self._take(message)
        if self._ended_now:
            ended, self._ended_now = self._ended_now, {}
            self._synced.ask(ended)
        elif has_ended:
            self._on_end(True)

    def _are_sure(self, attempts: Sequence[AttemptId]) -> None:
        """What they have written is on the disk; a supervisor may have told of all of them anew meanwhile."""
        has_freed = False
        for attempt in attempts:
            if (unsure := self._unsure.pop(attempt, None)) is not None:
                self._reports[attempt] = unsure.report
                self._all[attempt].settle()
                has_freed |= unsure.has_freed
        self._on_end(has_freed)

    def _broke(self) -> None:
        self._hang_up()
        if self._is_closed:
            self._reap()
            self._synced.close()
            self._ended()
        else:
            self._loop.call_soon(self._attach)

    def _hang_up(self) -> None:
        end, self._socket, self._telling = self._socket, None, None
        self._unsent, self._out = b"", []
        typing, self._typing = self._typing, {}
        for told in (told for those in typing.values() for told in those):
            told(frames.GONE)
        if end is not None:
            self._loop.remove_reader(end.fileno())
            self._loop.remove_writer(end.fileno())
            end.close()

    # -- what the supervisor tells -------------------------------------------------------------------------------------

    def _take(self, message: Message) -> bool:
        """True if the agent should look."""
        match message:
            case frames.Ended():
                return self._on_ended(message)
            case frames.Told(number):
                for one in [one for one in self._told if one <= number]:
                    self._told.pop(one)()
            case frames.Typed():
                self._on_typed(message)
            case frames.Wrote(attempt):
                self._on_wrote(AttemptId(attempt))
            case frames.Frozen(attempt, at_ms):
                self._on_frozen(AttemptId(attempt), at_ms)
            case frames.Hello():
                self._on_hello(message)
            case frames.Held():
                assert self._telling is not None
                began = self._clock.boottime_ms() - message.elapsed_ms
                frozen = None if message.frozen_at_ms == UNKNOWN_MS else message.frozen_at_ms
                if frozen is not None:
                    began = frozen - message.elapsed_ms
                self._telling[AttemptId(message.attempt)] = _One(
                    TaskId(message.task), bool(message.started), began, 0, frozen
                )
            case frames.Ready():
                return self._on_ready()
        return False

    def _on_hello(self, hello: frames.Hello) -> None:
        self.pid, self.until_ms = hello.pid, hello.until_ms
        words = hello.tail.decode("utf-8", "replace").split("\0")
        self.abilities = {name: how for name, _, how in (word.partition("=") for word in words) if name}
        if hello.version != frames.VERSION:
            self._send(frames.End())  # its work is lost, and told so by the next one
        elif self._until_ms is not None:
            self._number += 1
            self._told[self._number] = _nothing
            self._send(frames.Lease(self._until_ms, self._number))

    def _on_ready(self) -> bool:
        assert self._telling is not None
        self._all, self._telling = self._telling, None
        ended = {attempt: one.report for attempt, one in self._all.items() if one.report is not None}
        self._unsure = {
            attempt: _Unsure(report, True) for attempt, report in ended.items() if attempt not in self._reports
        }
        self._ended_now = {attempt: one.report.task for attempt, one in self._unsure.items()}
        self._reports = {attempt: report for attempt, report in ended.items() if attempt in self._reports}
        for attempt in self._reports:
            self._all[attempt].settle()
        self._tries = 0
        opened, self._opened = self._opened, _nothing
        opened()
        return True

    def _on_ended(self, ended: frames.Ended) -> bool:
        attempt, task = AttemptId(ended.attempt), TaskId(ended.task)
        report = Report(
            attempt, task, Outcome(ended.outcome), ended.code, ended.started_ms, ended.ended_ms, ended.run_ms,
            ended.cpu_ms, ended.peak_memory, bool(ended.leaked),
        )  # fmt: skip
        where = self._all if self._telling is None else self._telling
        where[attempt] = _One(task, True, 0, report=report)
        if self._telling is None:
            self._ended_now[attempt] = task
            self._on_wrote(attempt)  # that there will be no more is news too
            follower = self._all.get(AttemptId(ended.follower)) if ended.follower else None
            self._unsure[attempt] = _Unsure(report, has_freed=follower is None)
            if follower is not None:
                follower.started, follower.began_ms = True, self._clock.boottime_ms()
                follower.rest()
        return True

    def _on_typed(self, typed: frames.Typed) -> None:
        waiting = self._typing.get((typed.attempt, typed.writer))
        if waiting:
            waiting.popleft()(typed.taken)
        if not waiting:
            self._typing.pop((typed.attempt, typed.writer), None)

    def _on_frozen(self, attempt: AttemptId, at_ms: int) -> None:
        one = self._all.get(attempt)
        if one is None:
            return
        if at_ms != UNKNOWN_MS:
            one.frozen_at_ms = at_ms
        elif one.frozen_at_ms is not None:
            one.stood_ms += self._clock.boottime_ms() - one.frozen_at_ms
            one.frozen_at_ms = None
        one.rest()


def _last_line(log: Path) -> str:
    with suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it says nothing"
    return "it says nothing"
