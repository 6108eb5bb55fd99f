"""Jobs that nobody wants, typed at a shell with a real daemon: each ends as it should with a word that helps, and the
daemon is there for the next one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.exec.rig import running
from tests.system.people import odyssey
from tests.system.place import Place

MARK = f"{os.getpid()}19.25"


class Case(NamedTuple):
    words: list[str | bytes]
    status: int
    stdout: bytes = b""
    says: str = ""


def sh(script: str) -> list[str | bytes]:
    return ["--", "sh", "-c", script]


EATER = "b = bytearray()\nwhile True: b += bytes(8 << 20)"
CASES = {
    "is not there": Case(["--", "/nowhere/x"], 127, says="hint: "),
    "has words that are no text": Case(["--", "printf", "%s", b"\xff\xfe"], 0, b"\xff\xfe"),
    "is no program": Case(["--", "/etc/passwd"], 127, says="may not be executed"),
    "writes zeros and one long line without an end": Case(
        sh("printf 'a\\0b\\n'; head -c 1000000 /dev/zero | tr '\\0' z"), 0, b"a\0b\n" + b"z" * 1_000_000
    ),
    "closes its output and goes on": Case(sh("echo a; exec >&- 2>&-; exit 3"), 3, b"a\n"),
    "hides from its session": Case(sh(f"(setsid sh -c '(sleep {MARK} &) ; sleep {MARK}' &) ; echo gone"), 0, b"gone\n"),
    "kills everybody": Case(sh("kill -9 -1; kill -9 $PPID; exit 4"), 4),
    "stops itself": Case(["--timeout", "300ms", *sh("kill -STOP $$")], 124, says="over its time limit"),
    "eats memory": Case(["--mem", "64M", "--", "python3", "-S", "-E", "-c", EATER], 137, says="out of memory"),
}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("nasty") / "home")
    try:
        place.start()
        yield place
    finally:
        place.end()


@pytest.mark.parametrize("name", CASES)
def test_it(up: Place, name: str) -> None:
    case, daemon = CASES[name], up.daemon
    ended = odyssey(up, "run", *case.words)
    assert (ended.returncode, ended.stdout) == (case.status, case.stdout), ended.stderr
    assert case.says in ended.stderr.decode()
    assert b"Traceback" not in ended.stderr
    assert running(MARK) == []
    assert odyssey(up, "run", "--", "sh", "-c", "exit 6").returncode == 6
    assert up.daemon == daemon
