"""What only the store on SQLite does: files, processes, and every byte that can go bad. The rest is in the contract."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.raft.types import HardState, LogEntry, Snapshot
from odyssey.mesh.sidefiles import beside, set_aside
from odyssey.mesh.sqlite_store import SqliteStore, create_store, open_store
from odyssey.mesh.store import (
    OWN,
    Broken,
    Damaged,
    Foreign,
    NewerFormat,
    RolledBack,
    Settings,
    StoreError,
)
from tests.contracts.shaky_disk import installed, probe
from tests.contracts.store_rigs import (
    BARE,
    GENERATION,
    MESH,
    NODE,
    a_snapshot,
    a_write,
    entries,
    entry,
    overwrite,
    places,
    slices,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def unwaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Many starts, none of which has to outlive a power cut."""
    probe(tmp_path)
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    with installed():
        yield


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mesh.db"


def made(path: Path, settings: Settings = BARE) -> SqliteStore:
    return create_store(path, SeededEntropy(1), MESH, NODE, GENERATION, settings)


def opened(path: Path, settings: Settings = BARE) -> SqliteStore:
    return open_store(path, MESH, NODE, settings)


def shown(path: Path) -> tuple[HardState, Snapshot, list[LogEntry]]:
    store = opened(path)
    try:
        loaded = store.load()
        return loaded.hard, loaded.snapshot, loaded.entries
    finally:
        store.close()


def used(path: Path) -> None:
    """A store with a bit of everything, closed."""
    store = made(path)
    store.write(a_write(*entries(1, 30), commit=20))
    store.save_snapshot(a_snapshot(10, 1, slices("ten")), 8, slices("ten"))
    store.write(a_write(*entries(31, 33), commit=30))
    store.close()


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir() if not file.name.endswith(".lock")}


def restore(directory: Path, whole: dict[str, bytes]) -> None:
    """As `contents` found it; only what differs is written."""
    for name, content in contents(directory).items():
        if name not in whole:
            (directory / name).unlink()
        elif content != whole[name]:
            with (directory / name).open("r+b") as file:
                file.write(whole[name])
                file.truncate()
    for name in whole.keys() - contents(directory).keys():
        (directory / name).write_bytes(whole[name])


@contextmanager
def left_running(path: Path, target: Path) -> Iterator[None]:
    """The files as a crash leaves them, with a log that is not in the database yet."""
    store = opened(path)
    for index in range(34, 60):
        store.write(a_write(entry(index), commit=index - 1))
    for suffix in ("", "-wal", ".mark"):
        shutil.copy(beside(path, suffix), beside(target, suffix))
    store.close()
    yield


# -- every byte --------------------------------------------------------------------------------------------------------


def outcomes(path: Path, file: Path, starts: Iterable[int]) -> dict[str, int]:
    """Spoil one byte after the other: what is opened must be what was written."""
    expected, whole = shown(path), contents(path.parent)
    counts: dict[str, int] = {}
    for start in starts:
        restore(path.parent, whole)
        overwrite(file, start, bytes([whole[file.name][start] ^ (1 << start % 8 | 1)]))
        try:
            found = "same" if shown(path) == expected else f"another, at {start}"
        except StoreError as error:
            found = type(error).__name__
        counts[found] = counts.get(found, 0) + 1
    return counts


@pytest.mark.usefixtures("unwaited")
def test_no_byte_of_the_database_can_go_bad_and_change_what_is_loaded(path: Path) -> None:
    used(path)
    counts = outcomes(path, path, range(0, path.stat().st_size, 97))
    assert counts.keys() <= {"same", "Damaged", "Foreign", "NewerFormat"}
    assert counts["Damaged"] > 50


@pytest.mark.usefixtures("unwaited")
def test_no_byte_of_the_mark_can_go_bad_and_stop_a_start(path: Path) -> None:
    """Its other half is enough; only both together would be missed."""
    used(path)
    starts = [*range(0, 40, 3), *range(4096, 4132, 3)]
    assert outcomes(path, beside(path, ".mark"), starts).keys() == {"same"}


