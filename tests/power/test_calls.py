"""What strace writes is understood, or refused."""

from __future__ import annotations

import pytest

from tests.power.calls import Call, Step, Unreadable, steps


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


A = hexed("/w/a")


def test_one_line() -> None:
    line = f'7 pwrite64(3<{A}>, "{hexed("ab")}", 2, 4096) = 2\n'
    call = Call("pwrite64", "/w/a", file=3, data=b"ab", numbers=(2, 4096))
    assert list(steps([line], "/w")) == [Step(7, call, None), Step(7, call, 2)]


def test_two_threads_at_once() -> None:
    lines = [
        f"7 fsync(3<{A}> <unfinished ...>",
        f'8 write(4<{A}>, "{hexed("x")}", 1 <unfinished ...>',
        "7 <... fsync resumed>) = 0",
        "8 <... write resumed>) = 1",
    ]
    sync, write = Call("fsync", "/w/a", file=3), Call("write", "/w/a", file=4, data=b"x", numbers=(1,))
    assert list(steps(lines, "/w")) == [Step(7, sync, None), Step(8, write, None), Step(7, sync, 0), Step(8, write, 1)]


def test_names() -> None:
    here = hexed("/home")
    lines = [
        f'7 openat(AT_FDCWD<{here}>, "{A}", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5<{A}>',
        f'7 rename("{A}", "{hexed("/w/b")}") = 0',
        f'7 mkdir("{hexed("/w/d/")}", 0700) = 0',
        f'7 bind(6<UNIX-STREAM:[1]>, {{sa_family=AF_UNIX, sun_path="{A}"}}, 20) = 0',
    ]
    assert [step.call for step in steps(lines, "/w") if step.result is not None] == [
        Call("openat", "/w/a", file=5, flags="O_RDWR|O_CREAT|O_CLOEXEC"),
        Call("rename", "/w/a", "/w/b"),
        Call("mkdir", "/w/d"),
        Call("bind", "/w/a"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        f'7 mkdir("{A}", 0700) = -1 EEXIST (File exists)',
        f'7 write(3<{A}>(deleted), "{hexed("x")}", 1) = 1',
        f'7 write(3<{hexed("/elsewhere")}>, "{hexed("/w/")}", 3) = 3',
        f"7 fsync(3<{A}>) = ?",
        "7 +++ exited with 0 +++",
    ],
)
def test_what_changes_nothing_here(line: str) -> None:
    assert not [step for step in steps([line], "/w") if step.result is not None]


def test_what_is_not_understood_is_said() -> None:
    with pytest.raises(Unreadable, match="sendfile"):
        list(steps([f"7 sendfile(3<{A}>, 4<{A}>, NULL, 10) = 10"], "/w"))
