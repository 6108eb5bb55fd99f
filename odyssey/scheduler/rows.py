"""Machines and wishes as numbers that decisions are quick with.

A `Row` is a machine with its free room, a `Wish` what the jobs of one group ask for, with what is known of their run
times.

Promises: made from the records and from what was seen, with nothing added; a plan's own gifts are counted at once.
Never: changes the state, or keeps what a plan has given beyond the plan.
"""

from collections.abc import Mapping
from typing import Final

from odyssey.ids import JobId, NodeNumber, UserId
from odyssey.model import Health, Node, Use
from odyssey.scheduler.feasible import is_open
from odyssey.scheduler.snapshot import OwnerState, Seen
from odyssey.scheduler.state import ANY_NODE, State
from odyssey.spec import Want

_FINE_BITS: Final = 4  # learned times count in steps of about 6 %: less is noise and not worth a new order


class Row:
    """One machine. `free_*` is what may be given, `booked_memory` what the books alone would give, `soft_cpu` what is
    really idle there."""

    __slots__ = (
        "backlog",
        "booked_memory",
        "fixed",
        "free_cpu",
        "free_disk",
        "free_gpus",
        "free_memory",
        "given",
        "health",
        "labels",
        "looks",
        "node",
        "number",
        "open",
        "owner_present",
        "planned",
        "reliability",
        "reserved_for",
        "seen",
        "soft_cpu",
        "stamp",
        "state",
        "total_cpu",
        "total_disk",
        "total_gpus",
        "total_memory",
        "turn",
        "use",
    )

    def __init__(self, number: NodeNumber) -> None:
        self.number = number
        self.stamp = 0  # grows with every change, so that older opinions of it are recognised
        self.planned = False  # holds reservations of a plan: its room must be counted anew
        self.reserved_for: JobId | None = None
        self.turn = 0
        self.fixed = 0  # its own share of every score on it

        self.looks: tuple[object, ...] = ()  # what rankings were told of it last

    def load(self, node: Node, use: Use, seen: Seen, health: Health) -> None:
        if not self.stamp or node is not self.node:
            self._load_facts(node)
        self.use, self.seen, self.health = use, seen, health
        self.state = seen.state
        self.open = is_open(node.removed, node.draining, seen.state, seen.owner)
        self.owner_present = seen.owner is OwnerState.IN_USE
        self.reliability = health.reliability
        self.recount()

    def _load_facts(self, node: Node) -> None:
        self.node = node
        self.labels = dict(node.labels)
        self.total_cpu, self.total_memory = max(1, node.total.cpu_milli), max(1, node.total.memory)
        self.total_gpus, self.total_disk = node.total.gpus, node.total.disk

    def recount(self) -> None:
        use, seen = self.use, self.seen
        self.free_cpu = self.total_cpu - use.cpu_milli
        self.free_memory = self.booked_memory = self.total_memory - use.memory
        if seen.memory_free is not None and seen.memory_free < self.free_memory:
            self.free_memory = seen.memory_free
        self.free_gpus = self.total_gpus - use.gpus
        self.free_disk = self.total_disk - use.disk
        self.soft_cpu = self.free_cpu
        if seen.cpu_free_milli is not None and seen.cpu_free_milli < self.free_cpu:
            self.soft_cpu = seen.cpu_free_milli
        self.backlog = len(use.backlog)
        self.given = 0
        self.planned = False

    def look(self) -> tuple[object, ...]:
        """All that a ranking's opinion of the machine hangs on, besides its facts."""
        return (
            self.fixed,
            self.free_cpu,
            self.free_memory,
            self.booked_memory,
            self.free_gpus,
            self.free_disk,
            self.soft_cpu,
            self.backlog,
            self.open,
            self.state,
            self.owner_present,
            self.seen.pause,
            self.reserved_for,
        )

    def give(self, wish: "Wish", slot: bool) -> None:
        if slot:
            self.free_cpu -= wish.cpu
            self.soft_cpu -= wish.cpu
            self.free_memory -= wish.memory
            self.booked_memory -= wish.memory
            self.free_gpus -= wish.gpus
            self.free_disk -= wish.disk
            self.given += 1
        else:
            self.backlog += 1
        self.planned = True


class Wish:
    """What jobs of one user and want ask for, with what is known of their run times."""

    __slots__ = (
        "anywhere_ms",
        "best_ms",
        "best_speed",
        "cpu",
        "disk",
        "gpus",
        "memory",
        "picky",
        "times",
        "user",
        "want",
    )

    def __init__(self, user: UserId, want: Want, best_speed: int) -> None:
        need = want.need
        self.user, self.want = user, want
        self.cpu, self.memory, self.gpus, self.disk = need.cpu_milli, need.memory, need.gpus, need.disk
        self.picky = bool(want.on or want.avoid or want.needs or want.os or want.arch or want.gpu_memory)
        self.best_speed = best_speed
        self.times: dict[NodeNumber, int] = {}  # on every machine, once anything is known
        self.anywhere_ms = 0  # on the reference machine; 0 while nothing is known
        self.best_ms = 0  # the shortest expected anywhere

    def learn(self, state: State, rows: Mapping[NodeNumber, Row]) -> bool:
        """Take in what is known now; True if it is worth a new order of the machines."""
        key, learned = self.want.key, state.learned
        anywhere = learned.get((key, ANY_NODE)) if key else None
        if anywhere is None:
            anywhere_ms, times = 0, {}
        else:
            anywhere_ms = coarse(anywhere.mean_ms)
            times = {
                number: coarse(known.mean_ms)
                if (known := learned.get((key, number)))
                else max(1, anywhere_ms * 1000 // row.node.speed)
                for number, row in rows.items()
            }
        if anywhere_ms == self.anywhere_ms and times == self.times:
            return False
        self.anywhere_ms, self.times = anywhere_ms, times
        self.best_ms = min(times.values(), default=0)
        return True

    def expected(self, row: Row) -> int:
        """Run time on this machine in ms, 0 while nothing is known of the command anywhere."""
        return self.times[row.number] if self.anywhere_ms else 0

    def slots(self, row: Row) -> int:
        """How many of these the machine takes side by side when it is empty."""
        return max(1, min(row.total_cpu // max(1, self.cpu), row.total_memory // max(1, self.memory)))


def coarse(ms: int) -> int:
    """Rounded down to a few leading bits, never to 0."""
    shift = max(0, ms.bit_length() - _FINE_BITS - 1)
    return max(1, ms >> shift << shift)
