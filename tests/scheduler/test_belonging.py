"""Who belongs, on the log: uses of invites are counted once, renewals never go back, who is put out stays out."""

from __future__ import annotations

from typing import Any

import pytest

from odyssey.commands import (
    LEVELS,
    AdmitMember,
    AllowIssuer,
    Command,
    EndInvites,
    MakeInvite,
    RenewMember,
    Revoke,
    SetLevel,
)
from odyssey.events import MemberAdmitted
from odyssey.ids import NodeId, UserId
from odyssey.scheduler.draft import replace
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.transitions import belonging
from tests.builders import Mesh, kinds
from tests.scheduler.acts import changes_nothing, refusal

ANNA = UserId("anna")
INVITE = b"invite"
PI, MAC, NOVA = NodeId("pi"), NodeId("mac"), NodeId("nova")


@pytest.fixture
def mesh() -> Mesh:
    mesh = Mesh()
    mesh.machine(level=2)
    mesh.do(SetLevel(mesh.fence, 2))
    return mesh


def invite(mesh: Mesh, uses: int = 1, **fields: Any) -> None:
    held: dict[str, Any] = {"id": INVITE, "terms": b"t", "uses": uses, "until_ms": 9, "by": ANNA}
    assert kinds(mesh.do(MakeInvite(**held | fields))) == ["InviteMade"]


def admit(node: NodeId, **fields: Any) -> AdmitMember:
    held: dict[str, Any] = {"node": node, "certificate": b"of " + node.encode(), "until_ms": 5, "invite": INVITE}
    return AdmitMember(**held | fields)


EVERY: list[Command] = [
    MakeInvite(INVITE, b"t", 1, 9),
    EndInvites((INVITE,)),
    admit(PI),
    RenewMember(PI, b"c", 9),
    Revoke(PI, b"s"),
    AllowIssuer(PI, b"c", 9),
]


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_old_machines_are_not_asked_to_understand_it(command: Command) -> None:
    mesh = Mesh()
    assert refusal(changes_nothing(mesh, command)) == "level"
    assert LEVELS[type(command)] == 2


# ---- invites ---------------------------------------------------------------------------------------------------------


def test_one_use_is_one_machine(mesh: Mesh) -> None:
    invite(mesh)
    assert mesh.do(admit(PI)) == [MemberAdmitted(mesh.state.head.index, PI, INVITE, 0)]
    assert mesh.state.members[PI].certificate == b"of pi"
    assert refusal(changes_nothing(mesh, admit(MAC))) == "invite-spent"
    assert MAC not in mesh.state.members


def test_the_same_machine_again_is_not_another_use(mesh: Mesh) -> None:
    """Its answer was lost, or it asks another issuer."""
    invite(mesh, uses=2)
    for certificate in (b"one", b"two"):
        mesh.do(admit(PI, certificate=certificate))
    assert mesh.state.members[PI].certificate == b"two"
    assert mesh.state.invites[INVITE].used == (PI,)
    mesh.do(admit(MAC))
    mesh.do(admit(PI))
    assert mesh.state.invites[INVITE].used == (PI, MAC)


def test_an_invite_that_is_not_known_lets_nobody_in(mesh: Mesh) -> None:
    assert refusal(changes_nothing(mesh, admit(PI))) == "invite-unknown"


def test_one_that_was_taken_back_lets_nobody_in(mesh: Mesh) -> None:
    invite(mesh)
    assert kinds(mesh.do(EndInvites((INVITE, b"other", INVITE)))) == ["InvitesEnded"]
    assert refusal(changes_nothing(mesh, admit(PI))) == "invite-unknown"
    assert kinds(changes_nothing(mesh, EndInvites((INVITE,)))) == ["ChangedNothing"]


def test_who_was_let_in_stays_when_the_invite_ends(mesh: Mesh) -> None:
    invite(mesh)
    mesh.do(admit(PI))
    mesh.do(EndInvites((INVITE,)))
    assert set(mesh.state.members) == {PI}


def test_the_same_invite_twice_is_one_and_another_under_its_number_is_none(mesh: Mesh) -> None:
    invite(mesh)
    mesh.do(admit(PI))
    again = MakeInvite(INVITE, b"t", 1, 9, ANNA)
    assert kinds(changes_nothing(mesh, again)) == ["ChangedNothing"]
    assert refusal(changes_nothing(mesh, MakeInvite(INVITE, b"others", 5, 9))) == "bad-invite"
    assert refusal(changes_nothing(mesh, admit(MAC))) == "invite-spent"


@pytest.mark.parametrize("wrong", [{"uses": 0}, {"uses": 1_001}, {"id": b"short"}, {"id": b"longer!"}])
def test_an_invite_that_makes_no_sense_is_refused(mesh: Mesh, wrong: dict[str, Any]) -> None:
    held: dict[str, Any] = {"id": INVITE, "terms": b"t", "uses": 1, "until_ms": 9}
    assert refusal(changes_nothing(mesh, MakeInvite(**held | wrong))) == "bad-invite"


