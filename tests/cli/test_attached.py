"""A job with its person at the terminal: bytes, exit statuses, signals, and who is told what."""

from __future__ import annotations

import errno
import os
import pty
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from odyssey.api.requests import Cancel, Explain, Follow, Job, Nodes, PutStdin, Request, Submit
from odyssey.api.views import (
    STDERR,
    STDOUT,
    AnyItem,
    Began,
    Changed,
    Cut,
    Ended,
    ExplainView,
    JobDetail,
    Moved,
    NodeList,
    NodeView,
    Output,
    Over,
    Progress,
    ReasonView,
    SpecView,
    Submitted,
)
from odyssey.cli.attached import ASK_AFTER_SECONDS, Attached
from odyssey.cli.desk import Desk
from odyssey.cli.output import Output as Printer
from odyssey.errors import Unreachable
from tests.cli.desk import Answer, FakeAsker, Kept, Result, a_job, counts, type_in
from tests.cli.test_node import VIEW

SUBMITTED: dict[type[Request[Any]], Answer] = {Submit: Submitted(42, 1, 1)}
SPEC = SpecView((b"./fit",), b"/", (), "1", 1, False, 0, 0, 0, "", "", "", (), (), 1, 0, 1, 0, 0, (), 0, False, (), (), False, False, None)  # fmt: skip  # noqa: E501


def began(index: int = 0, attempt: int = 7) -> Began:
    return Began(index, attempt, 1, "nova")


def out(data: bytes, stream: int = STDOUT, index: int = 0) -> Output:
    return Output(index, 7, stream, 0, data)


def ended(state: str = "done", code: int | None = 0, outcome: str | None = "exited", **fields: Any) -> Ended:
    return Ended(fields.pop("index", 0), state, code, None, outcome, None, "nova", 7, 1000, 2000, **fields)


def over(state: str = "done", status: int = 0, **fields: Any) -> Over:
    return Over(a_job(42, state, exit_status=status, **fields))


def run(
    *story: AnyItem,
    words: tuple[str, ...] = ("-n", "--", "./fit"),
    terminal: bool = False,
    more: Mapping[Any, Any] = {},
) -> Result:
    return type_in("run", *words, answers={**SUBMITTED, Follow: list(story), **more}, terminal=terminal)


def a_node(name: str, **fields: Any) -> NodeView:
    return msgspec.structs.replace(VIEW, name=name, **fields)


# ---- bytes and statuses ----------------------------------------------------------------------------------------------


def test_the_streams_are_the_jobs_apart_and_byte_for_byte() -> None:
    result = run(began(), out(b"\xff\0a"), out(b"oops", STDERR), out(b"b\n"), ended(), over())
    assert (result.status, result.out.data, result.err.data) == (0, b"\xff\0ab\n", b"oops")
    assert result.started  # a daemon is started where none runs


@pytest.mark.parametrize(
    ("state", "status", "end", "said"),
    [
        ("failed", 3, ended("failed", 3), []),
        ("failed", 137, ended("failed", None, "signalled"), []),
        ("failed", 127, ended("failed", 127), ["odyssey: 127 is the job's own exit status"]),
        ("failed", 124, ended("failed", 124), ["odyssey: 124 is the job's own exit status"]),
        ("failed", 124, ended("failed", None, "timeout"), ["odyssey: job 42 failed: time limit of 2s"]),
        ("failed", 125, ended("failed", None, "lost"), ["odyssey: job 42 failed: time limit of 2s"]),
        ("cancelled", 125, ended("cancelled", None, None), ["odyssey: job 42 cancelled: time limit of 2s"]),
        ("skipped", 125, ended("skipped", None, None), ["odyssey: job 42 skipped"]),
    ],
)
def test_the_status_is_the_jobs_and_the_last_line_says_whose_it_is(
    state: str, status: int, end: Ended, said: list[str]
) -> None:
    reason = "skipped" if state == "skipped" else "time limit of 2s"
    result = run(began(), end, over(state, status, reason=reason))
    assert (result.status, result.err.lines) == (status, said)


def test_quiet_says_nothing_of_that() -> None:
    words = ("-q", "-n", "--", "./fit")
    assert run(began(), ended("failed", 127), over("failed", 127), words=words).err.data == b""


def test_an_array_tells_how_many_failed() -> None:
    tasks = counts(10, done=7, failed=2, skipped=1)
    result = run(ended("failed", 3), over("failed", 3, tasks=tasks), words=("--array", "0-9", "--", "./fit"))
    assert result.status == 3
    assert result.err.lines == ["odyssey: job 42: 7 of 10 tasks done, 2 failed, 1 skipped; see odyssey show 42"]


