"""Whose turn it is: people share the mesh equally over time, whatever number of jobs each of them sends.

What someone used fades with a half-life (the coordinator sends the decay as a command); what they hold now counts as if
it were held for a while longer, so that two people who start together get every other slot each. Priorities order one
person's jobs; between people the share decides.

Promises: exact integers; whoever used less goes first, equals go by name.
Never: lets anyone wait for ever: who gets nothing uses nothing, and comes to the front.
"""

from heapq import heapify, heapreplace
from math import isqrt
from typing import Final

from odyssey.ids import UserId
from odyssey.scheduler.state import State

HORIZON_MS: Final = 600_000  # what is held now counts as ten minutes of use
HALF_LIFE_MS: Final = 24 * 3_600_000
DECAY_EVERY_MS: Final = 600_000
_PPM: Final = 1_000_000
_BITS: Final = 32  # of a half-life
_ONE: Final = 1 << 60


def burden(state: State, user: UserId) -> int:
    """Core-milliseconds used, and held."""
    return state.usage.get(user, 0) + charge(state.reserved.get(user, 0))


def charge(cpu_milli: int) -> int:
    return cpu_milli * HORIZON_MS // 1000


class Turns:
    """People with something to place, the least burdened first, while a plan is made."""

    def __init__(self, state: State) -> None:
        self._heap = [(burden(state, user), user) for user in state.waiting.lanes]
        heapify(self._heap)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def first(self) -> UserId:
        return self._heap[0][1]

    def charge_first(self, cpu_milli: int) -> None:
        used, user = self._heap[0]
        heapreplace(self._heap, (used + charge(cpu_milli), user))

    def drop_first(self) -> None:
        last = self._heap.pop()
        if self._heap:
            heapreplace(self._heap, last)


def keep_ppm(passed_ms: int) -> int:
    """The part of a usage that is left after some time: by whole halvings, then by the square root of one half where
    half of a half-life is left over, by the fourth root where a quarter is, and so on."""
    halvings, rest = divmod(passed_ms, HALF_LIFE_MS)
    left, root = _ONE >> halvings, _ONE // 2
    for _ in range(_BITS):
        root, rest = isqrt(root * _ONE), 2 * rest
        if rest >= HALF_LIFE_MS:
            left, rest = left * root // _ONE, rest - HALF_LIFE_MS
    return left * _PPM // _ONE
