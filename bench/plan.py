"""The planner: a thousand assignments out of a hundred thousand tasks, one task, and what a long queue costs.

Cold is the first plan of a new coordinator; warm is any later one: the plan before it was carried out and its tasks
ended. With known run times the planner also holds slow machines back, so those are measured apart.

Promises: a plan is timed with all that it needs (`sync` over every machine), and what it decided is carried out.
Never: counts the carrying out: that is `apply`'s.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from bench.builders import GIB, MIB, Mesh, learned, spec, want
from bench.harness import MS, Effort, Figure, Result, Samples, bench, cost, paired, timed
from odyssey.commands import Report, ReportAttempts
from odyssey.model import Outcome
from odyssey.scheduler.board import Board
from odyssey.scheduler.plan import Plan, plan
from odyssey.spec import Want

MACHINES = 1000
THOUSAND = 1000
TARGET_MS, ONE_TARGET_MS = 150.0, 2.0
FLAT_RAW = f"1 pass over {MACHINES:,} tuples"


def passes(count: int) -> float:
    """The least that can find the best of a thousand machines: a look at each, the same sum with plain numbers."""
    rows = [(4000, 3000, 16 * GIB, 8 * GIB, 900 + at % 100, 500 + at) for at in range(MACHINES)]

    def once() -> None:
        for _ in range(count):
            best = -1
            for total_cpu, cpu, total_memory, memory, speed, fixed in rows:
                room = min(1000 * (cpu - 1000) // total_cpu, 1000 * (memory - GIB) // total_memory)
                value = fixed + 20 * room + 60 * (1000 * speed // 1900)
                if value > best:
                    best = value

    return timed(once)


def planned(mesh: Mesh, board: Board, most: int = THOUSAND) -> tuple[Plan, float]:
    """A plan and the seconds it took."""
    made: list[Plan] = []
    passed = timed(lambda: made.append(plan(mesh.snapshot(), board, most=most)))
    return made[0], passed


# -- a thousand at once ------------------------------------------------------------------------------------------------


def wished(number: int, known: bool) -> Want:
    memory = (256 + 16 * (number % 1000)) * MIB
    return want(cpus=(0.5, 1, 1.5, 2)[number % 4], memory=memory, key=f"tool-{number}" if known else "")


def one_array(mesh: Mesh, known: bool) -> None:
    mesh.submit(spec(0, wished(1, known), count=130_000))


def many_wants(mesh: Mesh, known: bool) -> None:
    """Fifty wants of five people, more than two thousand tasks each, in jobs of twenty that come in turns."""
    for _ in range(130):
        mesh.submit(*(spec(number % 5, wished(number, known), count=20) for number in range(50)))


def distinct_wants(mesh: Mesh, known: bool) -> None:
    """The worst: a thousand wants of eight people, and their jobs come in turns."""
    wants = [wished(number, known) for number in range(1000)]
    for _ in range(130):
        mesh.submit(*(spec(number % 8, one) for number, one in enumerate(wants)))


def only_slow_free(mesh: Mesh, known: bool) -> None:
    """As `many_wants`, but the faster machines are taken: each task has to ask whether to wait for one of them."""
    for node in list(mesh.state.nodes.values()):
        if node.speed >= 1400:
            half = want(cpus=node.total.cpu_milli / 2000, key="tool-3")
            mesh.assign(mesh.submit(spec(0, half, count=2)), 0, 2, node.number)
    many_wants(mesh, known)


class Mix(NamedTuple):
    name: str
    fill: Callable[[Mesh, bool], None]
    wants: int
    known: bool = False  # how long the commands take


MIXES = (
    Mix("1 array", one_array, 1),
    Mix("1 array, times known", one_array, 1, True),
    Mix("50 wants", many_wants, 50),
    Mix("50 wants, times known", many_wants, 50, True),
    Mix("50 wants, times known, only slow machines free", only_slow_free, 50, True),
    Mix("1,000 wants", distinct_wants, 1000),
)


class Rounds:
    """Plans until a thousand tasks are placed, each plan carried out before the next; then these tasks end."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._others = set(mesh.running())
        self.longest: list[float] = []
        self.plans = 0

    def run(self, board: Board) -> float:
        total = longest = 0.0
        left, self.plans = THOUSAND, 0
        while left > 0:
            made, passed = planned(self._mesh, board, left)
            assert made.assigned, "the mesh has room, so something is placed"
            total, longest, left = total + passed, max(longest, passed), left - made.assigned
            self.plans += 1
            self._mesh.carry_out(made)
        self._mesh.finish(held for held in self._mesh.running() if held not in self._others)
        self.longest.append(longest)
        return total


@bench("plan.thousand")
def thousand(effort: Effort) -> Iterator[Result]:
    for mix in MIXES:
        mesh = Mesh()
        mesh.machines(MACHINES)
        if mix.known:
            learned(mesh, [f"tool-{number}" for number in range(50)])
        mix.fill(mesh, mix.known)
        kept = Board()
        Rounds(mesh).run(kept)
        yield from _thousand(effort, Rounds(mesh), f"{mix.name}, cold", mix.wants, Board)
        yield from _thousand(effort, Rounds(mesh), f"{mix.name}, warm", mix.wants, partial(_same, kept))


