"""Each machine in turn, whatever it is like: fair to machines, and a base line for the others.

Promises: a machine gets its next task after all others that fit had one.
Never: looks at speed, load or owners (what the owner forbids is forbidden all the same).
"""

from typing import Final

from odyssey.scheduler.policies.protocol import WeightedSum

POLICY: Final = WeightedSum("round_robin", {"turn": 1})
