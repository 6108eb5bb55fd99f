"""The folders of an attempt: empty when it begins, kept or deleted when it ended, and free where nobody uses them."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from odyssey import ids
from odyssey.exec.files import Files
from odyssey.exec.supervisor import emptying, workplace
from odyssey.exec.supervisor.workplace import Workplace, kept, rescue
from odyssey.ids import AttemptId, task_id
from odyssey.model import Outcome
from tests.exec.rig import Rig, a_spec, listed, running, shell

TASK = task_id(42, 7)


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    place = Workplace(str(tmp_path), 3)
    place.open()
    return place


def told(place: Workplace) -> tuple[Path, Path]:
    env: dict[bytes, bytes] = {}
    place.tell(env)
    assert env[b"TMPDIR"] == env[b"ODYSSEY_SCRATCH"]
    return Path(os.fsdecode(env[b"ODYSSEY_OUT"])), Path(os.fsdecode(env[b"TMPDIR"]))


def files(tmp_path: Path) -> list[str]:
    return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir())


# -- one slot ----------------------------------------------------------------------------------------------------------


def test_what_is_put_into_out_gets_the_attempts_name_and_the_next_finds_an_empty_one(
    place: Workplace, tmp_path: Path
) -> None:
    out, _ = told(place)
    (out / "result").write_text("1")
    assert place.keep(TASK, 5) == ""
    assert files(tmp_path) == ["jobs/42/7-5/result"]
    assert kept(str(tmp_path), TASK, 5) == str(tmp_path / "jobs/42/7-5")
    assert workplace.INDEX_BITS == ids.INDEX_BITS
    place.open()
    assert (told(place)[0], list(out.iterdir())) == (out, [])


def test_nothing_is_made_moved_or_listed_for_one_that_leaves_them_alone(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("rename", "mkdir", "listdir", "scandir", "utime"):
        monkeypatch.setattr(os, name, lambda *_words, **_more: pytest.fail("for nothing"))
    place.open()
    place.keep(TASK, 5)
    place.clear()


def test_what_was_put_there_and_taken_away_again_is_nothing(place: Workplace, tmp_path: Path) -> None:
    out, scratch = told(place)
    for folder in (out, scratch):
        (folder / "a").touch()
        (folder / "a").unlink()
    place.keep(TASK, 5)
    place.clear()
    assert sorted(os.listdir(tmp_path)) == ["slots"]
    assert told(place) == (out, scratch)


def test_the_scratch_is_emptied(place: Workplace, tmp_path: Path) -> None:
    _, scratch = told(place)
    (scratch / "a/b").mkdir(parents=True)
    (scratch / "a/b/c").touch()
    place.clear()
    assert (files(tmp_path), told(place)[1], list(scratch.iterdir())) == ([], scratch, [])
    assert os.listdir(tmp_path / "trash") == []


def test_one_that_gives_its_folder_any_time_and_mode_is_noticed(place: Workplace, tmp_path: Path) -> None:
    """As tar does, that gives a folder the time it had."""
    out, _ = told(place)
    before = out.stat()
    (out / "result").touch()
    out.chmod(0)
    os.utime(out, ns=(before.st_atime_ns, before.st_mtime_ns))
    place.keep(TASK, 5)
    assert files(tmp_path) == ["jobs/42/7-5/result"]


def test_one_that_removes_its_folders_harms_nobody(place: Workplace, tmp_path: Path) -> None:
    out, scratch = told(place)
    out.rmdir()
    scratch.rmdir()
    place.keep(TASK, 5)
    place.clear()
    assert [path.is_dir() and stat.S_IMODE(path.stat().st_mode) for path in told(place)] == [0o700, 0o700]


def test_one_that_puts_a_link_in_their_place_has_only_a_link_moved(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/file").touch()
    for folder in told(place):
        folder.rmdir()
        folder.symlink_to(tmp_path / "precious")
    place.keep(TASK, 5)
    place.clear()
    assert (tmp_path / "precious/file").exists()
    assert (tmp_path / "jobs/42/7-5").is_symlink()
    assert all(folder.is_dir() and not folder.is_symlink() for folder in told(place))


def test_what_cannot_be_moved_stays_and_is_said_and_the_next_gets_another(place: Workplace, tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("in the way")
    out, _ = told(place)
    (out / "result").touch()
    assert str(out) in place.keep(TASK, 5)
    place.open()
    other, _ = told(place)
    assert (other != out, list(other.iterdir()), (out / "result").exists()) == (True, [], True)


def test_what_a_killed_one_has_kept_is_found_and_its_scratch_is_trash(place: Workplace, tmp_path: Path) -> None:
    for folder in told(place):
        (folder / "a").touch()
    assert rescue(str(tmp_path), 3, TASK, 5)
    assert [path.split("/")[0] for path in files(tmp_path)] == ["jobs", "trash"]
    assert (tmp_path / "jobs/42/7-5/a").exists()


def test_what_nobody_knows_of_is_kept_too(place: Workplace, tmp_path: Path) -> None:
    (told(place)[0] / "a").touch()
    assert not rescue(str(tmp_path), 3, None, 0)
    (kept_there,) = (tmp_path / "jobs/unknown").iterdir()
    assert (kept_there / "a").exists()


# -- deleting ----------------------------------------------------------------------------------------------------------


def test_trees_of_all_kinds_go_and_nothing_they_point_to(tmp_path: Path) -> None:
    precious, tree = tmp_path / "precious", tmp_path / "tree"
    (precious / "folder").mkdir(parents=True)
    (precious / "folder/file").touch()
    tree.mkdir()
    (tree / "link").symlink_to(precious)
    (tree / os.fsdecode(b"\xff\n")).touch()
    os.mkfifo(tree / "pipe")
    closed = tree / "closed/more"
    closed.mkdir(parents=True)
    (closed / "link").symlink_to(precious / "folder")
    (closed / "file").touch()
    closed.chmod(0o555)
    closed.parent.chmod(0)
    emptying.delete(str(tree))
    assert os.listdir(tmp_path) == ["precious"]
    assert (precious / "folder/file").exists()


def test_a_tree_deeper_than_any_path_goes(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("d" * 20, dir_fd=here)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    emptying.empty(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_what_cannot_go_stays_and_nothing_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/stays").touch()
    (tmp_path / "a/goes").touch()
    really = os.unlink

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        if path == "stays":
            raise PermissionError(1, "immutable")
        really(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    emptying.empty(str(tmp_path))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["stays"]
    emptying.delete(str(tmp_path / "nothing"))


# -- through the supervisor --------------------------------------------------------------------------------------------


def test_a_job_finds_its_folders_and_what_it_keeps_is_there(rig: Rig) -> None:
    script = 'ls -A "$ODYSSEY_OUT" "$TMPDIR" | grep -v : ; echo a > $ODYSSEY_OUT/a; mkdir $(mktemp -d)/x; exit 3'
    one, two = rig.start(shell(script)), rig.start(shell(script))
    for attempt in (one, two):
        assert rig.wait(attempt).code == 3
        assert rig.out(attempt).strip() == b""
        assert Path(kept(str(rig.places.files), listed_task(rig, attempt), attempt), "a").read_text() == "a\n"
    rig.until(lambda: not list(rig.places.files.glob("slots/*/tmp/*")))
    rig.until(lambda: not list(rig.places.files.glob("trash/*")))


def listed_task(rig: Rig, attempt: int) -> int:
    return int(rig.hands.reports()[attempt].task)  # type: ignore[index]


def test_a_temporary_folder_that_was_asked_for_wins(rig: Rig, tmp_path: Path) -> None:
    attempt = rig.start(shell('echo "$TMPDIR $ODYSSEY_OUT"', env=((b"TMPDIR", b"/x"), (b"ODYSSEY_OUT", b"/y"))))
    rig.wait(attempt)
    assert rig.out(attempt).startswith(b"/x " + os.fsencode(rig.places.files))


def test_what_a_job_mounts_over_its_folders_is_not_emptied(rig: Rig, tmp_path: Path) -> None:
    if rig.hands.abilities["namespaces"] != "yes":
        pytest.skip("jobs cannot mount anything here: that is not tried")
    precious = tmp_path / "precious"
    (precious / "folder").mkdir(parents=True)
    (precious / "folder/file").touch()
    precious.chmod(0o755)
    script = 'mkdir -p "$TMPDIR/b" && mount --bind "$0" "$TMPDIR/b" && mount --bind "$0" "$1"; ls "$1"'
    for where in ("$ODYSSEY_OUT", "$TMPDIR", "$ODYSSEY_OUT"):
        attempt = rig.start(
            shell(f'ls -A $ODYSSEY_OUT $TMPDIR | grep -v :; set -- "{where}"; ' + script.replace("$0", str(precious)))
        )
        assert rig.wait(attempt).code == 0
        assert rig.out(attempt).strip() == b"folder"
    rig.until(lambda: rig.run(shell("true")).code == 0)
    assert (precious / "folder/file").exists()
    assert stat.S_IMODE(precious.stat().st_mode) == 0o755


@pytest.fixture
def busy(rig: Rig) -> Iterator[tuple[Rig, int, str]]:
    """One that has put something everywhere, and goes on."""
    mark = f"{os.getpid()}14.25"
    attempt = rig.start(shell(f"echo a > $ODYSSEY_OUT/a; mkdir $TMPDIR/b; echo up; sleep {mark}"))
    rig.until(lambda: rig.out(attempt))
    yield rig, attempt, mark
    assert running(mark) == []
    assert Path(kept(str(rig.places.files), listed(1).task, attempt), "a").exists()
    rig.until(lambda: not [*rig.places.files.glob("slots/*/tmp/*"), *rig.places.files.glob("trash/*")])


def test_what_one_that_is_killed_has_kept_is_there_and_its_scratch_goes(busy: tuple[Rig, int, str]) -> None:
    rig, _, _ = busy
    rig.hands.kill(listed(1).attempt)
    assert rig.wait(listed(1).attempt).outcome is Outcome.EVICTED


def test_so_it_is_when_the_supervisor_dies(busy: tuple[Rig, int, str]) -> None:
    rig, _, _ = busy
    assert rig.hands.pid is not None
    os.kill(rig.hands.pid, signal.SIGKILL)
    assert rig.wait(listed(1).attempt).outcome is Outcome.LOST


def test_without_room_for_its_folders_nothing_starts(rig: Rig) -> None:
    rig.places.files.rmdir()
    rig.places.files.write_text("in the way")
    attempt = rig.start(a_spec("true"))
    assert rig.wait(attempt).outcome is Outcome.REJECTED
    assert "this machine has no room for its files" in (rig.outputs.note(attempt) or "")
    rig.places.files.unlink()
    assert rig.run(a_spec("true")).code == 0


# -- for the daemon ----------------------------------------------------------------------------------------------------


def test_what_was_kept_goes_when_it_is_old_whatever_times_it_was_given(place: Workplace, tmp_path: Path) -> None:
    for attempt in (5, 6):
        out, _ = told(place)
        (out / "a").touch()
        place.keep(TASK, attempt)
        place.open()
    os.utime(tmp_path / "jobs/42/7-5", (0, 0))
    kept_here = Files(tmp_path)
    here = kept_here.kept(TASK, AttemptId(5))
    assert here is not None
    made = os.lstat(here).st_ctime
    assert kept_here.sweep(made - 1, lambda _: False) == 0
    assert kept_here.sweep(made + 60, {42}.__contains__) == 0
    assert kept_here.kept(TASK, AttemptId(5)) == here
    assert kept_here.sweep(made + 60, lambda _: False) == 2
    assert kept_here.kept(TASK, AttemptId(6)) is None
    assert os.listdir(tmp_path / "jobs") == []
