"""Attempts with a terminal: what they find, what is typed to them, what is read from them, and that they end."""

from __future__ import annotations

import hashlib
import os
import signal
from typing import Any

import pytest

from odyssey.exec.supervisor import alone, main
from odyssey.exec.supervisor.frames import GONE
from odyssey.exec.supervisor.terminal import BURST, MOST, RATE, Keyboard, Pace
from odyssey.ids import AttemptId
from odyssey.model import Outcome
from odyssey.spec import JobSpec
from tests.exec.rig import Rig, a_spec, listed, running, shell

SIZE = (30, 100)


def at_terminal(script: str, **more: Any) -> JobSpec:
    return shell(script, terminal=SIZE, **more)


def typed(
    rig: Rig, attempt: AttemptId, data: bytes, offset: int = 0, size: tuple[int, int] = (0, 0), writer: int = 1
) -> int:
    told: list[int] = []
    rig.hands.type(attempt, writer, offset, size, data, told.append)
    rig.until(lambda: told)
    return told[0]


def shows(rig: Rig, attempt: AttemptId, text: bytes) -> None:
    rig.until(lambda: text in rig.out(attempt))


# -- what it finds -----------------------------------------------------------------------------------------------------


def test_all_three_are_its_terminal_which_has_the_size_that_was_asked_for(rig: Rig) -> None:
    attempt = rig.start(at_terminal("test -t 0 && test -t 1 && test -t 2 && stty size; exit 7"))
    assert rig.wait(attempt).code == 7
    assert rig.out(attempt) == b"30 100\r\n"


def test_the_terminal_is_its_own_and_controls_it(rig: Rig) -> None:
    script = "echo to the terminal >/dev/tty; ps -o tty= -p $$ | grep -q pts && echo has one; kill -0 $$"
    attempt = rig.start(at_terminal(script))
    assert rig.wait(attempt).code == 0
    assert rig.out(attempt) == b"to the terminal\r\nhas one\r\n"


def test_others_have_none(rig: Rig) -> None:
    rig.run(at_terminal("exit 0"))
    assert rig.run(shell("test -t 0 || test -t 1 || echo >/dev/tty")).code != 0


def test_its_bytes_come_as_they_were_written(rig: Rig) -> None:
    attempt = rig.start(at_terminal(r"stty raw; printf '\377\000\033[2J\n'; head -c 300000 /dev/zero; printf end"))
    rig.wait(attempt)
    assert rig.out(attempt) == b"\xff\x00\x1b[2J\n" + bytes(300_000) + b"end"


def test_what_it_writes_last_is_kept(rig: Rig) -> None:
    for _ in range(20):
        attempt = rig.start(at_terminal("printf last"))
        rig.wait(attempt)
        assert rig.out(attempt) == b"last"


def test_a_program_that_closes_its_terminal_can_open_it_again(rig: Rig) -> None:
    script = "exec <&- >&- 2>&-; sleep 0.2; exec </dev/tty >/dev/tty; echo back; read line; echo got $line"
    attempt = rig.start(at_terminal(script))
    shows(rig, attempt, b"back")
    typed(rig, attempt, b"x\n")
    rig.wait(attempt)
    assert b"got x" in rig.out(attempt)


# -- what is typed -----------------------------------------------------------------------------------------------------


def test_what_is_typed_is_read_and_echoed(rig: Rig) -> None:
    attempt = rig.start(at_terminal("read line; echo got $line"))
    rig.until(lambda: typed(rig, attempt, b"h\xc3\xbcx\x7f\n") == 6)
    rig.wait(attempt)
    assert b"got h\xc3\xbc\r\n" in rig.out(attempt)


def test_what_is_said_again_is_typed_once(rig: Rig) -> None:
    attempt = rig.start(at_terminal("stty -echo; echo ready; cat"))
    shows(rig, attempt, b"ready")
    assert typed(rig, attempt, b"one\n") == 4
    assert typed(rig, attempt, b"one\ntwo\n") == 8
    assert typed(rig, attempt, b"six\n", offset=12) == 8  # what comes before is missing
    rig.reopen()  # the daemon dies, and whoever typed says it all again
    assert typed(rig, attempt, b"two\nthree\n\x04", offset=4) == 15
    assert rig.wait(attempt).code == 0
    assert rig.out(attempt) == b"ready\r\none\r\ntwo\r\nthree\r\n"


