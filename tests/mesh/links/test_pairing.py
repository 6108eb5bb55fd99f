"""Joining without an invite over real sockets on the loopback: who asks, who is asked, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from odyssey.errors import NotPermitted, OdysseyError, Unreachable, UsageError
from odyssey.ids import UserId
from odyssey.mesh.discovery import calling
from odyssey.mesh.discovery.adverts import VERSION, Advert
from odyssey.mesh.links import askers as lists
from odyssey.mesh.links import gate as gates
from odyssey.mesh.links import pairing as pairings
from odyssey.mesh.links.askers import Asker, Askers
from odyssey.mesh.links.gate import Gate
from odyssey.mesh.links.pairing import Door, Person, pair
from odyssey.mesh.links.ports import Line
from odyssey.mesh.trust import pairing as codes
from odyssey.mesh.trust.certificates import MINE
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.join_client import Joined
from odyssey.mesh.trust.pairing import PairClient, WrongCode
from odyssey.mesh.trust.visitors import Visitor
from tests.api.counter import until
from tests.mesh.links.test_gate import HOST, Clock, closed, keys
from tests.mesh.trust.gate import Gate as Issuer
from tests.mesh.trust.people import NOW, curve, key, node

ANNA = UserId("anna")


class Sitting(Person):
    """Reads what is shown; what is typed comes later."""

    def __init__(self) -> None:
        self.codes: list[str] = []
        self.meshes: list[str] = []
        self.wrong: list[WrongCode] = []
        self.typed: asyncio.Queue[str] = asyncio.Queue()

    async def type(self, code: str, mesh: str, door: Door) -> str:
        self.codes.append(code)
        self.meshes.append(mesh)
        return await self.typed.get()

    def was_wrong(self, error: WrongCode) -> None:
        self.wrong.append(error)


class Place:
    """A join socket of `issuer`, with the log and the people behind it."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer, self.askers, self.decided = issuer, Askers(), list[OdysseyError | None]()
        loop = asyncio.get_running_loop()
        self.gate = Gate(loop, keys(issuer.name), Clock(), self._visit, self._take, self.askers)
        self.port = self.gate.listen(HOST, 0)
        self.joining = list[asyncio.Task[Joined]]()

    def _visit(self, visitor: bytes) -> Visitor:
        return Visitor(self.issuer.porter, visitor)

    def _take(self, command: Any, done: Callable[[OdysseyError | None], None]) -> None:
        done(self.issuer.takes(command))

    @property
    def door(self) -> Door:
        return Door(curve(self.issuer.name).public, HOST, self.port)

    def join(self, person: Person, name: str = "pi", *doors: Door) -> asyncio.Task[Joined]:
        def dialogue(server: bytes) -> PairClient:
            return PairClient(b"n" * 32, name, key(name), curve(name).public, server, "Debian 12, 4 cores")

        asked = pair(doors or (self.door,), keys(name), dialogue, person, Clock(), 5.0)
        task = asyncio.get_running_loop().create_task(asked)
        self.joining.append(task)
        return task

    async def asker(self, many: int = 1) -> Asker:
        await until(lambda: len(list(self.askers)) >= many)
        return list(self.askers)[-1]

    def approves(self, asker: Asker, code: str) -> str:
        answer = asker.pair.typed(code, ANNA, MINE, NOW, 1000)
        asker.say(answer, self.decided.append)
        return asker.asking.code


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Place, Sitting]]:
    place = Place(Issuer())
    try:
        yield place, Sitting()
    finally:
        for task in place.joining:
            task.cancel()
        await asyncio.gather(*place.joining, return_exceptions=True)
        place.gate.close()


def played(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(30):
            await play()

    asyncio.run(all_of_it())


def test_two_codes_typed_and_it_is_in() -> None:
    async def play() -> None:
        async with opened() as (place, person):
            joining = place.join(person)
            asker = await place.asker()
            await until(lambda: bool(person.codes))
            assert asker.asking[1:] == ("pi", asker.asking.code, "Debian 12, 4 cores")
            assert (asker.address, person.meshes) == (HOST, ["anna's mesh"])
            person.typed.put_nowait(place.approves(asker, person.codes[0]))
            joined = await joining
            assert (joined.mine.node, joined.mine.owner) == (node("pi"), ANNA)
            assert place.decided == [None]
            assert not list(place.askers)

    played(play)


def test_the_person_here_may_be_the_first() -> None:
    async def play() -> None:
        async with opened() as (place, person):
            joining = place.join(person)
            asker = await place.asker()
            person.typed.put_nowait(asker.asking.code)
            await until(person.typed.empty)
            assert not joining.done()
            place.approves(asker, person.codes[0])
            assert (await joining).mine.node == node("pi")

    played(play)


def test_what_was_given_stays_when_the_connection_ends_before_the_code_is_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended, gone = list[str](), pairings._Pairing.gone

    def hears(pairing: pairings._Pairing, line: Line, why: str) -> None:
        gone(pairing, line, why)
        ended.append(why)

    monkeypatch.setattr(pairings._Pairing, "gone", hears)

    async def play() -> None:
        async with opened() as (place, person):
            joining = place.join(person)
            asker = await place.asker()
            monkeypatch.setattr(gates, "DIALOGUE_MS", 0)
            await until(lambda: bool(person.codes))
            code = place.approves(asker, person.codes[0])
            await until(lambda: bool(ended))
            person.typed.put_nowait(code)
            assert (await joining).mine.node == node("pi")

    played(play)


def test_a_wrong_code_is_told_and_three_end_it() -> None:
    async def play() -> None:
        async with opened() as (place, person):
            joining = place.join(person)
            await place.asker()
            for _ in range(3):
                person.typed.put_nowait("x")
            with pytest.raises(NotPermitted, match="wrong three times"):
                await joining
            assert [error.tries for error in person.wrong] == [2, 1]
            await until(lambda: not list(place.askers))  # it has gone

    played(play)


def test_who_waits_longer_than_a_dialogue_may_take_is_not_sent_off_but_after_five_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gates, "TICK_S", 0.01)

    async def play() -> None:
        async with opened() as (place, person):
            joining = place.join(person)
            await place.asker()
            monkeypatch.setattr(gates, "DIALOGUE_MS", 0)
            await until(lambda: bool(person.codes))
            await asyncio.sleep(0.05)  # some ticks
            assert not joining.done()
            monkeypatch.setattr(lists, "PATIENCE_MS", -1)
            with pytest.raises(NotPermitted, match="nobody has let this machine in within five minutes"):
                await joining

    played(play)


