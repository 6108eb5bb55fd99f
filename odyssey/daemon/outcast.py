"""A machine that was put out of its mesh, in words.

Promises: says so only by a statement that the mesh's root or one of its issuers has signed.
Never: believes that it is out because somebody does not answer.
"""

from __future__ import annotations

from odyssey.ids import NodeId
from odyssey.mesh.trust.roster import Roster


def sentence(roster: Roster, me: NodeId, mesh: str) -> str:
    """Empty: it is a member, as far as it knows."""
    found = roster.trust.revocation(me)
    if found is None:
        return ""
    signer = roster.trust.signer(found[0])
    entry = roster.entry(signer) if signer is not None else None
    by = f" by {entry.certificate.owner}" if entry is not None else ""
    return f"This machine was removed from {mesh}{by}."