def test_another_writer_begins_at_its_own_beginning(rig: Rig) -> None:
    attempt = rig.start(at_terminal("stty -echo; echo ready; cat"))
    shows(rig, attempt, b"ready")
    assert typed(rig, attempt, b"one\n") == 4
    assert typed(rig, attempt, b"two\n\x04", writer=2) == 5
    rig.wait(attempt)
    assert rig.out(attempt) == b"ready\r\none\r\ntwo\r\n"


def test_ctrl_c_reaches_the_program(rig: Rig) -> None:
    attempt = rig.start(at_terminal("trap 'echo trapped; exit 5' INT; echo ready; while :; do sleep 0.05; done"))
    shows(rig, attempt, b"ready")
    typed(rig, attempt, b"\x03")
    assert rig.wait(attempt).code == 5
    assert b"^Ctrapped" in rig.out(attempt)


def test_a_new_size_is_told(rig: Rig) -> None:
    attempt = rig.start(at_terminal("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done"))
    shows(rig, attempt, b"ready")
    typed(rig, attempt, b"", size=(11, 22))
    rig.wait(attempt)
    assert b"11 22" in rig.out(attempt)


def test_a_shell_controls_its_jobs(rig: Rig) -> None:
    attempt = rig.start(a_spec("bash", "--norc", "--noprofile", "-i", terminal=SIZE, env=((b"PS1", b"$ "),)))
    shows(rig, attempt, b"$ ")
    assert b"no job control" not in rig.out(attempt)
    offset = typed(rig, attempt, b"sleep 1000\n")
    rig.until(lambda: running("1000"))
    offset = typed(rig, attempt, b"\x1a", offset)
    shows(rig, attempt, b"Stopped")
    offset = typed(rig, attempt, b"fg\n", offset)
    shows(rig, attempt, b"fg\r\nsleep 1000")
    offset = typed(rig, attempt, b"\x03", offset)
    rig.until(lambda: not running("1000"))
    typed(rig, attempt, b"exit 6\n", offset)
    assert rig.wait(attempt).code == 6


def test_nobody_types_where_no_terminal_is(rig: Rig) -> None:
    attempt = rig.start(shell("sleep 30"))
    rig.until(lambda: running("30"))
    assert typed(rig, attempt, b"x") == GONE
    assert typed(rig, listed(99).attempt, b"x") == GONE
    rig.hands.kill(attempt)
    rig.wait(attempt)
    assert typed(rig, attempt, b"x") == GONE


def test_what_nobody_reads_is_bounded_and_goes_on_when_somebody_does(rig: Rig, tmp_path: Any) -> None:
    script = f"stty raw -echo; echo ready; until test -e {tmp_path}/go; do sleep 0.05; done; head -c 400000 | md5sum"
    attempt = rig.start(at_terminal(script))
    shows(rig, attempt, b"ready")
    data = os.urandom(400_000)
    at = before = 0
    while (at := typed(rig, attempt, data[at : at + 16384], at)) > before:
        before = at
    assert MOST <= at < len(data)
    (tmp_path / "go").touch()
    while at < len(data):
        at = typed(rig, attempt, data[at : at + 16384], at)
    shows(rig, attempt, hashlib.md5(data).hexdigest().encode())


def test_who_types_is_told_at_once_that_there_is_more_to_read(rig: Rig) -> None:
    quiet = rig.start(at_terminal("echo nobody looks"))
    rig.wait(quiet)
    attempt = rig.start(at_terminal("read line; echo $line"))
    rig.until(lambda: typed(rig, attempt, b"x") == 1)
    rig.until(lambda: attempt in rig.wrote)
    assert rig.wrote.count(quiet) == 1, "its end alone is told, for who follows it"
    typed(rig, attempt, b"\n", 1)
    rig.wait(attempt)


# -- how it ends -------------------------------------------------------------------------------------------------------


def test_what_it_started_ends_with_it(rig: Rig) -> None:
    attempt = rig.start(at_terminal("setsid sleep 987 & nohup sleep 986 & sleep 0.1; exit 4"))
    report = rig.wait(attempt)
    assert (report.code, report.leaked) == (4, False)
    assert not running("987")
    assert not running("986")


