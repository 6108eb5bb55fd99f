"""What other machines ask of this one, which keeps the log: answered by the same handlers as at its own door.

Promises: a question that comes twice is carried out once; while the machine that asks does not take what there is,
nothing more is made for it; when it has gone, what it asked for ends, but not what is on its way onto the log.
Never: believes a machine's word for whose it is: the links know that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from itertools import takewhile
from typing import Any, Final, NamedTuple

from odyssey import wire
from odyssey.api import errands as q
from odyssey.api import frames
from odyssey.api.door import Handler, refusal
from odyssey.api.operations import BY_NAME
from odyssey.api.relay.window import Outbox
from odyssey.api.rights import Right
from odyssey.errors import NotPermitted, OdysseyError, Unreachable, UsageError, echo
from odyssey.ids import NodeId
from odyssey.messages import Asked, AskKeeper, Parts, Refusal, StopAsking, Taken

GONE_MS: Final = 10_000  # without a word, whoever asked is not there any more
MOST_ASKED: Final = 256  # at once, by one machine
MOST_GONE: Final = 32_768  # questions of one machine that are over and still known, so that a late copy is none

Post = Callable[[NodeId, Parts], None]
_Name = tuple[NodeId, int]


class _Guest:
    """One question of one machine."""

    def __init__(self, run: int, now: int) -> None:
        self.run, self.heard_ms = run, now
        self.outbox = Outbox()
        self.room = asyncio.Event()
        self.room.set()
        self.is_over = False
        self.refusal: Refusal | None = None
        self.is_end_told = False
        self.wants_more = True
        self.task: asyncio.Task[None] | None = None

    def make_room(self) -> None:
        if self.wants_more and self.outbox.has_room:
            self.room.set()
        else:
            self.room.clear()


class _Past(NamedTuple):
    """A question that is over: kept for a while, so that a copy of it that comes late is known."""

    run: int
    ended_ms: int


class _Machine:
    """What one machine asks. Each look is a look-up: it may ask much."""

    def __init__(self) -> None:
        self.guests: dict[int, _Guest] = {}
        self.past: dict[int, _Past] = {}  # oldest first

    def end(self, number: int, guest: _Guest, now: int) -> None:
        self.guests.pop(number, None)
        self.past.pop(number, None)
        self.past[number] = _Past(guest.run, now)
        if len(self.past) > MOST_GONE:
            del self.past[next(iter(self.past))]

    def forget(self, before_ms: int) -> None:
        for number in list(takewhile(lambda one: self.past[one].ended_ms <= before_ms, self.past)):
            del self.past[number]


def _nobody(_node: NodeId, _who: q.Who) -> bool:
    return False


class Guests:
    """`report` is told of bugs; `welcome` sets the scene for one machine's question: whose it is. `errands` are what
    machines ask on behalf of jobs, and `is_one` says who may."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        post: Post,
        now: Callable[[], int],
        welcome: Callable[[NodeId], None],
        report: Callable[[BaseException], None],
        errands: Mapping[str, q.Handler] | None = None,
        is_one: Callable[[NodeId, q.Who], bool] = _nobody,
    ) -> None:
        self._handlers, self._post, self._now = handlers, post, now
        self._errands, self._is_one = errands or {}, is_one
        self._welcome, self._report = welcome, report
        self._machines: dict[NodeId, _Machine] = {}

    def hear(self, sender: NodeId, letter: Asked) -> None:
        name, machine = (sender, letter.number), self._machines.setdefault(sender, _Machine())
        guest = machine.guests.get(letter.number)
        known = guest or machine.past.get(letter.number)
        if known is not None and known.run > letter.run:
            return  # of a daemon that is no more
        if known is not None and known.run < letter.run:
            self._part(name)
            machine.past.pop(letter.number, None)
            known = guest = None
        match letter:
            case _ if known is not None and guest is None:
                pass  # it was late
            case StopAsking():
                self._part(name)
            case AskKeeper() if guest is None:
                self._receive(name, machine, letter)
            case Taken() if guest is None:
                gone = Unreachable("the machine that was asked knows nothing of it", hint="try again")
                self._post(sender, Parts(letter.run, letter.number, letter.parts, (), True, _told(gone)))
            case AskKeeper() | Taken() if guest is not None:
                self._go_on(name, guest, letter)

    def _receive(self, name: _Name, machine: _Machine, ask: AskKeeper) -> None:
        if len(machine.guests) >= MOST_ASKED:
            error = OdysseyError("that machine asks too much at once", hint="wait until some has ended")
            self._post(name[0], Parts(ask.run, ask.number, 0, (), True, _told(error)))
            return
        guest = machine.guests[ask.number] = _Guest(ask.run, self._now())
        guest.task = asyncio.get_running_loop().create_task(self._answer(name, guest, ask))

    def _go_on(self, name: _Name, guest: _Guest, letter: AskKeeper | Taken) -> None:
        guest.heard_ms = self._now()
        before = guest.outbox.taken
        if isinstance(letter, Taken):
            guest.outbox.acknowledge(letter.parts)
            guest.wants_more = letter.wants_more
        guest.make_room()
        if guest.outbox.taken == before:  # it has nothing new to say: something was lost, or it only waits
            guest.outbox.again()
            guest.is_end_told = False
            if not self._flush(name, guest):
                self._post(name[0], Parts(guest.run, name[1], guest.outbox.taken))
        else:
            self._flush(name, guest)

    def _flush(self, name: _Name, guest: _Guest) -> bool:
        """Sends what has never gone out. True: that was something."""
        has_sent = False
        while (letter := guest.outbox.fresh()) is not None:
            self._post(name[0], self._parts(name, guest, *letter))
            has_sent = True
        if guest.is_over and not guest.is_end_told:
            self._post(name[0], self._parts(name, guest, guest.outbox.taken, ()))
            has_sent = True
        return has_sent

    def _parts(self, name: _Name, guest: _Guest, first: int, parts: tuple[bytes, ...]) -> Parts:
        is_last = guest.is_over and first + len(parts) == guest.outbox.end
        guest.is_end_told = guest.is_end_told or is_last
        return Parts(guest.run, name[1], first, parts, is_last, guest.refusal if is_last else None)

    # -- answers -------------------------------------------------------------------------------------------------------

    async def _answer(self, name: _Name, guest: _Guest, ask: AskKeeper) -> None:
        error: OdysseyError | None = None
        try:
            async for part in self._made(name[0], ask):
                guest.outbox.add(part)
                if ask.op in BY_NAME and BY_NAME[ask.op].streams:  # else it goes out together with its end
                    self._flush(name, guest)
                    guest.make_room()
                    await guest.room.wait()
        except OdysseyError as refused:
            error = refused
        except Exception as bug:  # noqa: BLE001 - one handler's bug is not the end of the daemon
            self._report(bug)
            text = f"a bug in Odyssey: {type(bug).__name__}"
            error = OdysseyError(text, hint="see the log of the machine that was asked, and report it")
        self._end(name, guest, error)

    async def _made(self, node: NodeId, ask: AskKeeper) -> Any:
        if ask.op in q.BY_NAME and ask.op in self._errands:
            yield await self._errand(node, ask)
            return
        self._welcome(node)
        row, handler = BY_NAME.get(ask.op), self._handlers.get(ask.op)
        if row is None or handler is None:
            hint = "the machines of this mesh have different versions of Odyssey: upgrade the older ones"
            raise UsageError(f"the machine that was asked does not know the request {echo(ask.op)!r}", hint=hint)
        if row.right is Right.HERE:
            raise NotPermitted("that is for who sits at that machine", hint="log in there")
        request = wire.decode(ask.body, row.request, frames.BODY)
        if not row.streams:
            yield wire.encode(await handler(request))  # type: ignore[misc]
            return
        async with aclosing(handler(request)) as parts:  # type: ignore[type-var]
            async for part in parts:  # type: ignore[union-attr]
                yield wire.encode(part)

    async def _errand(self, node: NodeId, ask: AskKeeper) -> bytes:
        row = q.BY_NAME[ask.op]
        if not self._is_one(node, row.who):
            hint = "its certificate does not say so: odyssey nodes"
            raise NotPermitted("that machine may not ask this", hint=hint)
        request = wire.decode(ask.body, row.request, frames.BODY)
        return wire.encode(await self._errands[ask.op](request))

    def _end(self, name: _Name, guest: _Guest, error: OdysseyError | None) -> None:
        guest.is_over, guest.refusal = True, None if error is None else _told(error)
        self._flush(name, guest)

    # -- goodbyes ------------------------------------------------------------------------------------------------------

    def _part(self, name: _Name) -> None:
        machine = self._machines.get(name[0])
        guest = machine.guests.get(name[1]) if machine is not None else None
        if machine is not None and guest is not None:
            machine.end(name[1], guest, self._now())
            if guest.task is not None:
                guest.task.cancel()

    def tick(self) -> None:
        """From time to time."""
        late = self._now() - GONE_MS
        for node, machine in list(self._machines.items()):
            machine.forget(late)
            for number in [number for number, guest in machine.guests.items() if guest.heard_ms <= late]:
                self._part((node, number))
            if not machine.guests and not machine.past:
                del self._machines[node]

    def close(self) -> None:
        for node, machine in list(self._machines.items()):
            for number in list(machine.guests):
                self._part((node, number))


def _told(error: OdysseyError) -> Refusal:
    told = refusal(0, error)
    return Refusal(told.error, told.hint, told.exit_status, told.fault, told.code)