def test_a_move_and_a_cut_are_told() -> None:
    moved = Moved(0, 7, "nova", "lost", "nova vanished", 192_000)
    failed = Moved(0, 7, "nova", "exited", "exit 4", 7)
    again = Moved(0, 7, "titan", "lost", "titan vanished", 300)
    result = run(began(), moved, failed, again, began(attempt=8), Cut(0, 8, STDOUT, 3 << 30), ended(), over())
    assert result.err.lines == [
        "odyssey: nova vanished; job 42 starts again (3m12s lost). Jobs that must never run twice: --once",
        "odyssey: job 42 failed (exit 4) and starts again",
        "odyssey: titan vanished; job 42 starts again",
        "odyssey: 3 GB of stdout are not kept: it is too long",
    ]


def test_that_its_output_begins_again_is_told_where_some_was_shown() -> None:
    moved = Moved(0, 7, "nova", "lost", "nova vanished", 0)
    first, second = Output(0, 7, STDOUT, 0, b"1\n"), Output(0, 8, STDOUT, 0, b"1\n2\n")
    result = run(began(), first, moved, began(attempt=8), second, ended(), over())
    assert result.out.data == b"1\n1\n2\n"
    assert result.err.lines == [
        "odyssey: nova vanished; job 42 starts again, and so does its output. Jobs that must never run twice: --once"
    ]


@pytest.mark.parametrize(
    ("status", "text", "note"),
    [
        (127, b"working\nsh: 1: sox: not found\n", "note: 'sox' was not found on nova; titan has it (--needs has:sox)"),
        (
            127,
            b"bash: line 1: sox: command not found\n",
            "note: 'sox' was not found on nova; titan has it (--needs has:sox)",
        ),
        (127, b"zsh:1: command not found: lame\n", "note: 'lame' was not found on nova"),
        (127, b"fish: Unknown command: lame\n", "note: 'lame' was not found on nova"),
        (126, b"sh: 1: ./fit: Permission denied\n", "note: './fit' may not be run on nova"),
    ],
)
def test_what_a_shell_did_not_find_is_told_with_who_has_it(status: int, text: bytes, note: str) -> None:
    nodes = NodeList((a_node("nova"), a_node("titan", labels={"has:sox": "yes"})))
    items = (began(), Output(0, 7, STDERR, 0, text[:5]), Output(0, 7, STDERR, 5, text[5:]))
    result = run(*items, ended("failed", status), over("failed", status), more={Nodes: nodes})
    assert result.err.lines[-2:] == [f"odyssey: {status} is the job's own exit status", f"odyssey: {note}"]


@pytest.mark.parametrize(
    ("status", "text"), [(127, b"no idea\n"), (1, b"sh: 1: sox: not found\n"), (126, b"x: not found")]
)
def test_what_it_did_not_say_is_not_guessed(status: int, text: bytes) -> None:
    result = run(began(), Output(0, 7, STDERR, 0, text), ended("failed", status), over("failed", status))
    assert "note" not in result.err.text


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("'ffmpeg' was not found", "hint: install it there, or write its whole path"),
        ("'./fit' may not be executed", "hint: chmod +x it, or name what runs it: odyssey run -- sh FILE"),
        ("/data is not there", "hint: odyssey explain last"),
    ],
)
def test_what_no_machine_can_run_is_an_error_with_what_each_said(reason: str, hint: str) -> None:
    refused = Moved(0, 7, "nova", "not_here", reason, 0)
    result = run(refused, ended("failed", None, "not_here"), over("failed", 127))
    assert (result.status, result.err.lines) == (127, [f"error: no machine can run this: nova: {reason}", hint])


def test_a_daemon_that_stays_away_does_not_take_the_job_with_it() -> None:
    def story(_: object) -> Iterator[AnyItem]:
        yield began()
        raise Unreachable("the daemon has gone", hint="?")

    result = type_in("run", "-n", "x", answers={**SUBMITTED, Follow: story})
    assert result.status == 3
    assert result.hint == "hint: the job goes on where it runs; come back with: odyssey attach 42"


def test_attach_begins_with_what_is_there() -> None:
    found: dict[type[Request[Any]], Answer] = {
        Job: JobDetail(a_job(42, "running"), SPEC, ()),
        Follow: [began(), out(b"all"), ended(), over()],
    }
    result = type_in("attach", "fit", answers=found)
    assert (result.status, result.out.data) == (0, b"all")
    assert result.asked == [Job("fit", limit=0), Follow("42")]


