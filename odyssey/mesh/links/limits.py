"""How much one peer may say, and how long one waits before dialling it again.

Promises: pure; who keeps to the limits never notices them.
Never: looks at what is said.
"""

from __future__ import annotations

from typing import Final

from odyssey.clock import Entropy

MESSAGES_A_SECOND: Final = 20_000
BURST: Final = 40_000
BYTES_A_SECOND: Final = 64 << 20  # on the control lane; the bulk lane has its credit
BURST_BYTES: Final = 128 << 20
HANDSHAKES_A_SECOND: Final = 20
BURST_HANDSHAKES: Final = 100

FIRST_MS: Final = 200
LONGEST_MS: Final = 5_000
OUT_MS: Final = 60_000  # after it was said that this machine is put out


class Meter:
    """A bucket that fills with time, and is emptied by what comes."""

    def __init__(self, a_second: int, burst: int, now_ms: int) -> None:
        self._a_second, self._burst = a_second, burst
        self._left, self._at_ms = burst * 1_000, now_ms  # in thousandths

    def take(self, amount: int, now_ms: int) -> bool:
        """False: that was too much."""
        passed = max(0, now_ms - self._at_ms)
        self._at_ms = now_ms
        self._left = min(self._burst * 1_000, self._left + passed * self._a_second)
        if self._left < amount * 1_000:
            return False
        self._left -= amount * 1_000
        return True


class Backoff:
    """Longer from failure to failure, and never the same for two machines."""

    def __init__(self, entropy: Entropy) -> None:
        self._entropy, self._failures = entropy, 0

    def next_ms(self) -> int:
        longest = min(LONGEST_MS, FIRST_MS << min(self._failures, 10))
        self._failures += 1
        return self._entropy.spread(longest, 50)

    def reset(self) -> None:
        self._failures = 0
