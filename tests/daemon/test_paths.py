"""Where a home and its socket are, and what is refused as one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odyssey.errors import NotPermitted
from odyssey.paths import (
    LONGEST_SOCKET,
    BadHome,
    Home,
    find_home,
    known_socket,
    machine_id,
    prepare,
    remote,
    socket_path,
    write_whole,
)

LOCAL = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
NETWORK = LOCAL + "2 1 0:5 / /home rw shared:1 - nfs4 server:/home rw\n"


def test_the_default_home_is_one_per_machine() -> None:
    home = find_home({"HOME": "/home/anna"}, LOCAL)
    assert home == Home(Path("/home/anna/.local/state/odyssey") / machine_id()[:8])
    assert find_home({"HOME": "/home/anna", "XDG_STATE_HOME": "/s"}, LOCAL).path.parent == Path("/s/odyssey")
    assert find_home({"HOME": "/home/anna", "XDG_STATE_HOME": "not/absolute"}, LOCAL) == home


def test_a_home_on_a_network_drive_is_kept_elsewhere_and_said() -> None:
    home = find_home({"HOME": "/home/anna"}, NETWORK)
    assert home.path == Path(f"/var/tmp/odyssey-{os.geteuid()}")
    assert home.note == f"your home is on a network drive; this machine's data is kept in {home.path}"


def test_one_that_was_named_on_a_network_drive_is_refused() -> None:
    with pytest.raises(BadHome, match="network drive"):
        find_home({"ODYSSEY_HOME": "/home/anna/ody"}, NETWORK)


@pytest.mark.parametrize(
    ("path", "mounts", "is_remote"),
    [
        ("/home/anna", NETWORK, True),
        ("/homes/anna", NETWORK, False),
        ("/home/anna/disk", NETWORK + "3 2 8:2 / /home/anna/disk rw - xfs /dev/sdb rw\n", False),
        ("/home/anna", NETWORK + "3 2 8:2 / /home rw - xfs /dev/sdb rw\n", False),  # mounted over it
        ("/mnt/a b/c", LOCAL + "2 1 0:5 / /mnt/a\\040b rw - cifs //nas/x rw\n", True),
        ("/home/anna", "", False),
        ("/home/anna", "not a line of a mount\n1 2 - nfs\n", False),
    ],
)
def test_what_is_on_another_machine(path: str, mounts: str, is_remote: bool) -> None:
    assert remote(Path(path), mounts) is is_remote


# -- making one --------------------------------------------------------------------------------------------------------


def test_a_home_is_made_for_this_user_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "a" / "b")
    prepare(home)
    assert home.path.stat().st_mode & 0o777 == 0o700
    home.path.chmod(0o755)
    prepare(home)
    assert home.path.stat().st_mode & 0o777 == 0o700


def test_what_holds_other_things_is_none(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    with pytest.raises(BadHome, match="holds other things"):
        prepare(Home(tmp_path))
    (tmp_path / "config.toml").touch()
    prepare(Home(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_what_is_somebody_elses_is_none(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(NotPermitted, match="uid 12345"):
        prepare(Home(tmp_path))


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    write_whole(file, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    monkeypatch.undo()
    write_whole(file, b"new")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"new", 0o600)


# -- the door ----------------------------------------------------------------------------------------------------------


def test_the_socket_is_in_the_runtime_directory_of_the_session(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    path = socket_path(Home(tmp_path / "home"), {"XDG_RUNTIME_DIR": str(tmp_path)})
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        assert path.parent == tmp_path / "odyssey"
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_two_homes_have_two_sockets(tmp_path: Path) -> None:
    assert socket_path(Home(tmp_path / "a"), {}) != socket_path(Home(tmp_path / "b"), {})


def test_a_runtime_directory_that_others_can_write_to_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    path = socket_path(Home(tmp_path / "home"), {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert tmp_path not in path.parents


def test_a_path_that_no_socket_can_have_is_refused() -> None:
    with pytest.raises(BadHome, match="bytes long"):
        socket_path(Home(Path("/x")), {"ODYSSEY_SOCKET": "/" + "x" * 107})


def test_a_long_temporary_directory_is_gone_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert len(os.fsencode(socket_path(Home(tmp_path), {}))) <= LONGEST_SOCKET


def test_a_link_in_the_place_of_the_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    monkeypatch.setattr("os.geteuid", lambda: 54321)
    place = Path("/tmp/odyssey-54321")
    place.symlink_to(tmp_path)
    try:
        with pytest.raises(BadHome, match="is no directory"):
            socket_path(Home(tmp_path), {})
    finally:
        place.unlink()


def test_whoever_has_another_environment_finds_the_socket_by_the_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert known_socket(home, {}) is None
    home.door.write_bytes(b"/run/user/1000/odyssey/x.sock\n")
    assert known_socket(home, {}) == Path("/run/user/1000/odyssey/x.sock")
    assert known_socket(home, {"ODYSSEY_SOCKET": "/other"}) == Path("/other")
    home.door.write_bytes(b"")
    assert known_socket(home, {}) is None
