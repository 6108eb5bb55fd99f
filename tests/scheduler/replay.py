"""Apply a log from a file and print what came of it: run as a process of its own, with a hash seed of its own.

    python -m tests.scheduler.replay FILE [RELOAD_EVERY]

Promises: prints the state hash and a digest of all events. With RELOAD_EVERY the state is dumped and loaded again after
each so many entries, as if the machine had restarted.
"""

import sys
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from odyssey import wire
from odyssey.commands import Entry
from odyssey.scheduler.apply import apply
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.state import State


def write(file: Path, entries: Iterable[Entry]) -> None:
    with file.open("wb") as out:
        for entry in entries:
            data = wire.encode_log(entry)
            out.write(len(data).to_bytes(4, "big") + data)


def read(file: Path) -> Iterator[Entry]:
    data, at = file.read_bytes(), 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield wire.decode_log(data[at + 4 : at + 4 + length], Entry)
        at += 4 + length


def replay(entries: Iterable[Entry], reload_every: int = 0) -> tuple[str, str]:
    state, told = State(), sha256()
    for entry in entries:
        state, events = apply(state, [entry])
        told.update(wire.encode(events))
        if reload_every and entry.index % reload_every == 0:
            state = load(list(dump(state)))
    return state_hash(state).hex(), told.hexdigest()


if __name__ == "__main__":
    print(*replay(read(Path(sys.argv[1])), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
