"""A daemon is started, found, ended and killed; and nothing of that stands in the way of the next one."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from odyssey import starting
from odyssey.errors import NotPermitted, OdysseyError, UsageError
from odyssey.starting import FOUNDED, DidNotStart, Running
from tests.system.place import Place, wait_for


def test_the_first_start_founds_a_mesh_of_one_and_says_so_once(place: Place) -> None:
    first = place.start()
    assert (first.is_new, first.notes) == (True, (FOUNDED,))
    assert starting.answers(first.socket)
    assert place.start() == Running(first.socket)
    place.stop()
    again = place.start()
    assert (again.is_new, again.notes) == (True, ())


def test_of_many_first_starts_at_once_one_founds(place: Place) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = [one.result() for one in [pool.submit(place.start) for _ in range(8)]]
    assert len({one.socket for one in found}) == 1
    assert sum(one.is_new for one in found) == 1


def test_an_orderly_end_leaves_neither_socket_nor_lock(place: Place) -> None:
    socket = place.start().socket
    place.stop()
    assert not socket.exists()
    assert not place.home.door.exists()
    assert place.daemon is None
    assert place.log()[-1]["text"] == "ended"


def test_after_a_kill_the_next_one_starts_on_the_same_mesh(place: Place) -> None:
    before = place.start().socket
    mesh = place.home.mesh.read_bytes()
    place.kill()
    assert before.exists()  # nobody was there to take it away
    assert place.start().socket == before  # by whoever was quicker: the hands start it again too
    assert starting.answers(before)
    assert place.home.mesh.read_bytes() == mesh


def test_a_second_daemon_on_one_home_is_refused_with_one_error(place: Place) -> None:
    place.start()
    second = place.python("-m", "odyssey.daemon", "--home", str(place.home.path), "--foreground")
    assert (second.returncode, second.stdout) == (1, "")
    error, hint = second.stderr.splitlines()
    assert error == f"error: a daemon of {place.home.path} runs already (process {place.daemon})"
    assert hint.startswith("hint: `odyssey status`")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_in_the_foreground_a_signal_ends_it_in_order(place: Place, number: int) -> None:
    words = [sys.executable, "-P", "-m", "odyssey.daemon", "--home", str(place.home.path), "--foreground"]
    with subprocess.Popen(words, env=place.environment, stderr=subprocess.PIPE, text=True) as daemon:
        wait_for(place.home.door.exists)
        daemon.send_signal(number)
        _, said = daemon.communicate(timeout=30)
    assert daemon.returncode == 0
    assert said.rstrip().endswith("INFO    ended")


def test_all_that_is_made_is_for_this_user_alone(place: Place) -> None:
    old = os.umask(0)
    try:
        socket = place.start().socket
    finally:
        os.umask(old)
    open_ones = [
        path
        for path in (socket, socket.parent, place.home.path, *place.home.path.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077
    ]
    assert open_ones == []


def test_the_environment_of_the_caller_is_not_kept(place: Place) -> None:
    place.environment["AWS_SECRET_ACCESS_KEY"] = "hush"
    place.start()
    assert b"hush" not in Path(f"/proc/{place.daemon}/environ").read_bytes()


def test_it_is_not_found_in_the_directory_where_somebody_stands(place: Place, tmp_path: Path) -> None:
    (tmp_path / "odyssey.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "asyncio.py").write_text("raise SystemExit('the wrong one')")
    program = "from odyssey import starting; print(starting.ensure_running().is_new)"
    assert place.python("-c", program, cwd=tmp_path).stdout == "True\n"


def test_the_socket_opens_again_when_its_directory_is_gone(place: Place, tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    place.environment["XDG_RUNTIME_DIR"] = str(runtime)
    socket = place.start().socket
    shutil.rmtree(runtime)
    found = wait_for(lambda: starting.running(place.home, place.environment))
    assert found != socket


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Place]:
    other = Place(tmp_path / "other")
    try:
        yield other
    finally:
        other.end()


def test_a_start_that_is_refused_leaves_nothing_that_tries_again(place: Place, other: Place) -> None:
    other.environment["ODYSSEY_SOCKET"] = str(place.start().socket)
    found = other.python("-m", "odyssey.daemon", "--home", str(other.home.path), "--foreground")
    assert found.returncode == 1
    wait_for(lambda: not list(other.processes()))


def test_a_socket_at_which_another_daemon_answers_is_left_alone(place: Place, other: Place, tmp_path: Path) -> None:
    socket = place.start().socket
    command = ("-m", "odyssey.daemon", "--home", str(other.home.path), "--foreground")
    other.environment["ODYSSEY_SOCKET"] = str(socket)
    found = other.python(*command)
    assert (found.returncode, found.stdout) == (1, "")
    assert f"error: another daemon answers at {socket}" in found.stderr
    assert starting.answers(socket)
    socket_of_nobody = tmp_path / "file"
    socket_of_nobody.touch()
    other.environment["ODYSSEY_SOCKET"] = str(socket_of_nobody)
    assert "is no socket" in other.python(*command).stderr
    assert socket_of_nobody.exists()


def test_when_its_home_is_deleted_everything_ends(place: Place) -> None:
    place.start()
    shutil.rmtree(place.home.path)
    wait_for(lambda: not list(place.processes()))


def test_also_when_its_daemon_dies_of_that(place: Place) -> None:
    place.start()
    daemon = place.daemon
    assert daemon is not None
    shutil.rmtree(place.home.path)
    os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not list(place.processes()))
    assert not place.home.path.exists()


# -- what a person has to mend -----------------------------------------------------------------------------------------


def refused(place: Place) -> OdysseyError:
    with pytest.raises(OdysseyError) as caught:
        place.start()
    assert place.daemon is None
    return caught.value


def test_a_mistake_in_the_settings(place: Place) -> None:
    place.home.config.write_text("disk.gard = 1\n")
    error = refused(place)
    assert isinstance(error, UsageError)
    assert error.message == f"{place.home.config}: there is no setting 'disk.gard'"
    assert error.hint == "did you mean disk.guard?"


def test_a_key_that_others_can_read(place: Place) -> None:
    place.start()
    place.stop()
    place.home.key.chmod(0o644)
    error = refused(place)
    assert "can be read by others" in error.message
    assert error.hint == f"if nobody has read it: chmod 600 {place.home.key}"


def test_a_store_that_is_damaged_and_the_only_copy(place: Place) -> None:
    place.start()
    place.stop()
    store = place.home.path / "mesh.db"
    store.write_bytes(bytes(4096) + store.read_bytes()[4096:])
    error = refused(place)
    assert isinstance(error, DidNotStart)
    assert "is not known that another machine holds" in error.message
    assert "mesh recover" in (error.hint or "")


def test_a_store_that_is_gone(place: Place) -> None:
    place.start()
    place.stop()
    for file in place.home.path.glob("mesh.db*"):
        file.unlink()
    error = refused(place)
    assert error.message.startswith("the log of this machine's mesh is gone")
    assert not (place.home.path / "mesh.db").exists()


def test_a_home_that_holds_other_things(place: Place) -> None:
    (place.home.path / "thesis.tex").write_text("mine")
    assert "holds other things" in refused(place).message


def test_a_home_that_is_a_file(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    place.environment["ODYSSEY_HOME"] = str(file)
    with pytest.raises(OdysseyError) as caught:
        place.start()
    assert str(file) in caught.value.message
    place.environment["ODYSSEY_HOME"] = str(tmp_path / "home")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory that is somebody else's")
def test_a_home_of_somebody_else(place: Place) -> None:
    os.chown(place.home.path, 12345, 12345)
    error = refused(place)
    os.chown(place.home.path, 0, 0)
    assert isinstance(error, NotPermitted)
    assert "belongs to another user" in error.message


# -- killed at every step ----------------------------------------------------------------------------------------------


def test_a_start_that_is_killed_at_any_change_of_its_home_is_gone_on_with(place: Place, tmp_path: Path) -> None:
    """One home each, killed ever later, until one comes through."""
    found = place.python("-m", "tests.system.killed_starts", str(tmp_path), seconds=300)
    assert found.returncode == 0, found.stderr
    rows = [line.split() for line in found.stdout.splitlines()]
    assert [row for row in rows if row[2:] != ["True", "True"]] == []
    assert {row[1] for row in rows} == {"key", "-"}
    assert len(rows) > 20
