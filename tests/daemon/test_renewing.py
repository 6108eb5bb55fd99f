"""Certificates that renew themselves: from half of their time on, late, by clocks that jump, and not of who was put
out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from odyssey.clock import SeededEntropy
from odyssey.commands import AllowIssuer, EndInvites, RenewMember
from odyssey.daemon.papers import Papers
from odyssey.daemon.renewing import AGAIN_MS, Renewing, World
from odyssey.errors import Unreachable
from odyssey.ids import UserId
from odyssey.mesh.company import Company
from odyssey.mesh.links.ports import Refusal
from odyssey.mesh.trust import keyfile
from odyssey.mesh.trust import standing as standings
from odyssey.mesh.trust.certificates import DAY_MS, ISSUER_MS, LATE_MS, MEMBER_MS, SKEW_MS, Issuer, fingerprint
from odyssey.mesh.trust.invite import Address
from odyssey.mesh.trust.inviting import to_renew
from odyssey.mesh.trust.join_client import Caller, Joined
from odyssey.mesh.trust.keyfile import Use
from odyssey.mesh.trust.letters import Peer
from odyssey.mesh.trust.signed import opened
from odyssey.mesh.trust.standing import Known, Standing
from odyssey.paths import Home, prepare
from tests.fakes import FakeClock
from tests.mesh.trust.gate import Gate
from tests.mesh.trust.people import MESH, NOW, curve, key, node


class Place:
    """The machine "pi", which was let in at NOW, and an issuer whose clock goes as its own unless it is set."""

    def __init__(self, folder: Path, gate: Gate | None = None) -> None:
        self.gate, self.clock = gate or Gate(), FakeClock(wall=NOW)
        self.home = Home(folder / "home")
        prepare(self.home)
        keyfile.save(self.home.curve, Use.CURVE, curve("pi"))
        joined = self.gate.joins(self.gate.invite())
        trust = joined.trust
        known = Known(trust.mesh, trust.root, joined.certificate, trust.items)
        standing = standings.save(self.home, Standing(known, key("pi"), curve("pi")))
        self.company = Company(node("pi"), standing, self.home.peers, self.clock)
        self.company.meet([Peer(self.gate.realm.member("gamebox"), ("10.0.0.1:7660",))])
        self.papers = Papers(self.home, standing, self.company)
        self.knocks: list[Sequence[Address]] = []
        self.answers = True
        self.ahead_ms = 0  # the issuer's clock
        self.renewing = Renewing(World(self.company, self.papers, self._knock, self.clock, SeededEntropy(1)))

    async def _knock(self, issuer: Issuer, addresses: Sequence[Address], dialogue: Callable[[], Caller]) -> Joined:
        assert issuer.node == node("gamebox")
        self.knocks.append(addresses)
        if not self.answers:
            raise Unreachable("nobody answers", hint="is it on?")
        self.gate.now = self.clock.wall_ms() + self.ahead_ms
        return self.gate.talk(dialogue(), self.gate.visit("pi"), self.clock.wall_ms())

    def look(self, asked: bool = False) -> None:
        """What a daemon does each second."""
        if self.renewing.is_due or asked:
            asyncio.run(self.renewing.renew(asked))

    def is_member(self) -> bool:
        return self.company.who(curve("pi").public) == node("pi")


def test_from_half_of_its_time_on_it_is_renewed_and_kept(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.clock.advance(MEMBER_MS // 2 - 1)
    place.look()
    assert place.knocks == []
    place.clock.advance(1)
    place.look()
    assert place.knocks == [[Address("10.0.0.1", 7660)]]
    now = place.clock.wall_ms()
    assert (place.papers.mine.not_before, place.papers.mine.expiry) == (now, now + MEMBER_MS)
    assert place.gate.log.state.members[node("pi")].until_ms == now + MEMBER_MS
    again = standings.load(place.home, key("pi"), fingerprint(place.gate.realm.root.public))
    assert again.mine() == place.papers.mine
    place.look()
    assert len(place.knocks) == 1


def test_who_comes_back_late_is_a_member_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.gate.trust.take(place.gate.realm.issuer("gamebox", at=NOW + 50 * DAY_MS))
    place.gate.porter = place.gate._porter()._replace(issuer=place.gate.trust.issuers(NOW + 60 * DAY_MS)[0])
    place.clock.advance(60 * DAY_MS)
    assert not place.is_member()
    place.look()
    assert place.is_member()


def test_who_comes_back_too_late_is_told_what_helps(tmp_path: Path) -> None:
    place = Place(tmp_path)
    later = MEMBER_MS + LATE_MS
    place.gate.trust.take(place.gate.realm.issuer("gamebox", at=NOW + later - DAY_MS))
    place.gate.porter = place.gate._porter()._replace(issuer=place.gate.trust.issuers(NOW + later)[0])
    place.clock.advance(later)
    place.look()
    assert not place.is_member()
    assert "is over, and could not be renewed" in place.renewing.note()


def test_nobody_is_asked_again_at_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.answers = False
    place.clock.advance(MEMBER_MS // 2)
    for _ in range(5):
        place.look()
    assert len(place.knocks) == 1
    assert place.renewing.note() == ""  # there is time
    place.clock.advance(MEMBER_MS // 2 - 2 * DAY_MS)
    place.look()
    assert len(place.knocks) == 2
    assert place.renewing.note() == "This machine's membership ends in 2 days: nobody answers."
    place.clock.advance(AGAIN_MS)
    place.answers = True
    place.look()
    assert place.is_member()
    assert place.renewing.note() == ""


def test_who_was_put_out_learns_it_and_does_not_believe_less(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.gate.trust.take(place.gate.realm.revocation(node("pi"), by="gamebox"))
    place.look(asked=True)
    assert place.company.who(curve("pi").public) is Refusal.REVOKED
    again = standings.load(place.home, key("pi"), fingerprint(place.gate.realm.root.public))
    assert again.trust().is_revoked(node("pi"))


@pytest.mark.parametrize("days", [-20, 20])
def test_a_clock_that_jumps_harms_nothing_that_its_return_does_not_mend(tmp_path: Path, days: int) -> None:
    place = Place(tmp_path)
    place.clock.set_wall(NOW + days * DAY_MS)
    place.ahead_ms = -days * DAY_MS  # the issuer's is right
    place.look()
    assert not place.is_member()
    assert "clock" in place.renewing.note() or days < 0
    before = place.papers.mine
    place.clock.set_wall(NOW + 60_000)
    place.ahead_ms = 0
    place.clock.advance(AGAIN_MS)
    place.look()
    assert place.is_member()
    assert place.papers.mine == before


def test_what_a_clock_far_ahead_has_made_is_not_newer(tmp_path: Path) -> None:
    """The issuer's clock was wrong too."""
    place = Place(tmp_path)
    place.clock.set_wall(NOW + 10 * DAY_MS)
    place.look()
    assert place.papers.mine.not_before == NOW + 10 * DAY_MS
    place.clock.set_wall(NOW + SKEW_MS)
    assert not place.is_member()
    place.clock.advance(AGAIN_MS)
    place.look()
    assert place.is_member()


