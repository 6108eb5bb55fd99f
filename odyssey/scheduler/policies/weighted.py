"""The default: the fastest machine that is free, steady and undisturbed. docs/decisions has the evidence.

Promises: a machine's score is the plain sum of the terms below.
Never: holds a machine back: what is free and fits is used, unless a faster one would still finish sooner.
"""

from typing import Final

from odyssey.scheduler.policies.protocol import WeightedSum

POLICY: Final = WeightedSum(
    "weighted",
    {"room": 20, "speed": 60, "reliability": 20, "locality": 10, "owner": 10, "power": 10, "stay": 10},
    waits=True,
)
