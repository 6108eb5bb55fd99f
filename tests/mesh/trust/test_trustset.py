"""Whom a machine believes: what follows from the root and what does not, and for each refusal its reason.

Never: something is believed because of the order in which it was heard.
"""

from __future__ import annotations

from itertools import pairwise, permutations
from typing import Any

import msgpack
import pytest

from odyssey.errors import lines
from odyssey.mesh.trust import trustset
from odyssey.mesh.trust.certificates import (
    ALL,
    BY_INVITE,
    DAY_MS,
    INVITE_MS,
    ISSUER_MS,
    LATE_MS,
    MEMBER_MS,
    SKEW_MS,
    Grant,
    node_id,
)
from odyssey.mesh.trust.signed import Purpose, Untrusted, Why, proof
from odyssey.mesh.trust.trustset import LONGEST_CHAIN, TrustSet
from tests.mesh.trust.people import NOW, Realm, curve, key, node

REALM = Realm()


def why(trust: TrustSet, data: bytes, now: int = NOW) -> Why:
    with pytest.raises(Untrusted) as caught:
        trust.check(data, now)
    error, hint = lines(caught.value)
    assert error.startswith("error: this machine's certificate is refused: ")
    assert hint is None or len(hint) > len("hint: ")
    return caught.value.why


def refused(trust: TrustSet, data: bytes) -> Why:
    before = trust.items
    with pytest.raises(Untrusted) as caught:
        trust.take(data)
    assert trust.items == before
    return caught.value.why


# ---- members ---------------------------------------------------------------------------------------------------------


def test_a_certificate_is_given_back_as_it_was_made() -> None:
    found = REALM.trust().check(REALM.member("pi", owner="ben", name="pi-4", grants=int(Grant.WORKER)), NOW)
    assert (found.node, found.key, found.curve) == (node("pi"), key("pi").public, curve("pi").public)
    assert (found.owner, found.name) == ("ben", "pi-4")
    assert found.may(Grant.WORKER)
    assert not found.may(Grant.SUBMIT)
    assert not found.may(Grant.WORKER | Grant.SUBMIT)


def test_a_certificate_of_another_mesh_is_refused() -> None:
    other = Realm(mesh=b"o" * 16)
    assert why(REALM.trust(), other.member("pi")) is Why.OTHER_MESH


def test_one_that_nobody_known_has_signed_is_refused() -> None:
    assert why(REALM.trust(), REALM.member("pi", by="rogue")) is Why.UNKNOWN_ISSUER


def test_members_let_nobody_in() -> None:
    trust = REALM.trust()
    forged = REALM.signed(trust.check(REALM.member("pi"), NOW), key("pi"))
    assert why(trust, forged) is Why.UNKNOWN_ISSUER


def test_the_root_signs_no_members() -> None:
    trust = REALM.trust()
    direct = REALM.signed(trust.check(REALM.member("pi"), NOW), REALM.root)
    assert why(trust, direct) is Why.UNKNOWN_ISSUER


@pytest.mark.parametrize("at", range(0, 200, 7))
def test_one_with_a_flipped_bit_is_refused(at: int) -> None:
    data = bytearray(REALM.member("pi"))
    data[at] ^= 1 << at % 8
    assert why(REALM.trust(), bytes(data)) in (Why.FORGED, Why.UNREADABLE, Why.NEWER)


def test_a_changed_body_is_refused() -> None:
    data = REALM.member("pi")
    assert why(REALM.trust(), data.replace(b"anna", b"bert")) is Why.FORGED


def test_a_signature_for_one_purpose_is_none_for_another() -> None:
    _, body, signature = msgpack.unpackb(REALM.terms())
    assert why(REALM.trust(), msgpack.packb(["invite", body, signature])) is Why.UNREADABLE
    _, body, signature = msgpack.unpackb(REALM.member("pi"))
    assert why(REALM.trust(), msgpack.packb(["issuer", body, signature])) is Why.UNREADABLE
    wrong = proof(Purpose.INVITE, body, key("gamebox/issuer"))
    assert why(REALM.trust(), msgpack.packb(["member", body, wrong])) is Why.FORGED


