"""The parts as a daemon joins them: a keeper, the thread, a store on SQLite, and a loop that nothing holds up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from odyssey.clock import SeededEntropy
from odyssey.errors import OdysseyError
from odyssey.ids import NodeId
from odyssey.mesh.home import SqliteHome
from odyssey.mesh.keeper import AT_ONCE, Keeper
from odyssey.mesh.opening import Opened, open_or_begin_anew
from odyssey.mesh.raft.types import Member, Snapshot
from odyssey.mesh.store import Generation, Settings
from odyssey.mesh.worker import ThreadWorker
from tests.contracts.store_rigs import CONFIG, OTHER, a_snapshot, a_write, entries, slices

BARE = Settings(guard=0, ballast=0)


class Direct:
    """The bulk lane between two keepers in one process."""

    def __init__(self) -> None:
        self.source: Keeper | None = None

    def ask(
        self, source: Member, digest: bytes, first: int, doubted: bool, done: Callable[[Sequence[bytes] | None], None]
    ) -> None:
        assert self.source is not None
        self.source.serve(digest, first, doubted, done)

    def ask_segment(self, source: Member, digest: bytes, start: int, done: Callable[[bytes | None], None]) -> None:
        assert self.source is not None
        self.source.serve_segment(digest, start, done)


class Machine:
    def __init__(self, directory: Path, lane: Direct) -> None:
        directory.mkdir()
        self.home = SqliteHome(directory, SeededEntropy(1), bytes(16), NodeId("a" * 26), Generation(1, b"g"), BARE)
        self.worker = ThreadWorker(asyncio.get_running_loop())
        self._lane = lane

    async def start(self) -> Keeper:
        """Opened where it is used: in the thread."""
        found = await self.asked(lambda: open_or_begin_anew(self.home))
        assert isinstance(found, Opened)
        return Keeper(found.store, self.worker, self._lane, self._failed)

    async def asked(self, job: Callable[[], Opened]) -> Opened | OdysseyError:
        heard: asyncio.Future[Opened | OdysseyError] = asyncio.get_running_loop().create_future()
        self.worker.run(job, heard.set_result)
        return await heard

    def _failed(self, error: OdysseyError) -> None:
        raise error


async def told(call: Callable[[Callable[..., None]], None]) -> object:
    heard: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    call(lambda *found: heard.set_result(found[0] if found else None))
    async with asyncio.timeout(20):
        return await heard


async def life(directory: Path) -> None:
    lane = Direct()
    one, two = Machine(directory / "one", lane), Machine(directory / "two", lane)
    keeper, other = await one.start(), await two.start()
    lane.source = keeper
    pieces = slices("state")
    snapshot = a_snapshot(3, 1, pieces)
    await told(lambda done: keeper.write(a_write(*entries(1, 4), commit=4), done))
    assert await told(lambda done: keeper.save(Snapshot(3, 1, CONFIG), iter(pieces), 4, done)) == snapshot
    assert await told(lambda done: other.fetch(snapshot, OTHER, done)) == pieces
    await told(lambda done: other.write(a_write(*entries(4, 4), commit=3, snapshot=snapshot), done))
    data = bytes(range(256)) * (AT_ONCE // 100)
    digest = sha256(data).digest()
    await told(lambda done: keeper.put_segment(digest, data, done))
    assert await told(lambda done: other.fetch_segment(OTHER, digest, len(data), lambda: None, done)) is True
    for machine, running in ((one, keeper), (two, other)):
        await told(running.close)
        again = await machine.start()
        loaded = await told(lambda done, again=again: again.ask(lambda store: store.load(), done))  # type: ignore[misc]
        assert (loaded.snapshot, loaded.entries) == (snapshot, [*entries(4, 4)])  # type: ignore[attr-defined]
        assert await told(again.segments) == {digest}
        await told(again.close)
        machine.worker.close()


def test_two_daemons_keep_hand_over_and_find_it_all_again(tmp_path: Path) -> None:
    asyncio.run(life(tmp_path))
