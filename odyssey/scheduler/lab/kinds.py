"""The kinds of workloads, one function each. `draw` makes any of them from its name and a seed.

| kind | what it is |
|---|---|
| batch | a handful of arrays, all at once |
| steady | single jobs, one after the other, as they come |
| bursts | quiet, then an array, then quiet |
| tails | arrays whose tasks have heavy-tailed lengths |
| mixed | a few tasks that need a large machine whole, among many small ones |
| users | several people who want different amounts at the same time |
| short | hundreds of tasks of about a second |
| inputs | tasks that need files, which lie on one machine and are large |
| leavers | bursts, on machines that vanish and return |
| owners | bursts, on machines whose owners come and go |
| contrary | commands that are slow just where the measured speed is high |
| stream | one task that needs a whole machine, in an endless stream of small ones |

The first ten are the heterogeneous workloads on which policies are compared: what is drawn there is decided here, once
and before anything is measured. The last two each answer one question and are not averaged into anything.

Promises: the same name, seed and number of machines give the same workload.
Never: is made to suit a policy. Whoever changes a kind repeats all comparisons.
"""

from collections.abc import Callable
from typing import Final

from odyssey.clock import SeededEntropy
from odyssey.ids import UserId
from odyssey.scheduler.lab.draws import between, exponential, log_between, pareto
from odyssey.scheduler.lab.machines import (
    DESKTOP,
    LAPTOP,
    MINUTE_MS,
    Machine,
    cores,
    draw_machine,
    with_leavers,
    with_owners,
)
from odyssey.scheduler.lab.workload import (
    ANNA,
    USERS,
    Part,
    Sketch,
    Tool,
    Workload,
    affinities,
    blob,
    budget,
    finished,
    mesh_of,
    tools,
)

_MOST_TASKS: Final = 320
_JITTER: Final = 30  # percent, between tasks of one array


def draw(kind: str, seed: int, machines: int = 0) -> Workload:
    """`machines`: how many; 0 draws that too."""
    return finished(kind, seed, KINDS[kind](SeededEntropy(seed).fork(kind), machines))


def lengths(entropy: SeededEntropy, tool: Tool, count: int) -> tuple[int, ...]:
    return tuple(entropy.spread(tool.scale, _JITTER) for _ in range(count))


def array(entropy: SeededEntropy, at_ms: int, user: UserId, tool: Tool, count: int) -> Part:
    return Part(at_ms, user, tool, lengths(entropy, tool, count))


