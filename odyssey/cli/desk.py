"""What a command works with: where it prints, whom it asks, and what it was started with.

Promises: the daemon is looked for when the first question is asked, and a daemon is started only for commands that say
so; tests hand in another way to connect.
Never: prints, or keeps a connection that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from odyssey.api.operations import Asker
from odyssey.api.requests import Events, Follow, Request
from odyssey.api.views import AnyItem, EventPage, JobView, View
from odyssey.cli.output import Output
from odyssey.errors import OdysseyError

A = TypeVar("A", bound=View)
Reach = Callable[[OdysseyError | None], None]


class Daemon(Asker, Protocol):
    """The daemon of this machine, from the side of a command. Several threads may ask at once."""

    def follow(self, request: Follow, reach: Reach = lambda _: None) -> Iterator[AnyItem]:
        """All that is told of a job to its end, also over a restart of the daemon and a cut; `reach` hears of those,
        and with None when the mesh answers again."""
        ...

    def events(self, request: Events) -> Iterator[EventPage]:
        """What happened, and if it is followed what happens, also over a restart."""
        ...

    def wait(self, *refs: str) -> Iterator[JobView]:
        """Each of them as it ends, also over a restart."""
        ...


class Connect(Protocol):
    """`start`: a daemon is started when none runs; `say` hears what a person should know of that."""

    def __call__(self, environment: Mapping[str, str], *, start: bool, say: Callable[[str], None]) -> Daemon: ...


class Desk:
    def __init__(self, output: Output, environment: Mapping[str, str], connect: Connect, folder: bytes) -> None:
        self.output = output
        self.environment = environment
        self.folder = folder  # where the command was typed; empty: it is gone
        self._connect = connect
        self._daemon: Daemon | None = None

    def daemon(self, *, start: bool = False) -> Daemon:
        if self._daemon is None:
            self._daemon = self._connect(self.environment, start=start, say=self.output.say)
        return self._daemon

    def ask(self, request: Request[A]) -> A:
        return self.daemon().call(request)

    def stream(self, request: Request[A]) -> Iterator[A]:
        return self.daemon().stream(request)