def test_a_shell_that_is_asked_to_end_does_so(rig: Rig) -> None:
    attempt = rig.start(a_spec("bash", "--norc", "--noprofile", "-i", terminal=SIZE, env=((b"PS1", b"$ "),)))
    shows(rig, attempt, b"$ ")
    rig.hands.stop(attempt)
    report = rig.wait(attempt)
    assert report.outcome is Outcome.CANCELLED
    assert report.run_ms < 9_000  # not only by force, which comes after ten seconds


def test_what_it_wrote_before_it_was_killed_is_kept(rig: Rig) -> None:
    attempt = rig.start(at_terminal("printf before; kill -9 $$"))
    assert rig.wait(attempt).code == signal.SIGKILL
    assert rig.out(attempt) == b"before"
    attempt = rig.start(at_terminal("echo ready; sleep 1000"))
    shows(rig, attempt, b"ready")
    rig.hands.kill(attempt)
    assert rig.wait(attempt).outcome is Outcome.EVICTED
    assert rig.out(attempt) == b"ready\r\n"


def test_it_stands_still_and_goes_on(rig: Rig) -> None:
    attempt = rig.start(at_terminal("read line; echo got $line"))
    rig.until(lambda: typed(rig, attempt, b"", size=SIZE) == 0)
    rig.hands.freeze(attempt)
    rig.until(lambda: rig.hands.here()[attempt].frozen_at_ms is not None)
    typed(rig, attempt, b"x\n")
    rig.hands.thaw(attempt)
    rig.wait(attempt)
    assert b"got x" in rig.out(attempt)


def test_a_runner_with_a_terminal_serves_nobody_else(rig: Rig) -> None:
    for _ in range(3):
        assert rig.run(at_terminal("test -t 1; exit 3")).code == 3
        assert rig.run(shell("test -t 1")).code == 1
    pid = rig.hands.pid
    assert pid is not None
    rig.until(lambda: not [end for end in os.listdir(f"/proc/{pid}/fd") if "ptmx" in _target(pid, end)])


def _target(pid: int, end: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{end}")
    except FileNotFoundError:
        return ""


def test_nothing_waits_behind_it_and_it_behind_nobody(rig: Rig) -> None:
    first = rig.start(at_terminal("sleep 1000"))
    second = listed(50)
    rig.hands.follow(second, at_terminal("echo second"))
    assert second.attempt not in rig.hands.here()  # it is started when there is room, not in a slot that has none
    rig.hands.start(second, at_terminal("echo second"))
    assert rig.wait(second.attempt).code == 0
    rig.hands.kill(first)
    rig.wait(first)


def test_where_none_can_be_had_it_is_said(rig: Rig) -> None:
    rig.hands.abilities["terminals"] = "none"
    attempt = rig.start(at_terminal("exit 0"))
    assert rig.wait(attempt).outcome is Outcome.NOT_HERE
    rig.until(lambda: rig.outputs.note(attempt))
    assert rig.outputs.note(attempt) == "the process that runs jobs there has no terminals to give"


def test_without_a_namespace_its_session_ends_too(tmp_path: Any) -> None:
    def cannot() -> None:
        main.alone.find_way = lambda: alone.Way.NOT  # type: ignore[attr-defined]

    rig = Rig(tmp_path).start_supervisor(cannot)
    try:
        attempt = rig.start(at_terminal("sleep 985 & echo ready; sleep 984"))
        shows(rig, attempt, b"ready")
        rig.hands.kill(attempt)
        rig.wait(attempt)
        assert not running("985")
        assert not running("984")
        assert rig.run(at_terminal("test -t 0")).code == 0
    finally:
        rig.close()


# -- the parts ---------------------------------------------------------------------------------------------------------


def test_keys_for_a_terminal_that_is_gone_are_let_go() -> None:
    master, slave = os.openpty()
    os.close(slave)
    os.close(master)
    keyboard = Keyboard(master)
    keyboard.type(1, 0, b"x")
    assert not keyboard.is_stuck


@pytest.mark.parametrize("writes", [1, 5])
def test_a_terminal_is_read_as_fast_as_somebody_may_look_and_no_faster(writes: int) -> None:
    pace, now = Pace(0.0), 0.0
    for _ in range(writes):
        assert pace.wait_s(4096, now) == 0.0  # a screen comes at once
    total = 10 * RATE
    for _ in range(total // 4096):
        now += pace.wait_s(4096, now)
    assert 10 * RATE - BURST - 8 * 4096 <= now * RATE <= 10 * RATE