def test_attach_to_a_task_ends_with_the_task() -> None:
    def story(_: object) -> Iterator[AnyItem]:
        yield from (out(b"seven", index=7), ended("failed", 3, index=7, exit_status=3))
        yield over()

    answers = {Job: JobDetail(a_job(42, "running"), SPEC, ()), Follow: story}
    result = type_in("attach", "fit/7", answers=answers)
    assert (result.status, result.out.data, result.asked[1]) == (3, b"seven", Follow("42/7"))
    assert type_in("logs", "-f", "fit/7", answers=answers).out.data == b"seven"


@pytest.mark.parametrize(("nodes", "told"), [((("nova", 2),), ""), ((("nova", 2), ("pi4", 1)), "   nova 2 · pi4 1")])
def test_progress_is_drawn_for_arrays_on_a_terminal(nodes: tuple[tuple[str, int], ...], told: str) -> None:
    story = (Progress(counts(10, done=5, running=2), 2, nodes), over(tasks=counts(10, done=10)))
    drawn = run(*story, words=("--array", "0-9", "--", "x"), terminal=True).err.text
    assert f" 5/10{told}\r" in drawn
    assert drawn.endswith("\r\x1b[K")  # and is gone at the end


def test_why_it_waits_is_told_on_a_terminal_and_is_only_a_comfort() -> None:
    for answer, told in (
        (ExplainView(42, "waiting", ReasonView("full", "all machines are busy"), None), True),
        (Unreachable("the daemon has gone", hint="?"), False),
    ):
        rig = Rig(terminal=True)
        rig.daemon.answers = {**rig.daemon.answers, Explain: answer}
        rig.attached._began -= 10

        def until_asked(rig: Rig = rig) -> None:
            until = time.monotonic() + 10
            while not any(isinstance(one, Explain) for one in rig.daemon.asked):
                assert time.monotonic() < until
                rig.is_back.wait(0.001)

        assert rig.stay(until_asked, began(), over()) == 0
        assert ("job 42 waits: all machines are busy" in rig.err.text) is told


# ---- who reads our output goes ---------------------------------------------------------------------------------------


class Rig:
    """An attached job whose daemon lets us act in the middle of its story."""

    def __init__(self, *, terminal: bool = False, key: str = "?") -> None:
        self.out, self.err = Kept(terminal), Kept(terminal)
        self.daemon = FakeAsker({Cancel: Changed(42, 1), PutStdin: AssertionError()})
        self.desk = Desk(Printer(self.out, self.err, {}), {}, lambda *_, **__: self.daemon, b"/")
        self.is_back = threading.Event()
        self.attached = Attached(self.desk, 42, is_grouped=False, key=lambda: key)

    def stay(self, *story: AnyItem | Callable[[], None]) -> int:
        def told(_: object) -> Iterator[AnyItem]:
            for item in story:
                if callable(item):
                    item()
                else:
                    yield item

        self.daemon.answers = {**self.daemon.answers, Follow: told}
        try:
            return self.attached.stay()
        finally:
            self.is_back.set()

    def signalled(self, number: int) -> Callable[[], None]:
        """The story goes on when something has been done about it."""

        def sent() -> None:
            os.kill(os.getpid(), number)
            until = time.monotonic() + 10
            while not (self.is_cancelled or b"keep watching" in self.err.data or self.is_back.is_set()):
                assert time.monotonic() < until
                self.is_back.wait(0.001)

        return sent

    @property
    def is_cancelled(self) -> bool:
        return Cancel("42") in self.daemon.asked


def test_a_pipe_that_is_closed_ends_the_job_and_us_as_in_a_pipeline() -> None:
    rig = Rig()
    rig.out.fails = BrokenPipeError(errno.EPIPE, "broken pipe")
    with pytest.raises(BrokenPipeError):
        rig.stay(began(), out(b"y\n"), over())
    assert rig.is_cancelled


def test_main_ends_with_the_status_of_a_broken_pipe() -> None:
    assert type_in("attach", "42", answers={Job: BrokenPipeError()}).status == 141


def test_a_terminal_that_is_gone_leaves_the_job_alone() -> None:
    rig = Rig()
    rig.out.fails = OSError(errno.EIO, "input/output error")
    assert rig.stay(began(), out(b"y\n"), over()) == 129
    assert not rig.is_cancelled


