"""Which commands about who belongs the machine that leads takes from another one that keeps the log.

Whoever keeps the log may put a command onto it. What is signed is looked at first, so that nobody fills it with
certificates that no machine would believe, uses up invites of others, or lists machines that were never let in.

Promises: pure, and without a clock: what an honest machine proposes is taken, however clocks differ.
Never: decides about jobs, or what the log says once it is there.
"""

from __future__ import annotations

from odyssey.commands import AdmitMember, AdmitNode, AllowIssuer, Command, MakeInvite, RenewMember, Revoke
from odyssey.mesh.trust.certificates import Certificate, Grant, Issuer, Revocation, Terms
from odyssey.mesh.trust.roster import Roster
from odyssey.mesh.trust.signed import Untrusted, opened


def is_vouched(command: Command, roster: Roster) -> bool:
    try:
        return _is_signed(command, roster)
    except Untrusted:
        return False


def _is_signed(command: Command, roster: Roster) -> bool:
    trust = roster.trust
    match command:
        case AdmitMember(node=node, certificate=data, until_ms=until) | RenewMember(node, data, until):
            certificate = trust.check(data, opened(data, Certificate).not_before)
            return (certificate.node, certificate.expiry) == (node, until)
        case MakeInvite():
            terms = trust.terms(command.terms, opened(command.terms, Terms).not_before)
            return (terms.id, terms.uses, terms.expiry) == (command.id, command.uses, command.until_ms)
        case Revoke():
            statement = trust.believed(command.statement)
            return isinstance(statement, Revocation) and statement.subject == command.subject
        case AllowIssuer():
            issuer = trust.believed(command.certificate)
            return isinstance(issuer, Issuer) and issuer.node == command.node
        case AdmitNode():
            entry = roster.entry(command.id)
            if entry is None or not entry.certificate.may(Grant.WORKER):
                return False
            return entry.certificate.owner == command.owner
        case _:
            return True
