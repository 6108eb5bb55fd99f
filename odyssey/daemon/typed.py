"""Who sits at this machine while it joins: shown a code through one pipe, heard through another one.

Promises: when whoever sits there has gone, that is an error, so that nothing waits for him.
Never: reads more than a line of a person, or writes on a terminal.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Final

from odyssey.entry import LONGEST, TYPED, Entry, Shown, read
from odyssey.errors import Malformed, UsageError, echo
from odyssey.mesh.company import written
from odyssey.mesh.links.pairing import Door, Person
from odyssey.mesh.trust.pairing import WrongCode

MOST_NAME: Final = 64


class Typist(Person):
    """`name` is what this machine asks for; `hears` and `shows` are pipes."""

    def __init__(self, name: str, hears: int, shows: int) -> None:
        self._name, self._hears, self._shows = name, hears, shows
        self._came, self._wrong = b"", ""

    def entry(self) -> Entry:
        """The first line, which is there from the start."""
        while b"\n" not in self._came:
            piece = os.read(self._hears, LONGEST)
            self._came += piece
            if not piece or len(self._came) > LONGEST:
                raise Malformed("the daemon was not told what to join with")
        line, _, self._came = self._came.partition(b"\n")
        return read(line)

    async def type(self, code: str, mesh: str, door: Door) -> str:
        at = written(door.host, door.port)
        shown = Shown(code, self._name, echo(mesh, MOST_NAME), at, self._wrong)
        os.write(self._shows, json.dumps(shown._asdict()).encode() + b"\n")
        return await self._line()

    def was_wrong(self, error: WrongCode) -> None:
        self._wrong = error.message

    async def _line(self) -> str:
        while b"\n" not in self._came:
            await _readable(self._hears)
            piece = os.read(self._hears, TYPED)
            self._came += piece
            if not piece or len(self._came) > TYPED:
                raise UsageError("whoever began this has gone before the code was typed", hint="odyssey join")
        line, _, self._came = self._came.partition(b"\n")
        return line.decode("utf-8", "replace")


async def _readable(file: int) -> None:
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    take: Callable[[], None] = came.set
    loop.add_reader(file, take)
    try:
        await came.wait()
    finally:
        loop.remove_reader(file)
