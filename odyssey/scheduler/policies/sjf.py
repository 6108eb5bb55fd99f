"""Shortest job first: by learned run times, the quick ones go before the long ones. Machines as with `weighted`.

Promises: least mean waiting time while run times are known; what is unknown goes last, and ageing brings it forward.
Never: lets a person's short jobs pass another person's share.
"""

from typing import Final

from odyssey.scheduler.policies.protocol import WeightedSum
from odyssey.scheduler.policies.weighted import POLICY as WEIGHTED

POLICY: Final = WeightedSum("sjf", WEIGHTED.weights, ranks=True, waits=True)
