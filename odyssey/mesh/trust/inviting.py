"""What an issuer puts onto the log: itself, invites it makes, and the end of those that are over.

Promises: an invite's secret is in the invite alone, and in no command; it gives no more than an invite may.
Never: proposes anything by itself, or looks at a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from msgspec.structs import replace

from odyssey.clock import Entropy
from odyssey.commands import AllowIssuer, Command, EndInvites, MakeInvite, RenewMember
from odyssey.errors import UsageError
from odyssey.ids import NodeId, UserId
from odyssey.mesh.trust.certificates import (
    BY_INVITE,
    DAY_MS,
    INVITE_MS,
    ISSUER_MS,
    MINE,
    MOST_USES,
    OF_OTHERS,
    SERIAL_BYTES,
    Grant,
    Issuer,
    Terms,
    invite_key_hash,
    is_due,
    owner_name,
)
from odyssey.mesh.trust.invite import Address, Invite, made
from odyssey.mesh.trust.primitives import Pair
from odyssey.mesh.trust.signed import Purpose, Untrusted, opened, purpose_of, sealed
from odyssey.mesh.trust.standing import Standing
from odyssey.mesh.trust.trustset import TrustSet
from odyssey.model import Invite as Record
from odyssey.model import Member

HOUR_MS: Final = DAY_MS // 24


class Wish(NamedTuple):
    """What a person has asked for."""

    by: UserId
    owner: UserId = UserId("")  # of the machines that come; none: who asks
    uses: int = 1
    for_ms: int = HOUR_MS
    grants: Grant | None = None


def new_invite(
    trust: TrustSet, issuer: Issuer, key: Pair, wish: Wish, addresses: Sequence[Address], now: int, entropy: Entropy
) -> tuple[Invite, MakeInvite]:
    """To be shown once the command is on the log."""
    if not 1 <= wish.uses <= MOST_USES:
        raise UsageError(f"an invite is for 1 to {MOST_USES} machines", hint="for example: --uses 24")
    if not 0 < wish.for_ms <= INVITE_MS:
        raise UsageError("an invite lasts up to 30 days", hint="for example: --for-hours 2")
    owner = owner_name(wish.owner or wish.by)
    asked = wish.grants if wish.grants is not None else MINE if owner == owner_name(wish.by) else OF_OTHERS
    invite = made(trust.root, issuer.curve, addresses, entropy)
    terms = Terms(
        *(trust.mesh, key.public, invite.id, invite_key_hash(invite.key().public), wish.uses, owner),
        *(int(asked & BY_INVITE) & issuer.may_give, now, now + wish.for_ms),
    )
    return invite, MakeInvite(invite.id, sealed(terms, key), wish.uses, terms.expiry, wish.by)


def over(invites: Mapping[bytes, Record], now: int) -> EndInvites | None:
    """Those whose time is over, to make room on the log; a day late, so that whoever comes late is told why."""
    ended = tuple(one.id for one in invites.values() if _end(one) + DAY_MS <= now)
    return EndInvites(ended) if ended else None


def _end(record: Record) -> int:
    """As it was signed: what stands beside it is for people. What was not signed is over."""
    try:
        return opened(record.terms, Terms).expiry
    except Untrusted:
        return 0


def to_renew(
    standing: Standing, trust: TrustSet, here: Collection[NodeId], now: int, entropy: Entropy
) -> list[Command]:
    """Certificates of other issuers whose time is half over, anew by this one. Only of machines that are members now:
    one that is gone for good is none any more after its time. Who has the shortest way to the root does it, so that
    chains grow only where it cannot be helped."""
    mine, key = standing.issuing(now), standing.issuer
    if mine is None or key is None or not mine.may_give & Grant.ISSUE:
        return []
    issuers, made = [one for one in trust.known_issuers() if one.node in here], list[Command]()
    for one in issuers:
        shortest = min(trust.length(other) for other in issuers if other is not one or one.key == mine.key)
        if one.key != mine.key and is_due(one.not_before, one.expiry, now) and trust.length(mine) <= shortest:
            made.append(_renewed(one, mine, key, now, entropy))
    return made


def _renewed(one: Issuer, mine: Issuer, key: Pair, now: int, entropy: Entropy) -> Command:
    record = replace(
        one,
        signer=key.public,
        serial=entropy.token(SERIAL_BYTES),
        may_give=one.may_give & mine.may_give,
        not_before=now,
        expiry=now + ISSUER_MS,
    )
    return AllowIssuer(one.node, sealed(record, key), record.expiry)


def to_tell(standing: Standing, issuers: Mapping[bytes, bytes], members: Mapping[NodeId, Member]) -> list[Command]:
    """What the log does not know yet of this machine: its certificates, at its mesh's opening and when they are new."""
    told: list[Command] = []
    mine, known = standing.mine(), standing.known
    if standing.issuer is not None:
        for data in standing.trust().items:
            if purpose_of(data) == Purpose.ISSUER and sha256(data).digest() not in issuers:
                issuer = opened(data, Issuer)
                told.append(AllowIssuer(issuer.node, data, issuer.expiry, mine.owner))
    member = members.get(mine.node)
    if member is None or member.until_ms < mine.expiry:
        told.append(RenewMember(mine.node, known.certificate, mine.expiry))
    return told
