"""The parts of a sitting at a terminal: the way out, what a screen is left with, keys on their way."""

from __future__ import annotations

import os
import pty
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.api.requests import Cancel, Follow, Mark, Request, Type
from odyssey.api.views import AnyItem, Changed, Cut, Typed
from odyssey.cli import typist as typing
from odyssey.cli.desk import Desk
from odyssey.cli.escapes import Escapes
from odyssey.cli.output import Output as Printer
from odyssey.cli.screen import COLOURLESS, Screen
from odyssey.cli.sitting import Sitting
from odyssey.cli.terminal import USUAL, Terminal
from odyssey.cli.typist import AHEAD, PIECE, Typist
from odyssey.errors import OdysseyError, Unreachable, UsageError
from tests.cli.desk import FakeAsker, Kept
from tests.cli.test_attached import began, ended, out, over

DEADLINE_S = 20.0


def until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# ---- the way out -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "passes", "leaves"),
    [
        (b"~.", b"", True),
        (b"ls\r~.rest", b"ls\r", True),
        (b"ls\n~.", b"ls\n", True),
        (b"~~.", b"~.", False),
        (b"~x~.", b"~x~.", False),
        (b"cd ~.\r", b"cd ~.\r", False),
        (b"\r~\r~.", b"\r~\r", True),
        (b"\r~~\r~.", b"\r~\r", True),
        (b"\r~", b"\r", False),
    ],
)
def test_the_way_out_is_at_the_beginning_of_a_line(typed: bytes, passes: bytes, leaves: bool) -> None:
    assert Escapes().feed(typed) == (passes, leaves)


@given(st.lists(st.sampled_from([b"~", b".", b"\r", b"a", b"~.", b"\n"])))
def test_it_does_not_matter_how_keys_come(keys: list[bytes]) -> None:
    whole = Escapes().feed(b"".join(keys))
    one, parts, leaves = Escapes(), b"", False
    for key in keys:
        if not leaves:
            passed, leaves = one.feed(key)
            parts += passed
    assert (parts, leaves) == whole


# ---- what a screen is left with --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("drawn", "undone"),
    [
        (b"plain \x1b[31mred\x1b[0m", b""),
        (b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"),
        (b"\x1b[?1049h\x1b[?25lx\x1b[?25h\x1b[?1049l", b""),
        (b"\x1b[?1000;1006h\x1b[?2004h", b"\x1b[?1000l\x1b[?1006l\x1b[?2004l"),
        (b"\x1b=\x1b[?1h", b"\x1b>\x1b[?1l"),
        (b"\x1b[2;20r", b"\x1b7\x1b[r\x1b8"),
        (b"\x1b[2;20r\x1b[r", b""),
        (b"\x1b[>1u\x1b[>5u\x1b[<u", b"\x1b[<u"),
        (b"\x1b[>4;2m", b"\x1b[>4m"),
        (b"\x1b[>4;2m\x1b[>4m", b""),
        (b"\x1b[?1049h\x1b[>1u\x1bc", b""),
        (b"\x1b[?7l", b"\x1b[?7h"),
    ],
)
def test_what_a_program_has_turned_on_is_turned_off(drawn: bytes, undone: bytes) -> None:
    undone += COLOURLESS if undone else b""
    whole, by_bytes = Screen(), Screen()
    whole.feed(drawn)
    for byte in drawn:
        by_bytes.feed(bytes((byte,)))
    assert (whole.undo(), by_bytes.undo()) == (undone, undone)


@given(st.lists(st.binary(max_size=40)))
def test_a_screen_takes_any_bytes(pieces: list[bytes]) -> None:
    screen = Screen()
    for piece in pieces:
        screen.feed(piece)
    screen.undo()


# ---- keys on their way -----------------------------------------------------------------------------------------------


class FakeTerminal:
    """Takes keys as the hands do."""

    def __init__(self, room: int = 1 << 30) -> None:
        self.room = room
        self.keys = b""
        self.sizes: list[tuple[int, int]] = []
        self.asked: list[Type] = []
        self.answers: list[Typed | OdysseyError] = []  # to the next ones, instead
        self.writer = 0

    def call(self, request: Request[Any]) -> Any:
        assert isinstance(request, Type)
        self.asked.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, OdysseyError):
                raise answer
            return answer
        if request.writer != self.writer:
            self.writer, self.keys = request.writer, b""
        if request.rows:
            self.sizes.append((request.rows, request.columns))
        if request.offset <= len(self.keys):
            self.keys += request.data[len(self.keys) - request.offset :][: self.room - len(self.keys)]
        return Typed(len(self.keys))

    def stream(self, request: Request[Any]) -> Iterator[Any]:
        raise AssertionError


