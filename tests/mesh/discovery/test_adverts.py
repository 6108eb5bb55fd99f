"""What is said on the LAN, and that nothing else is taken for it."""

from __future__ import annotations

import tracemalloc

import pytest

from odyssey.clock import SeededEntropy
from odyssey.mesh.discovery.adverts import (
    LONGEST,
    Advert,
    BadAdvert,
    instance,
    is_instance,
    read,
    tag_of,
    written,
)

ADVERT = Advert(1, tag_of(b"some mesh"), bytes(range(32)), 7660)


def items(*texts: bytes) -> bytes:
    return b"".join(bytes((len(text),)) + text for text in texts)


def parts() -> list[bytes]:
    text, found = written(ADVERT), []
    while text:
        found.append(text[1 : 1 + text[0]])
        text = text[1 + text[0] :]
    return found


def test_it_is_read_as_it_was_written_in_any_order() -> None:
    assert read(written(ADVERT)) == ADVERT
    assert read(items(*reversed(parts()))) == ADVERT
    assert len(written(ADVERT)) <= LONGEST


def test_nothing_but_four_things_is_said() -> None:
    assert [part.partition(b"=")[0] for part in parts()] == [b"v", b"m", b"k", b"p"]


def test_a_tag_tells_meshes_apart() -> None:
    assert tag_of(b"some mesh") != tag_of(b"other mesh")
    assert len(tag_of(b"")) == 16


V, M, K, P = parts()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0",
        items(),
        items(V, M, K),
        items(V, M, K, P, P),
        items(V, M, K, P, b"name=annas-laptop"),
        items(V, M, K, P, b""),
        items(V, M, K, P)[:-1],
        items(b"v=2", M, K, P),
        items(b"v=0", M, K, P),
        items(b"v=01", M, K, P),
        items(V, M.upper(), K, P),
        items(V, M + b"0", K, P),
        items(V, M, K[:-1], P),
        items(V, M, K[:-1] + b"9", P),  # bits that no key has: the same key in another spelling
        items(V, M, K + b"=", P),
        items(V, M, K, b"p=0"),
        items(V, M, K, b"p=65536"),
        items(V, M, K, b"p=+7660"),
        items(V, M, K, "p=٧٦٦٠".encode()),
        items(V, M, K, b"p"),
        items(V, M, K, b"P=7660"),
        items(V, M, K, P) + bytes(LONGEST),
    ],
)
def test_what_is_not_written_by_one_of_us_is_refused(text: bytes) -> None:
    with pytest.raises(BadAdvert):
        read(text)


def test_what_is_too_long_is_not_even_looked_at() -> None:
    with pytest.raises(BadAdvert, match="too many bytes"):
        read(items(*(f"{number}=x".encode() for number in range(9000))))


def test_noise_is_refused_and_costs_nothing() -> None:
    entropy, taken = SeededEntropy(7), 0
    tracemalloc.start()
    for _ in range(20_000):
        text = bytearray(written(ADVERT) if entropy.chance(500) else entropy.token(1 + entropy.below(300)))
        for _ in range(1 + entropy.below(3)):
            text[entropy.below(len(text))] = entropy.below(256)
        try:
            found = read(bytes(text))
        except BadAdvert:
            continue
        taken += 1
        assert read(written(found)) == found
    grown = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert grown < 5 << 20
    assert taken < 10_000  # most changes are noticed; the others are other keys and ports


def test_a_service_has_a_random_name_and_others_are_not_ours() -> None:
    assert is_instance(instance(bytes(8)))
    for name in ("anna._odyssey._tcp.local.", "00" * 8 + "._http._tcp.local.", instance(bytes(8)) + "x", "", "." * 300):
        assert not is_instance(name)
