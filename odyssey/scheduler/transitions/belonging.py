"""What happens to who belongs: invites, members, issuers, and who was put out.

What is signed is carried as it is and looked at by nobody here: whoever acts on it verifies it. So a coordinator, which
has no key that counts, can count a use wrongly but can let nobody in.

Promises: one use of an invite is one machine, however often it is told; a renewal never takes a newer one's place; who
was put out stays so.
Never: compares clocks; who lets in has looked at his.
"""

from hashlib import sha256
from typing import Final

from odyssey.commands import AdmitMember, AllowIssuer, EndInvites, Entry, MakeInvite, RenewMember, Revoke
from odyssey.events import (
    ChangedNothing,
    Event,
    InviteMade,
    InvitesEnded,
    IssuerAllowed,
    MemberAdmitted,
    MemberRenewed,
    Revoked,
)
from odyssey.ids import NodeId
from odyssey.model import Invite, Member
from odyssey.scheduler.draft import Draft, replace
from odyssey.scheduler.transitions.base import Refused

LONGEST_SIGNED: Final = 1024
INVITE_ID_BYTES: Final = 6
MAX_USES: Final = 1_000
MAX_INVITES: Final = 1_000
MAX_MEMBERS: Final = 10_000
MAX_ISSUERS: Final = 1_000
MAX_REVOKED: Final = 20_000
_ANOTHER: Final = "make another one: odyssey invite"


def make_invite(draft: Draft, entry: Entry, command: MakeInvite) -> list[Event]:
    _check_signed(command.terms)
    if len(command.id) != INVITE_ID_BYTES or not 1 <= command.uses <= MAX_USES:
        raise Refused("bad-invite", f"an invite is for 1 to {MAX_USES} machines", "use --uses 24, for example")
    known = draft.state.invites.get(command.id)
    if known is not None:
        if known.terms == command.terms:
            return [ChangedNothing(entry.index)]
        raise Refused("bad-invite", "there is an invite with this number already", _ANOTHER)
    if len(draft.state.invites) >= MAX_INVITES:
        raise Refused("too-many-invites", f"there are {MAX_INVITES} invites already", "end some: odyssey invite revoke")
    draft.invites[command.id] = Invite(command.id, command.terms, command.uses, command.until_ms, (), command.by)
    return [InviteMade(entry.index, command.id, command.uses, command.by)]


def end_invites(draft: Draft, entry: Entry, command: EndInvites) -> list[Event]:
    known = tuple(one for one in dict.fromkeys(command.ids) if one in draft.state.invites)
    if not known:
        return [ChangedNothing(entry.index)]
    draft.dropped_invites += known
    return [InvitesEnded(entry.index, known)]


def admit_member(draft: Draft, entry: Entry, command: AdmitMember) -> list[Event]:
    _check_signed(command.certificate)
    _check_subject(draft, command.node)
    left = _use(draft, command) if command.invite else 0
    _store(draft, Member(command.node, command.certificate, command.until_ms, command.invite, command.by))
    return [MemberAdmitted(entry.index, command.node, command.invite, left)]


def _use(draft: Draft, command: AdmitMember) -> int:
    """One more use, unless it is the same machine again; gives how many are left."""
    invite = draft.state.invites.get(command.invite)
    if invite is None:
        raise Refused("invite-unknown", "this invite is not known here: it was taken back, or is over", _ANOTHER)
    used = invite.used
    if command.node not in used:
        if len(used) >= invite.uses:
            raise Refused("invite-spent", f"this invite has let in all it may ({invite.uses})", _ANOTHER)
        used = (*used, command.node)
        draft.invites[invite.id] = replace(invite, used=used)
    return invite.uses - len(used)


def renew_member(draft: Draft, entry: Entry, command: RenewMember) -> list[Event]:
    """Also of one that the log does not know: a recovery may have cut off that it was let in."""
    _check_signed(command.certificate)
    _check_subject(draft, command.node)
    known = draft.state.members.get(command.node)
    if known is None:
        known = Member(command.node, b"", -1)
    if command.until_ms <= known.until_ms:
        return [ChangedNothing(entry.index)]
    _store(draft, replace(known, certificate=command.certificate, until_ms=command.until_ms))
    return [MemberRenewed(entry.index, command.node)]


def revoke(draft: Draft, entry: Entry, command: Revoke) -> list[Event]:
    _check_signed(command.statement)
    if command.subject in draft.state.revoked:
        return [ChangedNothing(entry.index)]
    if len(draft.state.revoked) >= MAX_REVOKED:
        raise Refused("too-many-revoked", f"{MAX_REVOKED} were put out already", "begin a new mesh: odyssey up --new")
    draft.revoked[command.subject] = command.statement
    draft.dropped_members.append(command.subject)
    return [Revoked(entry.index, command.subject, command.by)]


def allow_issuer(draft: Draft, entry: Entry, command: AllowIssuer) -> list[Event]:
    _check_signed(command.certificate)
    _check_subject(draft, command.node)
    digest = sha256(command.certificate).digest()
    if digest in draft.state.issuers:
        return [ChangedNothing(entry.index)]
    if len(draft.state.issuers) >= MAX_ISSUERS:
        raise Refused("too-many-issuers", f"{MAX_ISSUERS} certificates of issuers are kept", "begin a new mesh")
    draft.issuers[digest] = command.certificate
    return [IssuerAllowed(entry.index, command.node)]


def _store(draft: Draft, member: Member) -> None:
    if member.node not in draft.state.members and len(draft.state.members) >= MAX_MEMBERS:
        raise Refused("too-many-members", f"a mesh has at most {MAX_MEMBERS} machines", "put out those that are gone")
    draft.members[member.node] = member


def _check_signed(data: bytes) -> None:
    if not 0 < len(data) <= LONGEST_SIGNED:
        raise Refused("bad-certificate", f"what is signed has {len(data)} bytes", "upgrade the machine that sent it")


def _check_subject(draft: Draft, node: NodeId) -> None:
    if node in draft.state.revoked:
        raise Refused(
            "revoked", "this machine was put out of the mesh", "on it: odyssey leave --clean, then join again"
        )