def test_one_with_a_field_of_a_newer_version_says_so() -> None:
    _, body, signature = msgpack.unpackb(REALM.member("pi"))
    version, record = msgpack.unpackb(body)
    newer = msgpack.packb([version, [*record, 1]])
    assert why(REALM.trust(), msgpack.packb(["member", newer, signature])) is Why.NEWER


@pytest.mark.parametrize("grant", [Grant.ISSUE, Grant.ADMIN, Grant.VOTE])
def test_an_issuer_gives_no_more_than_it_may(grant: Grant) -> None:
    small = Grant.WORKER | Grant.SUBMIT
    trust = REALM.trust(REALM.issuer("gamebox", may_give=int(small)))
    assert trust.check(REALM.member("pi", grants=int(small)), NOW).grants == small
    assert why(trust, REALM.member("pi", grants=int(small | grant))) is Why.NOT_ALLOWED


def test_no_certificate_is_valid_for_long() -> None:
    assert why(REALM.trust(), REALM.member("pi", expiry=NOW + MEMBER_MS + 1)) is Why.TOO_LONG


def test_it_holds_from_its_beginning_to_its_end() -> None:
    trust, data = REALM.trust(), REALM.member("pi")
    trust.check(data, NOW - SKEW_MS)
    trust.check(data, NOW + MEMBER_MS - 1)
    assert why(trust, data, NOW - SKEW_MS - 1) is Why.NOT_YET
    assert why(trust, data, NOW + MEMBER_MS) is Why.EXPIRED