@contextmanager
def typing_to(fake: FakeTerminal, *, is_back: bool = False) -> Iterator[tuple[Typist, int, list[str]]]:
    """A typist, where its keys are typed, and what it told."""
    keys, write = os.pipe()
    told: list[str] = []
    typist = Typist(fake, "42", 7, keys, lambda: (24, 80), lambda: told.append("news"), lambda: told.append("bell"))
    typist.start(is_back=is_back)
    try:
        yield typist, write, told
    finally:
        typist.stop()
        os.close(keys)
        os.close(write)


def test_keys_go_in_order_and_once() -> None:
    fake = FakeTerminal()
    with typing_to(fake) as (_, keys, _):
        for part in (b"l", b"s\r", b"x" * 50_000):
            os.write(keys, part)
        until(lambda: fake.keys == b"ls\r" + b"x" * 50_000)
    assert all(len(one.data) <= PIECE and (one.ref, one.attempt) == ("42", 7) for one in fake.asked)
    assert fake.sizes == [(24, 80)]


def test_what_was_not_taken_or_not_ready_is_said_again() -> None:
    fake = FakeTerminal(room=0)
    fake.answers = [Typed(0, is_ready=False), Typed(0, is_ready=False)]
    with typing_to(fake) as (_, keys, _):
        os.write(keys, b"abc")
        for room in (0, 1, 2, 3):
            fake.room = room
            count = len(fake.asked)
            until(lambda: len(fake.asked) > count + 2 or fake.keys == b"abc")  # noqa: B023 - called here only
        assert fake.keys == b"abc"
    assert len({one.writer for one in fake.asked}) == 1


def test_when_somebody_else_typed_meanwhile_nothing_is_typed_twice() -> None:
    fake = FakeTerminal()
    with typing_to(fake) as (_, keys, _):
        os.write(keys, b"abc")
        until(lambda: fake.keys == b"abc")
        fake.writer = 99  # and has gone again
        os.write(keys, b"d")  # may have been typed or not
        until(lambda: fake.asked[-1].data == b"d")
        until(lambda: os.write(keys, b"e") and fake.keys.endswith(b"e"))
    assert set(fake.keys) == {ord("e")}


def test_who_is_not_the_one_that_types_looks_on_and_can_still_leave() -> None:
    fake = FakeTerminal()
    fake.answers = [Typed(0, is_mine=False)]
    with typing_to(fake) as (typist, keys, told):
        until(lambda: typist.only_looks)
        os.write(keys, b"abc\r~.")
        until(lambda: typist.has_left)
        assert told == ["news", "news"]
    assert len(fake.asked) == 1