@pytest.mark.parametrize("size", [0, 1025])
def test_what_is_signed_is_neither_nothing_nor_long(mesh: Mesh, size: int) -> None:
    invite(mesh)
    data = b"x" * size
    for command in (
        MakeInvite(b"other!", data, 1, 9),
        admit(PI, certificate=data),
        RenewMember(PI, data, 9),
        Revoke(PI, data),
        AllowIssuer(PI, data, 9),
    ):
        assert refusal(changes_nothing(mesh, command)) == "bad-certificate"


# ---- members ---------------------------------------------------------------------------------------------------------


def test_a_person_may_let_a_machine_in_without_an_invite(mesh: Mesh) -> None:
    mesh.do(admit(PI, invite=b"", by=ANNA))
    assert (mesh.state.members[PI].by, mesh.state.members[PI].invite) == (ANNA, b"")


def test_a_renewal_never_goes_back(mesh: Mesh) -> None:
    invite(mesh)
    mesh.do(admit(PI, until_ms=5))
    assert kinds(mesh.do(RenewMember(PI, b"newer", 9))) == ["MemberRenewed"]
    for until_ms in (9, 7):
        assert kinds(changes_nothing(mesh, RenewMember(PI, b"older", until_ms))) == ["ChangedNothing"]
    member = mesh.state.members[PI]
    assert (member.certificate, member.until_ms, member.invite) == (b"newer", 9, INVITE)


def test_a_renewal_is_enough_where_a_recovery_has_lost_the_rest(mesh: Mesh) -> None:
    mesh.do(RenewMember(PI, b"newer", 9))
    assert mesh.state.members[PI].certificate == b"newer"


# ---- put out ---------------------------------------------------------------------------------------------------------


def test_who_is_put_out_is_no_member_and_becomes_none(mesh: Mesh) -> None:
    invite(mesh, uses=9)
    mesh.do(admit(PI))
    assert kinds(mesh.do(Revoke(PI, b"statement", ANNA))) == ["Revoked"]
    assert PI not in mesh.state.members
    for command in (admit(PI), admit(PI, invite=b""), RenewMember(PI, b"c", 99), AllowIssuer(PI, b"c", 9)):
        assert refusal(changes_nothing(mesh, command)) == "revoked"
    assert mesh.state.invites[INVITE].used == (PI,)


def test_the_first_statement_stays(mesh: Mesh) -> None:
    mesh.do(Revoke(PI, b"one"))
    assert kinds(changes_nothing(mesh, Revoke(PI, b"two"))) == ["ChangedNothing"]
    assert mesh.state.revoked == {PI: b"one"}


def test_issuers_are_kept_in_the_order_in_which_they_came(mesh: Mesh) -> None:
    for certificate in (b"b", b"a", b"b"):
        mesh.do(AllowIssuer(PI, certificate, 9))
    assert list(mesh.state.issuers.values()) == [b"b", b"a"]


@pytest.mark.parametrize(
    ("limit", "commands", "code"),
    [
        ("MAX_INVITES", [MakeInvite(b"%06d" % n, b"t", 1, 9) for n in range(3)], "too-many-invites"),
        ("MAX_MEMBERS", [RenewMember(NodeId(f"n{n}"), b"c", 9) for n in range(3)], "too-many-members"),
        ("MAX_REVOKED", [Revoke(NodeId(f"n{n}"), b"s") for n in range(3)], "too-many-revoked"),
        ("MAX_ISSUERS", [AllowIssuer(PI, b"%d" % n, 9) for n in range(3)], "too-many-issuers"),
    ],
)
def test_no_table_grows_without_end(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, limit: str, commands: list[Command], code: str
) -> None:
    monkeypatch.setattr(belonging, limit, 2)
    for command in commands[:2]:
        mesh.do(command)
    assert refusal(changes_nothing(mesh, commands[2])) == code
    if limit == "MAX_MEMBERS":
        assert kinds(mesh.do(RenewMember(NodeId("n1"), b"c", 10))) == ["MemberRenewed"]


# ---- the whole -------------------------------------------------------------------------------------------------------


def test_all_of_it_comes_back_from_a_snapshot(mesh: Mesh) -> None:
    invite(mesh, uses=3)
    for command in (admit(PI), admit(MAC), AllowIssuer(PI, b"b", 9), AllowIssuer(PI, b"a", 9), Revoke(NOVA, b"s")):
        mesh.do(command)
    again = load(dump(mesh.state))
    for name in ("invites", "members", "issuers", "revoked"):
        table = getattr(mesh.state, name)
        assert table
        assert getattr(again, name) == table
    assert list(again.issuers) == list(mesh.state.issuers)
    assert violations(again) == []


def test_a_state_in_which_a_use_is_counted_twice_is_noticed(mesh: Mesh) -> None:
    invite(mesh)
    mesh.do(admit(PI))
    mesh.state.revoked[PI] = b"s"
    assert violations(mesh.state) == ["machine pi: a member and put out"]
    mesh.state.revoked.clear()
    mesh.state.invites[INVITE] = replace(mesh.state.invites[INVITE], used=(PI, MAC))
    assert "for 1 machines" in violations(mesh.state)[0]
