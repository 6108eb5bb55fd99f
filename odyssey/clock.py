"""Time and chance, as ports: whoever needs them is given one of these, and a test gives its own.

Three clocks, because there are three questions. `monotonic_ms` is for waiting: it stands still while the
machine sleeps. `boottime_ms` is for leases: it goes on in sleep, so a machine that wakes knows that its
time is over. The difference between the two grows only in sleep, and that is how sleep is noticed.
`wall_ms` is for people.

Promises: whole milliseconds; the first two never go back. A seeded source gives the same draws on every
machine and Python version.
Never: `wall_ms` in a decision, because it jumps when somebody sets the clock; `SeededEntropy` for a secret.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

_NS_PER_MS: Final = 1_000_000
_WORD: Final = 64
_MASK: Final = (1 << _WORD) - 1
_STRIDE: Final = 0x9E3779B97F4A7C15  # odd, so that a generator passes through all 2^64 states


class Clock(Protocol):
    """Readings of different machines, or of different boots of one, have nothing to do with each other."""

    def monotonic_ms(self) -> int:
        """Time awake, from an arbitrary start."""
        ...

    def boottime_ms(self) -> int:
        """Time awake and asleep, from an arbitrary start."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970 UTC, as far as this machine knows. For people only."""
        ...


class SystemClock(Clock):
    """The clocks of the operating system."""

    def __init__(self) -> None:
        self._awake, self._since_boot = _system_clocks()

    def monotonic_ms(self) -> int:
        return time.clock_gettime_ns(self._awake) // _NS_PER_MS

    def boottime_ms(self) -> int:
        return time.clock_gettime_ns(self._since_boot) // _NS_PER_MS

    def wall_ms(self) -> int:
        return time.time_ns() // _NS_PER_MS


def _system_clocks() -> tuple[int, int]:
    """The clock that stops in sleep and the one that goes on: the same words mean other things elsewhere."""
    if sys.platform == "linux":
        return time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME
    elif sys.platform == "darwin":
        # clock_gettime(3) there: UPTIME_RAW "does not increment while the system is asleep", like
        # mach_absolute_time; MONOTONIC_RAW goes on, like mach_continuous_time. MONOTONIC goes on too, but is
        # bent when the wall clock is corrected. Not tested by us.
        return time.CLOCK_UPTIME_RAW, time.CLOCK_MONOTONIC_RAW
    else:
        raise NotImplementedError(f"Odyssey knows no clock that goes on in sleep on {sys.platform}")


class Entropy(Protocol):
    """Chance. A source gives `bits`; every other draw is made from those."""

    def bits(self, n: int) -> int:
        """A number of n random bits."""
        ...

    def token(self, n_bytes: int) -> bytes:
        return self.bits(8 * n_bytes).to_bytes(n_bytes, "big")

    def below(self, n: int) -> int:
        """A number from 0 to n - 1, each as likely as any other."""
        if n < 1:
            raise ValueError(f"there is no number from 0 to {n - 1}")
        width = (n - 1).bit_length()
        while (drawn := self.bits(width)) >= n:  # folding these back would favour the small ones
            pass
        return drawn

    def chance(self, per_mille: int) -> bool:
        """True in so many of a thousand draws."""
        return self.below(1000) < per_mille

    def choose(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def spread(self, value: int, percent: int) -> int:
        """Within so many percent of the value, so that many machines do not act in the same moment."""
        reach = abs(value) * percent // 100
        return value - reach + self.below(2 * reach + 1)


class SystemEntropy(Entropy):
    """The operating system's source: good enough for keys."""

    def bits(self, n: int) -> int:
        # The module `secrets` asks the same source, but importing it costs every command 10 ms.
        n_bytes = (n + 7) // 8
        return int.from_bytes(os.urandom(n_bytes), "big") >> (8 * n_bytes - n)


class SeededEntropy(Entropy):
    """A SplitMix64 generator: for simulations that must be repeatable. Anyone can predict it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed & _MASK
        self._state = self.seed

    def bits(self, n: int) -> int:
        words = (n + _WORD - 1) // _WORD
        drawn = 0
        for _ in range(words):
            drawn = drawn << _WORD | self._word()
        return drawn >> (_WORD * words - n)

    def below(self, n: int) -> int:
        """As from any source; without the steps in between, because simulations draw a great many."""
        if not 1 < n <= _MASK:
            return super().below(n)
        shift = _WORD - (n - 1).bit_length()
        while True:
            self._state = word = self._state + _STRIDE & _MASK
            if (drawn := _mixed(word) >> shift) < n:
                return drawn

    def fork(self, label: str) -> SeededEntropy:
        """An independent source, made of seed and label only: one more draw here moves nothing there."""
        seed = _mixed(self.seed + _STRIDE & _MASK)
        for byte in label.encode():
            seed = _mixed(seed ^ byte)
        return SeededEntropy(_mixed(seed))

    def _word(self) -> int:
        self._state = self._state + _STRIDE & _MASK
        return _mixed(self._state)


def _mixed(word: int) -> int:
    """SplitMix64's finaliser: every bit of the input moves about half of the bits of the output."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)