def test_keys_that_nobody_takes_are_bounded_and_the_way_out_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typing, "STUCK_SECONDS", 0.05)
    fake = FakeTerminal(room=0)
    with typing_to(fake) as (typist, keys, told):
        for _ in range(AHEAD // 4096 + 8):
            os.write(keys, b"x" * 4096)
        os.write(keys, b"\r~.")
        until(lambda: typist.has_left)
        assert told.count("bell") >= 7
        assert len(typist._ahead) <= AHEAD + 4096


def test_a_terminal_is_taken_once() -> None:
    fake = FakeTerminal()
    fake.answers = [Typed(0, is_ready=False)]
    keys, write = os.pipe()
    typist = Typist(fake, "42", 7, keys, lambda: USUAL, lambda: None, lambda: None)
    typist.takes = True
    typist.start(is_back=False)
    until(lambda: len(fake.asked) >= 2)
    os.write(write, b"x")
    until(lambda: fake.keys == b"x")
    typist.stop()
    assert [one.takes for one in fake.asked] == [True, True, False]
    os.close(keys)
    os.close(write)


def test_one_that_is_back_has_the_screen_drawn_anew() -> None:
    fake = FakeTerminal()
    with typing_to(fake, is_back=True) as (typist, _, _):
        until(lambda: len(fake.sizes) == 2)
        typist.resize()
        until(lambda: len(fake.sizes) == 3)
    assert fake.sizes == [(24, 79), (24, 80), (24, 80)]


def test_keys_that_end_are_a_terminal_that_is_gone() -> None:
    keys, write = os.pipe()
    typist = Typist(FakeTerminal(), "42", 7, keys, lambda: USUAL, lambda: None, lambda: None)
    typist.start(is_back=False)
    os.close(write)
    until(lambda: typist.is_lost)
    typist.stop()
    os.close(keys)


@pytest.mark.parametrize(
    ("error", "is_told"), [(UsageError("not known", hint="upgrade"), True), (Unreachable("gone"), False)]
)
def test_what_is_refused_is_told_and_a_daemon_that_is_away_is_not(error: OdysseyError, is_told: bool) -> None:
    fake = FakeTerminal()
    fake.answers = [error]
    with typing_to(fake) as (typist, _, told):
        until(lambda: not fake.answers and "typist" not in [one.name for one in threading.enumerate()])
        assert (typist.failure is error, told) == (is_told, ["news"] * is_told)


# ---- the person's terminal -------------------------------------------------------------------------------------------


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    yield master, slave
    for end in (master, slave):
        os.close(end)


def test_a_terminal_is_given_and_taken_back(pair: tuple[int, int]) -> None:
    terminal, before = Terminal(pair[1]), termios.tcgetattr(pair[1])
    assert terminal.size == USUAL  # it does not know
    termios.tcsetwinsize(pair[1], (30, 90))
    assert terminal.size == (30, 90)
    terminal.leave()  # it was not given
    for _ in range(2):
        terminal.enter()
        terminal.enter()
        assert not termios.tcgetattr(pair[1])[3] & (termios.ECHO | termios.ICANON | termios.ISIG)
        terminal.leave()
        assert termios.tcgetattr(pair[1]) == before


def test_what_is_no_terminal_is_let_alone(pair: tuple[int, int]) -> None:
    read_end, write_end = os.pipe()
    terminal = Terminal(read_end)
    assert not terminal.is_there
    terminal.enter()
    terminal.leave()
    os.close(read_end)
    os.close(write_end)
    assert not terminal.is_there


# ---- a sitting -------------------------------------------------------------------------------------------------------


def sat(
    pair: tuple[int, int], story: Callable[[Follow], Iterator[AnyItem]], at: Mark | None = None, **answers: Any
) -> tuple[Callable[[], int], FakeAsker, Kept, Kept]:
    fake = FakeTerminal()
    asker = FakeAsker({Follow: story, Type: fake.call, Cancel: Changed(42, 1), **answers})
    kept, err = Kept(is_terminal=True), Kept(is_terminal=True)
    desk = Desk(Printer(kept, err, {}), {}, lambda *_args, **_more: asker, b"/")
    return Sitting(desk, 42, Terminal(pair[1]), at=at).stay, asker, kept, err


def is_raw(end: int) -> bool:
    return not termios.tcgetattr(end)[3] & termios.ICANON


def test_the_terminal_is_the_jobs_from_its_beginning_to_its_end(pair: tuple[int, int]) -> None:
    seen: list[bool] = []

    def story(_: Follow) -> Iterator[AnyItem]:
        seen.append(is_raw(pair[1]))
        yield began()
        until(lambda: is_raw(pair[1]))
        yield out(b"\x1b[?25l")
        yield ended("failed", 3)
        until(lambda: not is_raw(pair[1]))
        yield over("failed", 3)

    stay, _, kept, err = sat(pair, story)
    assert stay() == 3
    assert seen == [False]
    assert kept.data == b"\x1b[?25l\x1b[?25h" + COLOURLESS
    assert err.lines == ["odyssey: leave with Enter ~ . and it goes on; come back with: odyssey attach 42"]


@pytest.mark.parametrize("error", [Unreachable("the daemon is gone"), RuntimeError("a mistake"), KeyboardInterrupt()])
def test_the_terminal_is_given_back_whatever_happens(pair: tuple[int, int], error: BaseException) -> None:
    before = termios.tcgetattr(pair[1])

    def story(_: Follow) -> Iterator[AnyItem]:
        yield began()
        until(lambda: is_raw(pair[1]))
        raise error if isinstance(error, Exception) else RuntimeError

    stay, *_ = sat(pair, story)
    with pytest.raises((Unreachable, RuntimeError)):
        stay()
    assert termios.tcgetattr(pair[1]) == before


def test_that_nothing_more_is_shown_is_said_at_once(pair: tuple[int, int]) -> None:
    def story(_: Follow) -> Iterator[AnyItem]:
        yield began()
        until(lambda: is_raw(pair[1]))
        yield Cut(0, 7, 1, 100)
        until(lambda: is_raw(pair[1]))
        yield ended()
        yield over()

    stay, _, _, err = sat(pair, story)
    assert stay() == 0
    assert err.lines[1:] == ["odyssey: its output is longer than is kept: nothing more is shown; leave with Enter ~ ."]


def test_leaving_ends_nothing(pair: tuple[int, int]) -> None:
    def story(_: Follow) -> Iterator[AnyItem]:
        yield began()
        until(lambda: is_raw(pair[1]))
        os.write(pair[0], b"x\r~.")
        until(lambda: not is_raw(pair[1]))

    stay, asker, _, err = sat(pair, story)
    assert stay() == 0
    assert err.lines[-1] == "odyssey: job 42 goes on; come back with: odyssey attach 42"
    assert Cancel not in map(type, asker.asked)


def test_who_comes_back_begins_where_the_screen_was(pair: tuple[int, int]) -> None:
    def story(request: Follow) -> Iterator[AnyItem]:
        assert request.marks == (Mark(7, 1000),)
        until(lambda: is_raw(pair[1]))
        until(lambda: any(isinstance(one, Type) and one.columns == 79 for one in asker.asked))  # to draw it anew
        yield ended()
        yield over()

    stay, asker, _, _ = sat(pair, story, at=Mark(7, 1000))
    assert stay() == 0
