"""Bytes that nobody honest sends, at every place that reads bytes of strangers: refused, in order, and at no cost.

Drawn from a seed: changed pieces of genuine letters, nonsense, and bombs. What is right by chance may pass; nothing may
raise anything but its own refusal, or let anybody in.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import suppress

import msgpack
import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.trust.invite import BadInvite, read, written
from odyssey.mesh.trust.join_client import JoinClient, NotJoined
from odyssey.mesh.trust.letters import Admitted, Hello, packed, unpacked
from odyssey.mesh.trust.signed import Untrusted
from tests.mesh.trust.gate import Gate
from tests.mesh.trust.people import NOW, curve, key, node

ROUNDS = 400
ROOM = 50 << 20


def bombs() -> Iterator[bytes]:
    yield b"\xdf\xff\xff\xff\xff"
    yield b"\xdd\xff\xff\xff\xff" * 1600
    yield b"\x80" * (8 << 20)
    yield b"\x91" * 8000
    yield b"\xdc\x0f\xff" * 2700
    yield msgpack.packb([1, ["page", [b""] * 500, []]])
    yield msgpack.packb([1, ["hello", *([[]] * 400)]])
    yield msgpack.packb(["member", b"\x80" * 900, bytes(64)])
    yield msgpack.packb([1, ["chain", bytes(32), 1 << 63, b"", b"", b"", [b"x" * 7000], "x"]])


def changed(draw: SeededEntropy, seeds: list[bytes]) -> bytes:
    """One of them with some bytes flipped, cut, doubled, or put into another."""
    data = bytearray(draw.choose(seeds))
    for _ in range(1 + draw.below(3)):
        at = draw.below(len(data) + 1)
        match draw.below(5):
            case 0 if at < len(data):
                data[at] ^= 1 << draw.below(8)
            case 1:
                del data[at : at + draw.below(20)]
            case 2:
                data[at:at] = draw.token(1 + draw.below(8))
            case 3:
                data[at:at] = draw.choose(seeds)[: draw.below(200)]
            case _:
                data = data[:at] or bytearray(b"\x91")
    return bytes(data)


@pytest.fixture(scope="module")
def told() -> list[bytes]:
    """All that travels when machines join and renew."""
    gate = Gate()
    gate.trust.take(gate.realm.revocation(node("mac")))
    joined = gate.joins(gate.invite())
    said = list(gate.heard)
    gate.renews(joined.trust, joined.certificate)
    return said + gate.heard


def inputs(seeds: list[bytes], seed: int) -> Iterator[bytes]:
    draw = SeededEntropy(seed)
    yield from bombs()
    for _ in range(ROUNDS):
        yield changed(draw, seeds)


def test_what_is_signed(told: list[bytes]) -> None:
    gate = Gate()
    items = [gate.realm.member("pi"), gate.realm.terms(), gate.realm.revocation(node("x")), gate.realm.issuer("titan")]
    before = gate.trust.items
    tracemalloc.start()
    try:
        for data in inputs([*items, *told], 1):
            if data in items:
                continue
            for reader in (
                gate.trust.take,
                lambda one: gate.trust.check(one, NOW),
                lambda one: gate.trust.terms(one, NOW),
            ):
                with suppress(Untrusted):
                    reader(data)
        assert gate.trust.items == before
        assert tracemalloc.get_traced_memory()[1] < ROOM
    finally:
        tracemalloc.stop()


def test_at_the_join_socket(told: list[bytes]) -> None:
    gate = Gate()
    tracemalloc.start()
    try:
        for number, data in enumerate(inputs(told, 2)):
            server = gate.visit()
            if number % 2:
                gate.hears(server, packed(Hello()))
            answer = gate.hears(server, data)
            assert all(not isinstance(unpacked(one), Admitted) for one in answer.say)
        assert not gate.log.state.members
        assert tracemalloc.get_traced_memory()[1] < ROOM
    finally:
        tracemalloc.stop()


def test_at_a_machine_that_wants_in(told: list[bytes]) -> None:
    gate = Gate()
    invite, chains = gate.invite(), [one for one in told if b"chain" in one[:12]]
    tracemalloc.start()
    try:
        for number, data in enumerate(inputs(told, 3)):
            client = JoinClient(invite, "pi4", key("pi"), curve("pi").public, curve("gamebox").public)
            with suppress(NotJoined):
                if number % 2:
                    client.step(chains[0], NOW)
                found = client.step(data, NOW)
                assert found.joined is None or found.joined.mine.node == node("pi")
        assert tracemalloc.get_traced_memory()[1] < ROOM
    finally:
        tracemalloc.stop()


def test_an_invite() -> None:
    draw, text = SeededEntropy(4), written(Gate().invite()).encode()
    for _ in range(60):
        with suppress(BadInvite):
            assert read(changed(draw, [text]).decode("latin-1")).addresses
