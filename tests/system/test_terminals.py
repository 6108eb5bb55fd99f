"""`odyssey run -it` and `attach` on a real terminal, with a real daemon: what a person sees, and what becomes of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.system.people import Terminal, odyssey, terminal
from tests.system.place import Place, wait_for

BASH = ("run", "-it", "-e", "PS1=at$? ", "--", "bash", "--norc", "--noprofile", "-i")
WAY_OUT = b"\r~."


@pytest.fixture
def up(place: Place) -> Place:
    place.start()
    return place


@contextmanager
def left_as_it_was(place: Place, *words: str) -> Iterator[Terminal]:
    """At the end the terminal has the modes that it had."""
    with terminal(place, *words) as screen:
        before = screen.modes
        yield screen
        assert screen.modes == before


def state(place: Place, job: int = 1) -> Any:
    return json.loads(odyssey(place, "show", "--json", str(job)).stdout)["state"]


# ---- as if it ran here -----------------------------------------------------------------------------------------------


def test_it_has_the_size_and_the_kind_of_this_terminal_and_its_own_status(up: Place) -> None:
    script = "stty size; echo $TERM-$COLUMNS; test -t 0 && test -t 2 && exit 7"
    with left_as_it_was(up, "run", "-it", "--", "sh", "-c", script) as screen:
        assert screen.ends() == 7
    assert b"40 100\r\nxterm-\r\n" in screen.seen
    assert screen.seen.startswith(b"odyssey: leave with Enter ~ . and it goes on; come back with: odyssey attach 1\r\n")


def test_bytes_are_the_jobs_and_are_kept_as_its_output(up: Place) -> None:
    script = r"stty raw; printf '\377\033[31mred\n\033[0m'"
    with left_as_it_was(up, "run", "-q", "-t", "--", "sh", "-c", script) as screen:
        assert screen.ends() == 0
    assert screen.seen == b"\xff\x1b[31mred\n\x1b[0m"
    assert odyssey(up, "logs", "1").stdout == screen.seen


def test_a_shell_with_its_jobs(up: Place) -> None:
    with left_as_it_was(up, *BASH) as screen:
        screen.until(b"at0 ")
        assert screen.is_raw
        screen.types(b"sh -c 'echo $((6*7)); exec sleep 4321'\r")  # what says 42 is what a ^Z reaches
        screen.until(b"42")
        screen.types(b"\x1a")
        screen.until(b"Stopped")
        screen.types(b"jobs\r")
        screen.until(b"sleep 4321")
        screen.types(b"fg\r")
        screen.until(b"l\rsh -c")
        screen.types(b"\x03")
        screen.until(b"at130 ")
        screen.types(b"(exit 3)\r")
        screen.until(b"at3 ")
        screen.types(b"\x04")
        assert screen.ends() == 3


def test_a_program_for_the_whole_screen(up: Place) -> None:
    """It draws, reads single keys, and hears of a new size."""
    program = """
import curses, sys
def main(screen):
    while (key := screen.getch()) != ord("q"):
        rows, columns = screen.getmaxyx()
        screen.addstr(0, 0, f"key={key} rows={rows} columns={columns} ")
        screen.refresh()
curses.wrapper(main)
"""
    with left_as_it_was(up, "run", "-it", "--", "python3", "-c", program) as screen:
        screen.until(b"\x1b[?1049h")
        screen.types(b"a")
        screen.until(b"columns=100")
        screen.resizes(20, 66)
        screen.until(b"66")
        screen.types(b"q")
        assert screen.ends() == 0


def test_much_output_is_shown_whole(up: Place) -> None:
    with left_as_it_was(up, "run", "-q", "-it", "--", "seq", "200000") as screen:
        assert screen.ends() == 0
    assert screen.seen == b"".join(b"%d\r\n" % number for number in range(1, 200_001))


def test_ctrl_c_ends_what_writes_without_end(up: Place) -> None:
    with left_as_it_was(up, *BASH) as screen:
        screen.until(b"at0 ")
        screen.types(b"yes\r")
        screen.until(b"y\r\ny\r\n")
        screen.types(b"\x03")
        screen.until(b"at130 ")
        screen.types(b"exit 0\r")
        assert screen.ends() == 0


# ---- leaving and coming back -----------------------------------------------------------------------------------------


def test_leaving_lets_it_go_on_and_attach_gives_it_back(up: Place) -> None:
    program = """
import os, signal
signal.signal(signal.SIGWINCH, lambda *_: print("size", *os.get_terminal_size()))
print("ready")
while True:
    print("got", input())