def test_it_is_due_for_another_one_from_half_its_time() -> None:
    found = REALM.trust().check(REALM.member("pi"), NOW)
    assert [found.is_due(NOW + MEMBER_MS // 2 + ms) for ms in (-1, 0)] == [False, True]


def test_after_a_long_holiday_it_can_still_be_renewed() -> None:
    trust, data = REALM.trust(), REALM.member("pi")
    end = NOW + MEMBER_MS + LATE_MS
    assert trust.renewable(data, end - 1).node == node("pi")
    with pytest.raises(Untrusted) as caught:
        trust.renewable(data, end)
    assert caught.value.why is Why.EXPIRED


def test_one_that_was_put_out_is_not_renewed() -> None:
    trust, data = REALM.trust(), REALM.member("pi")
    trust.take(REALM.revocation(node("pi")))
    with pytest.raises(Untrusted) as caught:
        trust.renewable(data, NOW)
    assert caught.value.why is Why.REVOKED


# ---- issuers ---------------------------------------------------------------------------------------------------------


def test_what_an_issuer_signed_stays_good_when_its_own_time_is_over() -> None:
    trust = REALM.trust()
    late = NOW + ISSUER_MS - 1
    trust.check(REALM.member("pi", at=late), late + MEMBER_MS - 1)


@pytest.mark.parametrize("at", [NOW - SKEW_MS - 1, NOW + ISSUER_MS])
def test_what_it_signed_at_another_time_is_refused(at: int) -> None:
    assert why(REALM.trust(), REALM.member("pi", at=at), at) is Why.NOT_ISSUER_THEN


def test_an_issuer_for_longer_than_is_allowed_is_refused() -> None:
    assert refused(REALM.trust(), REALM.issuer("pi", expiry=NOW + ISSUER_MS + 1)) is Why.TOO_LONG


def test_an_issuer_of_another_mesh_is_refused() -> None:
    assert refused(REALM.trust(), Realm(mesh=b"o" * 16).issuer("pi")) is Why.OTHER_MESH


def test_an_issuer_of_another_root_is_refused() -> None:
    assert refused(REALM.trust(), Realm("eve").issuer("pi")) is Why.UNKNOWN_ISSUER


def test_an_issuer_that_may_makes_another_one() -> None:
    trust = REALM.trust()
    assert trust.take(REALM.issuer("titan", by="gamebox"))
    assert trust.check(REALM.member("pi", by="titan"), NOW).node == node("pi")


def test_one_that_may_not_makes_none() -> None:
    trust = REALM.trust(REALM.issuer("gamebox", may_give=int(BY_INVITE)))
    assert refused(trust, REALM.issuer("titan", by="gamebox", may_give=int(BY_INVITE))) is Why.NOT_ALLOWED


def test_one_makes_none_that_gives_more() -> None:
    trust = REALM.trust(REALM.issuer("gamebox", may_give=int(BY_INVITE | Grant.ISSUE)))
    assert refused(trust, REALM.issuer("titan", by="gamebox")) is Why.NOT_ALLOWED


def test_one_whose_time_is_over_makes_none() -> None:
    assert refused(REALM.trust(), REALM.issuer("titan", by="gamebox", at=NOW + ISSUER_MS)) is Why.NOT_ISSUER_THEN


def test_issuers_go_on_by_each_other_but_not_without_end() -> None:
    trust = REALM.trust()
    names, at = ["gamebox", *(f"pc{number}" for number in range(LONGEST_CHAIN))], NOW
    for before, name in pairwise(names[:-1]):
        at += DAY_MS
        assert trust.take(REALM.issuer(name, by=before, at=at))
    assert refused(trust, REALM.issuer(names[-1], by=names[-2], at=at)) is Why.NOT_ALLOWED
    assert len(trust.chain(key(f"{names[-2]}/issuer").public, at)) == LONGEST_CHAIN
    trust.take(REALM.issuer("gamebox", at=at))  # the root begins anew
    assert len(trust.chain(key("gamebox/issuer").public, at)) == 1


def test_a_chain_is_all_that_somebody_needs_who_knows_the_root() -> None:
    trust = REALM.trust(REALM.issuer("gamebox"), REALM.issuer("nova"), REALM.issuer("titan", by="gamebox"))
    trust.take(REALM.revocation(node("mac")))
    newcomer = TrustSet(REALM.mesh, REALM.root.public)
    newcomer.take_all(trust.chain(key("titan/issuer").public, NOW))
    assert len(newcomer.items) == 2
    newcomer.check(REALM.member("pi", by="titan"), NOW)


def test_a_chain_is_asked_of_those_only_that_let_in_now() -> None:
    trust = REALM.trust()
    for name, now in (("nobody", NOW), ("gamebox", NOW + ISSUER_MS)):
        with pytest.raises(Untrusted):
            trust.chain(key(f"{name}/issuer").public, now)
    assert [one.node for one in trust.issuers(NOW)] == [node("gamebox")]
    assert trust.issuers(NOW + ISSUER_MS) == ()


# ---- put out ---------------------------------------------------------------------------------------------------------


def test_a_machine_that_was_put_out_is_refused_at_once() -> None:
    trust, data = REALM.trust(), REALM.member("pi")
    trust.check(data, NOW)
    assert trust.take(REALM.revocation(node("pi"), by="gamebox"))
    assert why(trust, data) is Why.REVOKED
    trust.check(REALM.member("mac"), NOW)


@pytest.mark.parametrize("subject", [node("titan"), node_id(key("titan/issuer").public)])
def test_with_an_issuer_falls_all_that_hangs_on_it(subject: Any) -> None:
    trust = REALM.trust(REALM.issuer("gamebox"), REALM.issuer("titan", by="gamebox"), REALM.issuer("nova", by="titan"))
    certificates = [REALM.member("pi", by=name) for name in ("gamebox", "titan", "nova")]
    trust.take(REALM.revocation(subject, by="gamebox"))
    trust.check(certificates[0], NOW)
    assert [why(trust, data) for data in certificates[1:]] == [Why.ISSUER_REVOKED] * 2
    with pytest.raises(Untrusted):
        trust.terms(REALM.terms(by="titan"), NOW)


def test_only_issuers_put_out() -> None:
    trust = REALM.trust()
    assert refused(trust, REALM.revocation(node("pi"), by="rogue")) is Why.UNKNOWN_ISSUER
    assert refused(trust, REALM.revocation(node("pi"), by="gamebox", at=NOW + ISSUER_MS)) is Why.NOT_ISSUER_THEN
    assert refused(trust, Realm(mesh=b"o" * 16).revocation(node("pi"))) is Why.OTHER_MESH


def test_once_is_for_good_and_again_is_nothing_new() -> None:
    trust = REALM.trust()
    assert trust.take(REALM.revocation(node("pi")))
    assert not trust.take(REALM.revocation(node("pi")))
    assert not trust.take(REALM.revocation(node("pi"), by="gamebox"))
    assert len(trust.items) == 2


def test_what_a_set_holds_does_not_depend_on_what_was_heard_first() -> None:
    """Two issuers that put each other out are both out, and so is who was put out by one of them."""
    items = [
        REALM.issuer("gamebox"),
        REALM.issuer("titan"),
        REALM.revocation(node("gamebox"), by="titan"),
        REALM.revocation(node("titan"), by="gamebox"),
        REALM.revocation(node("pi"), by="gamebox"),
    ]
    for order in permutations(items):
        trust = REALM.trust(*order)
        assert set(trust.items) == set(items)
        assert [trust.is_revoked(node(name)) for name in ("gamebox", "titan", "pi", "mac")] == [True, True, True, False]
        assert why(trust, REALM.member("mac")) is Why.ISSUER_REVOKED


def test_what_is_handed_on_can_be_taken_in_that_order() -> None:
    trust = REALM.trust(
        REALM.revocation(node("pi"), by="titan"), REALM.issuer("titan", by="gamebox"), REALM.issuer("gamebox")
    )
    other = TrustSet(REALM.mesh, REALM.root.public)
    assert [other.take(data) for data in trust.items] == [True] * 3


def test_a_stolen_issuer_does_not_fill_the_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trustset, "MOST_ISSUERS", 3)
    monkeypatch.setattr(trustset, "MOST_REVOKED", 2)
    trust = REALM.trust()
    for number in range(2):
        trust.take(REALM.issuer(f"pc{number}", by="gamebox"))
        trust.take(REALM.revocation(node(f"pc{number}"), by="gamebox"))
    assert refused(trust, REALM.issuer("pc3", by="gamebox")) is Why.TOO_MANY
    assert refused(trust, REALM.revocation(node("mac"), by="gamebox")) is Why.TOO_MANY
    assert trust.take(REALM.revocation(node("gamebox")))  # the root always may


# ---- invites ---------------------------------------------------------------------------------------------------------


def terms_why(trust: TrustSet, data: bytes, now: int = NOW) -> Why:
    with pytest.raises(Untrusted) as caught:
        trust.terms(data, now)
    assert "invite" in caught.value.message
    return caught.value.why


def test_an_invite_of_an_issuer_is_believed_while_it_lasts() -> None:
    trust, data = REALM.trust(), REALM.terms()
    assert trust.terms(data, NOW).uses == 1
    assert terms_why(trust, data, NOW + DAY_MS // 24) is Why.EXPIRED
    assert terms_why(trust, data, NOW - SKEW_MS - 1) is Why.NOT_YET


@pytest.mark.parametrize("grant", [Grant.ISSUE, Grant.ADMIN])
def test_no_invite_makes_an_issuer_or_an_admin(grant: Grant) -> None:
    assert terms_why(REALM.trust(), REALM.terms(grants=int(grant))) is Why.NOT_ALLOWED


def test_an_invite_that_is_not_an_issuers_is_refused() -> None:
    trust = REALM.trust(REALM.issuer("gamebox", may_give=int(Grant.WORKER)))
    assert terms_why(trust, REALM.terms()) is Why.NOT_ALLOWED
    assert terms_why(trust, REALM.terms(by="rogue")) is Why.UNKNOWN_ISSUER
    assert terms_why(trust, Realm(mesh=b"o" * 16).terms()) is Why.OTHER_MESH
    assert terms_why(trust, REALM.terms(expiry=NOW + INVITE_MS + 1)) is Why.TOO_LONG


def test_all_that_there_is_can_be_given_by_the_first_issuer() -> None:
    assert REALM.trust().check(REALM.member("gamebox", grants=int(ALL)), NOW).may(Grant.ADMIN | Grant.ISSUE)
