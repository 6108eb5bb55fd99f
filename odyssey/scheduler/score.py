"""How good is this machine for this task? A plain sum of visible terms, each with a weight that people can change.

Every term is a whole number from 0 to 1000, 500 where the machine has not told. Two count down from 0: locality a point
for each MiB that would have to move, as far as -8000, and turn a point for each machine whose turn is earlier. A score
is the sum of weight times term. Nothing else decides: no hidden bonus, no order of evaluation.

Promises: exact integers; `total` and `parts` are the same sum, once as a number and once spelled out.
Never: excludes a machine (that is `feasible`'s) or changes its answer with the order of the machines.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from odyssey.scheduler.snapshot import OwnerState

if TYPE_CHECKING:
    from odyssey.scheduler.rows import Row, Wish

MAX_WEIGHT: Final = 1000
UNKNOWN: Final = 500
_HOUR_MS: Final = 3_600_000
_MIB: Final = 1 << 20
_FURTHEST: Final = -8000

_OWNER: Final = {None: UNKNOWN, OwnerState.FREE: 1000, OwnerState.IN_USE: 0, OwnerState.PAUSED: 0}

Weights = Mapping[str, int]


# -- terms of the machine alone: computed once, when the machine changes -----------------------------------------------


def reliability(row: "Row") -> int:
    return row.reliability


def owner(row: "Row") -> int:
    """Work disturbs an owner at the keyboard, and their return disturbs the work."""
    return _OWNER[row.seen.owner]


def power(row: "Row") -> int:
    return UNKNOWN if row.seen.mains is None else 1000 * row.seen.mains


def stay(row: "Row") -> int:
    """Expected to stay an hour or more is as good as it gets."""
    return UNKNOWN if row.seen.stay_ms is None else max(0, min(1000, 1000 * row.seen.stay_ms // _HOUR_MS))


def turn(row: "Row") -> int:
    """How long ago the machine was given something, counted in turns."""
    return -row.turn


# -- terms of the machine and the task ---------------------------------------------------------------------------------


def room(wish: "Wish", row: "Row") -> int:
    """What stays free after the placement: the scarcer of cpu and memory."""
    cpu = 1000 * (row.soft_cpu - wish.cpu) // row.total_cpu
    memory = 1000 * (row.free_memory - wish.memory) // row.total_memory
    return max(0, min(cpu, memory))


def fill(wish: "Wish", row: "Row") -> int:
    return 1000 - room(wish, row)


def speed(wish: "Wish", row: "Row") -> int:
    """1000 for the fastest: by learned run times of this command where there are any, else by the measured factor."""
    expected = wish.expected(row)
    if expected:
        return 1000 * wish.best_ms // expected
    return 1000 * row.node.speed // wish.best_speed


def locality(row: "Row", inputs: Mapping[bytes, int]) -> int:
    missing = sum(size for digest, size in inputs.items() if digest not in row.seen.blobs)
    return max(_FURTHEST, -missing // _MIB)


MACHINE_TERMS: Final[dict[str, Callable[["Row"], int]]] = {
    "reliability": reliability,
    "owner": owner,
    "power": power,
    "stay": stay,
    "turn": turn,
}
PAIR_TERMS: Final[dict[str, Callable[["Wish", "Row"], int]]] = {"room": room, "fill": fill, "speed": speed}
TERMS: Final = (*PAIR_TERMS, "locality", *MACHINE_TERMS)
NO_INPUTS: Final[Mapping[bytes, int]] = {}


def parts(weights: Weights, wish: "Wish", row: "Row", inputs: Mapping[bytes, int] = NO_INPUTS) -> dict[str, int]:
    """Each weighted term that takes part, by name."""
    result = {name: weights[name] * term(wish, row) for name, term in PAIR_TERMS.items() if weights.get(name)}
    if inputs and weights.get("locality"):
        result["locality"] = weights["locality"] * locality(row, inputs)
    result.update({name: weights[name] * term(row) for name, term in MACHINE_TERMS.items() if weights.get(name)})
    return result


def fixed(weights: Weights, row: "Row") -> int:
    """The machine's own share of every score on it."""
    return fixed_of(weights)(row)


def fixed_of(weights: Weights) -> Callable[["Row"], int]:
    """The same, made ready for these weights: it is asked for every machine at every beat."""
    heavy = [(weights[name], term) for name, term in MACHINE_TERMS.items() if weights.get(name)]

    def fixed_share(row: "Row") -> int:
        share = 0
        for weight, term in heavy:
            share += weight * term(row)
        return share

    return fixed_share


def total_of(weights: Weights) -> Callable[["Wish", "Row"], int]:
    """The sum without locality, made ready for these weights: this runs a million times an hour."""
    heavy = [(weights[name], term) for name, term in PAIR_TERMS.items() if weights.get(name)]
    if len(heavy) == 2:
        (one, first), (two, second) = heavy
        return lambda wish, row: row.fixed + one * first(wish, row) + two * second(wish, row)
    return lambda wish, row: row.fixed + sum(weight * term(wish, row) for weight, term in heavy)
