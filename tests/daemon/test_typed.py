"""Who sits at a machine that joins, through two pipes; and what such a daemon is told first."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator

import pytest

from odyssey import entry as entries
from odyssey.daemon.typed import Typist
from odyssey.entry import LONGEST, TYPED, Entry, Shown
from odyssey.errors import Malformed, UsageError
from odyssey.mesh.links.pairing import Door
from odyssey.mesh.trust.pairing import WrongCode

DOOR = Door(b"k" * 32, "10.0.0.1", 7660)


class Pipes:
    """`types` is the person's end, `shown` what was shown so far."""

    def __init__(self) -> None:
        self._hears, self.types = os.pipe()
        self._sees, self._shows = os.pipe()
        self.typist = Typist("pi4", self._hears, self._shows)

    def shown(self) -> list[Shown]:
        return [Shown(**json.loads(line)) for line in os.read(self._sees, 65_536).splitlines()]

    def hang_up(self) -> None:
        os.close(self.types)
        self.types = -1

    def close(self) -> None:
        for file in (self._hears, self.types, self._sees, self._shows):
            if file >= 0:
                os.close(file)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close()


def typed(pipes: Pipes, code: str = "123456", mesh: str = "anna's mesh") -> str:
    return asyncio.run(asyncio.wait_for(pipes.typist.type(code, mesh, DOOR), 10))


def test_first_the_entry_then_lines(pipes: Pipes) -> None:
    first = Entry("ody1_x", ("10.0.0.1:7660",), (("ab", "10.0.0.2:7660"),))
    os.write(pipes.types, first.written() + b"482 913\n")
    assert pipes.typist.entry() == first
    assert typed(pipes) == "482 913"
    assert pipes.shown() == [Shown("123456", "pi4", "anna's mesh", "10.0.0.1:7660")]


def test_a_wrong_code_is_said_with_the_next_question(pipes: Pipes) -> None:
    os.write(pipes.types, b"1\n2\n")
    typed(pipes)
    pipes.typist.was_wrong(WrongCode(2))
    typed(pipes)
    assert [one.wrong for one in pipes.shown()] == ["", "that is not the code (2 tries left)"]


def test_the_name_of_a_stranger_is_printable_and_short(pipes: Pipes) -> None:
    os.write(pipes.types, b"1\n")
    typed(pipes, mesh="\x1b[2J" + "x" * 1000)
    (shown,) = pipes.shown()
    assert len(shown.mesh) <= 64
    assert shown.mesh.isprintable()


def test_who_has_gone_is_not_waited_for(pipes: Pipes) -> None:
    pipes.hang_up()
    with pytest.raises(UsageError, match="has gone before the code was typed"):
        typed(pipes)
    with pytest.raises(Malformed):
        pipes.typist.entry()


def test_a_line_without_an_end_is_bounded(pipes: Pipes) -> None:
    os.write(pipes.types, b"1" * (TYPED + 1))
    with pytest.raises(UsageError):
        typed(pipes)


def test_an_entry_without_an_end_is_bounded(pipes: Pipes) -> None:
    os.write(pipes.types, b"x" * (LONGEST + 1))
    with pytest.raises(Malformed):
        pipes.typist.entry()


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b"null", b'{"invite": "", "addresses": 1, "doors": []}', b"\xff"])
def test_what_is_no_entry_is_refused(line: bytes) -> None:
    with pytest.raises(Malformed):
        entries.read(line)