@pytest.mark.usefixtures("unwaited")
def test_a_write_ahead_log_that_cannot_be_read_to_its_end_is_not_silently_cut(path: Path, tmp_path: Path) -> None:
    """SQLite itself takes the first bad frame for the end and goes on without the rest."""
    used(path)
    target = tmp_path / "left" / "mesh.db"
    target.parent.mkdir()
    with left_running(path, target):
        log = beside(target, "-wal")
        whole = contents(target.parent)
        for start in range(0, len(whole[log.name]), 1009):
            restore(target.parent, whole)
            overwrite(log, start, bytes([whole[log.name][start] ^ 0x10]))
            before = contents(target.parent)
            with pytest.raises(RolledBack):
                opened(target)
            assert contents(target.parent) == before


def test_a_lost_write_ahead_log_is_noticed(path: Path, tmp_path: Path) -> None:
    used(path)
    target = tmp_path / "left" / "mesh.db"
    target.parent.mkdir()
    with left_running(path, target):
        beside(target, "-wal").unlink()
        with pytest.raises(RolledBack, match="of"):
            opened(target)


def test_what_is_damaged_stays_as_it_is_found(path: Path) -> None:
    used(path)
    overwrite(path, places(path, b"entry 25 of")[0], b"E")
    before = contents(path.parent)
    with pytest.raises(Damaged, match="entry 25"):
        opened(path)
    assert contents(path.parent) == before


# -- what is told apart ------------------------------------------------------------------------------------------------


def spoil(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "kind", "text"),
    [
        ("DELETE FROM entry WHERE idx = 15", Damaged, "entry 15 is missing, the next is 16"),
        ("DELETE FROM entry WHERE idx BETWEEN 1 AND 12", Damaged, "entry 11 is missing"),
        ("DELETE FROM entry WHERE idx > 29", Damaged, "entries 30 to 30 are missing"),
        ("UPDATE entry SET term = 2 WHERE idx = 33", Damaged, "entry 33 is not what was written"),
        ("UPDATE entry SET data = 'text' WHERE idx = 33", Damaged, "entry 33"),
        ("UPDATE record SET crc = 1 WHERE id = 2", Damaged, "record 2"),
        ("DELETE FROM record WHERE id = 3", Damaged, "record 3 is missing"),
        ("DELETE FROM slice WHERE place % 4096 = 3", Damaged, "snapshot up to entry 10"),
        ("UPDATE slice SET data = 7", Damaged, "snapshot"),
        ("DROP TABLE entry", Damaged, "no such table"),
        ("PRAGMA user_version = 0", Damaged, "format 0"),
        ("PRAGMA user_version = 2", NewerFormat, "format 2"),
        ("PRAGMA application_id = 1", Foreign, "not a store"),
    ],
)
def test_each_kind_of_damage_is_named(path: Path, statement: str, kind: type[StoreError], text: str) -> None:
    used(path)
    spoil(path, statement)
    with pytest.raises(kind, match=text) as caught:
        opened(path)
    assert caught.value.path == path


@pytest.mark.parametrize(("index", "term"), [(20, 0), (33, 2)])
def test_terms_that_cannot_be_are_damage(path: Path, index: int, term: int) -> None:
    used(path)
    crc = crc32(b"entry %d of term 1" % index, crc32(struct.pack(">QQB", index, term, 0)))
    spoil(path, f"UPDATE entry SET term = {term}, crc = {crc} WHERE idx = {index}")
    with pytest.raises(Damaged, match="term"):
        opened(path)


def test_pages_that_nothing_relies_on_yet_are_checked_too(path: Path) -> None:
    """A list of free pages that is wrong would spoil a later write."""
    store = made(path)
    store.stage(b"dropped", 0, slices("dropped", 20))
    store.unstage(b"dropped")
    store.write(a_write(*entries(1, 3)))
    store.close()
    free = int.from_bytes(path.read_bytes()[32:36], "big")
    overwrite(path, (free - 1) * 4096, bytes((0, 0, 0, 3)))
    with pytest.raises(Damaged):
        opened(path)


def test_an_entry_of_a_newer_kind_asks_for_an_upgrade(path: Path) -> None:
    used(path)
    crc = crc32(b"entry 33 of term 1", crc32(struct.pack(">QQB", 33, 1, 9)))
    spoil(path, f"UPDATE entry SET kind = 9, crc = {crc} WHERE idx = 33")
    with pytest.raises(NewerFormat, match="kind 9"):
        opened(path)


