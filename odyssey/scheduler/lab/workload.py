"""What people ask of a mesh, drawn: commands they use, jobs made of them, when they come, how long each task really is.

A workload is everything that two policies must have in common to be compared: machines and their coming and going,
submissions, the true work of every task, and how well each command suits each machine (`affinity`), which nobody can
know before it was tried. Amounts are set relative to what the mesh can do, so that small and large meshes are equally
busy.

Promises: frozen data; kind, seed and number of machines say all.
Never: knows a policy or a decision.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from odyssey.clock import SeededEntropy
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.scheduler.lab.draws import between, log_between
from odyssey.scheduler.lab.machines import GIB, LEAST, MOST, Machine, draw_machines, power
from odyssey.spec import Blob, JobSpec, Want

ANNA: Final = UserId("anna")
USERS: Final = (ANNA, UserId("ben"), UserId("chloe"), UserId("dinah"), UserId("emil"))
_NAMES: Final = ("render", "train", "encode", "compile", "align", "simulate", "index", "sweep", "lint", "fold")
_AFFINITY: Final = (740, 1350)  # the same command on machines of equal speed: caches, instructions, memory
_LEAST_MS: Final = 50
_WHOLE: Final = 1000


class Tool(NamedTuple):
    """A command people use: what it needs, and how long it is compared with the others of the workload."""

    key: str
    cpus: int
    memory: int
    scale: int

    @property
    def want(self) -> Want:
        return Want(Resources(self.cpus * 1000, self.memory), key=self.key)


class Part(NamedTuple):
    """A job before its lengths are fitted to the mesh."""

    at_ms: int
    user: UserId
    tool: Tool
    lengths: tuple[int, ...]  # relative to each other and to the other parts
    inputs: tuple[Blob, ...] = ()
    origin: int = 0  # the machine it is submitted from, which holds the inputs

    @property
    def weight(self) -> int:
        return self.tool.cpus * sum(self.lengths)


class Submission(NamedTuple):
    at_ms: int
    spec: JobSpec
    works: tuple[int, ...]  # of each task, in ms on the reference machine
    origin: int


class Workload(NamedTuple):
    kind: str
    seed: int
    machines: tuple[Machine, ...]
    submissions: tuple[Submission, ...]  # by time
    affinity: Mapping[tuple[str, str], int]  # (command, machine) -> per mille of the time its speed lets expect

    @property
    def tasks(self) -> int:
        return sum(len(one.works) for one in self.submissions)

    @property
    def users(self) -> tuple[UserId, ...]:
        return tuple(dict.fromkeys(one.spec.user for one in self.submissions))

    def run_ms(self, key: str, work: int, machine: Machine) -> int:
        """On the machine when it is otherwise empty."""
        return max(1, work * 1000 // machine.speed * self.affinity.get((key, machine.name), _WHOLE) // _WHOLE)

    def best_ms(self, spec: JobSpec, work: int) -> int:
        """On the machine that suits it best, of those it fits on."""
        need = spec.want.need
        fitting = [one for one in self.machines if need.fits(one.facts.total)]
        return min((self.run_ms(spec.want.key, work, one) for one in fitting), default=1)


class Sketch(NamedTuple):
    """What a kind of workload draws; `draw` makes a `Workload` of it."""

    machines: tuple[Machine, ...]
    parts: list[Part]
    budget: int  # core-milliseconds of reference work in all
    affinity: Mapping[tuple[str, str], int]


def mesh_of(entropy: SeededEntropy, count: int, owners: tuple[UserId, ...] = (ANNA,)) -> tuple[Machine, ...]:
    return draw_machines(entropy.fork("machines"), count or between(entropy, LEAST, MOST), owners)


def tools(entropy: SeededEntropy, count: int, machines: tuple[Machine, ...], widest: int = 2) -> list[Tool]:
    """Different commands: mostly of one core, their usual lengths up to 1 : 8."""
    memory = min(machine.memory // machine.cpus for machine in machines)
    first = entropy.below(len(_NAMES))
    return [
        Tool(
            _NAMES[(first + number) % len(_NAMES)],
            cpus := 1 if entropy.chance(700) else between(entropy, 1, widest),
            cpus * between(entropy, memory // 4, memory),
            log_between(entropy, 350, 2800),
        )
        for number in range(count)
    ]


def affinities(entropy: SeededEntropy, known: list[Tool], machines: tuple[Machine, ...]) -> dict[tuple[str, str], int]:
    return {(tool.key, one.name): log_between(entropy, *_AFFINITY) for tool in known for one in machines}


def budget(machines: tuple[Machine, ...], window_ms: int, load_percent: int) -> int:
    """Work that keeps the mesh so busy for so long, if it were spread evenly."""
    return power(machines) * window_ms // 1000 * load_percent // 100


def finished(kind: str, seed: int, sketch: Sketch) -> Workload:
    """Lengths become milliseconds that add up to the budget; jobs are in the order they come."""
    whole = sum(part.weight for part in sketch.parts)
    parts = sorted(sketch.parts, key=lambda part: part.at_ms)
    submissions = tuple(
        Submission(
            part.at_ms,
            JobSpec(part.user, (part.tool.key.encode(),), part.tool.want, count=len(part.lengths), inputs=part.inputs),
            tuple(max(_LEAST_MS, length * sketch.budget // whole) for length in part.lengths),
            part.origin,
        )
        for part in parts
    )
    return Workload(kind, seed, sketch.machines, submissions, sketch.affinity)


def blob(entropy: SeededEntropy, most_gib: int) -> Blob:
    return Blob(entropy.token(32), log_between(entropy, GIB // 32, most_gib * GIB))
