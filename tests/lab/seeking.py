"""One machine's discovery as a program, for tests in the lab: `python -m tests.lab.seeking HOW …`

    announce PORT [NAMES]  says that it is there until it is ended by a signal, and prints one line for each change
    silent                 hears, and says nothing
    fakes COUNT            says so often that it is there, in wrong and in right ways
    wander FOLDER PORT     as `announce`, where the network is known; what is typed (`trust`) is done
    nobody PORT [NAME ADDRESS]
                           looks for a second, and says why nobody was found

NAMES are interfaces. Prints JSON lines; `at` is milliseconds since the program began to look.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odyssey.clock import SystemEntropy
from odyssey.mesh.discovery import around
from odyssey.mesh.discovery.adverts import SERVICE, Advert, instance, written
from odyssey.mesh.discovery.interfaces import lans
from odyssey.mesh.discovery.knocking import Known, observe
from odyssey.mesh.discovery.mdns import Mdns
from odyssey.mesh.discovery.neighbours import look
from odyssey.mesh.discovery.networks import Posture
from odyssey.mesh.discovery.nobody import text
from odyssey.mesh.discovery.wandering import Wandering

BEGAN = time.monotonic()


def tell(**more: Any) -> None:
    print(json.dumps({"at": round((time.monotonic() - BEGAN) * 1000), **more}), flush=True)


def advert(port: int) -> Advert:
    return Advert(1, "0123456789abcdef", bytes([port % 256]) * 32, port)


def telling(mdns: Mdns) -> None:
    def changed() -> None:
        found = {one.advert.port: sorted(one.addresses) for one in mdns.found()}
        tell(found={str(port): found[port] for port in sorted(found)})

    mdns.when_changed(changed)


def end() -> asyncio.Event:
    """From now on SIGTERM is an end in order."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    return over


async def announce(port: int, names: str) -> None:
    over = end()
    mdns = Mdns(SystemEntropy())
    telling(mdns)
    await mdns.be_on([one for one in lans(around.interfaces()) if one.name in (names or one.name).split(",")])
    tell(is_on=True)
    if port:
        await mdns.announce(advert(port))
    await over.wait()
    await mdns.close()


async def wander(folder: Path, port: int) -> None:
    mdns = Mdns(SystemEntropy())
    telling(mdns)
    await mdns.announce(advert(port))
    wandering = Wandering(folder / "networks", mdns, around.settled)
    wandering.when_changed(lambda change: tell(appeared=change.appeared, vanished=change.vanished))
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    following = asyncio.create_task(wandering.follow(0.2))
    while line := await reader.readline():
        if line == b"trust\n":
            tell(trusted=[one.subnet for one in await wandering.trust()])
        tell(open=[one.name for one in wandering.stance.open_on], quiet=[one.name for one in wandering.stance.quiet_on])
    following.cancel()
    await mdns.close()


async def fakes(count: int) -> None:
    """From one machine: half of them are well written, the others are not, and some never say where they are."""
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

    over = end()
    mine = lans(around.interfaces())
    address = str(mine[0].addresses[0].ip)
    zeroconf = AsyncZeroconf(interfaces=[address])
    for number in range(count):
        name = instance(number.to_bytes(8, "big"))
        good = written(advert(10_000 + number))
        text_ = (good, good[:-1], os.urandom(100), good + b"\3x=y")[number % 4]
        info = AsyncServiceInfo(SERVICE, name, port=10_000 + number, properties=text_, server=f"{number}.local.")
        info.addresses = [bytes(map(int, (address if number % 3 else "8.8.8.8").split(".")))] if number % 5 else []
        await zeroconf.async_register_service(info, cooperating_responders=True)
    tell(said=count)
    await over.wait()
    await zeroconf.async_close()


async def nobody(port: int, known: Sequence[str]) -> None:
    lan = lans(await around.settled())
    mdns = Mdns(SystemEntropy())
    await mdns.be_on(lan)
    found = await look(mdns, seconds=1.0)
    await mdns.close()
    # A machine that was met before has been sent something, so that the neighbours' table knows it.
    place = [Known(known[0], known[1], port)] if known else []
    seen = await observe(Posture(lan, ()), place, port, 1.0, 1.0)
    tell(found=len(found), text=text(seen).splitlines())


def main(how: str, *more: str) -> None:
    match how:
        case "announce" | "silent":
            asyncio.run(announce(int(more[0]) if more else 0, more[1] if more[1:] else ""))
        case "fakes":
            asyncio.run(fakes(int(more[0])))
        case "wander":
            asyncio.run(wander(Path(more[0]), int(more[1])))
        case "nobody":
            asyncio.run(nobody(int(more[0]), more[1:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
