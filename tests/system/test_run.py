"""`odyssey run` as people type it, with a real daemon: bytes, statuses, pipes, files, signals, terminals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from odyssey.starting import FOUNDED
from tests.system.people import LIMIT_S, ODYSSEY, odyssey, shell, terminal
from tests.system.place import Place, wait_for


def jobs(place: Place) -> list[dict[str, object]]:
    return json.loads(odyssey(place, "ps", "--json", "--state", "all").stdout)  # type: ignore[no-any-return]


def state(place: Place, job: int = 1) -> object:
    return next((one["state"] for one in jobs(place) if one["id"] == job), None)


def test_the_first_command_works_and_says_what_it_started(place: Place) -> None:
    first = odyssey(place, "run", "--", "echo", "hi")
    assert (first.returncode, first.stdout) == (0, b"hi\n")
    assert first.stderr.decode() == f"odyssey: {FOUNDED}\n"
    again = odyssey(place, "run", "--", "echo", "hi")
    assert (again.returncode, again.stdout, again.stderr) == (0, b"hi\n", b"")


@pytest.fixture
def up(place: Place) -> Place:
    place.start()
    return place


# ---- streams and statuses --------------------------------------------------------------------------------------------


def test_the_streams_are_apart_and_byte_for_byte(up: Place) -> None:
    script = r"printf '\377\0a\n'; printf 'e\r' >&2; head -c 3000000 /dev/zero; printf end >&2"
    ended = odyssey(up, "run", "--", "sh", "-c", script)
    assert (ended.returncode, ended.stderr) == (0, b"e\rend")
    assert ended.stdout == b"\xff\0a\n" + bytes(3_000_000)


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["sh", "-c", "exit 3"], 3, ""),
        (["sh", "-c", "kill -9 $$"], 137, ""),
        (["sh", "-c", "exit 127"], 127, "odyssey: 127 is the job's own exit status\n"),
        (["no-such-program-anywhere"], 127, "error: no machine can run this: "),
    ],
)
def test_the_status_is_the_jobs(up: Place, words: list[str], status: int, says: str) -> None:
    ended = odyssey(up, "run", "--", *words)
    assert (ended.returncode, ended.stdout) == (status, b"")
    assert says in ended.stderr.decode()
    assert bool(says) is bool(ended.stderr)


def test_a_time_limit_ends_it_with_124(up: Place) -> None:
    ended = odyssey(up, "run", "--timeout", "300ms", "--", "sleep", "60")
    assert ended.returncode == 124
    assert ended.stderr.startswith(b"odyssey: job 1 failed: ")


def test_words_that_are_no_text_arrive(up: Place) -> None:
    assert odyssey(up, "run", "--", "printf", "%s", b"\xff\xfe").stdout == b"\xff\xfe"


def test_it_works_where_it_was_typed_with_what_was_given(up: Place, tmp_path: Path) -> None:
    up.environment |= {"SECRET_THING": "x", "TOKEN": "t", "LANG": "C.UTF-8"}
    ended = odyssey(up, "run", "-e", "A=1", "--secret", "TOKEN", "--", "env", cwd=tmp_path)
    assert odyssey(up, "run", "--", "pwd", cwd=tmp_path).stdout.decode() == f"{tmp_path}\n"
    variables = dict(line.split("=", 1) for line in ended.stdout.decode().splitlines())
    assert (variables["A"], variables["TOKEN"], variables["LANG"]) == ("1", "t", "C.UTF-8")
    assert (variables["ODYSSEY_JOB"], variables["ODYSSEY_TASK"], variables["ODYSSEY_INDEX"]) == ("1", "0", "0")
    assert "SECRET_THING" not in variables
    assert b"TOKEN=(hidden)" in odyssey(up, "show", "1").stdout


# ---- standard input --------------------------------------------------------------------------------------------------


def test_a_pipe_is_read_to_its_end(up: Place) -> None:
    data = os.urandom(700_000)
    ended = odyssey(up, "run", "--", "cat", stdin=data)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, data, b"")


def test_a_pipe_that_nobody_writes_to_holds_nothing_up(up: Place) -> None:
    reader, writer = os.pipe()
    try:
        with os.fdopen(reader, "rb") as stdin:
            assert odyssey(up, "run", "--", "echo", "hi", stdin=stdin).stdout == b"hi\n"
    finally:
        os.close(writer)


@pytest.mark.parametrize("option", ["", "-n"])
def test_a_loop_over_a_list_sees_every_line(up: Place, tmp_path: Path, option: str) -> None:
    (tmp_path / "list").write_text("one\ntwo\nthree\n")
    script = f"while read f; do odyssey run {option} -- echo $f; done < list"
    assert shell(up, script, tmp_path).stdout == b"one\ntwo\nthree\n"


def test_what_a_job_reads_of_a_file_is_gone_and_the_rest_is_there(up: Place, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"".join(b"%07d\n" % number for number in range(100_000)))
    script = "{ odyssey run -- head -c 16 | cat; read line; echo then $line; } < list"
    ended = shell(up, script, tmp_path)
    first, second, then = ended.stdout.decode().splitlines()
    assert (first, second) == ("0000000", "0000001")
    assert 2 <= int(then.removeprefix("then ")) <= 100_000 // 8  # head reads ahead, by some KiB


def test_what_is_lost_of_a_pipe_is_told(up: Place) -> None:
    ended = odyssey(up, "run", "--", "sleep", "0.3", stdin=b"x" * 412)
    note = "odyssey: note: the job read 0 of 412 bytes of stdin, the rest is gone for your loop; use -n\n"
    assert ended.stderr.decode() == note


def test_tasks_of_an_array_read_nothing(up: Place) -> None:
    ended = odyssey(up, "run", "--array", "1-3", "--", "sh", "-c", "cat; echo $ODYSSEY_INDEX", stdin=b"not this")
    assert (ended.returncode, sorted(ended.stdout.split())) == (0, [b"1", b"2", b"3"])


# ---- pipelines and signals -------------------------------------------------------------------------------------------


def test_a_pipe_that_is_closed_ends_the_job(up: Place) -> None:
    ended = shell(up, "odyssey run -- yes | head -1; echo ${PIPESTATUS[0]}")
    assert ended.stdout == b"y\n141\n"
    assert wait_for(lambda: state(up) == "cancelled")


def start(place: Place, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*ODYSSEY, *words],
        env=place.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_job(up: Place, number: int, status: int) -> None:
    with start(up, "run", "--", "sh", "-c", "echo on; exec sleep 600") as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"on\n"
        run.send_signal(number)
        assert run.wait(LIMIT_S) == status
    assert wait_for(lambda: state(up) == "cancelled")


def test_a_hang_up_leaves_the_job_and_attach_comes_back(up: Place, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with start(
        up, "run", "--", "sh", "-c", f"echo on; while ! test -e {go}; do sleep 0.02; done; echo off; exit 7"
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"on\n"
        run.send_signal(signal.SIGHUP)
        assert run.wait(LIMIT_S) == 129
    assert state(up) == "running"
    with start(up, "attach", "last") as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == b"on\n"
        go.touch()
        assert attached.communicate(timeout=LIMIT_S) == (b"off\n", b"")
    assert attached.returncode == 7


def test_a_daemon_that_is_killed_is_not_noticed(up: Place, tmp_path: Path) -> None:
    go = tmp_path / "go"
    with start(
        up, "run", "--", "sh", "-c", f"echo on; while ! test -e {go}; do sleep 0.02; done; echo off; exit 7"
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"on\n"
        up.kill()
        up.start()
        go.touch()
        assert run.communicate(timeout=LIMIT_S) == (b"off\n", b"")
    assert run.returncode == 7


# ---- at a terminal ---------------------------------------------------------------------------------------------------


def test_on_a_terminal_ctrl_c_cancels(up: Place) -> None:
    with terminal(up, "run", "--", "sh", "-c", "echo on; exec sleep 600") as screen:
        screen.until(b"on\r\n")
        screen.types(b"\x03")
        assert screen.ends() == 130
    assert wait_for(lambda: state(up) == "cancelled")


def test_a_closed_terminal_leaves_the_job(up: Place) -> None:
    with terminal(up, "run", "--", "sh", "-c", "echo on; exec sleep 600") as screen:
        screen.until(b"on\r\n")
        screen.hang_up()
    assert state(up) == "running"
    assert odyssey(up, "cancel", "last").returncode == 0


def test_the_progress_of_an_array_is_one_line_that_goes_away(up: Place, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"while ! test -e {go}; do sleep 0.02; done"
    with terminal(up, "run", "--array", "0-3", "--", "sh", "-c", script) as screen:
        screen.until(b"  0/4")
        go.touch()
        assert screen.ends() == 0
    assert screen.seen.endswith(b"\r\x1b[K")
    assert b"\n" not in screen.seen


def test_a_job_that_waits_says_why(up: Place) -> None:
    with terminal(up, "run", "--on", up_name(up), "--hold", "--", "true") as screen:
        screen.until(b"odyssey: job 1 waits: held")
        assert odyssey(up, "release", "1").returncode == 0
        assert screen.ends() == 0


def up_name(place: Place) -> str:
    return str(json.loads(odyssey(place, "status", "--json").stdout)["node"])