def _same(board: Board) -> Board:
    return board


def _thousand(effort: Effort, rounds: Rounds, name: str, wants: int, board: Callable[[], Board]) -> Iterator[Figure]:
    title, raw_is = f"plan 1,000 of 100,000: {name}", f"{wants:,} passes over {MACHINES:,} tuples"
    samples = paired(lambda: rounds.run(board()), partial(passes, wants), effort.repeats(10))
    yield cost(title, "ms", samples, MS, raw_is, TARGET_MS, f"{rounds.plans} plans" if rounds.plans > 1 else "")
    if rounds.plans > 1:
        yield cost(f"{title}, longest plan", "ms", Samples(rounds.longest, samples.raw), MS, raw_is, TARGET_MS)


# -- one task ----------------------------------------------------------------------------------------------------------


@bench("plan.one")
def one_task(effort: Effort) -> Iterator[Result]:
    mesh = Mesh()
    mesh.machines(MACHINES)
    kept = Board()

    def once(board: Callable[[], Board], beats: bool = False) -> float:
        mesh.submit(spec(0, want()))
        if beats:
            mesh.beat(mesh.state.head.index)
        made, passed = planned(mesh, board())
        assert made.assigned == 1
        mesh.carry_out(made)
        mesh.finish(mesh.running())
        return passed

    def figure(name: str, board: Callable[[], Board], beats: bool = False) -> Figure:
        samples = paired(lambda: once(board, beats), partial(passes, 1), effort.repeats(50))
        return cost(f"plan 1 task over {MACHINES:,} machines: {name}", "ms", samples, MS, FLAT_RAW, ONE_TARGET_MS)

    once(lambda: kept)
    yield figure("cold", Board)
    yield figure("warm", lambda: kept)
    yield figure("warm, after a new beat of every machine", lambda: kept, beats=True)


@bench("plan.hopeless")
def hopeless(effort: Effort) -> Iterator[Result]:
    """A thousand tasks ran out of memory on the biggest machine: each must be passed over, and that in every plan."""
    mesh = Mesh()
    mesh.machines(MACHINES)
    biggest = max(mesh.state.nodes.values(), key=lambda node: node.total.memory).number
    job = mesh.submit(spec(0, want(0.01, MIB), count=THOUSAND))
    mesh.assign(job, 0, THOUSAND, biggest)
    ran_out = tuple(Report(attempt, task, Outcome.OOM) for _, attempt, task in mesh.running())
    mesh.do(ReportAttempts(biggest, ran_out))
    board = Board()

    def once() -> float:
        mesh.submit(spec(0, want()))
        made, passed = planned(mesh, board)
        assert made.assigned == 1
        mesh.carry_out(made)
        mesh.finish(mesh.running())
        return passed

    samples = paired(once, partial(passes, 1), effort.repeats(5))
    name = f"plan 1 task beside {THOUSAND:,} that no machine has the memory for"
    yield cost(name, "ms", samples, MS, FLAT_RAW, TARGET_MS)


# -- a long queue ------------------------------------------------------------------------------------------------------


@bench("plan.flat")
def flat(effort: Effort) -> Iterator[Result]:
    """The mesh is full; one task ends; what does the next plan cost? The same, whatever waits."""
    for waiting in (1_000, 10_000, 100_000) if effort.quick else (1_000, 10_000, 100_000, 1_000_000):
        mesh = _full()
        for number in range(waiting // 100):
            mesh.submit(*(spec(number % 5, wished(number % 20, False), count=10) for _ in range(10)))
        yield _after_one(effort, mesh, f"20 wants, {waiting:,} tasks wait")
    mesh = _full()
    for number in range(1000):
        mesh.submit(spec(number % 5, wished(number % 100, False), count=100))
    yield _after_one(effort, mesh, "100 wants, 100,000 tasks wait")


def _full() -> Mesh:
    """No room anywhere; and tasks that end leave room for one of any want."""
    mesh = Mesh()
    mesh.machines(MACHINES, cpus=(4,))
    job = mesh.submit(spec(7, want(cpus=2), count=2 * MACHINES))
    for number in range(MACHINES):
        mesh.assign(job, 2 * number, 2 * number + 2, number + 1)
    return mesh


def _after_one(effort: Effort, mesh: Mesh, name: str) -> Figure:
    board = Board()
    while (made := plan(mesh.snapshot(), board)).more:
        mesh.carry_out(made)

    def once() -> float:
        mesh.finish(mesh.running()[:1])
        made, passed = planned(mesh, board)
        assert made.assigned
        mesh.carry_out(made)
        return passed

    once()
    samples = paired(once, partial(passes, 1), effort.repeats(50))
    return cost(f"plan after 1 task ended: {name}", "ms", samples, MS, FLAT_RAW)
