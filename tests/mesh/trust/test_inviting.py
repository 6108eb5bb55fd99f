"""What an issuer puts onto the log, and that what it says there lets in who it is meant for."""

from __future__ import annotations

from pathlib import Path

import pytest

from odyssey.commands import EndInvites
from odyssey.errors import UsageError
from odyssey.ids import UserId
from odyssey.mesh.trust import standing
from odyssey.mesh.trust.certificates import ALL, BY_INVITE, DAY_MS, INVITE_MS, OF_OTHERS, Grant
from odyssey.mesh.trust.invite import Invite
from odyssey.mesh.trust.inviting import HOUR_MS, Wish, new_invite, over, to_tell
from odyssey.paths import Home
from tests.mesh.trust.gate import Gate
from tests.mesh.trust.people import MESH, NOW, key, node

ANNA, BEN = UserId("anna"), UserId("ben")


def invited(gate: Gate, wish: Wish) -> Invite:
    porter = gate.porter
    invite, command = new_invite(porter.trust, porter.issuer, porter.key, wish, (), gate.now, gate.entropy)
    assert invite.secret not in command.terms
    assert invite.key().public not in command.terms
    gate.log.do(command)
    return invite


@pytest.mark.parametrize(
    ("wish", "owner", "grants"),
    [
        (Wish(ANNA), ANNA, BY_INVITE),
        (Wish(ANNA, BEN), BEN, OF_OTHERS),
        (Wish(ANNA, grants=Grant.SUBMIT), ANNA, Grant.SUBMIT),
        (Wish(ANNA, grants=ALL), ANNA, BY_INVITE),
    ],
)
def test_who_comes_by_it_is_what_was_asked_for(wish: Wish, owner: UserId, grants: Grant) -> None:
    gate = Gate()
    mine = gate.joins(invited(gate, wish)).mine
    assert (mine.owner, mine.grants) == (owner, grants)


def test_it_is_for_one_machine_and_one_hour() -> None:
    gate = Gate()
    record = gate.log.state.invites[invited(gate, Wish(ANNA)).id]
    assert (record.uses, record.until_ms, record.by) == (1, NOW + HOUR_MS, ANNA)


@pytest.mark.parametrize("wish", [Wish(ANNA, uses=0), Wish(ANNA, uses=1001), Wish(ANNA, for_ms=0)])
def test_what_no_invite_can_be_is_refused(wish: Wish) -> None:
    with pytest.raises(UsageError):
        invited(Gate(), wish)
    with pytest.raises(UsageError):
        invited(Gate(), wish._replace(uses=1, for_ms=INVITE_MS + 1))


def test_an_issuer_gives_nothing_that_it_has_not() -> None:
    gate = Gate()
    gate.trust.take(gate.realm.issuer("titan", may_give=int(Grant.WORKER)))
    other = Gate(gate.realm, "titan", gate.trust)
    assert other.joins(invited(other, Wish(ANNA))).mine.grants == Grant.WORKER


def test_invites_whose_time_is_over_make_room_a_day_later() -> None:
    gate = Gate()
    first, _ = invited(gate, Wish(ANNA)), invited(gate, Wish(ANNA, for_ms=2 * DAY_MS))
    end = NOW + HOUR_MS + DAY_MS
    assert over(gate.log.state.invites, end - 1) is None
    assert over(gate.log.state.invites, end) == EndInvites((first.id,))


def test_a_founder_tells_the_log_once_who_it_is(tmp_path: Path) -> None:
    gate, home = Gate(), Home(tmp_path)
    mine = standing.found(home, MESH, key("pi"), "pi", ANNA, NOW, gate.entropy)
    state = gate.log.state
    for command in to_tell(mine, state.issuers, state.members):
        gate.log.do(command)
    assert list(state.issuers.values()) == list(mine.known.items)
    assert state.members[node("pi")].certificate == mine.known.certificate
    assert to_tell(mine, state.issuers, state.members) == []
    newer = standing.refreshed(home, mine, NOW + 20 * DAY_MS, gate.entropy)
    assert len(to_tell(newer, state.issuers, state.members)) == 2
