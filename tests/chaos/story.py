"""What will go wrong in a run, and when: drawn from a seed before it begins.

Trouble comes in spells. In a gentle one fewer machines fail at a time than the mesh can do without; in a rough one any
number may. Every trouble ends by itself, and between spells there is a moment of peace.

Promises: equal seeds give equal stories.
Never: looks at a lab.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from odyssey.clock import SeededEntropy

GENTLE: Final = 70  # of a hundred spells
PEACE_S: Final = 4
LONGEST_S: Final = 25


class Kind(NamedTuple):
    name: str
    weight: int
    least_s: int
    most_s: int
    is_down: bool  # nobody can reach it meanwhile


KINDS: Final = (
    Kind("power", 4, 1, 20, True),  # off, and on again later
    Kind("daemon", 4, 0, 0, True),  # killed; its hands start it again
    Kind("hands", 2, 0, 0, True),  # the supervisor is killed, and with it what it holds
    Kind("restart", 2, 0, 0, True),  # down and up, in order
    Kind("leave", 1, 3, 15, True),  # down --now, and up later
    Kind("freeze", 3, 1, 18, True),  # all of it stands still
    Kind("cut", 4, 1, 20, True),  # its cable is out
    Kind("one way", 2, 3, 15, False),  # it hears nothing of another one
    Kind("delay", 2, 5, 15, False),
    Kind("loss", 2, 5, 15, False),
    Kind("clock", 2, 5, 20, False),  # its wall clock is wrong
)


class Trouble(NamedTuple):
    at_ms: int  # since the story began
    kind: str
    machine: int
    for_ms: int
    amount: int = 0  # of what its kind counts in

    @property
    def until_ms(self) -> int:
        return self.at_ms + self.for_ms

    def __str__(self) -> str:
        return (
            f"{self.at_ms / 1000:7.1f} s  {self.kind} h{self.machine + 1} for {self.for_ms / 1000:.1f} s {self.amount}"
        )


def story(seed: int, machines: int, seconds: int) -> tuple[Trouble, ...]:
    return tuple(sorted(_told(SeededEntropy(seed), machines, 1000 * seconds)))


def _told(chance: SeededEntropy, machines: int, until: int) -> Iterator[Trouble]:
    now = 1000 * PEACE_S
    while now < until:
        at_a_time = max(1, (machines - 1) // 2) if chance.below(100) < GENTLE else machines
        spell = tuple(_spell(chance, machines, now, at_a_time))
        yield from (one for one in spell if one.at_ms < until)
        now = max(one.until_ms for one in spell) + 1000 * PEACE_S


def _spell(chance: SeededEntropy, machines: int, now: int, at_a_time: int) -> Iterator[Trouble]:
    those = list(range(machines))
    for _ in range(1 + chance.below(at_a_time)):
        kind = _drawn(chance, KINDS)
        machine = those.pop(chance.below(len(those)))
        lasts = 1000 * kind.least_s + chance.below(1 + 1000 * (kind.most_s - kind.least_s))
        yield Trouble(
            now + chance.below(6_000), kind.name, machine, lasts, _amount(chance, kind.name, machines, machine)
        )


def _drawn(chance: SeededEntropy, kinds: Sequence[Kind]) -> Kind:
    at = chance.below(sum(one.weight for one in kinds))
    for kind in kinds:
        at -= kind.weight
        if at < 0:
            return kind
    raise AssertionError("weights are counted wrong")


def _amount(chance: SeededEntropy, kind: str, machines: int, machine: int) -> int:
    match kind:
        case "one way":
            return (machine + 1 + chance.below(machines - 1)) % machines
        case "delay":
            return 5 + chance.below(150)
        case "loss":
            return 2 + chance.below(25)
        case "clock":
            return chance.choose((-172_800, -3_600, -30, 30, 3_600, 172_800))
    return 0
