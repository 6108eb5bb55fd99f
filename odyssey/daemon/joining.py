"""Into the mesh of an invite, before this daemon is anything: knock, be let in, and write down what was given.

What was given lies in a folder of its own until the note says which mesh this machine is in; whoever is interrupted
before that is in the mesh he was in, and whoever is interrupted after it takes the folder's things at the next start.

Promises: nothing in the home has changed until this machine was let in; then all that was given is on the disk before
the note that says which mesh it is in.
Never: keeps an invite.
"""

from __future__ import annotations

from odyssey.clock import Clock, Entropy
from odyssey.daemon import given
from odyssey.daemon.founding import Belonging
from odyssey.mesh.company import keep
from odyssey.mesh.generation import Generation
from odyssey.mesh.links.knock import knock
from odyssey.mesh.links.sockets import Keys
from odyssey.mesh.trust import invite as invites
from odyssey.mesh.trust import standing
from odyssey.mesh.trust.certificates import fingerprint
from odyssey.mesh.trust.join_client import Caller, JoinClient
from odyssey.mesh.trust.primitives import Pair
from odyssey.mesh.trust.standing import Known, Standing
from odyssey.paths import Home


async def join(home: Home, node: Pair, text: str, name: str, clock: Clock, entropy: Entropy) -> Belonging:
    invite, curve = invites.read(text), standing.own_curve(home, entropy)

    def dialogue() -> Caller:
        return JoinClient(invite, name, node, curve.public, invite.curve)

    joined = await knock(invite.curve, invite.addresses, Keys(curve.public, curve.secret), dialogue, clock)
    trust, coming = joined.trust, given.begin(home)
    standing.save(coming, Standing(Known(trust.mesh, trust.root, joined.certificate, trust.items), node, curve))
    keep(coming.peers, joined.peers)
    return Belonging(
        *(trust.mesh, Generation(*joined.generation), joined.mesh_name, joined.mine.owner, name),
        anchor=fingerprint(trust.root),
        joined=True,
    )
