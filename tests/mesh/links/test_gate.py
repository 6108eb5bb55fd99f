"""Joining over real sockets on the loopback: the whole way, and those who should not get in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from odyssey.clock import SystemClock
from odyssey.commands import AdmitMember, RenewMember
from odyssey.errors import NotPermitted, OdysseyError, Unreachable
from odyssey.mesh.links import gate as gates
from odyssey.mesh.links.gate import Gate
from odyssey.mesh.links.knock import knock
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.trust.invite import Address, Invite
from odyssey.mesh.trust.join_client import Caller, JoinClient, Joined
from odyssey.mesh.trust.visitors import Visitor
from tests.mesh.trust.gate import Gate as Issuer
from tests.mesh.trust.people import NOW, curve, key, node

HOST = "127.0.0.1"


class Clock(SystemClock):
    def wall_ms(self) -> int:
        return NOW


class Place:
    """A join socket of `issuer`, and the log behind it."""

    def __init__(self, issuer: Issuer) -> None:
        self.issuer = issuer
        self.taken: list[AdmitMember | RenewMember] = []
        self.is_stuck = False
        self.gate = Gate(asyncio.get_running_loop(), keys(issuer.name), Clock(), self._visit, self._take)
        self.port = self.gate.listen(HOST, 0)

    def _visit(self, visitor: bytes) -> Visitor:
        return Visitor(self.issuer.porter, visitor)

    def _take(self, command: AdmitMember | RenewMember, done: Callable[[OdysseyError | None], None]) -> None:
        self.taken.append(command)
        if not self.is_stuck:
            done(self.issuer.takes(command))

    @property
    def address(self) -> Address:
        return Address(HOST, self.port)

    async def join(
        self, invite: Invite, name: str = "pi", *more: Address, server: str = "", patience_s: float = 10.0
    ) -> Joined:
        their = curve(server or self.issuer.name).public

        def dialogue() -> Caller:
            return JoinClient(invite, "pi4", key(name), curve(name).public, their)

        return await knock(their, (*more, self.address), keys(name), dialogue, Clock(), patience_s)


def keys(name: str) -> Keys:
    return Keys(curve(name).public, curve(name).secret)


@asynccontextmanager
async def opened(issuer: Issuer | None = None) -> AsyncIterator[Place]:
    place = Place(issuer or Issuer())
    try:
        yield place
    finally:
        place.gate.close()


def played(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(30):
            await play()

    asyncio.run(all_of_it())


def closed() -> Address:
    """Nobody listens there."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        return Address(HOST, found.getsockname()[1])


def test_with_an_invite_one_gets_in() -> None:
    async def play() -> None:
        async with opened() as place:
            joined = await place.join(place.issuer.invite())
            assert joined.mine.node == node("pi")
            assert [one.node for one in place.taken] == [node("pi")]
            assert node("pi") in place.issuer.log.state.members

    played(play)


def test_addresses_are_equal_and_a_dead_one_delays_nobody() -> None:
    async def play() -> None:
        async with opened() as place:
            joined = await place.join(place.issuer.invite(), "pi", closed(), Address("192.0.2.1", 9))
            assert joined.mine.node == node("pi")

    played(play)


def test_two_addresses_of_one_machine_are_one_visit() -> None:
    async def play() -> None:
        async with opened() as place:
            other = Address(HOST, place.gate.listen(HOST, 0))
            await place.join(place.issuer.invite(), "pi", other)
            assert len(place.taken) == 1

    played(play)


def test_a_spent_invite_is_refused_in_the_words_of_the_mesh() -> None:
    async def play() -> None:
        async with opened() as place:
            invite = place.issuer.invite()
            await place.join(invite)
            with pytest.raises(NotPermitted, match="has let in all it may"):
                await place.join(invite, "mac")
            await place.join(invite)  # the same machine again: its answer may have been lost
            assert len(place.taken) == 2

    played(play)


def test_what_the_log_does_not_take_is_told() -> None:
    async def play() -> None:
        async with opened() as place:
            invite = place.issuer.invite()
            place.issuer.takes = lambda _: OdysseyError("too few keepers", hint="wait")  # type: ignore[assignment,method-assign,return-value]
            with pytest.raises(NotPermitted, match="too few keepers"):
                await place.join(invite)

    played(play)


def test_a_log_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    async def play() -> None:
        async with opened() as place:
            place.is_stuck = True
            with pytest.raises(Unreachable):
                await place.join(place.issuer.invite(), patience_s=0.5)
            assert len(place.taken) == 1

    played(play)


def test_whoever_has_another_key_is_not_talked_to() -> None:
    """Somebody listens at the address of the invite, with a key of his own."""

    async def play() -> None:
        async with opened(Issuer(name="gamebox")) as place:
            with pytest.raises(Unreachable, match="somebody else"):
                await place.join(place.issuer.invite(), server="nova", patience_s=5)
            assert place.taken == []

    played(play)


def test_nobody_there_is_told_with_the_address() -> None:
    async def play() -> None:
        async with opened() as place:
            place.gate.close()
            with pytest.raises(Unreachable, match=f"nobody answers at tcp://{HOST}:{place.port}"):
                await place.join(place.issuer.invite())
            place.gate = Gate(asyncio.get_running_loop(), keys("x"), Clock(), place._visit, place._take)

    played(play)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"x" * 100, bytes(200_000)])
def test_raw_bytes_end_nothing(data: bytes) -> None:
    async def play() -> None:
        async with opened() as place:
            _, writer = await asyncio.open_connection(HOST, place.port)
            writer.write(data)
            await writer.drain()
            assert (await place.join(place.issuer.invite())).mine.node == node("pi")
            writer.close()

    played(play)


def test_many_who_say_nothing_keep_nobody_out() -> None:
    async def play() -> None:
        async with opened() as place:
            silent = [await asyncio.open_connection(HOST, place.port) for _ in range(200)]
            assert (await place.join(place.issuer.invite())).mine.node == node("pi")
            for _, writer in silent:
                writer.close()

    played(play)


def test_one_address_cannot_come_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "BURST", 3)
    monkeypatch.setattr(gates, "A_SECOND", 0)

    async def play() -> None:
        async with opened() as place:
            invite = place.issuer.invite(uses=9)
            for name in ("a", "b", "c"):
                await place.join(invite, name)
            with pytest.raises(Unreachable):
                await place.join(invite, "d", patience_s=1)
            assert place.gate.turned == 1

    played(play)


def test_who_stays_is_sent_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "DIALOGUE_MS", 0)

    async def play() -> None:
        async with opened() as place:
            place.is_stuck = True
            with pytest.raises(Unreachable, match="the connection ended"):
                await place.join(place.issuer.invite())

    played(play)
