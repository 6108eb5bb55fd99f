"""The state of the mesh, as far as this machine has applied the log to it.

Promises: an entry's answer is what applying it said; whoever watches hears of it after the state has changed.
Never: decides anything.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from odyssey.commands import Entry
from odyssey.events import Event
from odyssey.scheduler.apply import apply
from odyssey.scheduler.dump import load
from odyssey.scheduler.state import State


class Book:
    def __init__(self, state: State | None = None) -> None:
        self.state = State() if state is None else state
        self.watch: Callable[[Sequence[Event]], None] = lambda _: None
        self.when_ms: Mapping[int, int] = {}  # by index: the wall time of the entries whose events are being told

    def apply(self, entries: Sequence[Entry]) -> Mapping[int, list[Event]]:
        answers: dict[int, list[Event]] = {}
        happened: list[Event] = []
        for entry in entries:
            self.state, events = apply(self.state, (entry,))
            answers[entry.index] = events
            happened += events
        self.when_ms = {entry.index: entry.wall_ms for entry in entries}
        self.watch(happened)
        return answers

    def load(self, slices: Iterable[bytes]) -> None:
        self.state = load(slices)
