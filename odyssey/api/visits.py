"""Who asks, as something that ends: a connection at this machine's own door, or another machine through which it came.

Promises: the visit of a machine ends once it has not been up for AWAY_MS; the next question is another visit.
Never: ends a visit because of one silence.
"""

import asyncio
from typing import Final

from odyssey.api import rights
from odyssey.api.door import visit
from odyssey.api.ports import Counter
from odyssey.ids import NodeId
from odyssey.scheduler.snapshot import NodeState, Seen

LOOK_SECONDS: Final = 5.0
AWAY_MS: Final = 10_000

Visit = asyncio.Future[None]


class Visits:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._machines: dict[NodeId, Visit] = {}
        self._away_ms: dict[NodeId, int] = {}  # since when they are not up
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> Visit | None:
        """Of whoever asks just now; None: nobody does, it is this daemon itself."""
        here, node = visit(), rights.asker(self._counter).node
        if here is not None or node == self._counter.me:
            return here
        if node not in self._machines:
            self._machines[node] = asyncio.get_running_loop().create_future()
        self._look_later()
        return self._machines[node]

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self.look)

    def look(self) -> None:
        """From time to time, while there are some."""
        self._timer = None
        now, up = self._counter.clock.monotonic_ms(), self._up()
        for node, visiting in list(self._machines.items()):
            if node in up:
                self._away_ms.pop(node, None)
            elif now - self._away_ms.setdefault(node, now) >= AWAY_MS:
                del self._machines[node], self._away_ms[node]
                visiting.set_result(None)
        if self._machines:
            self._look_later()

    def _up(self) -> set[NodeId]:
        seen = self._counter.seen()
        nodes = self._counter.state.nodes.items()
        return {node.id for number, node in nodes if seen.get(number, Seen()).state is NodeState.UP}
