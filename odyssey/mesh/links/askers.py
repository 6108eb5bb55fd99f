"""Who asks to be let in without an invite, and waits for a person: at most so many, for at most five minutes.

Promises: strangers cannot fill the list from one address, nor keep it full; which one a person means is never guessed.
Never: lets in: the codes do, which `trust.pairing` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

from odyssey.errors import OdysseyError, UsageError, echo
from odyssey.mesh.trust.join_server import Answer
from odyssey.mesh.trust.pairing import PATIENCE_MS, Asking, PairServer

MOST: Final = 16
FROM_ONE: Final = 3  # address
NOBODY_ASKS: Final = "on the machine that wants in: odyssey join"


class Say(Protocol):
    """Answers it. What is proposed in an answer goes onto the log first; `told` hears what came of that."""

    def __call__(self, answer: Answer, told: Callable[[OdysseyError | None], None] | None = None) -> None: ...


class Asker(NamedTuple):
    asking: Asking
    pair: PairServer
    address: str
    since_ms: int
    say: Say


class Askers:
    def __init__(self) -> None:
        self._by_line: dict[object, Asker] = {}

    def __iter__(self) -> Iterator[Asker]:
        """The oldest first."""
        return iter(list(self._by_line.values()))

    def __contains__(self, line: object) -> bool:
        return line in self._by_line

    def add(self, line: object, asker: Asker) -> bool:
        """False: too many ask already."""
        from_there = sum(one.address == asker.address for one in self)
        if len(self._by_line) >= MOST or from_there >= FROM_ONE:
            return False
        self._by_line[line] = asker
        return True

    def forget(self, line: object) -> None:
        self._by_line.pop(line, None)

    def late(self, now_ms: int) -> list[Asker]:
        """Nobody has let them in in time."""
        return [one for one in self if now_ms - one.since_ms > PATIENCE_MS]

    def named(self, word: str) -> Asker:
        """By name, by address, or by the beginning of its id."""
        found = [one for one in self if word in (one.asking.name, one.address)]
        found = found or [one for one in self if word and one.asking.node.startswith(word)]
        if len(found) == 1:
            return found[0]
        if found:
            others = ", ".join(f"{one.address} {one.asking.node[:8]}" for one in found)
            raise UsageError(f"several machines ask as {echo(word)}: {others}", hint="say which by its address or id")
        names = ", ".join(echo(one.asking.name) for one in self)
        hint = f"these ask: {names}" if names else NOBODY_ASKS
        raise UsageError(f"no machine asks to join as {echo(word)}", hint=hint)
