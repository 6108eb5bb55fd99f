"""What of who belongs is taken from another keeper: what is signed by who may, for whom it says, and nothing else."""

from __future__ import annotations

import pytest

from odyssey.commands import (
    AdmitMember,
    AdmitNode,
    AllowIssuer,
    Command,
    EndInvites,
    Facts,
    MakeInvite,
    RenewMember,
    Revoke,
)
from odyssey.ids import UserId
from odyssey.mesh.trust.certificates import DAY_MS, ISSUER_MS, MEMBER_MS, Grant, Terms
from odyssey.mesh.trust.roster import Roster
from odyssey.mesh.trust.signed import opened
from odyssey.mesh.vouching import is_vouched
from odyssey.resources import Resources
from tests.mesh.trust.people import NOW, Realm, node

REALM = Realm()
FACTS = Facts(Resources(1000, 1 << 30, 0, 0))
ANNA = UserId("anna")
ID = b"\xb1\x9d\xa4\x01\x17\x99"


def terms_id() -> bytes:
    return opened(REALM.terms(), Terms).id


def a_roster() -> Roster:
    roster = Roster(REALM.trust())
    roster.learn(REALM.member("pi"), NOW)
    roster.learn(REALM.member("guest", grants=int(Grant.SUBMIT)), NOW)
    return roster


GOOD: list[Command] = [
    AdmitMember(node("mac"), REALM.member("mac"), NOW + MEMBER_MS, ID),
    RenewMember(node("pi"), REALM.member("pi", at=NOW + DAY_MS), NOW + DAY_MS + MEMBER_MS),
    MakeInvite(terms_id(), REALM.terms(), 1, NOW + DAY_MS // 24),
    Revoke(node("pi"), REALM.revocation(node("pi"), by="gamebox")),
    AllowIssuer(node("mac"), REALM.issuer("mac", by="gamebox"), NOW + ISSUER_MS),
    AdmitNode(node("pi"), "pi4", ANNA, FACTS),
    EndInvites((ID,)),
]
BAD: list[Command] = [
    AdmitMember(node("mac"), REALM.member("mac", by="pi"), NOW + MEMBER_MS),  # signed by a machine that may not
    AdmitMember(node("eve"), REALM.member("mac"), NOW + MEMBER_MS),
    AdmitMember(node("mac"), REALM.member("mac"), NOW + 2 * MEMBER_MS),
    AdmitMember(node("mac"), b"x", NOW + MEMBER_MS),
    RenewMember(node("pi"), REALM.member("pi", by="eve"), NOW + MEMBER_MS),
    MakeInvite(terms_id(), REALM.terms(), 999, NOW + DAY_MS // 24),
    MakeInvite(terms_id(), REALM.terms(by="pi"), 1, NOW + DAY_MS // 24),
    Revoke(node("pi"), REALM.revocation(node("pi"), by="pi")),
    Revoke(node("pi"), REALM.revocation(node("mac"), by="gamebox")),
    Revoke(node("pi"), REALM.issuer("mac", by="gamebox")),
    AllowIssuer(node("mac"), REALM.issuer("mac", by="pi"), NOW + ISSUER_MS),
    AllowIssuer(node("pi"), REALM.issuer("mac", by="gamebox"), NOW + ISSUER_MS),
    AdmitNode(node("nobody"), "pi4", ANNA, FACTS),
    AdmitNode(node("guest"), "guest", ANNA, FACTS),
    AdmitNode(node("pi"), "pi4", UserId("ben"), FACTS),
]


@pytest.mark.parametrize("command", GOOD, ids=lambda command: type(command).__name__)
def test_what_an_issuer_has_signed_is_taken(command: Command) -> None:
    assert is_vouched(command, a_roster())


@pytest.mark.parametrize("command", BAD, ids=lambda command: type(command).__name__)
def test_what_nobody_would_believe_is_not(command: Command) -> None:
    assert not is_vouched(command, a_roster())
