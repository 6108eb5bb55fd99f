"""What is looked at before a machine joins, without a daemon: whether a text is an invite; and without one, where it
can ask to be let in: at addresses that were typed, or wherever the LAN says.

Promises: looks for a moment only; says which meshes there are when there are several, and takes none of them.
Never: believes what it hears: the codes show which mesh it is.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final

from odyssey.errors import Unreachable, UsageError, echo
from odyssey.mesh.company import written

PORT: Final = 7660
LOOK_S: Final = 2.0
MOST_ADDRESSES: Final = 4  # of one name
INVITE: Final = "with an invite it goes from anywhere: odyssey invite, on a machine of the mesh"

Doors = tuple[tuple[str, str], ...]


def checked(text: str) -> str:
    """An invite, as it was pasted. Raises what is wrong with it."""
    from odyssey.mesh.trust import invite

    invite.read(text)
    return text


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
    return asyncio.run(_called(addresses) if addresses else _seen())


async def _called(addresses: Sequence[str]) -> Doors:
    from odyssey.mesh.discovery.calling import call_all

    parts = [address.rpartition(":") for address in addresses]
    found = await call_all([(host.strip("[]"), int(port)) for host, _, port in parts])
    if not found:
        raise Unreachable(f"no mesh answers at {', '.join(addresses)} (UDP)", hint=INVITE)
    return _one_mesh([(one.advert.tag, one.advert.key.hex(), written(one.host, one.port)) for one in found])


async def _seen() -> Doors:
    from odyssey.clock import SystemEntropy
    from odyssey.mesh.discovery import around
    from odyssey.mesh.discovery.interfaces import lans
    from odyssey.mesh.discovery.mdns import Mdns
    from odyssey.mesh.discovery.neighbours import look

    mdns = Mdns(SystemEntropy())
    try:
        await mdns.be_on(lans(await around.settled()))
        found = await look(mdns, seconds=LOOK_S)
    finally:
        await mdns.close()
    if not found:
        raise Unreachable(f"no mesh is seen on this network (looked for {LOOK_S:g} s)", hint=INVITE)
    return _one_mesh(
        [
            (one.advert.tag, one.advert.key.hex(), written(host, one.advert.port))
            for one in found
            for host in one.addresses
        ]
    )


def _one_mesh(found: Sequence[tuple[str, str, str]]) -> Doors:
    if len({tag for tag, _, _ in found}) > 1:
        firsts = {tag: where for tag, _, where in reversed(found)}
        where = ", ".join(sorted(firsts.values()))
        hint = f"say which: odyssey join --addr {min(firsts.values())}"
        raise UsageError(f"there are several meshes here: {where}", hint=hint)
    return tuple((key, where) for _, key, where in found)
