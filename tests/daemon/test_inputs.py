"""What jobs need before they start here: fetched, gone on with, or said not to be had."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from odyssey.api import errands as q
from odyssey.api import requests as r
from odyssey.daemon.inputs import Absent, Inputs
from odyssey.ids import AttemptId, NodeId, task_id
from odyssey.messages import Here, Listed
from odyssey.spec import Blob
from tests.api.counter import FakeCounter, FakeOthers, desk_of, until
from tests.builders import a_spec

KEEPER, OTHER = NodeId("keeper"), NodeId("other")
NAME = bytes(range(16))
ONE = Listed(AttemptId(7), task_id(1, 0))


class Place:
    """A machine that is to run something, and one that keeps what that needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counter = FakeCounter(folder / "keeper")
        self.desk = desk_of(self.counter)
        self.others = FakeOthers()
        self.others.errands[KEEPER] = self.desk.errands
        self.here: dict[AttemptId, Here] = {}
        self.ready, self.grown = 0, list[tuple[bytes, int, bool]]()

    @contextmanager
    def inputs(self) -> Iterator[Inputs]:
        made = Inputs(
            *(self.folder / "blobs", self.folder / "stdin", lambda: self.others, lambda: self.here),
            *(self._count, lambda *grown: self.grown.append(grown)),
        )
        made.begin()
        try:
            yield made
        finally:
            made.close()

    def _count(self) -> None:
        self.ready += 1

    async def put(self, offset: int, data: bytes, is_end: bool = False) -> None:
        put: Any = self.desk.handlers["stdin_put"]
        await put(r.PutStdin(NAME, offset, data, is_end))

    def read(self) -> bytes:
        return (self.folder / "stdin" / NAME.hex()).read_bytes()


def played(folder: Path, play: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        place = Place(folder)
        try:
            await asyncio.wait_for(play(place), 20)
        finally:
            place.desk.close()

    asyncio.run(all_of_it())


READS = a_spec(stdin=NAME)


def test_one_that_is_complete_is_complete_before_the_job_starts(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_000_000)

    async def play(place: Place) -> None:
        for at in range(0, len(data), 200_000):
            await place.put(at, data[at : at + 200_000])
        await place.put(len(data), b"", is_end=True)
        with place.inputs() as inputs:
            while inputs.lacks(ONE, READS):
                assert not place.ready
                await until(lambda: bool(place.ready))
            assert place.read() == data
            assert (tmp_path / "stdin" / f"{NAME.hex()}.end").exists()
            asked = len(place.others.asked)
            assert not inputs.lacks(ONE, READS)
            assert len(place.others.asked) == asked

    played(tmp_path, play)


def test_one_that_is_written_on_is_read_on_while_the_job_runs(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        await place.put(0, b"one ")
        with place.inputs() as inputs:
            assert inputs.lacks(ONE, READS)
            await until(lambda: not inputs.lacks(ONE, READS))
            assert place.read() == b"one "
            await place.put(4, b"two ")
            await until(lambda: place.read() == b"one two ")
            await place.put(8, b"three", is_end=True)
            await until(lambda: place.grown[-1] == (NAME, 13, True))
            assert place.read() == b"one two three"

    played(tmp_path, play)


def test_the_next_daemon_goes_on_for_what_still_runs(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        await place.put(0, b"one ")
        with place.inputs() as inputs:
            assert inputs.lacks(ONE, READS)
            await until(lambda: not inputs.lacks(ONE, READS))
        await place.put(4, b"two", is_end=True)
        with place.inputs():
            await asyncio.sleep(0.05)
            assert place.read() == b"one "
        place.here[ONE.attempt] = Here(ONE.task)
        with place.inputs():
            await until(lambda: place.grown[-1] == (NAME, 7, True))
            assert place.read() == b"one two"

    played(tmp_path, play)


def test_a_machine_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        await place.put(0, b"all", is_end=True)
        place.others.silent.add(KEEPER)
        with place.inputs() as inputs:
            assert inputs.lacks(ONE, READS)
            await until(lambda: len(place.others.asked) > 1)
            assert inputs.lacks(ONE, READS)
            place.others.silent.clear()
            await until(lambda: not inputs.lacks(ONE, READS))
            assert place.read() == b"all"

    played(tmp_path, play)


def test_what_nobody_has_is_said_so_once_it_is_known(tmp_path: Path) -> None:
    async def play(place: Place) -> None:
        with place.inputs() as inputs:
            assert inputs.lacks(ONE, READS)
            await until(lambda: bool(place.ready))
            with pytest.raises(Absent, match="its standard input cannot be had"):
                inputs.lacks(ONE, READS)

    played(tmp_path, play)


def test_words_of_tasks_are_fetched_and_are_those_of_their_name(tmp_path: Path) -> None:
    data = random.Random(2).randbytes(900_000)
    blob = Blob(sha256(data).digest(), len(data))
    needs = a_spec(items=(blob,))

    async def play(place: Place) -> None:
        liar: dict[str, q.Handler] = {}
        chunks = [q.Chunk(b"x" * len(data), len(data), is_complete=True)]

        async def lie(_: q.AskBlob) -> q.Chunk:
            return chunks[0]

        liar["blob-of"] = lie
        honest = place.others.errands.pop(KEEPER)
        place.others.errands[OTHER] = liar
        with place.inputs() as inputs:
            assert inputs.lacks(ONE, needs)
            await until(lambda: bool(place.ready))
            with pytest.raises(Absent, match="is not the file"):
                inputs.lacks(ONE, needs)
            place.others.errands = {KEEPER: honest}
            put: Any = place.desk.handlers["blob_put"]
            for at in range(0, len(data), 250_000):
                await put(r.PutBlob(blob.digest, len(data), at, data[at : at + 250_000]))
            await until(lambda: not inputs.lacks(ONE, needs))
            path = tmp_path / "blobs" / blob.digest.hex()[:2] / blob.digest.hex()
            assert path.read_bytes() == data

    played(tmp_path, play)
