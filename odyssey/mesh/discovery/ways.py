"""Which addresses of a machine to try, and in which order: known ones and told ones are equal ways to the same door.

None is waited for: the next begins a moment later, and the first that answers wins.
Promises: every way is tried, each once, at most MOST; what worked last begins; families take turns, so that a network
with half of one kind costs a moment and no more.
Never: tries this machine itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from ipaddress import ip_address
from itertools import zip_longest
from typing import Final, NamedTuple

from odyssey.mesh.discovery.interfaces import Interface

MOST: Final = 16
STEP_MS: Final = 150


class Source(IntEnum):
    """Where an address is from. No kind is better than another: what counts is when it worked."""

    MET = 0  # a link was there
    GIVEN = 1  # typed, or in an invite
    SEEN = 2  # on the LAN


class Way(NamedTuple):
    address: str
    port: int
    source: Source
    worked_ms: int = 0  # when a link was there last; 0: never


class Try(NamedTuple):
    after_ms: int
    address: str
    port: int


def order(ways: Iterable[Way], interfaces: Sequence[Interface] = ()) -> tuple[Try, ...]:
    """`interfaces` are this machine's own."""
    mine = {str(address.ip) for one in interfaces for address in one.addresses}
    best: dict[tuple[str, int], Way] = {}
    for way in ways:
        place = (way.address, way.port)
        if _can_be_dialled(way) and way.address not in mine and _is_better(way, best.get(place)):
            best[place] = way
    ranked = sorted(best.values(), key=lambda way: (-way.worked_ms, not _is_near(way.address, interfaces), way.source))
    return tuple(Try(at * STEP_MS, way.address, way.port) for at, way in enumerate(list(_in_turns(ranked))[:MOST]))


def _is_better(way: Way, other: Way | None) -> bool:
    return other is None or (way.worked_ms, -way.source) > (other.worked_ms, -other.source)


def _can_be_dialled(way: Way) -> bool:
    try:
        ip = ip_address(way.address.partition("%")[0])
    except ValueError:
        return False
    needs_scope = ip.version == 6 and ip.is_link_local and "%" not in way.address
    return not (ip.is_multicast or ip.is_unspecified or needs_scope) and 0 < way.port < 65536


def _is_near(address: str, interfaces: Sequence[Interface]) -> bool:
    ip = ip_address(address.partition("%")[0])
    return any(ip in mine.network for one in interfaces for mine in one.addresses if mine.version == ip.version)


def _in_turns(ranked: Sequence[Way]) -> Iterator[Way]:
    """What has worked, in the order of when; then the others, one of each family in turn."""
    yield from (way for way in ranked if way.worked_ms)
    fresh = [way for way in ranked if not way.worked_ms]
    fours, sixes = ([way for way in fresh if (":" in way.address) is is_six] for is_six in (False, True))
    pairs = (sixes, fours) if fresh and ":" in fresh[0].address else (fours, sixes)
    for pair in zip_longest(*pairs):
        yield from (way for way in pair if way is not None)
