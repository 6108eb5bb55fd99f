"""The networks of this machine, shown and changed.

Promises: what its owner says of a network is remembered when this is answered.
Never: speaks for another machine.
"""

from __future__ import annotations

from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.ports import Counter


class Surroundings:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    async def network(self, request: r.Networks) -> v.NetworkList:
        networks = self._counter.networks
        if request.trust:
            return await networks.trust()
        return await (networks.forget(request.forget) if request.forget else networks.show())