def test_a_full_disk_under_our_output_leaves_the_job_alone() -> None:
    rig = Rig()
    rig.out.fails = OSError(errno.ENOSPC, "No space left on device")
    assert rig.stay(began(), out(b"y\n"), over()) == 125
    assert not rig.is_cancelled
    assert rig.err.lines == [
        "error: its output cannot be written: no space left on device",
        "hint: job 42 goes on; see: odyssey attach 42",
    ]


# ---- signals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_first_moments_cancels_and_waits_for_the_end(number: int, status: int) -> None:
    rig = Rig(terminal=True)
    assert rig.stay(began(), rig.signalled(number), out(b"cleaning up\n"), over("cancelled", 125)) == status
    assert rig.is_cancelled
    assert b"cleaning up" in rig.out.data
    assert "odyssey: job 42 cancelled" in rig.err.text  # nothing of it goes on


@pytest.mark.parametrize(("seconds", "waits"), [(0.0, True), (1.0, False)])
def test_the_second_time_it_does_not_wait_but_two_at_once_are_one(seconds: float, waits: bool) -> None:
    rig = Rig()

    def again() -> None:
        rig.attached._stopped -= seconds
        os.kill(os.getpid(), signal.SIGINT)
        rig.is_back.wait(0.0 if waits else 10)

    story = (began(), rig.signalled(signal.SIGINT), again, out(b"cleaning up"), over("cancelled", 125))
    assert rig.stay(*story) == 130
    assert (rig.out.data == b"cleaning up") is waits


def long_ago(rig: Rig) -> None:
    rig.attached._began -= ASK_AFTER_SECONDS


@pytest.mark.parametrize(("key", "status", "cancelled"), [("d", 0, False), ("c", 130, True), ("\r", 0, False)])
def test_later_on_a_terminal_it_is_asked_first(key: str, status: int, cancelled: bool) -> None:
    rig = Rig(terminal=True, key=key)
    long_ago(rig)
    assert rig.stay(began(), rig.signalled(signal.SIGINT), over("cancelled" if cancelled else "done", 0)) == status
    assert rig.is_cancelled is cancelled
    assert "^C  job 42 has run 30s:  [d]etach  [c]ancel  [enter] keep watching" in rig.err.text
    assert ("come back with: odyssey attach 42" in rig.err.text) is (key == "d")


def test_without_a_terminal_it_is_not_asked() -> None:
    rig = Rig(key="d")
    long_ago(rig)
    assert rig.stay(began(), rig.signalled(signal.SIGINT), over("cancelled", 125)) == 130
    assert rig.is_cancelled


def test_hanging_up_is_detaching() -> None:
    rig = Rig(terminal=True)
    assert rig.stay(began(), rig.signalled(signal.SIGHUP), over()) == 129
    assert not rig.is_cancelled


def test_what_is_ignored_stays_ignored_as_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        rig = Rig()

        def hang_up() -> None:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGHUP)

        assert rig.stay(began(), hang_up, out(b"on\n"), over()) == 0
        assert rig.out.data == b"on\n"
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("typed", "key"), [(b"d", "d"), (b"C", "c"), (b"\r", "\r"), (b"\x03", "d"), (b"\x04", "\x04")])
def test_a_key_is_read_from_the_terminal_itself(typed: bytes, key: str) -> None:
    program = (
        "from odyssey.cli.keys import key_of_terminal as key\n"
        "import sys, termios\nbefore = termios.tcgetattr(0)\nprint('ready', flush=True)\nsaid = key()\n"
        "print(repr(said), termios.tcgetattr(0) == before)"
    )
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-c", program])
    try:
        shown = b""
        while b"ready\r\n" not in shown:
            shown += os.read(terminal, 4096)
        until = time.monotonic() + 20
        while termios.tcgetattr(terminal)[3] & termios.ICANON:  # it listens when the terminal is raw
            assert time.monotonic() < until
            time.sleep(0.005)
        os.write(terminal, typed)
        with suppress(OSError):  # the other side is gone
            while data := os.read(terminal, 4096):
                shown += data
        assert shown.splitlines()[-1].decode() == f"{key!r} True"
    finally:
        os.close(terminal)
        os.waitpid(process, 0)


def test_who_has_waited_long_is_tapped_on_the_shoulder() -> None:
    rig = Rig(terminal=True)
    long_ago(rig)
    rig.stay(began(), ended(), over())
    assert "\x1b]9;job 42 fit: done in 3.5s on nova\x1b\\\a" in rig.err.text


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    Rig().stay(over())
    assert signal.getsignal(signal.SIGINT) is before
