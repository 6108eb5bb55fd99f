"""What is looked at before a machine joins, without a daemon: whether a text is an invite; and without one, where it
can ask to be let in: at addresses that were typed, or wherever the LAN says.

Promises: looks for a moment only; says which meshes there are when there are several, and takes none of them.
Never: believes what it hears: the codes show which mesh it is.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from odyssey.entry import Entry
from odyssey.errors import Unreachable, UsageError, echo

if TYPE_CHECKING:
    from odyssey.mesh.discovery.interfaces import Interface
    from odyssey.mesh.discovery.knocking import Known
    from odyssey.mesh.discovery.sightings import Found

PORT: Final = 7660
LOOK_S: Final = 2.0
MOMENT_S: Final = 0.8  # before a mesh is begun
REST_S: Final = 0.2
SETTLE_S: Final = 0.3
PATIENCE_S: Final = 2.0
MOST_KNOCKED: Final = 8
MORE_S: Final = 0.8  # another mesh may be slower
MOST_ADDRESSES: Final = 4  # of one name
INVITE: Final = "with an invite it goes from anywhere: odyssey invite, on a machine of the mesh"

Doors = tuple[tuple[str, str], ...]
T = TypeVar("T")


def checked(text: str) -> str:
    """An invite, as it was pasted. Raises what is wrong with it."""
    from odyssey.mesh.trust import invite

    invite.read(text)
    return text


def unreachable(invite: str) -> str:
    """That nobody can come by this invite as it stands, as a sentence; empty: somebody may."""
    from odyssey.mesh.trust.invite import read

    addresses = read(invite).addresses
    if not addresses:
        return "this machine has no address on a network just now: whoever joins has to say one, with --addr"
    if all(ip_address(one.host).is_loopback for one in addresses):
        return "this machine listens for itself only (127.0.0.1): nobody else can use this invite"
    return ""


def is_of(invite: str, anchor: bytes) -> bool:
    """Is it for the mesh with this root?"""
    from odyssey.mesh.trust.invite import read

    return bool(invite) and read(invite).root == anchor


def resolved(words: Sequence[str]) -> tuple[str, ...]:
    """HOST:PORT, HOST or an address alone, as addresses with their port."""
    return tuple(dict.fromkeys(found for word in words for found in _resolved(word)))


def _resolved(word: str) -> list[str]:
    host, port = _parts(word)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        hint = "write HOST:PORT, for example --addr 192.168.1.20:7660"
        raise UsageError(f"{echo(host)} is neither an address nor a name that is known here", hint=hint) from error
    return [written(str(one[4][0]), port) for one in found[:MOST_ADDRESSES]]


def _parts(word: str) -> tuple[str, int]:
    if word.count(":") > 1 and not word.startswith("["):
        return word, PORT  # IPv6 without a port
    host, colon, port = word.rpartition(":") if not word.endswith("]") else (word, "", "")
    if not colon:
        host, port = word, str(PORT)
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_534:
        raise UsageError(f"{echo(word)} is no address", hint="write HOST:PORT, for example --addr 192.168.1.20:7660")
    return host.strip("[]"), int(port)


def doors(addresses: Sequence[str]) -> Doors:
    """At these, or none given: on the LAN. Raises where there is none, or several meshes are."""
    return _run(_called(addresses) if addresses else _seen())


async def _called(addresses: Sequence[str]) -> Doors:
    from odyssey.mesh.discovery.calling import call_all

    parts = [address.rpartition(":") for address in addresses]
    found = await call_all([(host.strip("[]"), int(port)) for host, _, port in parts])
    if not found:
        raise Unreachable(f"no mesh answers at {', '.join(addresses)} (UDP)", hint=INVITE)
    return _one_mesh([(one.advert.tag, one.advert.key.hex(), written(one.host, one.port)) for one in found])


async def _seen() -> Doors:
    found = (await _look(LOOK_S, MORE_S)).found
    if not found:
        raise Unreachable(f"no mesh is seen on this network (looked for {LOOK_S:g} s)", hint=INVITE)
    return _one_mesh(
        [
            (one.advert.tag, one.advert.key.hex(), written(host, one.advert.port))
            for one in found
            for host in one.addresses
        ]
    )


# -- what is there -----------------------------------------------------------------------------------------------------


class Seen(NamedTuple):
    lan: tuple[Interface, ...]
    found: tuple[Found, ...] = ()


class Nearby(NamedTuple):
    """A mesh that is seen on the LAN. Its name is told to nobody who does not belong to it."""

    tag: str
    machines: int
    on: tuple[str, ...]  # interfaces of this machine


async def _look(seconds: float, rest_s: float = 0.0) -> Seen:
    """`rest_s`: when somebody was seen, the others are waited for so long."""
    from asyncio import sleep

    from odyssey.clock import SystemEntropy
    from odyssey.mesh.discovery import around
    from odyssey.mesh.discovery.interfaces import lans
    from odyssey.mesh.discovery.mdns import Mdns
    from odyssey.mesh.discovery.neighbours import NotHeard, look

    lan, mdns = lans(await around.settled(SETTLE_S)), Mdns(SystemEntropy())
    if not lan:
        return Seen(())
    try:
        await mdns.be_on(lan)
        if await look(mdns, seconds=seconds):
            await sleep(rest_s)
        return Seen(lan, mdns.found())
    except NotHeard:
        return Seen(lan)
    finally:
        await mdns.close()


def meshes() -> tuple[Nearby, ...]:
    """Which are here, after a moment; the largest first."""
    seen = _run(_look(MOMENT_S, REST_S))
    tags = {one.advert.tag for one in seen.found}
    found = (nearby(seen.lan, tag, [one for one in seen.found if one.advert.tag == tag]) for tag in tags)
    return tuple(sorted(found, key=lambda one: (-one.machines, one.tag)))


def nearby(lan: Sequence[Interface], tag: str, found: Sequence[Found]) -> Nearby:
    ips = [ip_address(text.partition("%")[0]) for one in found for text in one.addresses]
    on = [one.name for one in lan if any(ip in mine.network for ip in ips for mine in one.addresses)]
    return Nearby(tag, len({one.advert.key for one in found}), tuple(on))


def elsewhere(entry: Entry) -> Entry | None:
    """The machine of an invite is at other addresses by now, and seen there."""
    from odyssey.mesh.trust import invite as invites

    if not entry.invite:
        return None
    invite = invites.read(entry.invite)
    known = {*entry.addresses, *(written(*one) for one in invite.addresses)}
    seen = _run(_look(MOMENT_S)).found
    found = [written(host, one.advert.port) for one in seen if one.advert.key == invite.curve for host in one.addresses]
    new = tuple(one for one in found if one not in known)
    return entry._replace(addresses=new) if new else None


def nobody(entry: Entry) -> tuple[str, ...]:
    """Why nobody answers, as far as that can be observed; each line with what helps."""
    from odyssey.mesh.discovery.knocking import Known
    from odyssey.mesh.trust import invite as invites

    places = [Known("", *one) for one in invites.read(entry.invite).addresses] if entry.invite else []
    typed = [one.rpartition(":") for one in entry.addresses]
    places += [Known("", host.strip("[]"), int(port)) for host, _, port in typed]
    return _run(_nobody(places[:MOST_KNOCKED]))


async def _nobody(places: Sequence[Known]) -> tuple[str, ...]:
    from odyssey.mesh.discovery import around
    from odyssey.mesh.discovery.interfaces import lans
    from odyssey.mesh.discovery.knocking import observe
    from odyssey.mesh.discovery.networks import Posture
    from odyssey.mesh.discovery.nobody import text

    stance = Posture(lans(await around.settled(SETTLE_S)))
    return tuple(text(await observe(stance, places, PORT, LOOK_S, PATIENCE_S)).splitlines())


def _one_mesh(found: Sequence[tuple[str, str, str]]) -> Doors:
    if len({tag for tag, _, _ in found}) > 1:
        firsts = {tag: where for tag, _, where in reversed(found)}
        where = ", ".join(sorted(firsts.values()))
        hint = f"say which: odyssey join --addr {min(firsts.values())}"
        raise UsageError(f"there are several meshes here: {where}", hint=hint)
    return tuple((key, where) for _, key, where in found)


# -- what most who join do not need, and what takes long to import -----------------------------------------------------


def _run(looking: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(looking)


def written(host: str, port: int) -> str:
    from odyssey.mesh.company import written

    return written(host, port)
