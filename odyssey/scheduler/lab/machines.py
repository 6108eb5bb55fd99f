"""The machines of a home or a small office, drawn: a Pi in the cupboard, old and new laptops, desktops, a workstation.

Speeds differ 1 : 8 per core and sizes 1 : 8 in cores, as they do where nobody bought the machines together. Each mesh
has at least one of the slowest kind and one of the faster two. A full machine is a slower one (shared memory, heat):
by how much is a property of the machine. What a machine tells of itself is what it could know: its measured speed,
whether it is on mains, perhaps how long it will stay.

Promises: frozen data; what leaves comes back, so that no work waits for a machine for ever.
Never: knows the jobs.
"""

import enum
from typing import Final, NamedTuple

from odyssey.clock import Entropy
from odyssey.commands import Facts
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.scheduler.lab.draws import between, exponential, shuffled

GIB: Final = 1 << 30
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
LEAST, MOST = 4, 12  # machines in a mesh
_DISK: Final = 100 * GIB
_SOONEST_BACK_MS: Final = 60_000  # a machine that lost power is not back before its tasks were given away


class What(enum.IntEnum):
    VANISH = 0  # no word: power, lid, cable
    RETURN = 1
    OWNER_IN = 2
    OWNER_OUT = 3


class Change(NamedTuple):
    at_ms: int
    what: What


class Machine(NamedTuple):
    name: str
    owner: UserId
    cpus: int
    memory: int
    speed: int  # per mille of the reference machine, as measured
    crowd: int  # percent that a task takes longer when the machine is full
    link: int  # MiB a second
    mains: bool = True
    tells_stay: bool = False  # whether it knows its hours
    changes: tuple[Change, ...] = ()

    @property
    def facts(self) -> Facts:
        total = Resources(self.cpus * 1000, self.memory, 0, _DISK)
        return Facts(total, speed=self.speed, shared=True)

    @property
    def power(self) -> int:
        """What it does in a second, in milliseconds of the reference core."""
        return self.cpus * self.speed


class Kind(NamedTuple):
    name: str
    cpus: tuple[int, ...]
    speed: tuple[int, int]
    gib: tuple[int, ...]
    crowd: tuple[int, int]
    link: tuple[int, ...]
    portable: bool = False


PI: Final = Kind("pi", (4,), (240, 320), (4, 8), (15, 30), (10, 35))
OLD: Final = Kind("old", (2, 4), (450, 700), (8,), (10, 30), (10, 80))
LAPTOP: Final = Kind("laptop", (4, 8), (800, 1200), (8, 16), (10, 40), (20, 40), portable=True)
DESKTOP: Final = Kind("desktop", (6, 8, 12), (1200, 1700), (16, 32), (5, 25), (40, 110))
STATION: Final = Kind("station", (12, 16), (1700, 2000), (64,), (5, 20), (110,))
KINDS: Final = (PI, OLD, LAPTOP, DESKTOP, STATION)
_COMMON: Final = (PI, OLD, LAPTOP, LAPTOP, DESKTOP, STATION)  # the rest of a mesh is drawn from these


def draw_machines(entropy: Entropy, count: int, owners: tuple[UserId, ...]) -> tuple[Machine, ...]:
    """A mesh in the order in which its machines joined, owned by turns."""
    kinds = [PI, entropy.choose((DESKTOP, STATION))]
    kinds += [entropy.choose(_COMMON) for _ in range(count - len(kinds))]
    return tuple(
        draw_machine(entropy, kind, number, owners[number % len(owners)])
        for number, kind in enumerate(shuffled(entropy, kinds))
    )


def draw_machine(entropy: Entropy, kind: Kind, number: int, owner: UserId) -> Machine:
    return Machine(
        f"{kind.name}-{number + 1}",
        owner,
        entropy.choose(kind.cpus),
        entropy.choose(kind.gib) * GIB,
        between(entropy, *kind.speed),
        between(entropy, *kind.crowd),
        entropy.choose(kind.link),
        mains=not kind.portable or entropy.chance(600),
    )


def power(machines: tuple[Machine, ...]) -> int:
    return sum(machine.power for machine in machines)


def cores(machines: tuple[Machine, ...]) -> int:
    return sum(machine.cpus for machine in machines)


# -- coming and going --------------------------------------------------------------------------------------------------


def with_leavers(entropy: Entropy, machines: tuple[Machine, ...], horizon_ms: int) -> tuple[Machine, ...]:
    """Half of the machines vanish now and then, those on battery more often; some know their hours."""
    return tuple(_leaving(entropy, machine, horizon_ms) if entropy.chance(500) else machine for machine in machines)


def _leaving(entropy: Entropy, machine: Machine, horizon_ms: int) -> Machine:
    stays = horizon_ms // 2 if machine.mains else horizon_ms // 5
    away = max(2 * _SOONEST_BACK_MS, horizon_ms // 8)
    changes = _alternating(entropy, horizon_ms, (What.VANISH, What.RETURN), stays, away)
    return machine._replace(changes=changes, tells_stay=entropy.chance(500))


def with_owners(entropy: Entropy, machines: tuple[Machine, ...], horizon_ms: int) -> tuple[Machine, ...]:
    """Owners of three machines in four sit down at them now and then; what others run there has to go."""
    return tuple(_owned(entropy, machine, horizon_ms) if entropy.chance(750) else machine for machine in machines)


def _owned(entropy: Entropy, machine: Machine, horizon_ms: int) -> Machine:
    steps = (What.OWNER_IN, What.OWNER_OUT)
    changes = _alternating(entropy, horizon_ms, steps, horizon_ms // 3, horizon_ms // 6)
    return machine._replace(changes=changes, tells_stay=entropy.chance(300))


def _alternating(
    entropy: Entropy, horizon_ms: int, steps: tuple[What, What], first_mean: int, second_mean: int
) -> tuple[Change, ...]:
    """First one, then the other, and so on; the last is always the second."""
    changes: list[Change] = []
    now = exponential(entropy, first_mean)
    while now < horizon_ms:
        back = now + _SOONEST_BACK_MS + exponential(entropy, second_mean)
        changes += (Change(now, steps[0]), Change(back, steps[1]))
        now = back + _SOONEST_BACK_MS + exponential(entropy, first_mean)
    return tuple(changes)
