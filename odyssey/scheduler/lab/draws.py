"""The shapes of chance that machines and jobs are drawn with, all made from an `Entropy`.

Promises: whole numbers; the same source gives the same draws.
Never: draws more often than its name says, so that one more draw here moves nothing elsewhere by surprise.
"""

import math
from collections.abc import Sequence
from typing import Final, TypeVar

from odyssey.clock import Entropy

T = TypeVar("T")

_FINE: Final = 1 << 30


def between(entropy: Entropy, low: int, high: int) -> int:
    """Any whole number from low to high, both included."""
    return low + entropy.below(high - low + 1)


def log_between(entropy: Entropy, low: int, high: int) -> int:
    """Each doubling is as likely as the next: small numbers as often as large ones."""
    return round(low * math.pow(high / low, _unit(entropy)))


def exponential(entropy: Entropy, mean: int) -> int:
    """The gap to an event that comes whenever it likes."""
    return max(1, round(-mean * math.log(_unit(entropy))))


def pareto(entropy: Entropy, least: int, shape: float, most: int) -> int:
    """Mostly near `least`, now and then a very long one: how computing jobs really are."""
    return min(most, round(least * math.pow(_unit(entropy), -1 / shape)))


def shuffled(entropy: Entropy, items: Sequence[T]) -> list[T]:
    left = list(items)
    return [left.pop(entropy.below(len(left))) for _ in range(len(left))]


def _unit(entropy: Entropy) -> float:
    """Above 0, at most 1."""
    return (entropy.below(_FINE) + 1) / _FINE