def test_here_too_five_minutes_are_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairings, "PATIENCE_MS", 200)

    async def play() -> None:
        async with opened() as (place, person):
            with pytest.raises(NotPermitted, match="not typed within five minutes"):
                await place.join(person)

    played(play)


def test_crowds_are_bounded_for_each_address() -> None:
    async def play() -> None:
        async with opened() as (place, person):
            for number in range(lists.FROM_ONE):
                place.join(Sitting(), f"pi{number}")
                await place.asker(number + 1)
            with pytest.raises(NotPermitted, match="too many machines ask"):
                await place.join(person, "one-more")
            assert len(list(place.askers)) == lists.FROM_ONE

    played(play)


def test_those_who_ask_keep_out_nobody_with_an_invite(monkeypatch: pytest.MonkeyPatch) -> None:
    from odyssey.mesh.links.knock import knock
    from odyssey.mesh.trust.join_client import Caller, JoinClient

    monkeypatch.setattr(gates, "MOST", 1)

    async def play() -> None:
        async with opened() as (place, person):
            place.join(person)
            await place.asker()
            invite, theirs = place.issuer.invite(), place.door.key

            def dialogue() -> Caller:
                return JoinClient(invite, "mac", key("mac"), curve("mac").public, theirs)

            await knock(theirs, [Address(HOST, place.port)], keys("mac"), dialogue, Clock())

    played(play)


def test_a_dead_door_and_one_of_somebody_else_delay_nobody() -> None:
    async def play() -> None:
        async with opened() as (place, person):
            dead, other = Door(place.door.key, *closed()), Door(curve("nova").public, HOST, place.port)
            joining = place.join(person, "pi", dead, other, place.door)
            asker = await place.asker()
            await until(lambda: bool(person.codes))
            person.typed.put_nowait(place.approves(asker, person.codes[0]))
            assert (await joining).mine.node == node("pi")

    played(play)


def test_nobody_there_and_a_connection_that_ends_are_told() -> None:
    async def play() -> None:
        async with opened() as (place, person):
            with pytest.raises(Unreachable, match="no mesh could be asked: nobody answers"):
                await place.join(person, "pi", Door(place.door.key, *closed()))
            joining = place.join(person)
            await place.asker()
            await until(lambda: bool(person.codes))
            for line in list(place.gate._dialogues):
                line.end()
            with pytest.raises(Unreachable, match="not let in: the connection ended"):
                await joining

    played(play)


# ---- which one a person means ----------------------------------------------------------------------------------------


def asks(name: str, address: str, who: str) -> Asker:
    asking = codes.Asking(node(who), name, "123456", "")
    return Asker(asking, None, address, 0, lambda *_: None)  # type: ignore[arg-type]


def test_one_is_named_by_name_address_or_id_and_never_guessed() -> None:
    askers = Askers()
    askers.add(1, asks("pi4", "10.0.0.1", "a"))
    askers.add(2, asks("pi4", "10.0.0.2", "b"))
    askers.add(3, asks("mac", "10.0.0.3", "c"))
    assert askers.named("mac").address == "10.0.0.3"
    assert askers.named("10.0.0.2").asking.node == node("b")
    assert askers.named(node("a")[:9]).address == "10.0.0.1"
    with pytest.raises(UsageError, match="several machines ask as pi4"):
        askers.named("pi4")
    for word in ("", "nova"):
        with pytest.raises(UsageError) as error:
            askers.named(word)
        assert error.value.hint == "these ask: pi4, pi4, mac"


# ---- asking one machine what it says of itself -----------------------------------------------------------------------


def test_whoever_is_called_answers_with_its_advert() -> None:
    async def play() -> None:
        advert = Advert(VERSION, "0123456789abcdef", b"k" * 32, closed().port)
        answering = await calling.listen(HOST, advert, Clock())
        try:
            assert await calling.call(HOST, advert.port) == (advert, HOST, advert.port)
        finally:
            answering.close()
        assert await calling.call(HOST, advert.port, 0.1) is None

    played(play)


def test_an_answer_is_no_longer_than_its_question_and_only_that_is_answered() -> None:
    advert = Advert(VERSION, "0123456789abcdef", b"k" * 32, 65_000)
    assert len(calling.answer(advert)) <= len(calling.question())
    assert calling.heard(calling.answer(advert)) == advert
    for data in (b"", calling.QUESTION, calling.question()[:-1], calling.question() + b"\0"):
        assert not calling.is_question(data)
    for data in (b"", calling.ANSWER, calling.ANSWER + b"\xff" * 100, calling.question()):
        assert calling.heard(data) is None
