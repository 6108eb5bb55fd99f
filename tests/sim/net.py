"""The network of the simulation: loses, doubles, delays and reorders, and can be cut in one direction or both.

Promises: what is delivered was sent; rates are those of the seed.
Never: looks into a letter.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from odyssey.clock import SeededEntropy
from odyssey.ids import NodeId
from tests.sim.loop import VirtualLoop

T = TypeVar("T")


class Weather(NamedTuple):
    """How bad it is, drawn per seed: mild weather finds other bugs than storms."""

    loss: int = 0  # per mille
    doubled: int = 0
    late: int = 0  # of the letters take up to `very_late_ms`
    delay_ms: int = 2
    very_late_ms: int = 2000

    @staticmethod
    def drawn(entropy: SeededEntropy) -> "Weather":
        calm = entropy.chance(300)
        return Weather(
            loss=0 if calm else entropy.below(entropy.choose((20, 150, 350))),
            doubled=0 if calm else entropy.below(100),
            late=0 if calm else entropy.below(entropy.choose((20, 200))),
            delay_ms=1 + entropy.below(entropy.choose((3, 30, 120))),
            very_late_ms=100 + entropy.below(5000),
        )


class Net:
    def __init__(self, loop: VirtualLoop, entropy: SeededEntropy, weather: Weather) -> None:
        self._loop, self._entropy, self.weather = loop, entropy, weather
        self.cut: set[tuple[NodeId, NodeId]] = set()
        self.sent = self.delivered = 0
        self._moves: dict[NodeId, int] = {}  # how often a machine has changed its address

    def send(self, sender: NodeId, to: NodeId, deliver: Callable[[NodeId, T], None], letter: T) -> None:
        self.sent += 1
        weather, entropy = self.weather, self._entropy
        fate = entropy.below(1 << 40)  # one draw for both: nearly even, as good as any
        if (sender, to) in self.cut or fate % 1000 < weather.loss:
            return
        copies = 2 if (fate >> 20) % 1000 < weather.doubled else 1
        for _ in range(copies):
            delay_ms = 1 + entropy.below(weather.delay_ms)
            if weather.late and entropy.below(1000) < weather.late:
                delay_ms += entropy.below(weather.very_late_ms)
            moves = self._moves_of(sender, to)
            self._loop.call_later(delay_ms / 1000, self._arrive, sender, to, moves, deliver, letter)

    def _arrive(self, sender: NodeId, to: NodeId, moves: int, deliver: Callable[[NodeId, T], None], letter: T) -> None:
        if (sender, to) not in self.cut and self._moves_of(sender, to) == moves:
            self.delivered += 1
            deliver(sender, letter)

    def _moves_of(self, sender: NodeId, to: NodeId) -> int:
        """The same as before: neither has moved since."""
        moves = self._moves
        return moves.get(sender, 0) + moves.get(to, 0) if moves else 0

    def move(self, node: NodeId) -> None:
        """It has another address: what is under way to it or from it is lost."""
        self._moves[node] = self._moves.get(node, 0) + 1

    def heal(self) -> None:
        self.cut.clear()
