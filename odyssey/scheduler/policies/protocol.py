"""What a policy is, and the kind that most are: a weighted sum of the visible terms.

Promises: a policy is pure and says its terms by name, so that every decision can be explained.
Never: sees jobs of others or the queue: it compares machines for one wish, and wishes of one person with each other.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from odyssey.scheduler import score

if TYPE_CHECKING:
    from odyssey.scheduler.rows import Row, Wish

LAST = 1 << 62


@runtime_checkable
class Policy(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def weights(self) -> Mapping[str, int]:
        """Weights by term; the mesh's own (`odyssey policy set`) replace single ones."""
        ...

    @property
    def ranks(self) -> bool:
        """Whether `rank` says anything: if not, the oldest job is first and nothing needs sorting."""
        ...

    @property
    def waits(self) -> bool:
        """Whether a task may be kept from a free machine because a faster one is done with it sooner."""
        ...

    def rank(self, wish: "Wish") -> int:
        """Among one person's jobs of one priority: lower is first, equals go by age."""
        ...

    def total(self, weights: Mapping[str, int]) -> "Callable[[Wish, Row], int]":
        """The score of a machine for a wish, without locality; higher is better. It is kept until the machine looks
        otherwise: it may hang on the machine's facts and on what `Row.look` lists."""
        ...

    def parts(
        self, weights: Mapping[str, int], wish: "Wish", row: "Row", inputs: Mapping[bytes, int]
    ) -> dict[str, int]:
        """The same score spelled out, with locality."""
        ...


class WeightedSum(NamedTuple):
    name: str
    weights: Mapping[str, int]
    ranks: bool = False  # shortest first
    waits: bool = False  # for a faster machine that is done sooner

    def rank(self, wish: "Wish") -> int:
        return wish.anywhere_ms or LAST

    def total(self, weights: Mapping[str, int]) -> "Callable[[Wish, Row], int]":
        return score.total_of(weights)

    def parts(
        self, weights: Mapping[str, int], wish: "Wish", row: "Row", inputs: Mapping[bytes, int]
    ) -> dict[str, int]:
        return score.parts(weights, wish, row, inputs)
