"""What a person asks for: a job's specification, and the check that it makes sense.

Promises: frozen data; `faults` names every mistake that can be seen without knowing the mesh, with what would be right.
Never: knows about machines, the log, time, or what was asked before.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from odyssey.ids import MAX_TASKS, JobId, NodeId, UserId
from odyssey.resources import Resources, show_cpus

MAX_PRIORITY: Final = 10
MAX_RETRIES: Final = 1000
MAX_JOBS_AT_ONCE: Final = 1000
RETRY_WORDS: Final = ("exited", "signalled", "timeout")
ITEMS_IN_BLOB: Final = 4096
_MAX_NAME: Final = 64
_MAX_WORDS: Final = 4096
_MAX_ROWS: Final = 0xFFFF  # as much as a terminal can be told


class Blob(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Bytes known by their content hash; the size lets a decision weigh the way they would have to go."""

    digest: bytes
    size: int


class Own(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one task of a job with `items` has of its own."""

    words: tuple[bytes, ...]
    item: bytes = b""  # what it was made for; b"": nothing that could be said in a variable


class Want(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """All of a job that decides where it may go: jobs of one user, priority and want are interchangeable."""

    need: Resources
    key: str = ""  # the command's name: run times are learned per (key, machine)
    gpu_memory: int = 0  # on each GPU
    needs: str = ""  # an expression over machine labels
    os: str = ""
    arch: str = ""
    on: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()


class JobSpec(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One job as submitted. `count` tasks run the same command; task i has the array index start + i * step."""

    user: UserId
    argv: tuple[bytes, ...]
    want: Want
    name: str = ""
    count: int = 1
    start: int = 0
    step: int = 1
    priority: int = 0
    retries: int = 0
    retry_on: tuple[str, ...] = ()  # which of its own failures are retried; () means all of them
    timeout_ms: int = 0  # 0: none
    patience_ms: int = -1  # -1: the mesh's own rule
    memory_is_limit: bool = False  # typed with --mem: reserved and enforced, not only reserved
    once: bool = False
    overlap: bool = False
    held: bool = False
    after: tuple[JobId, ...] = ()
    after_any: tuple[JobId, ...] = ()
    after_here: tuple[int, ...] = ()  # positions in the same submit
    after_any_here: tuple[int, ...] = ()
    cwd: bytes = b""
    env: tuple[tuple[bytes, bytes], ...] = ()
    inputs: tuple[Blob, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    origin: NodeId = NodeId("")  # the machine where it was submitted
    items: tuple[Blob, ...] = ()  # each task's own words, ITEMS_IN_BLOB tasks a piece; argv is what people see
    stdin: bytes = b""  # the name of its standard input, kept at the origin; b"": none
    hidden: tuple[bytes, ...] = ()  # variables whose values nobody is shown
    terminal: tuple[int, int] = (0, 0)  # it gets one, at first with so many rows and columns; (0, 0): none


class SpecFault(NamedTuple):
    """A mistake and its mend, as the two lines a person reads."""

    error: str
    hint: str


def faults(specs: tuple[JobSpec, ...]) -> list[SpecFault]:
    """All mistakes of one submit that are visible in the submit alone; empty when it is sound."""
    if not 1 <= len(specs) <= MAX_JOBS_AT_ONCE:
        return [SpecFault(f"{len(specs)} jobs in one submit", f"send between 1 and {MAX_JOBS_AT_ONCE} jobs at a time")]
    found = [fault for spec in specs for fault in _own_faults(spec)]
    found += _reference_faults(specs)
    return found or _cycle_faults(specs)


def _own_faults(spec: JobSpec) -> Iterator[SpecFault]:
    if not spec.argv or not spec.argv[0]:
        yield SpecFault(
            "there is no command to run", "write the command after --, for example: odyssey run -- hostname"
        )
    if len(spec.argv) > _MAX_WORDS:
        yield SpecFault(f"the command has {len(spec.argv)} words", f"at most {_MAX_WORDS}; put long lists into a file")
    if not spec.user:
        yield SpecFault("the job has no user", "submit it through a machine of the mesh")
    if len(spec.name) > _MAX_NAME or not spec.name.isprintable():
        yield SpecFault("the job's name is too long or not printable", f"use at most {_MAX_NAME} printable characters")
    if not 1 <= spec.count <= MAX_TASKS:
        yield SpecFault(f"an array of {spec.count} tasks", f"use between 1 and {MAX_TASKS} tasks")
    if spec.step == 0 and spec.count > 1:
        yield SpecFault("the array's step is 0", "use a step such as 1: --array 0-99")
    yield from _bytes_faults(spec)
    yield from _number_faults(spec)
    if spec.terminal != (0, 0):
        yield from _terminal_faults(spec)


def _bytes_faults(spec: JobSpec) -> Iterator[SpecFault]:
    """What no system could start, and every machine would have to refuse."""
    if any(b"\0" in word for word in (*spec.argv, spec.cwd, *(part for pair in spec.env for part in pair))):
        yield SpecFault(
            "the command, its directory or its environment holds a NUL byte", "hand such bytes over in a file"
        )
    if any(not name or b"=" in name for name, _ in spec.env):
        yield SpecFault("a variable of the environment has no proper name", "write --env NAME=VALUE")


def _number_faults(spec: JobSpec) -> Iterator[SpecFault]:
    if not -MAX_PRIORITY <= spec.priority <= MAX_PRIORITY:
        yield SpecFault(f"--priority {spec.priority} is out of range", f"use -{MAX_PRIORITY} to {MAX_PRIORITY}")
    if not 0 <= spec.retries <= MAX_RETRIES:
        yield SpecFault(f"--retries {spec.retries} is out of range", f"use 0 to {MAX_RETRIES}")
    for word in spec.retry_on:
        if word not in RETRY_WORDS:
            yield SpecFault(f"--retry-on {word[:40]!r} is not known", f"use one of: {', '.join(RETRY_WORDS)}")
    if spec.timeout_ms < 0:
        yield SpecFault("--timeout is negative", "write a duration such as --timeout 2h, or leave it out")
    if spec.patience_ms < -1:
        yield SpecFault("--patience is negative", "write a duration such as --patience 5m, or leave it out")
    if spec.want.need.cpu_milli < 10:
        yield SpecFault(f"--cpus {show_cpus(spec.want.need.cpu_milli)} is too little", "use at least --cpus 0.01")
    if spec.once and spec.overlap:
        yield SpecFault(
            "--once and --overlap ok contradict each other", "a job that may never run twice cannot overlap"
        )
    if spec.once and spec.retries:
        yield SpecFault("--once and --retries contradict each other", "leave one of them out")
    if any(blob.size < 0 for blob in (*spec.inputs, *spec.items)):
        yield SpecFault("an input has a negative size", "send the inputs again")


def _terminal_faults(spec: JobSpec) -> Iterator[SpecFault]:
    if not all(1 <= size <= _MAX_ROWS for size in spec.terminal):
        yield SpecFault("the terminal has no proper size", f"use 1 to {_MAX_ROWS} rows and columns")
    if spec.count > 1 or spec.items:
        yield SpecFault("a terminal is for one task, and this job has several", "leave -t out, or run one command")
    if spec.stdin:
        yield SpecFault("a job with a terminal reads its terminal, and no other input", "leave -t out, or the input")


def _reference_faults(specs: tuple[JobSpec, ...]) -> Iterator[SpecFault]:
    for position, spec in enumerate(specs):
        for other in (*spec.after_here, *spec.after_any_here):
            if not 0 <= other < len(specs):
                yield SpecFault(
                    f"{_called(specs, position)} waits for job {other} of this submit, which has {len(specs)}",
                    "name a job that is part of the same submit",
                )
            elif other == position:
                yield SpecFault(f"{_called(specs, position)} waits for itself", "remove it from its own dependencies")


def _cycle_faults(specs: tuple[JobSpec, ...]) -> list[SpecFault]:
    """Remove jobs whose parents are gone until none is left; what stays is a cycle or waits for one."""
    parents = [set(spec.after_here) | set(spec.after_any_here) for spec in specs]
    children: list[list[int]] = [[] for _ in specs]
    for position, mine in enumerate(parents):
        for parent in mine:
            children[parent].append(position)
    free = [position for position, mine in enumerate(parents) if not mine]
    left = set(range(len(specs))) - set(free)
    while free:
        done = free.pop()
        for child in children[done]:
            parents[child].discard(done)
            if not parents[child] and child in left:
                left.discard(child)
                free.append(child)
    return [_cycle_fault(specs, parents, left)] if left else []


def _cycle_fault(specs: tuple[JobSpec, ...], parents: list[set[int]], left: set[int]) -> SpecFault:
    """Every job left has a parent left, so walking to parents must come back: that way back is the cycle."""
    walk = [min(left)]
    while (following := min(parents[walk[-1]] & left)) not in walk:
        walk.append(following)
    cycle = walk[walk.index(following) :]
    names = " -> ".join(_called(specs, position) for position in [*cycle, following])
    return SpecFault(f"these jobs wait for each other: {names}", "remove one of these dependencies")


def _called(specs: tuple[JobSpec, ...], position: int) -> str:
    return specs[position].name or f"job {position} of this submit"
