"""A job with its person at the terminal: its bytes out, signals in, and at the end its own exit status.

Promises: stdout and stderr are the job's, apart and byte for byte; what Odyssey says is on stderr. Ctrl-C within 30 s,
or where no terminal is, cancels; later it asks, and the default is harmless. A lost terminal leaves the job alone.
Never: ends a job because of an error of its own.
"""

from __future__ import annotations

import errno
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final, Protocol

from odyssey.api.requests import Cancel, Explain, Follow, Mark, Nodes
from odyssey.api.views import (
    STDERR,
    STDOUT,
    AnyItem,
    Began,
    Cut,
    Ended,
    JobView,
    Moved,
    Output,
    Over,
    Progress,
)
from odyssey.cli import progress
from odyssey.cli.away import Away
from odyssey.cli.desk import Desk
from odyssey.cli.ending import OUR_FAULT, exit_status, last_words, not_run, nowhere, where_it_is
from odyssey.cli.feed import Feed
from odyssey.cli.keys import key_of_terminal
from odyssey.cli.stdin import Stdin
from odyssey.errors import OdysseyError
from odyssey.resources import show_duration_rounded, show_size_rounded

ASK_AFTER_SECONDS: Final = 30.0
TAP_AFTER_SECONDS: Final = 30.0
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONCE_SECONDS: Final = 0.5  # within which two signals are one
LOOK_SECONDS: Final = 0.25
EXPLAIN_AFTER_SECONDS: Final = 1.5
ETA_EVERY_SECONDS: Final = 10.0  # where there is no terminal to draw on
STDERR_KEPT: Final = 4096
OWN_FAILURES: Final = ("exited", "signalled", "timeout")


class Listener(Protocol):
    """Who else wants to see what is told: `map` writes its files. True: the bytes are not to be shown by others."""

    def hear(self, item: AnyItem) -> bool: ...

    def status(self, status: int) -> int: ...


