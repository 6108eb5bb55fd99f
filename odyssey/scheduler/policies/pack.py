"""Fill machines one after the other, so that others stay wholly free: for big tasks to come, or to let machines sleep.

Promises: the fullest machine that still has room is taken.
Never: waits for a machine to become free so as to pack better.
"""

from typing import Final

from odyssey.scheduler.policies.protocol import WeightedSum

POLICY: Final = WeightedSum("pack", {"fill": 100, "reliability": 5, "locality": 10})