@pytest.mark.parametrize("content", [b"", b"not a database " * 300, b"SQLite format 3\0" + bytes(5000)])
def test_what_is_no_database_is_damaged(path: Path, content: bytes) -> None:
    used(path)
    path.write_bytes(content)
    with pytest.raises((Damaged, Foreign)):
        opened(path)


def test_another_programs_database_is_foreign(path: Path) -> None:
    spoil(path, "CREATE TABLE t (x)")
    with pytest.raises(Foreign, match="not a store of Odyssey"):
        opened(path)


# -- the mark ----------------------------------------------------------------------------------------------------------


def test_without_its_mark_a_used_store_is_not_trusted(path: Path) -> None:
    used(path)
    mark = beside(path, ".mark")
    kept = mark.read_bytes()
    mark.unlink()
    with pytest.raises(RolledBack, match="gone"):
        opened(path)
    mark.write_bytes(b"")
    with pytest.raises(RolledBack, match="cannot be read"):
        opened(path)
    mark.write_bytes(kept)
    opened(path).close()


def test_another_stores_file_in_its_place_is_noticed(path: Path, tmp_path: Path) -> None:
    used(path)
    other = tmp_path / "other.db"
    create_store(other, SeededEntropy(2), MESH, NODE, GENERATION, BARE).close()
    shutil.copy(other, path)
    with pytest.raises(RolledBack, match="another store"):
        opened(path)


def test_a_torn_mark_leaves_the_one_before(path: Path) -> None:
    """It is one change behind, and still tells an older copy."""
    used(path)
    old = path.read_bytes()
    store = opened(path)
    for index in range(34, 38):
        store.write(a_write(entry(index), commit=30))
    store.close()
    mark = beside(path, ".mark")
    whole = mark.read_bytes()
    newest = max((int.from_bytes(whole[start + 24 : start + 32], "big"), start) for start in (0, 4096))[1]
    overwrite(mark, newest, bytes(36))
    path.write_bytes(old)
    with pytest.raises(RolledBack, match="changes"):
        opened(path)


def test_an_older_mark_is_harmless(path: Path) -> None:
    used(path)
    mark = beside(path, ".mark")
    old = mark.read_bytes()
    store = opened(path)
    store.write(a_write(entry(34), commit=30))
    store.close()
    mark.write_bytes(old)
    assert len(shown(path)[2]) == 24


# -- set aside ---------------------------------------------------------------------------------------------------------


def test_nothing_is_deleted_when_it_is_set_aside(path: Path, tmp_path: Path) -> None:
    used(path)
    target = tmp_path / "left" / "mesh.db"
    target.parent.mkdir()
    with left_running(path, target):
        before = contents(target.parent)
        for number in (1, 2):
            aside = set_aside(target)
            assert aside.name == f"mesh.db.aside-{number}"
            assert contents(target.parent)[f"{aside.name}-wal"] == before["mesh.db-wal"]
            for suffix in ("", "-wal", ".mark"):
                shutil.copy(beside(aside, suffix), beside(target, suffix))
        assert (
            len(shown(target.with_name("mesh.db.aside-2"))[2]) == 49
        )  # it can still be read, with all that was in its log


def test_a_forgotten_log_does_not_get_into_a_new_store(path: Path, tmp_path: Path) -> None:
    """Somebody deletes `mesh.db` alone."""
    used(path)
    target = tmp_path / "left" / "mesh.db"
    target.parent.mkdir()
    with left_running(path, target):
        target.unlink()
        with pytest.raises(RolledBack, match="gone"):
            opened(target)
        made(target).close()
        assert shown(target) == (HardState(), Snapshot(), [])
        assert beside(target, ".aside-1-wal").exists()


# -- habits ------------------------------------------------------------------------------------------------------------


def test_a_path_may_hold_any_characters(tmp_path: Path) -> None:
    directory = tmp_path / "with space, ?query#and%41ü"
    directory.mkdir()
    path = directory / "mesh.db"
    made(path).close()
    assert path.exists()
    opened(path).close()


def test_one_thread_only(path: Path) -> None:
    store, caught = made(path), list[BaseException]()

    def work() -> None:
        try:
            store.load()
            store.write(a_write(entry(1)))
        except BaseException as error:  # noqa: BLE001 - it is handed on
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert isinstance(caught[0], sqlite3.ProgrammingError)
    store.close()