class Attached:
    def __init__(
        self,
        desk: Desk,
        job: int,
        *,
        task: int | None = None,
        is_grouped: bool,
        stdin: Stdin | None = None,
        listener: Listener | None = None,
        tells_eta: bool = False,
        key: Callable[[], str] | None = None,
        marks: tuple[Mark, ...] = (),
    ) -> None:
        """`marks`: output that is not to come again."""
        self._desk, self._output, self._job, self._task = desk, desk.output, job, task
        self._ref = str(job) if task is None else f"{job}/{task}"  # only this task of it
        self._stdin, self._listener = stdin, listener
        self._feed = Feed(desk.daemon(), Follow(self._ref, is_grouped, marks=marks))
        self._key = key or key_of_terminal
        self._tells_eta, self._eta_told = tells_eta, 0.0
        self._signals: list[int] = []
        self._began = time.monotonic()
        self._explained = 0.0
        self._is_started = self._has_moved = self._has_output = False
        self._stderr = b""  # the last of it
        self._refusals: dict[str, str] = {}  # what machines said that could not even start it
        self._stop_status: int | None = None  # what we end with after a cancel
        self._stopped = 0.0
        self._first_ended: int | None = None
        self._last_end: Ended | None = None
        self._progress: Progress | None = None
        self._away = Away()
        self._over: JobView | None = None

    def stay(self) -> int:
        """Until the job is over, or the person goes."""
        with self._listening():
            try:
                self._feed.start()
                if self._stdin is not None and self._stdin.is_pipe:
                    self._stdin.send_beside(self._desk.daemon(), self._feed.wake)
                while self._over is None and not (self._task is not None and self._last_end is not None):
                    if (item := self._feed.take(LOOK_SECONDS)) is not None:
                        self._show(item)
                    if (status := self._obey()) is not None:
                        return status
                    self._draw()
            except OSError as error:
                return self._gone(error)
        return self._end(self._over) if self._over is not None else self._end_of_task()

    # ---- what is told ------------------------------------------------------------------------------------------------

    def _show(self, item: AnyItem) -> None:
        is_taken = self._listener is not None and self._listener.hear(item)
        for sentence in self._away.hear(item):
            self._tell(sentence)
        match item:
            case Began():
                self._is_started = True
                self._output.clear()
            case Output() if not is_taken:
                self._has_output = True
                if item.stream == STDERR:
                    self._stderr = (self._stderr + item.data)[-STDERR_KEPT:]
                (self._output.stdout if item.stream == STDOUT else self._output.stderr)(item.data)
            case Cut():
                name = "stdout" if item.stream == STDOUT else "stderr"
                self._output.say(f"{show_size_rounded(item.missing)} of {name} are not kept: it is too long")
            case Moved() if item.outcome == "not_here":
                self._refusals[item.node] = item.reason
            case Moved():
                self._output.say(self._starts_again(item))
            case Ended():
                self._last_end = item
            case Progress():
                self._progress = item
                if self._first_ended is None:
                    self._first_ended = progress.ended(item.tasks)
            case Over():
                self._over = item.job

    def _tell(self, text: str) -> None:
        self._output.say(text)

    def _starts_again(self, moved: Moved) -> str:
        """What is its own fault, or its machine's; of the latter, the first time, also what would keep it from that."""
        is_array = self._progress is not None and self._progress.tasks.total > 1
        task = f"task {self._job}/{moved.index}" if is_array else f"job {self._job}"
        also = ", and so does its output" if self._has_output else ""
        self._has_output, self._stderr = False, b""
        if moved.outcome in OWN_FAILURES:
            return f"{task} failed ({moved.reason}) and starts again{also}"
        lost = f" ({show_duration_rounded(moved.run_ms)} lost)" if moved.run_ms >= 1000 else ""
        once = "" if self._has_moved else ". Jobs that must never run twice: --once"
        self._has_moved = True
        return f"{moved.reason}; {task} starts again{lost}{also}{once}"

    def _draw(self) -> None:
        elapsed = time.monotonic() - self._began
        if self._progress is not None and self._progress.tasks.total > 1:
            line = progress.line(self._progress, self._first_ended or 0, int(elapsed * 1000))
            self._output.progress(line)
            if self._tells_eta and not self._output.err.is_terminal and elapsed - self._eta_told > ETA_EVERY_SECONDS:
                self._eta_told = elapsed
                self._output.say(line.strip())
        elif not self._is_started and elapsed - self._explained > EXPLAIN_AFTER_SECONDS and self._can_ask:
            self._explained = elapsed
            with suppress(OdysseyError):  # it is only a comfort
                reason = self._desk.ask(Explain(self._ref)).reason
                if reason is not None:
                    self._output.progress(f"odyssey: job {self._job} waits: {reason.text}")

    @property
    def _can_ask(self) -> bool:
        return self._output.err.is_terminal and not self._output.is_quiet

    # ---- what the person does ----------------------------------------------------------------------------------------

    @contextmanager
    def _listening(self) -> Iterator[None]:
        def heard(number: int, _frame: FrameType | None) -> None:
            self._signals.append(number)
            self._feed.wake()

        ours = [
            number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
        ]  # nohup, and `&` in scripts
        before = {number: signal.signal(number, heard) for number in ours}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _obey(self) -> int | None:
        """The exit status, if we go now."""
        for sentence in self._away.reach(self._feed.cut):
            self._tell(sentence)
        if self._stdin is not None and self._stdin.failure is not None and self._stop_status is None:
            self._output.error(self._stdin.failure)
            self._cancel(OUR_FAULT)
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGHUP:
                return self._detach(128 + number)
            if self._stop_status is not None and time.monotonic() - self._stopped < ONCE_SECONDS:
                continue  # `timeout` sends the same signal twice
            if self._stop_status is not None:  # the second time: no more waiting
                self._output.say(f"job {self._job} is being cancelled")
                return self._stop_status
            choice = self._choice() if number == signal.SIGINT else "c"
            if choice == "d":
                return self._detach(0)
            if choice == "c":
                self._cancel(128 + number)
        return None

    def _choice(self) -> str:
        elapsed = time.monotonic() - self._began
        if elapsed < ASK_AFTER_SECONDS or not self._output.err.is_terminal:
            return "c"
        ran = show_duration_rounded(int(elapsed * 1000))
        self._output.ask(f"^C  job {self._job} has run {ran}:  [d]etach  [c]ancel  [enter] keep watching")
        answer = self._key()
        self._signals.clear()
        self._output.answered()
        return answer

    def _cancel(self, status: int) -> None:
        self._stop_status, self._stopped = status, time.monotonic()
        self._desk.ask(Cancel(self._ref))
        self._output.progress(f"odyssey: job {self._job} is asked to end; Ctrl-C again does not wait for it")

    def _detach(self, status: int) -> int:
        if self._stdin is not None:
            self._stdin.finish(self._desk.daemon())
        if self._output.err.is_terminal and status == 0:
            self._output.say(f"job {self._job} goes on; come back with: odyssey attach {self._job}")
        return status

    def _gone(self, error: OSError) -> int:
        """Who reads our output has gone: as in a pipeline, the job ends; a lost terminal leaves it alone."""
        if error.errno == errno.EPIPE:
            self._cancel(128 + signal.SIGPIPE)
            raise BrokenPipeError from error
        if error.errno == errno.EIO:
            return 128 + signal.SIGHUP
        what = (error.strerror or "cannot be written").lower()
        hint = f"job {self._job} goes on; see: odyssey attach {self._job}"
        self._output.error(OdysseyError(f"its output cannot be written: {what}", hint=hint))
        return OUR_FAULT

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _end_of_task(self) -> int:
        """The job may go on without it."""
        self._output.clear()
        assert self._last_end is not None
        if self._stop_status is not None:
            return self._stop_status
        return self._unless_missing(self._last_end.exit_status)

    def _unless_missing(self, status: int) -> int:
        """What succeeded has not, for whoever reads its output, if that is not all here."""
        error = self._away.error(self._ref)
        if error is None:
            return status
        self._output.error(error)
        return status or OUR_FAULT

    def _tell_what_is_missing(self, job: JobView) -> None:
        end = self._last_end
        if end is None or end.outcome != "exited" or end.node is None or job.tasks.total > 1 or self._output.is_quiet:
            return
        if (missing := not_run(exit_status(job), self._stderr)) is not None:
            with suppress(OdysseyError):  # it is only a comfort
                labels = {node.name: node.labels for node in self._desk.ask(Nodes()).nodes}
                self._output.say(where_it_is(*missing, end.node, labels))

    def _end(self, job: JobView) -> int:
        self._output.clear()
        if self._stdin is not None and self._last_end is not None:
            note = self._stdin.put_back(self._last_end.unread)
            if note:
                self._output.say(note)
        if self._stop_status is not None:
            if self._output.err.is_terminal:  # a person wants to know that nothing of it goes on
                self._say_how_it_ended(job)
            return self._stop_status
        if self._refusals and job.state == "failed":
            self._output.error(nowhere(self._refusals))
        else:
            self._say_how_it_ended(job)
        if time.monotonic() - self._began > TAP_AFTER_SECONDS:
            took = job.ended_at - job.started_at if job.ended_at and job.started_at else None
            self._output.tap(progress.closing(f"job {job.id} {job.name}".rstrip(), job.state, took, job.node))
        status = exit_status(job)
        return self._unless_missing(status if self._listener is None else self._listener.status(status))

    def _say_how_it_ended(self, job: JobView) -> None:
        for sentence in last_words(job, self._last_end):
            self._output.say(sentence)
        self._tell_what_is_missing(job)
