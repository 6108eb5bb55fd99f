"""What a disk may have kept: what is certain is never less, what is not is never taken for certain."""

from __future__ import annotations

from random import Random

import pytest

from tests.power.calls import Call, Step
from tests.power.disk import SECTOR, Disk, Loss

ROOT = "/w"


class Writer:
    """One thread that does one thing after the other."""

    def __init__(self) -> None:
        self.disk = Disk(ROOT)

    def call(self, name: str, path: str, result: int = 0, **more: object) -> Writer:
        call = Call(name, f"{ROOT}/{path}", **more)  # type: ignore[arg-type]
        self.disk.take(Step(1, call, None))
        self.disk.take(Step(1, call, result))
        return self

    def open(self, path: str, flags: str = "O_WRONLY|O_CREAT|O_TRUNC", file: int = 3) -> Writer:
        return self.call("openat", path, file, flags=flags, file=file)

    def write(self, path: str, data: bytes, file: int = 3) -> Writer:
        return self.call("write", path, len(data), data=data, file=file)

    def sync(self, path: str = "") -> Writer:
        return self.call("fsync", path)

    def lost(self, loss: Loss = Loss.ALL_LOST, seed: int = 0) -> dict[str, bytes | None]:
        return self.disk.crash(loss, Random(seed))


def test_a_file_is_certain_with_its_bytes_and_its_name() -> None:
    one = Writer().open("a").write("a", b"hello")
    assert one.lost() == {}
    assert one.sync("a").lost() == {}
    assert one.sync().lost() == {"a": b"hello"}


def test_a_name_without_its_bytes_is_an_empty_file() -> None:
    one = Writer().open("a").write("a", b"hello").sync()
    assert one.lost() == {"a": b""}
    assert one.lost(Loss.NAMES_FIRST) == {"a": b""}
    assert one.lost(Loss.BYTES_FIRST) == {"a": b"hello"}


def test_a_file_in_a_folder_that_is_not_certain_is_gone() -> None:
    one = Writer().call("mkdir", "d").open("d/a").write("d/a", b"hello").sync("d/a").sync("d")
    assert one.lost() == {}
    assert one.sync().lost() == {"d": None, "d/a": b"hello"}


def test_a_rename_takes_both_names_along() -> None:
    one = Writer().open("old").write("old", b"1").sync("old").sync()
    one.open("new").write("new", b"2").sync("new").call("rename", "new", to=f"{ROOT}/old")
    assert one.lost() == {"old": b"1"}
    assert {tuple(one.lost(Loss.ANY, seed).items()) for seed in range(20)} == {
        (("old", b"1"),),
        (("old", b"2"),),
        (("old", b"1"), ("new", b"2")),
    }
    assert one.sync().lost() == {"old": b"2"}


def test_a_file_that_was_removed_may_be_back() -> None:
    one = Writer().open("a").sync("a").sync().call("unlink", "a")
    assert one.disk.now == {}
    assert one.lost() == {"a": b""}


def test_what_came_after_the_begin_of_a_sync_is_not_certain() -> None:
    one = Writer().open("a").sync()
    one.disk.take(Step(2, Call("fsync", f"{ROOT}/a"), None))
    one.write("a", b"late")
    one.disk.take(Step(2, Call("fsync", f"{ROOT}/a"), 0))
    assert one.lost() == {"a": b""}


def test_a_write_is_torn_at_sectors() -> None:
    data = b"x" * (3 * SECTOR)
    one = Writer().open("a").sync().write("a", data)
    found = {one.lost(Loss.ANY, seed)["a"] for seed in range(60)}
    assert {b"", data} <= found
    assert bytes(SECTOR) + b"x" * SECTOR in found  # a hole
    assert all(part in (b"x" * SECTOR, bytes(SECTOR)) for one in found if one for part in _sectors(one))


def _sectors(data: bytes) -> list[bytes]:
    return [data[at : at + SECTOR] for at in range(0, len(data), SECTOR)]


def test_what_is_left_of_a_moment_before_is_all_of_it() -> None:
    one = Writer()
    for number in range(60):
        one.open(f"{number:02}").write(f"{number:02}", b"1")
    for seed in range(20):
        there = one.lost(Loss.EARLIER, seed)
        assert sorted(there) == [f"{number:02}" for number in range(len(there))]
        assert set(list(there.values())[:-1]) <= {b"1"}


@pytest.mark.parametrize("flags", ["O_WRONLY|O_CREAT|O_APPEND", "O_WRONLY|O_CREAT"])
def test_writes_go_where_the_file_is_open(flags: str) -> None:
    one = Writer().open("a", flags).write("a", b"abc").open("a", flags, file=4).write("a", b"xy", file=4)
    assert one.disk.now == {"a": b"abcxy" if "APPEND" in flags else b"xyc"}


def test_lengths() -> None:
    one = Writer().open("a").write("a", b"hello").call("ftruncate", "a", numbers=(2,))
    assert one.disk.now == {"a": b"he"}
    one.call("fallocate", "a", numbers=(0, 0, 4))
    assert one.disk.now == {"a": b"he\0\0"}
    one.call("pwrite64", "a", 1, numbers=(1, 6), data=b"x").call("lseek", "a", 1, file=3).write("a", b"E")
    assert one.disk.now == {"a": b"hE\0\0\0\0x"}
