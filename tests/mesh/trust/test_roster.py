"""Who is a member just now: keys, times, those who were put out, and those who would like to be somebody else."""

from __future__ import annotations

import pytest

from odyssey.mesh.trust.certificates import DAY_MS, MEMBER_MS, SKEW_MS, Grant
from odyssey.mesh.trust.roster import MOST_MEMBERS, Roster
from odyssey.mesh.trust.signed import Untrusted, Why
from tests.mesh.trust.people import NOW, Realm, curve, node

REALM = Realm()
PI, MAC = curve("pi").public, curve("mac").public


def a_roster(*names: str) -> Roster:
    roster = Roster(REALM.trust())
    for name in names:
        assert roster.learn(REALM.member(name), NOW) is not None
    return roster


def test_a_key_stands_for_its_machine() -> None:
    roster = a_roster("pi", "mac")
    assert (roster.who(PI, NOW), roster.who(MAC, NOW), roster.who(curve("x").public, NOW)) == (
        node("pi"), node("mac"), None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("when", "is_member"),
    [
        (NOW - SKEW_MS, True),
        (NOW - SKEW_MS - 1, False),
        (NOW + MEMBER_MS - 1, True),
        (NOW + MEMBER_MS, False),
    ],
)
def test_only_while_its_certificate_holds(when: int, is_member: bool) -> None:
    roster = a_roster("pi")
    assert (roster.who(PI, when) is not None) is is_member
    assert roster.may(node("pi"), Grant.WORKER, when) is is_member


def test_it_may_what_its_certificate_says() -> None:
    roster = Roster(REALM.trust())
    roster.learn(REALM.member("pi", grants=int(Grant.SUBMIT)), NOW)
    assert roster.may(node("pi"), Grant.SUBMIT, NOW)
    assert not roster.may(node("pi"), Grant.VOTE, NOW)
    assert not roster.may(node("mac"), Grant.SUBMIT, NOW)


def test_the_newest_certificate_counts_whatever_comes_last() -> None:
    old, new = REALM.member("pi"), REALM.member("pi", at=NOW + DAY_MS, curve=MAC)
    for order in ((old, new), (new, old)):
        roster = Roster(REALM.trust())
        roster.learn_all(order, NOW + DAY_MS)
        assert roster.who(PI, NOW + DAY_MS) is None
        assert roster.who(MAC, NOW + DAY_MS) == node("pi")
        assert roster.certificates == (new,)


def test_nobody_takes_anothers_key() -> None:
    roster = a_roster("pi")
    with pytest.raises(Untrusted) as told:
        roster.learn(REALM.member("mac", curve=PI), NOW)
    assert told.value.why is Why.OTHER_KEY
    assert roster.who(PI, NOW) == node("pi")


def test_whoever_is_put_out_is_no_member_from_then_on() -> None:
    roster = a_roster("pi", "mac")
    assert roster.hear([REALM.revocation(node("pi"))], NOW) == {node("pi")}
    assert roster.who(PI, NOW) is None
    assert roster.is_out(PI)
    assert not roster.may(node("pi"), Grant.WORKER, NOW)
    assert roster.who(MAC, NOW) == node("mac")
    assert not roster.is_out(MAC)
    with pytest.raises(Untrusted):
        roster.learn(REALM.member("pi", at=NOW + 1), NOW)


def test_with_an_issuer_go_those_whom_it_let_in() -> None:
    realm = Realm()
    roster = Roster(realm.trust(realm.issuer("gamebox"), realm.issuer("nova")))
    roster.learn_all([realm.member("pi", by="gamebox"), realm.member("mac", by="nova")], NOW)
    assert roster.hear([realm.revocation(node("nova"))], NOW) == {node("mac")}
    assert (roster.who(PI, NOW), roster.who(MAC, NOW)) == (node("pi"), None)
    assert not roster.is_out(MAC)  # a new certificate may let it in again


def test_one_whose_time_is_over_stays_known_and_can_come_back() -> None:
    roster = a_roster("pi")
    later = NOW + MEMBER_MS + DAY_MS
    assert roster.hear([REALM.issuer("nova", at=later)], later) == frozenset()
    assert roster.who(PI, later) is None
    roster.trust.take(REALM.issuer("gamebox", at=later))
    assert roster.learn(REALM.member("pi", at=later), later) is not None
    assert roster.who(PI, later) == node("pi")


def test_what_is_not_believed_leaves_the_others() -> None:
    roster = Roster(REALM.trust())
    assert roster.learn_all([b"x", REALM.member("mac", by="eve"), REALM.member("pi")], NOW)
    assert roster.certificates == (REALM.member("pi"),)
    assert not roster.learn_all([REALM.member("pi")], NOW)


def test_there_is_an_end_to_how_many_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey.mesh.trust.roster.MOST_MEMBERS", 1)
    assert MOST_MEMBERS > 1_000
    roster = a_roster("pi")
    with pytest.raises(Untrusted) as told:
        roster.learn(REALM.member("mac"), NOW)
    assert told.value.why is Why.TOO_MANY
    assert roster.learn(REALM.member("pi", at=NOW + 1), NOW) is not None


def test_a_clock_that_was_wrong_at_first_costs_nobody_its_place() -> None:
    """What it keeps in a file it has read by then."""
    early = NOW - 10 * DAY_MS
    roster = Roster(REALM.trust())
    assert roster.learn(REALM.member("pi"), early) is not None
    assert roster.who(PI, early) is None
    assert roster.hear([REALM.revocation(node("x"), at=NOW)], early) == frozenset()
    assert roster.who(PI, NOW) == node("pi")
