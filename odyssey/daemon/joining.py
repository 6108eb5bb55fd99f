"""Into a mesh, before this daemon is anything: knock, with an invite or without one, be let in, and write down what was
given.

What was given lies in a folder of its own until the note says which mesh this machine is in; whoever is interrupted
before that is in the mesh he was in, and whoever is interrupted after it takes the folder's things at the next start.

Promises: nothing in the home has changed until this machine was let in; then all that was given is on the disk before
the note that says which mesh it is in.
Never: keeps an invite.
"""

from __future__ import annotations

from typing import NamedTuple

from odyssey.clock import Clock, Entropy
from odyssey.daemon import given
from odyssey.daemon.founding import Belonging
from odyssey.entry import Entry
from odyssey.errors import UsageError, echo
from odyssey.exec import probe
from odyssey.mesh.company import keep
from odyssey.mesh.generation import Generation
from odyssey.mesh.links.knock import knock
from odyssey.mesh.links.pairing import Door, Person, pair
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.trust import invite as invites
from odyssey.mesh.trust import standing
from odyssey.mesh.trust.certificates import fingerprint
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.join_client import Caller, JoinClient, Joined
from odyssey.mesh.trust.pairing import MOST_ABOUT, NUMBER_BYTES, PairClient
from odyssey.mesh.trust.primitives import Pair
from odyssey.mesh.trust.standing import Known, Standing
from odyssey.paths import Home


class Newcomer(NamedTuple):
    """This machine."""

    home: Home
    node: Pair
    name: str  # it asks for
    clock: Clock
    entropy: Entropy

    @property
    def curve(self) -> Pair:
        return standing.own_curve(self.home, self.entropy)


async def join(
    newcomer: Newcomer, entry: Entry, person: Person | None = None, before: Belonging | None = None
) -> Belonging:
    """`person` is needed where codes are typed. `before` is the mesh it is in."""
    if entry.doors and person is not None:
        joined = await _asked(newcomer, entry, person)
    else:
        joined = await _invited(newcomer, entry, before.anchor if before is not None else b"")
    home, node, name, _, _ = newcomer
    trust, coming, curve = joined.trust, given.begin(home), newcomer.curve
    standing.save(coming, Standing(Known(trust.mesh, trust.root, joined.certificate, trust.items), node, curve))
    keep(coming.peers, joined.peers)
    return Belonging(
        *(trust.mesh, Generation(*joined.generation), joined.mesh_name, joined.mine.owner, name),
        anchor=fingerprint(trust.root),
        joined=True,
    )


async def _invited(newcomer: Newcomer, entry: Entry, own: bytes) -> Joined:
    invite, curve = invites.read(entry.invite), newcomer.curve
    if invite.root == own:
        raise UsageError("this invite is of the mesh that this machine is in", hint="use it on the other machine")

    def dialogue() -> Caller:
        return JoinClient(invite, newcomer.name, newcomer.node, curve.public, invite.curve)

    addresses = tuple(dict.fromkeys((*map(_address, entry.addresses), *invite.addresses)))
    return await knock(invite.curve, addresses, Keys(curve.public, curve.secret), dialogue, newcomer.clock)


async def _asked(newcomer: Newcomer, entry: Entry, person: Person) -> Joined:
    curve, about = newcomer.curve, told()

    def dialogue(server: bytes) -> PairClient:
        number = newcomer.entropy.token(NUMBER_BYTES)
        return PairClient(number, newcomer.name, newcomer.node, curve.public, server, about)

    doors = [Door(bytes.fromhex(key), *_address(where)) for key, where in entry.doors]
    return await pair(doors, Keys(curve.public, curve.secret), dialogue, person, newcomer.clock)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"{echo(text)} is no address", hint="write HOST:PORT, for example --addr 192.168.1.20:7660")
    return Address(host.strip("[]"), int(port))


def told() -> str:
    """What this machine says of itself to the person who lets it in."""
    cores = probe.cpu_milli() // 1000 or 1
    return f"{probe.system_name()[: MOST_ABOUT // 2]}, {cores} core{'s' * (cores != 1)}"
