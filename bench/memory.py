"""How many bytes of memory a task takes, in each of its lives.

Counted by tracemalloc in a fresh process that decodes a log and applies it, as a replica does: so every number and text
in the records is counted once, where a shared one is shared in production too.

Promises: the same figure in every run.
Never: measures the process as a whole: the interpreter's own waste is no task's.
"""

import gc
import json
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import msgpack
import msgspec

from bench.builders import Mesh, spec, want
from bench.harness import Effort, Result, bench, in_own_process, size
from odyssey import wire
from odyssey.commands import Entry
from odyssey.model import Attempt, Task, Try
from odyssey.scheduler.apply import apply
from odyssey.scheduler.board import Board
from odyssey.scheduler.plan import plan
from odyssey.scheduler.state import State

WAITING_TARGET: Final = 400.0
TRIED_TARGET: Final = 1024.0
RAW_IS: Final = "bare tuples with the same values"
PER_SUBMIT: Final = 100


def main() -> None:
    print(json.dumps(_LIVES[sys.argv[1]](int(sys.argv[2]))))


# -- in the process of its own -----------------------------------------------------------------------------------------


def waiting_array(count: int) -> dict[str, float]:
    """An array of which nothing has begun."""
    mesh = Mesh(keep=True)
    mesh.submit(spec(count=count))
    state, (spec_only, applied) = grown(mesh.log, (0, 1), decoded_first=True)
    return {"real": (applied - spec_only) / count, "raw": bare([job.runs for job in state.jobs.values()]) / count}


def waiting_singles(count: int) -> dict[str, float]:
    mesh = Mesh(keep=True)
    for _ in range(count // PER_SUBMIT):
        mesh.submit(*(spec() for _ in range(PER_SUBMIT)))
    state, (before, after) = grown(mesh.log, (0, len(mesh.log)))
    return {"real": (after - before) / count, "raw": bare(list(state.jobs.values())) / count}


def running_tasks(count: int) -> dict[str, float]:
    mesh, submitted = _ran(count, finish=False)
    state, (before, after) = grown(mesh.log, (submitted, len(mesh.log)))
    return {"real": (after - before) / count, "raw": bare(_unexplained(state)) / count}


def finished_tasks(count: int) -> dict[str, float]:
    mesh, submitted = _ran(count, finish=True)
    state, (before, after) = grown(mesh.log, (submitted, len(mesh.log)))
    return {"real": (after - before) / count, "raw": bare(_unexplained(state)) / count}


def _ran(count: int, finish: bool) -> tuple[Mesh, int]:
    """An array that was planned, a thousand at a time, and perhaps ended. With the index of its submit."""
    mesh = Mesh(keep=True)
    mesh.machines(100 if finish else count // 4)
    job = mesh.submit(spec(7, want(key="render"), count=count))
    submitted, board = mesh.state.head.index, Board()
    while mesh.state.jobs[job].counts[0]:
        mesh.carry_out(plan(mesh.snapshot(), board))
        if finish:
            mesh.finish(mesh.running())
    return mesh, submitted


def grown(log: list[Entry], marks: tuple[int, int], decoded_first: bool = False) -> tuple[State, tuple[int, int]]:
    """Apply a log from its bytes; the memory in use after so many entries, twice."""
    encoded = [wire.encode_log(one) for one in log]
    log.clear()
    tracemalloc.start()
    state, told = State(), []
    known = [wire.decode_log(one, Entry) for one in encoded] if decoded_first else []
    for start, stop in pairwise((0, *marks)):
        for at in range(start, stop):
            apply(state, [known[at] if decoded_first else wire.decode_log(encoded[at], Entry)])
        gc.collect()
        told.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return state, (told[0], told[1])


def bare(records: list[object]) -> int:
    """What tuples of the same values take, each value its own."""
    encoded = [wire.encode(one) for one in records]
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = [msgpack.unpackb(one, use_list=False) for one in encoded]
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(kept) == len(records)
    return taken


def _unexplained(state: State) -> list[object]:
    """Without the decision records: those are shared by a thousand tasks each."""

    def plain(one: Attempt | Try) -> object:
        return msgspec.structs.replace(one, why=b"")

    def without(task: Task) -> object:
        fields = msgspec.structs.astuple(task)
        return (*fields[:2], tuple(map(plain, task.attempts)), tuple(map(plain, task.tries)), *fields[4:])

    return [without(task) for task in state.tasks.values()]


_LIVES: Final = {
    "waiting_array": waiting_array,
    "waiting_singles": waiting_singles,
    "running_tasks": running_tasks,
    "finished_tasks": finished_tasks,
}


# -- the figures -------------------------------------------------------------------------------------------------------


@bench("memory.tasks")
def tasks(effort: Effort) -> Iterator[Result]:
    count = effort.size(20_000)
    for name, life, target, note in (
        ("waiting task of an array, beyond its spec", "waiting_array", WAITING_TARGET, "all of them are one range"),
        ("waiting single job, with its spec", "waiting_singles", None, ""),
        ("task with a machine", "running_tasks", None, ""),
        ("task that had an attempt: its try, its decision", "finished_tasks", TRIED_TARGET, ""),
    ):
        told = in_own_process("bench.memory", (life, str(count)))
        real, raw = (float(str(told[which])) for which in ("real", "raw"))
        yield size(f"memory per {name}", real, raw, RAW_IS, target, note)


if __name__ == "__main__":
    main()
