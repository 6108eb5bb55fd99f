"""Shows the certificate of its home where it is worth nothing: `python -m tests.lab.attacks.renewing HOST KEY`

Its home says who it is. Asks at the join port of HOST for a new certificate, as if that were its own mesh; prints what
it is told.
"""

from __future__ import annotations

import asyncio
import json
import sys

from odyssey.clock import SystemClock
from odyssey.daemon import founding
from odyssey.errors import OdysseyError
from odyssey.mesh import identity
from odyssey.mesh.links.knock import knock
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.trust import standing
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.join_client import Caller, RenewClient
from odyssey.mesh.trust.letters import Chain
from odyssey.mesh.trust.trustset import TrustSet
from odyssey.paths import find_home

PORT = 7660


class Anywhere(RenewClient):
    """It believes whoever answers."""

    def _expected(self, letter: Chain) -> TrustSet:
        return TrustSet(letter.mesh, letter.root)


async def renew(host: str, server: bytes) -> str:
    home = find_home()
    key, belonging = identity.load(home.key), founding.load(home)
    assert belonging is not None
    mine = standing.load(home, key.key, belonging.anchor)

    def dialogue() -> Caller:
        return Anywhere(mine.trust(), mine.known.certificate, mine.node, mine.curve.public, server)

    try:
        keys = Keys(mine.curve.public, mine.curve.secret)
        await knock(server, [Address(host, PORT)], keys, dialogue, SystemClock())
    except OdysseyError as error:
        return error.message
    return "let in"


def main(host: str, server: str) -> None:
    print(json.dumps(asyncio.run(renew(host, bytes.fromhex(server)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