def test_a_change_that_failed_for_any_reason_ends_the_writing(path: Path) -> None:
    store = made(path)
    with pytest.raises(TypeError):
        store.stage(OWN, 0, [b"one", "two"])  # type: ignore[list-item]
    with pytest.raises(Broken):
        store.write(a_write(entry(1)))
    store.close()
    assert shown(path) == (HardState(), Snapshot(), [])


def test_nothing_of_a_change_that_failed_is_kept(path: Path) -> None:
    store = made(path)
    store.write(a_write(*entries(1, 5)))
    with pytest.raises(TypeError):
        store.write(a_write(entry(3, data="text")))  # type: ignore[arg-type]
    store.close()
    assert shown(path)[2] == [*entries(1, 5)]


def written_until_broken(store: SqliteStore) -> int:
    for index in range(1000):
        try:
            store.write(a_write(entry(index + 1)))
        except Broken:
            return index
    raise AssertionError("nothing broke")


def test_a_failing_copy_into_the_database_is_not_overheard(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite would keep quiet and try again later."""
    probe(path.parent)
    monkeypatch.setattr("odyssey.mesh.sqlite._WAL_BYTES", 30_000)
    with installed() as disk:
        store = made(path)
        disk.fails_in_database = True
        index = written_until_broken(store)
        disk.fails_in_database = False
        store.close()
        assert len(shown(path)[2]) == index > 0


def test_segments_that_are_dropped_give_back_their_room(path: Path) -> None:
    store, history = made(path), path.with_name("history.db")
    segments = [bytes([number]) * 300_000 for number in range(10)]
    for data in segments:
        store.put_segment(sha256(data).digest(), data)
    store.close()
    full = history.stat().st_size
    store = opened(path)
    for data in segments[1:]:
        store.drop_segment(sha256(data).digest())
    assert store.segment(sha256(segments[0]).digest()) == segments[0]
    store.close()
    assert history.stat().st_size < full // 5


def test_a_damaged_history_costs_no_membership(path: Path) -> None:
    store = made(path)
    store.write(a_write(entry(1)))
    store.close()
    history = path.with_name("history.db")
    history.write_bytes(b"rot" * 5000)
    with pytest.raises(Damaged) as caught:
        opened(path)
    assert caught.value.path == history
    set_aside(history)
    assert shown(path)[2] == [entry(1)]


def test_the_history_of_another_mesh_is_foreign(path: Path, tmp_path: Path) -> None:
    made(path).close()
    other = tmp_path / "other" / "mesh.db"
    other.parent.mkdir()
    create_store(other, SeededEntropy(2), bytes(16), NODE, GENERATION, BARE).close()
    shutil.copy(other.with_name("history.db"), path.with_name("history.db"))
    with pytest.raises(Foreign, match="another mesh"):
        opened(path)


def test_old_entries_go_a_piece_with_each_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of hundreds of megabytes must not hold up the next write for a second."""
    monkeypatch.setattr("odyssey.mesh.sqlite_store._PIECE", 10)
    store = made(path)
    store.write(a_write(*(entry(index, data=b"x" * 10) for index in range(1, 51)), commit=50))
    store.save_snapshot(a_snapshot(40, 1, slices("forty")), 36, slices("forty"))
    seen = [(store.load().kept_from, store.room().kept)]
    for index in range(51, 55):
        store.write(a_write(entry(index, data=b"x" * 10), commit=50))
        seen.append((store.load().kept_from, store.room().kept))
    assert seen == [(11, 300), (21, 200), (31, 100), (36, 50), (36, 50)]
    assert store.room().tail == 140
    store.close()
    store = opened(path)
    assert (store.load().kept_from, store.room()[3:5]) == (36, (140, 50))
    store.close()


def test_no_ballast_where_there_is_no_room_for_it(path: Path) -> None:
    store = made(path, Settings(guard=1 << 60, ballast=4096))
    assert store.room().ballast == 0
    store.close()
    store = opened(path, Settings(guard=0, ballast=4096))
    assert store.room().ballast == 4096 == beside(path, ".ballast").stat().st_blocks * 512
    store.close()
