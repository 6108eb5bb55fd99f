"""Attempts that run: how they end, what they write, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from odyssey.exec.outputs import Extent
from odyssey.exec.supervisor import tree
from odyssey.exec.supervisor.outlet import ERR, OUT
from odyssey.model import Outcome
from odyssey.spec import Blob, Own
from tests.exec.rig import FOREVER, Rig, a_spec, is_there, listed, running, shell

# -- how it ends -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "outcome", "code"),
    [
        ("exit 0", Outcome.EXITED, 0),
        ("exit 3", Outcome.EXITED, 3),
        ("exit 255", Outcome.EXITED, 255),
        ("kill -9 $$", Outcome.SIGNALLED, 9),
        ("kill -TERM $$", Outcome.SIGNALLED, 15),
    ],
)
def test_the_end_is_told_as_it_was(rig: Rig, script: str, outcome: Outcome, code: int) -> None:
    report = rig.run(shell(script))
    assert (report.outcome, report.code, report.leaked) == (outcome, code, False)


def test_times_are_told(rig: Rig) -> None:
    before = rig.clock.wall_ms()
    report = rig.run(shell("sleep 0.2; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"))
    assert before <= report.started_ms <= report.ended_ms <= rig.clock.wall_ms()
    assert 200 <= report.run_ms <= report.ended_ms - report.started_ms + 1
    assert 0 < report.cpu_ms < report.run_ms
    assert report.peak_memory > 0


def test_the_end_is_told_until_it_is_to_be_forgotten(rig: Rig) -> None:
    attempt = rig.start(shell("exit 3"))
    rig.wait(attempt)
    rig.reopen()
    assert rig.wait(attempt).code == 3  # once more, as soon as what it wrote is known to last
    rig.hands.forget(attempt)
    rig.reopen()
    assert attempt not in rig.hands.here()


def test_what_was_forgotten_and_is_asked_for_again_is_lost_not_run_again(rig: Rig, tmp_path: Path) -> None:
    spec = shell(f"echo ran >> {tmp_path}/ran")
    attempt = rig.start(spec)
    rig.wait(attempt)
    rig.hands.forget(attempt)
    rig.hands.start(listed(1), spec)
    assert rig.wait(attempt).outcome is Outcome.LOST
    assert (tmp_path / "ran").read_text() == "ran\n"


def test_it_is_started_once_however_often_it_is_asked_for(rig: Rig, tmp_path: Path) -> None:
    spec = shell(f"echo ran >> {tmp_path}/ran; sleep 0.2")
    attempt = rig.start(spec)
    rig.reopen()
    rig.hands.start(listed(1), spec)
    rig.wait(attempt)
    assert (tmp_path / "ran").read_text() == "ran\n"


# -- what it is started with -------------------------------------------------------------------------------------------


def test_words_travel_as_bytes(rig: Rig) -> None:
    attempt = rig.start(a_spec("printf", "%s|", b"a b", b"\xff\xfe", b"", "ü'\"\n"))
    rig.wait(attempt)
    assert rig.out(attempt) == b"a b|\xff\xfe||" + "ü'\"\n|".encode()


def test_a_long_command(rig: Rig) -> None:
    word = "x" * 120_000
    attempt = rig.start(a_spec("printf", "%s", *[word] * 5))
    rig.wait(attempt)
    assert rig.out(attempt) == word.encode() * 5
    assert not list(rig.places.own.glob("order-*"))


def test_the_environment_is_what_was_asked_for_and_nothing_of_the_daemon(rig: Rig) -> None:
    os.environ["ODYSSEY_TEST_SECRET"] = "1"
    attempt = rig.start(a_spec("env", env=((b"GREETING", b"hello\xff"),)))
    del os.environ["ODYSSEY_TEST_SECRET"]
    rig.wait(attempt)
    lines = rig.out(attempt).splitlines()
    assert {b"GREETING=hello\xff", b"PYTHONUNBUFFERED=1", b"ODYSSEY_JOB=1", b"ODYSSEY_NODE=nova"} <= set(lines)
    assert not any(b"SECRET" in line for line in lines)


def test_it_runs_in_the_folder_that_was_asked_for(rig: Rig, tmp_path: Path) -> None:
    attempt = rig.start(a_spec("pwd", cwd=os.fsencode(tmp_path)))
    rig.wait(attempt)
    assert rig.out(attempt) == os.fsencode(tmp_path) + b"\n"


def test_each_task_has_its_own_words_and_knows_its_item_and_which_try_it_is(tmp_path: Path) -> None:
    rig = Rig(
        tmp_path, words=lambda spec, position: Own((b"sh", b"-c", b'echo "$ODYSSEY_ITEM" $ODYSSEY_TRY'), b"a  b")
    ).open()
    try:
        attempt = rig.start(a_spec("echo", "{}", items=(Blob(b"", 0),)), number=2)
        rig.wait(attempt)
        assert rig.out(attempt) == b"a  b 2\n"
    finally:
        rig.close()


# -- what cannot run here ----------------------------------------------------------------------------------------------


def test_what_is_not_here_says_so(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    (tmp_path / "garbage").write_text("no program")
    (tmp_path / "garbage").chmod(0o700)
    (tmp_path / "script").write_text("#!/nonesuch/python\n")
    (tmp_path / "script").chmod(0o700)
    cases = {
        a_spec("nonesuch"): "'nonesuch' was not found",
        a_spec("/nonesuch/x"): "'/nonesuch/x' was not found",
        a_spec(str(tmp_path / "plain")): "may not be executed",
        a_spec(str(tmp_path / "garbage")): "not a program for this machine",
        a_spec(str(tmp_path / "script")): "needs an interpreter that is not there",
        a_spec("true", cwd=b"/nonesuch"): "the directory /nonesuch cannot be entered: no such file",
        a_spec("true", items=(Blob(b"", 0),)): "the words of this task are not on this machine",
    }
    for spec, why in cases.items():
        attempt = rig.start(spec)
        assert rig.wait(attempt).outcome is Outcome.NOT_HERE
        assert why in (rig.outputs.note(attempt) or "")


def test_what_is_refused_never_runs(rig: Rig, tmp_path: Path) -> None:
    rig.hands.refuse(listed(1))
    assert rig.wait(listed(1).attempt).outcome is Outcome.REJECTED
    rig.hands.start(listed(1), shell(f"touch {tmp_path}/ran"))
    rig.run(shell("true"))
    assert not (tmp_path / "ran").exists()


def test_what_runs_is_not_refused(rig: Rig) -> None:
    attempt = rig.start(shell("echo up; sleep 0.3; exit 5"))
    rig.until(lambda: rig.out(attempt) == b"up\n")
    rig.hands.refuse(listed(1))
    assert rig.wait(attempt).code == 5


# -- what it writes ----------------------------------------------------------------------------------------------------


def test_streams_are_kept_apart_and_exact(rig: Rig) -> None:
    attempt = rig.start(shell(r"printf 'a\0b'; printf 'e\n\377' >&2; printf 'no newline'"))
    rig.wait(attempt)
    assert rig.out(attempt) == b"a\0bno newline"
    assert rig.err(attempt) == b"e\n\xff"
    extent = rig.outputs.extent(attempt, OUT)
    assert extent is not None
    assert (extent.is_complete, extent.cut_bytes) == (True, 0)


def test_a_job_that_opens_its_streams_again_harms_nothing(rig: Rig) -> None:
    first = rig.start(shell("echo first"))
    rig.wait(first)
    attempt = rig.start(shell("echo a; echo b > /dev/stdout; echo c; echo d > /dev/stderr"))
    rig.wait(attempt)
    assert (rig.out(first), rig.out(attempt), rig.err(attempt)) == (b"first\n", b"a\nb\nc\n", b"d\n")


def test_output_is_there_while_it_runs(rig: Rig) -> None:
    attempt = rig.start(shell("echo here; sleep 60"))
    rig.until(lambda: rig.out(attempt) == b"here\n")
    extent = rig.outputs.extent(attempt, OUT)
    assert extent is not None
    assert not extent.is_complete
    rig.hands.kill(attempt)
    rig.wait(attempt)
    assert rig.out(attempt) == b"here\n"


def test_what_it_wrote_before_it_was_killed_is_kept(rig: Rig, tmp_path: Path) -> None:
    """Also what its runner has not come to: here it stands still."""
    more, done = tmp_path / "more", tmp_path / "done"
    script = f"echo up; until [ -e {more} ]; do sleep 0.01; done; printf %60000d 1; echo e >&2; touch {done}; sleep 60"
    attempt = rig.start(shell(script))
    rig.until(lambda: rig.out(attempt) == b"up\n")
    assert rig.hands.pid is not None
    os.kill(tree.below(rig.hands.pid)[0], signal.SIGSTOP)
    more.touch()
    rig.until(done.exists)
    rig.hands.kill(attempt)
    rig.wait(attempt)
    assert (len(rig.out(attempt)), rig.err(attempt)) == (60_003, b"e\n")


def test_output_outlives_all_processes(tmp_path: Path) -> None:
    for number in (1, 2):
        rig = Rig(tmp_path, begin=number)
        rig.open()
        attempt = rig.start(shell(f"echo {number}; echo e{number} >&2"))
        rig.wait(attempt)
        rig.close()
        told = (rig.out(listed(1).attempt), rig.out(listed(2).attempt), rig.err(attempt))
        assert told == (b"1\n", b"2\n" if number == 2 else b"", b"e%d\n" % number)


def test_much_output(rig: Rig) -> None:
    attempt = rig.start(shell("head -c 20000000 /dev/zero; echo end >&2"))
    rig.wait(attempt)
    assert rig.out(attempt) == bytes(20_000_000)
    assert rig.outputs.read(attempt, OUT, 19_999_990, 100) == bytes(10)
    assert rig.err(attempt) == b"end\n"


def test_who_watches_is_told_that_there_is_more(rig: Rig) -> None:
    told: list[int] = []
    end = rig.outputs.watch(told.append)
    attempt = rig.start(shell("echo a; sleep 60"))
    rig.until(lambda: told == [attempt])
    end()
    rig.hands.kill(attempt)
    rig.wait(attempt)


def test_beyond_its_limit_a_stream_is_cut_and_the_job_goes_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path, limit=1000).open()
    try:
        attempt = rig.start(shell("head -c 5000 /dev/zero; echo end >&2; exit 3"))
        assert rig.wait(attempt).code == 3
        assert rig.outputs.extent(attempt, OUT) == Extent(1000, True, 4000)
        assert (rig.out(attempt), rig.err(attempt)) == (bytes(1000), b"end\n")
    finally:
        rig.close()


def test_what_nobody_wants_is_swept_a_segment_at_a_time(tmp_path: Path) -> None:
    for number in (1, 2):
        before = Rig(tmp_path, begin=number).open()
        before.run(shell(f"echo {number}"))
        before.close()
    rig = Rig(tmp_path, begin=3).open()
    try:
        rig.run(shell("echo 3"))
        wanted = listed(2).attempt
        assert rig.outputs.sweep(lambda attempt: attempt == wanted)
        assert not rig.outputs.sweep(lambda attempt: attempt == wanted)
        assert [rig.out(listed(number).attempt) for number in (1, 2, 3)] == [b"", b"2\n", b"3\n"]
    finally:
        rig.close()


def test_of_what_is_not_known_nothing_is_said(rig: Rig) -> None:
    stranger = listed(99).attempt
    assert rig.outputs.extent(stranger, ERR) is None
    assert rig.outputs.read(stranger, OUT, 0, 10) == b""
    assert rig.outputs.note(stranger) is None


# -- standard input ----------------------------------------------------------------------------------------------------


def test_without_one_it_is_empty(rig: Rig) -> None:
    attempt = rig.start(a_spec("wc", "-c"))
    rig.wait(attempt)
    assert rig.out(attempt).strip() == b"0"


def test_it_is_fed_as_it_comes(rig: Rig) -> None:
    name = bytes(range(16))
    spool = rig.places.spool / name.hex()
    spool.write_bytes(b"one\n")
    attempt = rig.start(a_spec("cat", stdin=name))
    rig.until(lambda: rig.out(attempt) == b"one\n")
    with spool.open("ab") as file:
        file.write(bytes(1_000_000))
    rig.hands.stdin_grew(name, 1_000_004, False)
    rig.until(lambda: len(rig.out(attempt)) == 1_000_004)
    rig.hands.stdin_grew(name, 1_000_004, True)
    assert rig.wait(attempt).code == 0
    assert rig.outputs.unread(attempt) == 0


def test_what_it_left_unread_is_told(rig: Rig) -> None:
    name = bytes(16)
    (rig.places.spool / name.hex()).write_bytes(b"one\ntwo\n" + bytes(500_000))
    rig.hands.stdin_grew(name, 500_008, True)
    attempt = rig.start(shell("read line; echo $line", stdin=name))
    rig.wait(attempt)
    assert rig.out(attempt) == b"one\n"
    assert rig.outputs.unread(attempt) == 500_004


# -- force -------------------------------------------------------------------------------------------------------------


def test_stop_is_polite(rig: Rig) -> None:
    attempt = rig.start(shell("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"))
    rig.until(lambda: rig.out(attempt) == b"up\n")
    rig.hands.stop(attempt)
    report = rig.wait(attempt)
    assert (report.outcome, report.code) == (Outcome.CANCELLED, 7)
    assert rig.out(attempt) == b"up\nbye\n"


def test_killed_it_leaves_nothing(rig: Rig) -> None:
    mark = f"{os.getpid()}0.25"
    attempt = rig.start(shell(f"trap '' TERM; setsid sleep {mark} & (sleep {mark} &) ; sleep {mark}"))
    rig.until(lambda: len(running(mark)) == 3)
    rig.hands.kill(attempt)
    assert rig.wait(attempt).outcome is Outcome.EVICTED
    assert running(mark) == []
    assert rig.run(shell("exit 4")).code == 4


def test_what_is_left_behind_ends_with_it(rig: Rig) -> None:
    mark = f"{os.getpid()}1.25"
    attempt = rig.start(shell(f"setsid sleep {mark} > /dev/null & (sleep {mark} &); exit 3"))
    report = rig.wait(attempt)
    assert (report.code, report.leaked) == (3, False)
    assert running(mark) == []


def test_it_cannot_harm_its_runner(rig: Rig) -> None:
    attempt = rig.start(shell("kill -9 $PPID; kill -9 -1; sleep 0.1; exit 6"))
    assert rig.wait(attempt).outcome in (Outcome.EXITED, Outcome.SIGNALLED)
    assert rig.run(shell("exit 4")).code == 4


def test_frozen_it_stands_still_and_then_goes_on(rig: Rig, tmp_path: Path) -> None:
    attempt = rig.start(shell(f"while :; do echo >> {tmp_path}/beats; sleep 0.01; done"))
    rig.until((tmp_path / "beats").exists)
    rig.hands.freeze(attempt)
    rig.until(lambda: rig.hands.here()[attempt].frozen_at_ms is not None)
    before = (tmp_path / "beats").stat().st_size
    elapsed = rig.hands.here()[attempt].elapsed_ms
    rig.run(shell("sleep 0.1"))
    assert (tmp_path / "beats").stat().st_size == before
    assert rig.hands.here()[attempt].elapsed_ms == elapsed
    rig.hands.thaw(attempt)
    rig.until(lambda: (tmp_path / "beats").stat().st_size > before)
    rig.hands.kill(attempt)
    rig.wait(attempt)


def test_its_time_is_limited(rig: Rig) -> None:
    report = rig.run(shell("sleep 60", timeout_ms=200))
    assert (report.outcome, report.run_ms >= 200) == (Outcome.TIMEOUT, True)


# -- the lease ---------------------------------------------------------------------------------------------------------


def test_without_a_lease_nothing_starts(rig: Rig, tmp_path: Path) -> None:
    rig.lease(0)
    rig.start(shell(f"touch {tmp_path}/ran"))
    rig.lease(FOREVER)
    rig.run(shell("true"))
    assert not (tmp_path / "ran").exists()


def test_when_it_is_over_all_stand_still_without_being_told(rig: Rig) -> None:
    attempt = rig.start(shell("sleep 60"))
    rig.lease(rig.clock.boottime_ms() + 200)
    rig.until(lambda: rig.hands.here()[attempt].frozen_at_ms is not None)
    rig.hands.thaw(attempt)
    rig.lease(rig.clock.boottime_ms() + 60_000)
    assert rig.hands.here()[attempt].frozen_at_ms is not None
    rig.hands.thaw(attempt)
    rig.until(lambda: rig.hands.here()[attempt].frozen_at_ms is None)
    rig.hands.kill(attempt)
    rig.wait(attempt)


# -- who dies ----------------------------------------------------------------------------------------------------------


def test_the_daemon_dies_and_what_runs_goes_on(rig: Rig) -> None:
    attempt = rig.start(shell("echo a; sleep 0.5; echo b"))
    rig.until(lambda: rig.out(attempt) == b"a\n")
    pid = rig.hands.pid
    rig.reopen()
    assert rig.hands.pid == pid
    assert rig.hands.here()[attempt].started
    assert rig.hands.here()[attempt].elapsed_ms > 0
    rig.wait(attempt)
    assert rig.out(attempt) == b"a\nb\n"


def test_what_runs_is_here_while_nobody_answers(rig: Rig) -> None:
    attempt = rig.start(shell("echo up; sleep 60"))
    rig.until(lambda: rig.out(attempt))
    assert rig.hands.pid is not None
    os.kill(rig.hands.pid, signal.SIGKILL)
    seen: list[bool] = []

    def is_lost() -> bool:
        seen.append(attempt in rig.hands.here())
        return attempt in rig.hands.reports()

    rig.until(is_lost)
    assert all(seen)


def test_the_supervisor_dies_and_nothing_survives_it(rig: Rig) -> None:
    mark = f"{os.getpid()}2.25"
    attempt = rig.start(shell(f"echo a; trap '' TERM; setsid sleep {mark} & sleep {mark}"))
    rig.until(lambda: len(running(mark)) == 2)
    ended = rig.run(shell("exit 3")).attempt
    dead = rig.hands.pid
    assert dead is not None
    os.kill(dead, signal.SIGKILL)
    rig.until(lambda: running(mark) == [], 1)
    assert rig.wait(attempt).outcome is Outcome.LOST
    assert rig.hands.reports()[ended].code == 3
    assert rig.hands.pid != dead
    assert not is_there(dead)
    assert rig.run(shell("exit 4")).code == 4


def test_ends_are_heard_however_often_children_of_others_end(rig: Rig) -> None:
    """The end of any child wakes the supervisor, and it reads what its runners have said, perhaps just before it is
    told that they have said something."""
    supervisor = rig.hands.pid
    assert supervisor is not None
    with subprocess.Popen(
        ["sh", "-c", f"while kill -CHLD {supervisor}; do :; done"], stderr=subprocess.DEVNULL
    ) as others:
        try:
            for _ in range(100):
                rig.run(a_spec("true"))
        finally:
            others.kill()
    for _ in range(10):  # now nobody wakes it but those who have something to say
        rig.run(a_spec("true"))
