"""Who was seen on the LAN: bounded, however many pretend to be there.

Promises: at most MOST in all and MOST_HERE at one address; who was there first is not pushed out.
Never: believes an address that is not on our side of every router.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from odyssey.mesh.discovery.adverts import Advert, BadAdvert, is_instance, read
from odyssey.mesh.discovery.interfaces import Interface, within_reach

MOST: Final = 1024
MOST_HERE: Final = 8  # users of one machine may each have a daemon
MOST_ADDRESSES: Final = 8  # of one service


class Found(NamedTuple):
    name: str
    advert: Advert
    addresses: tuple[str, ...]


class Sightings:
    def __init__(self, own: str = "") -> None:
        """`own` is the name under which this machine announces itself just now."""
        self.own = own
        self._found: dict[str, Found] = {}
        self.refused: Counter[str] = Counter()  # by reason

    def all(self) -> tuple[Found, ...]:
        return tuple(self._found.values())

    def see(self, name: str, text: bytes, port: int, addresses: Iterable[str], lan: Sequence[Interface]) -> bool:
        """True: something is new about it."""
        if name == self.own:
            return False
        reason = self._fault(name, text, port)
        near = within_reach(list(addresses)[:MOST_ADDRESSES], lan)
        if not reason and not near:
            reason = "no address within reach"
        if not reason and name not in self._found:
            reason = self._crowded(near)
        if reason:
            self.refused[reason] += 1
            return self.lose(name)  # what it says now is not what it said
        found = Found(name, read(text), near)
        is_new = self._found.get(name) != found
        for old in [one.name for one in self._found.values() if _is_same(one, found)]:
            del self._found[old]  # it has begun again, and could not say goodbye
        self._found[name] = found
        return is_new

    def _fault(self, name: str, text: bytes, port: int) -> str:
        if not is_instance(name):
            return "no name of ours"
        try:
            return "" if read(text).port == port else "two ports"
        except BadAdvert as error:
            return error.message

    def _crowded(self, near: Sequence[str]) -> str:
        if len(self._found) >= MOST:
            return "too many services"
        here = sum(1 for one in self._found.values() if set(near) & set(one.addresses))
        return "too many services at one address" if here >= MOST_HERE else ""

    def lose(self, name: str) -> bool:
        return self._found.pop(name, None) is not None


def _is_same(one: Found, other: Found) -> bool:
    return one.name != other.name and one.advert == other.advert and set(one.addresses) == set(other.addresses)