"""
    with left_as_it_was(up, "run", "-it", "--", "python3", "-c", program) as screen:
        screen.until(b"ready")
        screen.types(WAY_OUT)
        assert screen.ends() == 0
    assert screen.seen.endswith(b"odyssey: job 1 goes on; come back with: odyssey attach 1\r\n")
    assert state(up) == "running"
    with left_as_it_was(up, "attach", "1") as screen:
        screen.until(b"size 100 40")  # it was made to draw again
        assert b"ready" not in screen.seen  # a screen is not shown twice
        screen.types(b"one\r")
        screen.until(b"got one")
        screen.types(b"\x03")
        assert screen.ends() == 130


def test_a_closed_terminal_leaves_the_job(up: Place) -> None:
    with terminal(up, *BASH) as screen:
        screen.until(b"at0 ")
        screen.types(b"x=kept\r")
        screen.until(b"at0 ")
        screen.hang_up()
    with left_as_it_was(up, "attach", "1") as screen:
        screen.until(b"leave with")
        screen.types(b"echo is $x\r")
        screen.until(b"is kept")
        screen.types(b"exit 4\r")
        assert screen.ends() == 4


def test_one_types_and_the_others_look_on(up: Place) -> None:
    with left_as_it_was(up, *BASH) as first:
        first.until(b"at0 ")
        with left_as_it_was(up, "attach", "1") as second:
            second.until(b"somebody else types there")
            second.types(b"echo from the second\r")
            first.types(b"echo from the fir''st\r")
            second.until(b"from the first")
            second.types(WAY_OUT)
            assert second.ends() == 0
        assert b"from the second" not in first.seen
        with left_as_it_was(up, "attach", "--take", "1") as third:
            third.until(b"leave with")
            third.types(b"echo from the thi''rd\r")
            third.until(b"from the third")
            first.types(b"echo from the fir''st again\r")
            first.until(b"somebody else types there")
            third.types(b"exit 5\r")
            assert (third.ends(), first.ends()) == (5, 5)
        assert b"first again" not in third.seen


def test_one_that_began_without_anybody_waits_for_its_first(up: Place) -> None:
    assert odyssey(up, "run", "-t", "--detach", "--", "sh", "-c", "read line; echo got $line").stdout == b"1\n"
    wait_for(lambda: state(up) == "running")
    with left_as_it_was(up, "attach", "last") as screen:
        screen.until(b"leave with")
        screen.types(b"it\r")
        screen.until(b"got it")
        assert screen.ends() == 0


# ---- what happens around it ------------------------------------------------------------------------------------------


def test_the_session_goes_on_when_the_daemon_is_killed(up: Place) -> None:
    with left_as_it_was(up, *BASH) as screen:
        screen.until(b"at0 ")
        for number in range(2):
            screen.types(b"x%d=" % number)
            up.kill()
            screen.types(b"%d; echo now $x%d-$((2+%d))\r" % (number, number, number))
            screen.until(b"now %d-%d" % (number, number + 2))
        screen.types(b"exit 9\r")
        assert screen.ends() == 9


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_from_elsewhere_ends_the_job_and_gives_the_terminal_back(up: Place, number: int, status: int) -> None:
    with left_as_it_was(
        up, "run", "-it", "--", "sh", "-c", "printf '\\033[?1049h\\033[?25lhidden'; sleep 600"
    ) as screen:
        screen.until(b"hidden")
        screen.signal(number)
        assert screen.ends() == status
    assert screen.seen.index(b"\x1b[?25h\x1b[?1049l\x1b[0m") > screen.seen.index(b"hidden")
    wait_for(lambda: state(up) == "cancelled")


def test_cancel_ends_a_shell_at_once(up: Place) -> None:
    with left_as_it_was(up, *BASH) as screen:
        screen.until(b"at0 ")
        odyssey(up, "cancel", "1")
        assert screen.ends(9.0) == 130  # force comes after ten seconds


def test_before_a_machine_has_it_ctrl_c_cancels(up: Place) -> None:
    with left_as_it_was(up, "run", "-it", "--hold", "--", "bash") as screen:
        screen.until(b"waits")
        screen.types(b"\x03")
        assert screen.ends() == 130
    wait_for(lambda: state(up) == "cancelled")


# ---- other ways to type ----------------------------------------------------------------------------------------------


def test_typed_lines_reach_a_job_without_a_terminal(up: Place) -> None:
    with left_as_it_was(up, "run", "-i", "--", "sh", "-c", "sort; test -t 0 || exit 6") as screen:
        screen.types(b"b\na\n\x04")
        assert screen.ends() == 6
    assert screen.seen.endswith(b"a\r\nb\r\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("-it", "--", "bash"), "error: -t needs a terminal, and stdin is none"),
        (("-it", "--array", "0-3", "--", "bash"), "error: a terminal is for one task, and --array makes several"),
        (("-n", "-t", "--", "bash"), "error: -n and -t contradict each other"),
        (("-t", "30", "bash"), "error: -t gives the job a terminal, and 30 is no command"),
    ],
)
def test_where_it_makes_no_sense_that_is_said(up: Place, words: tuple[str, ...], error: str) -> None:
    ended = odyssey(up, "run", *words)
    assert (ended.returncode, ended.stdout) == (2, b"")
    lines = ended.stderr.decode().splitlines()
    assert lines[0] == error
    assert lines[1].startswith("hint: ")
    assert odyssey(up, "ps", "--json").stdout == b"[]\n"
