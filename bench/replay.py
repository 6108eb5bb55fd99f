"""The same log gives the same state: in every process, under every hash seed, through a snapshot or without.

That is the check; beside it, how fast a log is replayed, and what a snapshot of a hundred thousand live tasks costs.

Promises: a replay decodes every entry from its bytes, in an interpreter of its own; hashes that differ fail the run.
Never: compares with a stored hash: the state's format may change, two replicas of one version may not differ.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.builders import Mesh
from bench.harness import (
    MS,
    Check,
    Effort,
    Figure,
    Result,
    Samples,
    bench,
    cost,
    in_own_process,
    now,
    paired,
    rate,
    timed,
)
from bench.live import LIVE, live_mesh
from bench.traffic import Traffic
from odyssey import wire
from odyssey.commands import Entry
from odyssey.events import CommandFailed
from odyssey.model import LIVE as LIVE_STATES
from odyssey.model import Job, Task
from odyssey.scheduler.apply import apply
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.state import State

HASH_SEEDS: Final = ("0", "1", "4242")
SEED: Final = 20_26
_LENGTH: Final = 4


# -- in a process of its own -------------------------------------------------------------------------------------------


def main() -> None:
    """Replay the log in a file; with a number, through a dump and a load after so many entries."""
    data = Path(sys.argv[1]).read_bytes()
    entries = list(_entries(data))
    at = int(sys.argv[2])
    state, failed = State(), Counter[str]()

    def replay(part: list[bytes]) -> None:
        for one in part:
            _, events = apply(state, [wire.decode_log(one, Entry)])
            failed.update(event.text for event in events if isinstance(event, CommandFailed))

    seconds = timed(lambda: replay(entries[:at]))
    if at:
        state = load(list(dump(state)))
    seconds += timed(lambda: replay(entries[at:]))
    plain: dict[int, object] = {}
    raw = timed(lambda: plain.update((at, msgspec.msgpack.decode(one)) for at, one in enumerate(entries)))
    told = {"hash": state_hash(state).hex(), "seconds": seconds, "raw": raw, "failed": list(failed)}
    print(json.dumps(told))


def _entries(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        stop = at + _LENGTH + int.from_bytes(data[at : at + _LENGTH], "big")
        yield data[at + _LENGTH : stop]
        at = stop


# -- one log, many replays ---------------------------------------------------------------------------------------------


@bench("replay.log")
def log(effort: Effort) -> Iterator[Result]:
    count = effort.size(100_000)
    traffic = Traffic(SEED)
    traffic.run(count)
    mesh = traffic.mesh
    hashes = [state_hash(mesh.state).hex()]
    samples = Samples([], [])
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "log")
        encoded = [wire.encode_log(one) for one in mesh.log]
        file.write_bytes(b"".join(len(one).to_bytes(_LENGTH, "big") + one for one in encoded))
        for reload_at in (0, count // 2):
            for seed in HASH_SEEDS:
                told = in_own_process("bench.replay", (str(file), str(reload_at)), {"PYTHONHASHSEED": seed})
                hashes.append(str(told["hash"]))
                samples.real.append(float(str(told["seconds"])))
                samples.raw.append(float(str(told["raw"])))
                failed += [str(told["failed"])] if told["failed"] else []
    name = f"replay of {count:,} commands"
    yield Check(f"{name}: no entry failed by a bug", not failed, "; ".join(failed) or "none did")
    yield Check(
        f"{name}: the state of {len(hashes)} runs, hash seeds {', '.join(HASH_SEEDS)}, with and without a reload",
        len(set(hashes)) == 1,
        f"equal ({hashes[0][:16]})" if len(set(hashes)) == 1 else f"UNEQUAL ({', '.join(one[:8] for one in hashes)})",
    )
    yield rate(name, "cmd/s", samples, count, "msgspec decodes into plain lists in a dict", note=_kinds(mesh))


def _kinds(mesh: Mesh) -> str:
    live = sum(sum(job.counts[state] for state in LIVE_STATES) for job in mesh.state.jobs.values())
    return f"{len({type(one.command) for one in mesh.log})} kinds, {live:,} tasks live at the end"


# -- snapshots ---------------------------------------------------------------------------------------------------------


@bench("replay.snapshot")
def snapshot(effort: Effort) -> Iterator[Result]:
    """Of jobs and tasks that all have records: a quarter with machines, half single jobs, the rest an array."""
    live = effort.size(LIVE)
    mesh = live_mesh(live)
    first = next(iter(mesh.state.jobs))
    machines = len(mesh.state.nodes)
    left = range(2 * machines, live // 4, 25) if live // 4 > 2 * machines else range(0)
    for turn, start in enumerate(left):
        mesh.assign(first, start, start + 25, 1 + turn % machines)
    slices = list(dump(mesh.state))
    whole = b"".join(slices)
    rows: list[Job | Task] = [*mesh.state.jobs.values(), *mesh.state.tasks.values()]
    encoder = msgspec.msgpack.Encoder()
    encoded = encoder.encode(rows)
    what = f"snapshot of {live:,} live tasks"
    for name, real, raw, raw_is in (
        (f"dump a {what}", lambda: list(dump(mesh.state)), lambda: encoder.encode(rows), "msgspec encodes the rows"),
        (f"load a {what}", lambda: load(slices), lambda: msgspec.msgpack.decode(encoded), "msgspec, plain lists"),
        ("hash of that state", lambda: state_hash(mesh.state), lambda: sha256(whole), "sha256 of the same bytes"),
    ):
        samples = paired(lambda work=real: timed(work), lambda work=raw: timed(work), effort.repeats(5))  # type: ignore[misc]
        note = f"{len(whole) / 1e6:.1f} MB in {len(slices)} slices"
        yield cost(f"replay: {name}", "ms", samples, MS, raw_is, note=note)
    yield _longest_step(effort, mesh)


def _longest_step(effort: Effort, mesh: Mesh) -> Figure:
    """Between two slices the log goes on, so it stands still this long at most: to take the records, or for a slice."""
    samples = Samples([], [])
    for _ in range(effort.repeats(5)):
        times = list(_steps(mesh.state))
        samples.real.append(max(times))
        samples.raw.append(median(times))
    return cost("replay: longest step of that dump", "ms", samples, MS, "its median step")


def _steps(state: State) -> Iterator[float]:
    begin = now()
    for _ in dump(state):
        yield now() - begin
        begin = now()


if __name__ == "__main__":
    main()