# -- of who lets in ----------------------------------------------------------------------------------------------------


def a_founder(folder: Path) -> tuple[Renewing, Papers, FakeClock]:
    clock, home = FakeClock(wall=NOW), Home(folder / "founder")
    prepare(home)
    standing = standings.found(home, MESH, key("gamebox"), "gamebox", UserId("anna"), NOW, SeededEntropy(3))
    company = Company(node("gamebox"), standing, home.peers, clock)
    papers = Papers(home, standing, company)

    async def nobody(*_: object) -> Joined:
        raise AssertionError("it asks nobody")

    return Renewing(World(company, papers, nobody, clock, SeededEntropy(2))), papers, clock


def test_a_founder_renews_itself_for_years_and_the_log_hears_of_it(tmp_path: Path) -> None:
    renewing, papers, clock = a_founder(tmp_path)
    gate = Gate()
    for command in renewing.commands(gate.log.state):
        gate.log.do(command)
    assert renewing.commands(gate.log.state) == []
    for _ in range(80):
        clock.advance(10 * DAY_MS)
        if renewing.is_due:
            asyncio.run(renewing.renew())
    assert papers.mine.expiry > clock.wall_ms()
    assert papers.standing.issuing(clock.wall_ms()) is not None
    told = renewing.commands(gate.log.state)
    assert {type(one) for one in told} == {AllowIssuer, RenewMember}
    for command in told:
        gate.log.do(command)
    assert renewing.commands(gate.log.state) == []


def test_invites_that_are_over_are_ended(tmp_path: Path) -> None:
    renewing, _, clock = a_founder(tmp_path)
    gate = Gate()
    for command in renewing.commands(gate.log.state):
        gate.log.do(command)
    invite = gate.invite()
    assert renewing.commands(gate.log.state) == []
    clock.advance(3 * DAY_MS)
    assert EndInvites((invite.id,)) in renewing.commands(gate.log.state)


def issuing(gate: Gate) -> Standing:
    trust = gate.trust
    return Standing(
        Known(trust.mesh, trust.root, gate.realm.member(gate.name), trust.items),
        *(key(gate.name), curve(gate.name), key(f"{gate.name}/issuer")),
    )


def test_issuers_renew_each_other(tmp_path: Path) -> None:
    gate = Gate()
    gate.trust.take(gate.realm.issuer("mac", by="gamebox"))
    here, later = frozenset([node("gamebox"), node("mac")]), NOW + ISSUER_MS // 2
    assert to_renew(issuing(gate), gate.trust, here, NOW, SeededEntropy(1)) == []
    (command,) = to_renew(issuing(gate), gate.trust, here, later, SeededEntropy(1))
    assert isinstance(command, AllowIssuer)
    assert (command.node, command.until_ms) == (node("mac"), later + ISSUER_MS)
    assert gate.trust.take(command.certificate)
    assert opened(command.certificate, Issuer).key == key("mac/issuer").public
    assert to_renew(issuing(gate), gate.trust, here, later, SeededEntropy(1)) == []


def test_who_is_gone_or_was_put_out_is_not_made_an_issuer_again(tmp_path: Path) -> None:
    gate = Gate()
    gate.trust.take(gate.realm.issuer("mac", by="gamebox"))
    later = NOW + ISSUER_MS // 2
    assert to_renew(issuing(gate), gate.trust, frozenset([node("gamebox")]), later, SeededEntropy(1)) == []
    gate.trust.take(gate.realm.revocation(node("mac")))
    here = frozenset([node("gamebox"), node("mac")])
    assert to_renew(issuing(gate), gate.trust, here, later, SeededEntropy(1)) == []
