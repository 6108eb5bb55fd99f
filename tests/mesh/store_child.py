"""A process that works with a store, for tests that kill it, compete with it, or take its disk away.

`python -m tests.mesh.store_child WHAT PATH [NUMBER]`. Whatever it says is one word or number a line, flushed at once.
Never: is imported.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from odyssey.clock import SystemEntropy
from odyssey.errors import OdysseyError
from odyssey.mesh.sqlite_store import SqliteStore, create_store, open_store
from odyssey.mesh.store import Settings
from tests.contracts.store_rigs import GENERATION, MESH, NODE, a_snapshot, a_write, entry, slices

MIB = 1 << 20


def say(*words: object) -> None:
    print(*words, flush=True)


def write(path: Path, number: int) -> None:
    """Entries, some in batches, and now and then a snapshot, until somebody kills it."""
    store = _store(path)
    index = store.load().hard.commit
    while True:
        batch = 1 + index % number
        store.write(a_write(*(entry(index + at) for at in range(1, batch + 1)), commit=index + batch))
        index += batch
        say(index)
        if index % 10 == 0:
            pieces = slices(f"up to {index}")
            store.save_snapshot(a_snapshot(index, 1, pieces), index - 5, pieces)


def fill(path: Path, number: int) -> None:
    """On a disk of so many MiB: write until it is full, open again, compact, go on."""
    mount(path.parent, f"size={number}m")
    settings = Settings(guard=0, ballast=number * MIB // 3)
    store = create_store(path, SystemEntropy(), MESH, NODE, GENERATION, settings)
    index = _until_it_fails(store, 0)
    say(store.room().ballast)
    store.close()
    store = open_store(path, MESH, NODE, settings)
    loaded = store.load()
    say(index == len(loaded.entries) == loaded.hard.commit)
    store.save_snapshot(a_snapshot(index, 1, slices("small")), index + 1, slices("small"))
    say(_until_it_fails(store, index) > index)
    store.close()


def crowd(path: Path, number: int) -> None:
    """On a disk that others fill to the last byte while nobody looks."""
    mount(path.parent, f"size={number}m")
    settings = Settings(guard=MIB // 2, ballast=MIB)
    create_store(path, SystemEntropy(), MESH, NODE, GENERATION, settings).close()
    with path.with_name("others").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    say(_said(lambda: open_store(path, MESH, NODE, Settings(guard=0, ballast=0))))
    store = open_store(path, MESH, NODE, settings)
    say(store.room().ballast, store.room().low)
    store.write(a_write(entry(1)))
    store.close()


def _until_it_fails(store: SqliteStore, index: int) -> int:
    while True:
        try:
            store.write(a_write(entry(index + 1, data=bytes(40_000)), commit=index + 1))
        except OdysseyError as error:
            say(type(error).__name__)
            return index
        index += 1


def look(path: Path, number: int) -> None:
    say(_said(lambda: open_store(path, MESH, NODE)))


def read_only(path: Path, number: int) -> None:
    """On a disk that can be written, and then cannot."""
    mount(path.parent, "size=4m")
    say(_said(lambda: _store(path)))
    mount(path.parent, "remount,ro")
    say(_said(lambda: _store(path)))
    say(_said(lambda: create_store(path.with_name("other.db"), SystemEntropy(), MESH, NODE, GENERATION)))


def mount(directory: Path, options: str) -> None:
    """In a mount namespace of this process only: the disk goes with it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(directory)], check=True)


def _store(path: Path) -> SqliteStore:
    settings = Settings(guard=0, ballast=0)
    if path.exists():
        return open_store(path, MESH, NODE, settings)
    return create_store(path, SystemEntropy(), MESH, NODE, GENERATION, settings)


def _said(work: Callable[[], SqliteStore]) -> str:
    try:
        work().close()
    except OdysseyError as error:
        return type(error).__name__
    return "opened"


if __name__ == "__main__":
    {"write": write, "fill": fill, "crowd": crowd, "look": look, "read-only": read_only}[sys.argv[1]](
        Path(sys.argv[2]), int(sys.argv[3])
    )
