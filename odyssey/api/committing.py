"""A change on its way onto the log: proposed until its fate is known, and what came of it as an answer or an error.

Promises: it returns when the log has it and this machine has applied it; a command that may be on the log already is
sent again as it was, so it must be one that the log takes once, or that says the same twice.
Never: says that something is not accepted when it may be.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from odyssey.api.ports import Counter
from odyssey.commands import Command
from odyssey.errors import CutOff, InvalidSpec, OdysseyError, TooLarge, UsageError
from odyssey.events import CommandFailed, CommandRefused, Event
from odyssey.mesh.letters import Accepted, Again, NoRoom, Outcome

PATIENCE_MS: Final = 10_000  # an election and a slow disk fit in
_UNKNOWN_MS: Final = 50


class DiskFull(CutOff):
    """The machine that leads has no room for another job."""


class Committing:
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    async def carry_out(self, command: Command) -> Sequence[Event]:
        """The events it caused; none where this machine only knows that it is applied."""
        clock = self._counter.clock
        end = clock.monotonic_ms() + PATIENCE_MS
        while True:
            match await self._proposed(command):
                case Accepted(answer=answer):
                    return _checked(answer if isinstance(answer, Sequence) else ())
                case NoRoom():
                    raise DiskFull(
                        "the disk of the machine that keeps the jobs is nearly full: no new job is taken in",
                        hint="free some space there, or: odyssey history, to see what could go",
                    )
                case Again(after_ms=after_ms):
                    pause_ms = after_ms
                case _:
                    pause_ms = _UNKNOWN_MS
            if clock.monotonic_ms() + pause_ms >= end:
                raise CutOff(
                    "too few keepers of this mesh can be reached: nothing can change now",
                    hint="what runs goes on; see who is missing: odyssey status",
                )
            await asyncio.sleep(pause_ms / 1000)

    async def _proposed(self, command: Command) -> Outcome:
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not answered.done():  # whoever asked may have gone
                answered.set_result(outcome)

        try:
            self._counter.log.propose(command, done)
        except TooLarge as error:
            raise InvalidSpec(
                "this is too much for one entry of the log", hint="hand large data over in files, or submit in parts"
            ) from error
        return await answered


def _checked(events: Sequence[Event]) -> Sequence[Event]:
    for event in events:
        if isinstance(event, CommandRefused):
            raise UsageError(event.text, hint=event.hint or "see: odyssey ps --state all")
        if isinstance(event, CommandFailed):
            raise OdysseyError(f"a bug in Odyssey stopped this: {event.text}", hint="please report it")
    return events