def shares(entropy: SeededEntropy, total: int, count: int) -> list[int]:
    """So many whole numbers of different sizes, together about the total, none of them 0."""
    sizes = [log_between(entropy, 100, 1000) for _ in range(count)]
    return [max(1, total * size // sum(sizes)) for size in sizes]


def _batch(entropy: SeededEntropy, count: int) -> Sketch:
    machines = mesh_of(entropy, count)
    known = tools(entropy, between(entropy, 3, 6), machines)
    tasks = min(_MOST_TASKS, cores(machines) * between(entropy, 5, 40) // 10)
    sizes = shares(entropy, tasks, len(known))
    parts = [array(entropy, 0, ANNA, tool, size) for tool, size in zip(known, sizes, strict=True)]
    window = log_between(entropy, 5, 40) * MINUTE_MS
    return Sketch(machines, parts, budget(machines, window, 100), affinities(entropy, known, machines))


def _steady(entropy: SeededEntropy, count: int) -> Sketch:
    machines = mesh_of(entropy, count)
    known = tools(entropy, between(entropy, 3, 8), machines)
    parts, now, gap = [], 0, between(entropy, 8, 25) * 1000
    for _ in range(between(entropy, 120, 240)):
        parts.append(array(entropy, now, ANNA, entropy.choose(known), 1))
        now += exponential(entropy, gap)
    return Sketch(
        machines, parts, budget(machines, now, between(entropy, 30, 95)), affinities(entropy, known, machines)
    )


def _bursts_on(entropy: SeededEntropy, machines: tuple[Machine, ...], users: tuple[UserId, ...]) -> Sketch:
    known = tools(entropy, between(entropy, 3, 5), machines)
    parts, now, gap = [], 0, between(entropy, 4, 12) * MINUTE_MS
    for _ in range(between(entropy, 5, 8)):
        size = max(2, min(_MOST_TASKS // 6, cores(machines) * between(entropy, 2, 15) // 10))
        parts.append(array(entropy, now, entropy.choose(users), entropy.choose(known), size))
        now += exponential(entropy, gap)
    window = len(parts) * gap
    return Sketch(
        machines, parts, budget(machines, window, between(entropy, 30, 80)), affinities(entropy, known, machines)
    )


def _bursts(entropy: SeededEntropy, count: int) -> Sketch:
    return _bursts_on(entropy, mesh_of(entropy, count), (ANNA,))


def _tails(entropy: SeededEntropy, count: int) -> Sketch:
    machines = mesh_of(entropy, count)
    known = tools(entropy, between(entropy, 2, 4), machines)
    tasks = min(_MOST_TASKS, cores(machines) * between(entropy, 10, 50) // 10)
    parts = []
    for tool, size in zip(known, shares(entropy, tasks, len(known)), strict=True):
        heavy = tuple(pareto(entropy, tool.scale // 3, 1.5, 12 * tool.scale) for _ in range(size))
        parts.append(Part(between(entropy, 0, 3) * MINUTE_MS, ANNA, tool, heavy))
    window = log_between(entropy, 5, 40) * MINUTE_MS
    return Sketch(machines, parts, budget(machines, window, 100), affinities(entropy, known, machines))


def whole_machine(entropy: SeededEntropy, machines: tuple[Machine, ...]) -> Tool:
    """Fits only on the larger machines, and there only alone."""
    large = max(machines, key=lambda machine: machine.cpus)
    return Tool("solve", large.cpus, large.memory // 2, between(entropy, 1500, 4000))


def _mixed(entropy: SeededEntropy, count: int) -> Sketch:
    machines = mesh_of(entropy, count)
    small, big = tools(entropy, between(entropy, 2, 5), machines), whole_machine(entropy, machines)
    window, size = log_between(entropy, 15, 60) * MINUTE_MS, min(_MOST_TASKS, cores(machines) * 4)
    parts = [array(entropy, between(entropy, 0, window // 2), ANNA, big, 1) for _ in range(between(entropy, 2, 5))]
    parts += [
        array(entropy, between(entropy, 0, window * 3 // 4), ANNA, entropy.choose(small), part)
        for part in shares(entropy, size, 12)
    ]
    load = budget(machines, window, between(entropy, 50, 95))
    return Sketch(machines, parts, load, affinities(entropy, [*small, big], machines))


def _users(entropy: SeededEntropy, count: int) -> Sketch:
    people = USERS[: between(entropy, 3, 5)]
    machines = mesh_of(entropy, count, people)
    known = tools(entropy, between(entropy, 3, 6), machines)
    sizes = shares(entropy, min(_MOST_TASKS, cores(machines) * 5), len(people))
    parts = [
        array(entropy, between(entropy, 0, 2) * MINUTE_MS, user, entropy.choose(known), size)
        for user, size in zip(people, sizes, strict=True)
    ]
    window = log_between(entropy, 10, 40) * MINUTE_MS
    return Sketch(machines, parts, budget(machines, window, 100), affinities(entropy, known, machines))


def _short(entropy: SeededEntropy, count: int) -> Sketch:
    machines = mesh_of(entropy, count)
    known = [tool._replace(cpus=1) for tool in tools(entropy, between(entropy, 2, 4), machines)]
    parts, now = [], 0
    for _ in range(between(entropy, 4, 8)):
        parts.append(array(entropy, now, ANNA, entropy.choose(known), between(entropy, 25, 80)))
        now += log_between(entropy, 500, 8000)
    tasks = sum(len(part.lengths) for part in parts)
    return Sketch(machines, parts, tasks * log_between(entropy, 400, 3000), affinities(entropy, known, machines))


def _inputs(entropy: SeededEntropy, count: int) -> Sketch:
    machines = mesh_of(entropy, count)
    known = tools(entropy, between(entropy, 3, 5), machines)
    parts, now, gap = [], 0, between(entropy, 1, 4) * MINUTE_MS
    for tool in known * 4:
        origin = entropy.below(len(machines))
        part = array(entropy, now, ANNA, tool, between(entropy, 1, max(2, cores(machines) // 4)))
        parts.append(part._replace(inputs=(blob(entropy, 4),), origin=origin))
        now += exponential(entropy, gap)
    load = budget(machines, len(parts) * gap, between(entropy, 30, 80))
    return Sketch(machines, parts, load, affinities(entropy, known, machines))


def _leavers(entropy: SeededEntropy, count: int) -> Sketch:
    sketch = _bursts_on(entropy, mesh_of(entropy, count), (ANNA,))
    return sketch._replace(machines=with_leavers(entropy.fork("leaving"), sketch.machines, _horizon(sketch)))


def _owners(entropy: SeededEntropy, count: int) -> Sketch:
    sketch = _bursts_on(entropy, mesh_of(entropy, count, USERS[:3]), USERS[:3])
    return sketch._replace(machines=with_owners(entropy.fork("owners"), sketch.machines, _horizon(sketch)))


def _horizon(sketch: Sketch) -> int:
    return 2 * max(part.at_ms for part in sketch.parts)


def _contrary(entropy: SeededEntropy, count: int) -> Sketch:
    """The slowest machine by measure does this command four times as fast as the fastest. One array tries every
    machine, and those that follow leave a choice."""
    owned = [draw_machine(entropy, entropy.choose((LAPTOP, DESKTOP)), number, ANNA) for number in range(count or 8)]
    machines, last = tuple(owned), len(owned) - 1
    tool = tools(entropy, 1, machines)[0]._replace(cpus=1)
    order = sorted(machines, key=lambda machine: machine.speed)
    really = {one.name: round(2000 * 4 ** (-rank / last)) for rank, one in enumerate(order)}
    affinity = {(tool.key, one.name): 1000 * one.speed // really[one.name] for one in machines}
    gap, small = 4 * MINUTE_MS, max(2, cores(machines) // 4)
    parts = [array(entropy, 0, ANNA, tool, 3 * cores(machines))]
    parts += [array(entropy, number * gap, ANNA, tool, small) for number in range(3, 9)]
    return Sketch(machines, parts, budget(machines, 9 * gap, 40), affinity)


def _stream(entropy: SeededEntropy, count: int) -> Sketch:
    """Two hours of somewhat more small work than the mesh can do, without a gap; the big task comes after 5 minutes."""
    machines = mesh_of(entropy, count or 5)
    small, big = tools(entropy, 3, machines), whole_machine(entropy, machines)
    window, every = 120 * MINUTE_MS, 2 * MINUTE_MS
    size = max(2, cores(machines) // 6)
    parts = [array(entropy, at, ANNA, entropy.choose(small), size) for at in range(0, window, every)]
    parts.append(array(entropy, 5 * MINUTE_MS, ANNA, big, 1))
    return Sketch(machines, parts, budget(machines, window, 110), affinities(entropy, [*small, big], machines))


KINDS: Final[dict[str, Callable[[SeededEntropy, int], Sketch]]] = {
    "batch": _batch,
    "steady": _steady,
    "bursts": _bursts,
    "tails": _tails,
    "mixed": _mixed,
    "users": _users,
    "short": _short,
    "inputs": _inputs,
    "leavers": _leavers,
    "owners": _owners,
    "contrary": _contrary,
    "stream": _stream,
}
HETEROGENEOUS: Final = tuple(KINDS)[:10]
