"""What will happen to a world, as data: drawn from a seed before the run, written as one line, read from it again.

Each seed draws its own weather, its own rate of faults and its own choice among their kinds, from calm to storm: bugs
that need many crashes and no cut are found by other seeds than those that need both.

Promises: a line and its schedule are the same thing; equal schedules give equal runs.
Never: looks at a world.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from odyssey.clock import SeededEntropy
from tests.sim.faults import KINDS, Fault, Kind
from tests.sim.net import Weather

FAULTY_MS: Final = 60_000
CALM_MS: Final = 15_000  # and then until all is done
MACHINES: Final = 5


class Unreadable(ValueError):
    """This line is no schedule; the text says where."""


class Schedule(NamedTuple):
    seed: int  # of everything that is drawn during the run: the network, the disks, the people, the elections
    machines: int
    voters: int  # at first, and
    learners: int
    weather: Weather
    people_ms: int  # at most so long until somebody acts again
    faults: tuple[Fault, ...]
    faulty_ms: int = FAULTY_MS
    calm_ms: int = CALM_MS

    def line(self) -> str:
        """Seed, machines, times, people, weather and faults between slashes: nothing a shell would touch."""
        head = (
            self.seed,
            f"{self.machines}:{self.voters}+{self.learners}",
            f"{self.faulty_ms}+{self.calm_ms}",
            self.people_ms,
        )
        weather = ",".join(map(str, self.weather))
        faults = ",".join(f"{one.kind}@" + ".".join(map(str, _numbers(one))) for one in self.faults)
        return "/".join((*map(str, head), weather, faults))

    @staticmethod
    def of(line: str) -> Schedule:
        try:
            seed, machines, times, people_ms, weather, faults = line.strip().split("/")
            faulty_ms, calm_ms = map(int, times.split("+"))
            read = tuple(_fault(text) for text in faults.split(",") if text)
            values = Weather(*map(int, weather.split(",")))
            several, _, keepers = machines.partition(":")
            voters, learners = map(int, keepers.split("+"))
            return Schedule(int(seed), int(several), voters, learners, values, int(people_ms), read, faulty_ms, calm_ms)
        except (ValueError, TypeError) as error:
            raise Unreadable(f"no schedule: {error}") from error

    def sentences(self) -> Iterator[str]:
        """For a person who looks for the bug."""
        yield f"{self.machines} machines, at first {self.voters} voters and {self.learners} learners"
        yield f"somebody acts every {self.people_ms} ms at the latest"
        yield f"weather: {', '.join(f'{name} {value}' for name, value in self.weather._asdict().items())}"
        for fault in self.faults:
            yield f"{fault.at_ms / 1000:8.3f} s  {_sentence(fault, self.machines)}"
        yield f"{self.faulty_ms / 1000:8.3f} s  all is mended, and calm for {self.calm_ms / 1000:g} s"


def _numbers(fault: Fault) -> tuple[int, int, int, int]:
    return fault.at_ms, fault.machine, fault.amount, fault.mask


def _fault(text: str) -> Fault:
    kind, _, numbers = text.partition("@")
    if kind not in KINDS:
        raise Unreadable(f"{kind!r} is no kind of fault")
    at_ms, machine, amount, mask = map(int, numbers.split("."))
    return Fault(at_ms, kind, machine, amount, mask)


def _sentence(fault: Fault, machines: int) -> str:
    kind = KINDS[fault.kind]
    amount = f" {fault.amount}" if kind.amounts else ""
    others = [f"n{number}" for number in range(machines) if fault.mask >> number & 1]
    return f"{fault.kind:9} n{fault.machine}{amount}{' ' + ' '.join(others) if kind.masked else ''}"


# -- drawn from a seed -------------------------------------------------------------------------------------------------


def drawn(seed: int) -> Schedule:
    entropy = SeededEntropy(seed).fork("schedule")
    weather = Weather.drawn(entropy.fork("weather"))
    voters, learners = entropy.choose((1, 3, 3, 5, 5)), entropy.below(3)
    people_ms = entropy.choose((400, 1000, 2500))
    gap_ms = entropy.choose((400, 1000, 3000, 10_000))
    faults = tuple(_faults(entropy.fork("faults"), gap_ms, _some_kinds(entropy.fork("kinds"))))
    return Schedule(seed, MACHINES, voters, min(learners, MACHINES - voters), weather, people_ms, faults)


def _some_kinds(entropy: SeededEntropy) -> list[str]:
    """A part of all kinds, each with a weight of its own: it stands here as often as it weighs."""
    share = entropy.choose((300, 600, 900))
    weighed: list[str] = []
    for name, kind in KINDS.items():
        if entropy.chance(share):
            weighed += [name] * (kind.weight * (1 + entropy.below(3)))
    return weighed


def _faults(entropy: SeededEntropy, gap_ms: int, kinds: list[str]) -> Iterator[Fault]:
    at_ms = entropy.below(2 * gap_ms)
    while kinds and at_ms < FAULTY_MS:
        name = entropy.choose(kinds)
        yield _one_fault(entropy, at_ms, name, KINDS[name])
        at_ms += 1 + entropy.below(2 * gap_ms)


def _one_fault(entropy: SeededEntropy, at_ms: int, name: str, kind: Kind) -> Fault:
    machine = entropy.below(MACHINES)
    amount = entropy.below(entropy.choose(kind.amounts)) if kind.amounts else 0
    mask = entropy.below(1 << MACHINES) if kind.masked else 0
    return Fault(at_ms, name, machine, amount, mask)
