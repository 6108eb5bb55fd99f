"""Joining and renewing, both sides: who gets in, who is refused and told why, and who is not believed.

Attackers are built of the same pieces as honest machines; what they may know is what travels.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from odyssey.commands import EndInvites, RenewMember, Revoke
from odyssey.mesh.trust.certificates import (
    ALL,
    BY_INVITE,
    DAY_MS,
    ISSUER_MS,
    LATE_MS,
    MEMBER_MS,
    SKEW_MS,
    Grant,
    node_id,
)
from odyssey.mesh.trust.invite import Invite
from odyssey.mesh.trust.join_client import JoinClient, Joined, NotJoined, RenewClient
from odyssey.mesh.trust.join_server import JoinServer
from odyssey.mesh.trust.letters import (
    LONGEST,
    Admitted,
    Chain,
    Hello,
    Page,
    Peer,
    Prove,
    Refused,
    bound,
    packed,
    unpacked,
)
from odyssey.mesh.trust.signed import Purpose, proof
from odyssey.mesh.trust.trustset import LONGEST_CHAIN, TrustSet
from tests.mesh.trust.gate import Gate
from tests.mesh.trust.people import NOW, Realm, curve, key, node


@pytest.fixture
def gate() -> Gate:
    return Gate()


def not_joined(act: Callable[[], object]) -> str:
    with pytest.raises(NotJoined) as caught:
        act()
    assert caught.value.hint
    return caught.value.message


def refusal(gate: Gate, server: JoinServer, data: bytes) -> str:
    """The code with which a server ends it; then it is deaf."""
    answer = gate.hears(server, data)
    (letter,) = map(unpacked, answer.say)
    assert isinstance(letter, Refused)
    assert answer.ends
    again = gate.hears(server, data)
    assert isinstance(unpacked(again.say[0]), Refused)
    assert again.propose is None
    return letter.code


def chain_of(gate: Gate, server: JoinServer) -> Chain:
    (letter,) = map(unpacked, gate.hears(server, packed(Hello())).say)
    assert isinstance(letter, Chain)
    return letter


def proven(gate: Gate, chain: Chain, invite: Invite, name: str = "pi", **fields: object) -> Prove:
    """What an honest machine says; `fields` are what a dishonest one says instead."""
    client = JoinClient(invite, "pi4", key(name), curve(name).public, curve(gate.name).public)
    letter = unpacked(client.step(packed(chain), gate.now).say)
    assert isinstance(letter, Prove)
    return msgspec.structs.replace(letter, **fields)


# ---- getting in ------------------------------------------------------------------------------------------------------


def test_a_machine_with_an_invite_gets_in(gate: Gate) -> None:
    gate.trust.take(gate.realm.revocation(node("mac")))
    gate.peers = (Peer(gate.realm.member("gamebox"), ("10.0.0.1:7661",)), Peer(gate.realm.member("mac")), Peer(b"x"))
    joined = gate.joins(gate.invite(owner="ben", grants=int(Grant.WORKER)))
    assert (joined.mine.node, joined.mine.owner, joined.mine.grants) == (node("pi"), "ben", Grant.WORKER)
    assert joined.mine.expiry == NOW + MEMBER_MS
    assert joined.trust.items == gate.trust.items
    assert [peer.addresses for peer in joined.peers] == [("10.0.0.1:7661",)]  # and nobody who is not believed
    assert joined.mesh_name == "anna's mesh"
    assert gate.trust.check(joined.certificate, NOW) == joined.mine
    assert gate.log.state.members[node("pi")].certificate == joined.certificate


def test_no_secret_and_no_key_travels(gate: Gate) -> None:
    invite = gate.invite()
    gate.joins(invite)
    told = b"".join(gate.heard)
    for secret in (invite.secret, invite.key().secret, key("pi").secret, curve("pi").secret, gate.porter.key.secret):
        assert secret not in told
    assert b"pi4" in told


def test_a_stranger_learns_the_chain_and_says_hello_only(gate: Gate) -> None:
    server = gate.visit("stranger")
    chain = chain_of(gate, server)
    assert len(chain.chain) == 1
    assert packed(Hello()) == JoinClient(gate.invite(), "pi4", key("pi"), curve("pi").public, b"").begin()


def test_a_large_trust_set_comes_in_pages(gate: Gate) -> None:
    for number in range(200):
        gate.trust.take(gate.realm.revocation(node(f"pc{number}")))
    gate.peers = tuple(Peer(gate.realm.member(f"m{number}"), ("10.0.0.1:1",) * 50) for number in range(30))
    joined = gate.joins(gate.invite())
    assert joined.trust.items == gate.trust.items
    assert len(joined.peers) == 30
    assert len(gate.heard) > 8
    assert max(map(len, gate.heard)) <= LONGEST


def test_the_longest_chain_fits_into_a_letter() -> None:
    realm, at = Realm(), NOW - LONGEST_CHAIN * DAY_MS
    items, before = [realm.issuer("pc0", at=at)], "pc0"
    for number in range(1, LONGEST_CHAIN):
        name, at = f"pc{number}", at + DAY_MS
        items.append(realm.issuer(name, by=before, at=at))
        before = name
    gate = Gate(realm, before, realm.trust(*items))
    assert gate.joins(gate.invite()).trust.items == tuple(items)


def test_an_answer_that_was_lost_is_asked_for_again(gate: Gate) -> None:
    invite = gate.invite()
    gate.joins(invite)
    assert gate.joins(invite).mine.node == node("pi")
    assert "all it may" in not_joined(lambda: gate.joins(invite, "mac"))


def test_any_issuer_may_redeem_an_invite_of_another(gate: Gate) -> None:
    invite = gate.invite()
    gate.trust.take(gate.realm.issuer("titan", by="gamebox"))
    other = Gate(gate.realm, "titan", gate.trust)
    other.log = gate.log
    other.porter = other._porter()
    assert other.joins(invite).mine.signer == key("titan/issuer").public


# ---- who is refused --------------------------------------------------------------------------------------------------


def test_without_a_known_invite_nobody_gets_in(gate: Gate) -> None:
    other = Gate(gate.realm).invite()
    assert "not known here" in not_joined(lambda: gate.joins(Invite(other.root, other.curve, b"x" * 6, bytes(16), ())))


def test_a_wrong_secret_is_refused(gate: Gate) -> None:
    invite = gate.invite()
    wrong = Invite(invite.root, invite.curve, invite.id, bytes(16), ())
    assert "the secret of this invite is another one" in not_joined(lambda: gate.joins(wrong))


def test_the_public_half_of_the_key_is_not_the_key(gate: Gate) -> None:
    """Who has seen a joining knows it, and the id."""
    invite = gate.invite()
    server = gate.visit("eve")
    chain = chain_of(gate, server)
    honest = proven(gate, chain, invite, "eve")
    what = bound(chain.mesh, chain.nonce, curve("gamebox").public, curve("eve").public)
    forged = msgspec.structs.replace(honest, by_token=proof(Purpose.JOIN_BY_INVITE, what, key("eve")))
    assert refusal(gate, server, packed(forged)) == "proof"


def test_a_proof_for_another_key_is_refused(gate: Gate) -> None:
    """Eve says that she is pi, whose key she has not."""
    server = gate.visit("eve")
    letter = proven(gate, chain_of(gate, server), gate.invite(), "eve", node=key("pi").public)
    assert refusal(gate, server, packed(letter)) == "proof"


def test_the_key_of_the_machine_is_proven_by_itself(gate: Gate) -> None:
    """The proof of the invite is right, also for this node key; that of the node is not."""
    invite, server = gate.invite(), gate.visit("eve")
    chain = chain_of(gate, server)
    pi, token = key("pi").public, invite.key()
    what = bound(
        *(chain.mesh, chain.nonce, curve("gamebox").public, curve("eve").public),
        *(invite.id, token.public, pi, b"pi4"),
    )
    by_token, by_node = proof(Purpose.JOIN_BY_INVITE, what, token), proof(Purpose.JOIN_AS_NODE, what, key("eve"))
    assert refusal(gate, server, packed(Prove(invite.id, token.public, by_token, pi, by_node, "pi4"))) == "proof"


def test_a_name_that_was_changed_on_the_way_is_refused(gate: Gate) -> None:
    server = gate.visit()
    assert refusal(gate, server, packed(proven(gate, chain_of(gate, server), gate.invite(), name="other"))) == "proof"


def test_a_recorded_join_is_worth_nothing_again(gate: Gate) -> None:
    invite = gate.invite(uses=9)
    gate.joins(invite)
    recorded = next(data for data in gate.heard if isinstance(unpacked(data), Prove))
    server = gate.visit("pi")
    chain_of(gate, server)
    assert refusal(gate, server, recorded) == "proof"  # another nonce


def test_one_in_the_middle_cannot_hand_a_proof_on(gate: Gate) -> None:
    """It has its own connection to the real issuer, so the issuer sees its key and not the joiner's."""
    invite, server = gate.invite(), gate.visit("eve")
    chain = chain_of(gate, server)
    letter = proven(gate, chain, invite, "pi")  # as pi would say it to the real issuer
    assert refusal(gate, server, packed(letter)) == "proof"


def test_an_invite_of_another_mesh_is_refused_on_both_sides(gate: Gate) -> None:
    other = Gate(Realm("ben", b"o" * 16))
    invite = other.invite()
    assert "another mesh than the invite" in not_joined(lambda: gate.joins(invite))
    assert "not known here" in not_joined(
        lambda: gate.joins(Invite(gate.invite().root, invite.curve, invite.id, invite.secret, ()))
    )


def test_an_invite_is_spent_expired_or_taken_back(gate: Gate) -> None:
    spent, late, back = gate.invite(), gate.invite(), gate.invite()
    gate.joins(spent)
    assert "it has let in all it may" in not_joined(lambda: gate.joins(spent, "mac")).replace(
        "this invite has", "it has"
    )
    gate.log.do(EndInvites((back.id,)))
    assert "taken back" in not_joined(lambda: gate.joins(back, "mac"))
    gate.now += DAY_MS
    assert "its time is over" in not_joined(lambda: gate.joins(late, "mac"))


def test_two_at_once_share_no_use(gate: Gate) -> None:
    """Both are proven before the log has counted one: the log decides."""
    invite, servers = gate.invite(), [gate.visit("pi"), gate.visit("mac")]
    answers = []
    for server, name in zip(servers, ("pi", "mac"), strict=True):
        letter = proven(gate, chain_of(gate, server), invite, name)
        answers.append(server.step(packed(letter), gate.now).propose)
    assert None not in answers
    decided = [server.decided(gate.takes(one)) for server, one in zip(servers, answers, strict=True) if one is not None]
    letters = [unpacked(answer.say[0]) for answer in decided]
    assert isinstance(letters[0], Admitted)
    assert isinstance(letters[1], Refused)
    assert "all it may" in letters[1].text


def test_the_log_cannot_make_an_invite_give_more(gate: Gate) -> None:
    """A coordinator without a key writes what it likes onto the log."""
    invite = gate.invite()
    record = gate.log.state.invites[invite.id]
    gate.joins(invite)
    state = gate.log.state
    state.invites[invite.id] = msgspec.structs.replace(state.invites[invite.id], uses=99)
    assert "all it may" in not_joined(lambda: gate.joins(invite, "mac"))
    other = gate.invite(uses=5)
    state.invites[other.id] = msgspec.structs.replace(record, id=other.id)  # another invite's terms
    assert "another one" in not_joined(lambda: gate.joins(other, "mac"))
    forged = Gate(gate.realm, trust=gate.trust).terms(invite, uses=9)
    eve = Realm().terms(by="eve", id=invite.id, uses=9)
    assert forged != eve
    state.invites[invite.id] = msgspec.structs.replace(record, terms=eve)
    assert "nobody who may let machines" in not_joined(lambda: gate.joins(invite, "mac"))


def test_the_log_cannot_give_a_spent_invite_another_number(gate: Gate) -> None:
    """A coordinator and somebody who has the secret, together."""
    invite, other = gate.invite(), gate.invite()
    gate.joins(invite)
    state = gate.log.state
    state.invites[other.id] = msgspec.structs.replace(state.invites[invite.id], id=other.id, used=())
    server, token, mac = gate.visit("mac"), invite.key(), key("mac")
    chain = chain_of(gate, server)
    what = bound(
        *(chain.mesh, chain.nonce, curve("gamebox").public, curve("mac").public),
        *(other.id, token.public, mac.public, b"mac"),
    )
    by_token, by_node = proof(Purpose.JOIN_BY_INVITE, what, token), proof(Purpose.JOIN_AS_NODE, what, mac)
    assert refusal(gate, server, packed(Prove(other.id, token.public, by_token, mac.public, by_node, "mac"))) == "proof"


def test_who_was_put_out_does_not_come_back_by_an_invite(gate: Gate) -> None:
    gate.trust.take(gate.realm.revocation(node("pi")))
    assert "was put out" in not_joined(lambda: gate.joins(gate.invite()))


def test_an_issuer_that_is_none_any_more_lets_nobody_in(gate: Gate) -> None:
    invite = gate.invite()
    gate.trust.take(gate.realm.revocation(node("gamebox")))
    assert "was put out" in not_joined(lambda: gate.joins(invite))
    late = Gate()
    late.now += ISSUER_MS
    assert "can let nobody in at this time" in not_joined(lambda: late.joins(late.invite()))


def test_an_issuer_that_may_give_less_gives_nothing() -> None:
    realm = Realm()
    gate = Gate(realm, trust=realm.trust(realm.issuer("gamebox", may_give=int(Grant.WORKER)), realm.issuer("titan")))
    invite = gate.invite()
    record = gate.log.state.invites[invite.id]
    terms = realm.signed(
        msgspec.structs.replace(gate.trust.terms(gate.terms(invite, grants=1), NOW), grants=int(BY_INVITE)),
        key("titan/issuer"),
    )
    gate.log.state.invites[invite.id] = msgspec.structs.replace(record, terms=terms)
    assert "more than its signer may give" in not_joined(lambda: gate.joins(invite))
    assert not gate.log.state.members


@pytest.mark.parametrize("data", [b"", b"\xc1", b"x" * 9000, b"\x92\x01\x91\xa5chain", b"\x92\x02\x92\xa5hello\x01"])
def test_nonsense_ends_a_visit(gate: Gate, data: bytes) -> None:
    assert refusal(gate, gate.visit(), data) in ("unreadable", "newer")


def test_nobody_proves_before_hello_or_twice(gate: Gate) -> None:
    invite, server = gate.invite(), gate.visit()
    letter = packed(proven(gate, chain_of(gate, gate.visit()), invite))
    assert refusal(gate, server, letter) == "out-of-turn"
    server = gate.visit()
    letter = packed(proven(gate, chain_of(gate, server), invite))
    assert gate.hears(server, letter).ends
    assert refusal(gate, server, letter) == "out-of-turn"
    assert refusal(gate, server, packed(Hello())) == "out-of-turn"
    assert isinstance(unpacked(gate.visit().decided(None).say[0]), Refused)


def test_a_name_that_is_none_is_refused(gate: Gate) -> None:
    server = gate.visit()
    client = JoinClient(gate.invite(), "pi 4\n", key("pi"), curve("pi").public, curve("gamebox").public)
    said = client.step(packed(chain_of(gate, server)), NOW).say
    assert refusal(gate, server, said) == "unreadable"


# ---- who is not believed ---------------------------------------------------------------------------------------------


def a_client(gate: Gate, server: str = "gamebox") -> JoinClient:
    return JoinClient(gate.invite(), "pi4", key("pi"), curve("pi").public, curve(server).public)


def test_a_rogue_with_the_genuine_chain_hears_only_hello(gate: Gate) -> None:
    client = a_client(gate, "rogue")  # the connection was made to the rogue's key
    chain = chain_of(gate, gate.visit())
    assert "another machine's certificates" in not_joined(lambda: client.step(packed(chain), NOW))


def test_a_rogue_with_its_own_root_is_not_believed(gate: Gate) -> None:
    rogue = Gate(Realm("eve"))
    chain = chain_of(rogue, rogue.visit())
    assert "another mesh" in not_joined(lambda: a_client(gate).step(packed(chain), NOW))
    lying = msgspec.structs.replace(chain, root=gate.realm.root.public)
    assert "may not let machines" in not_joined(lambda: a_client(gate).step(packed(lying), NOW))


def test_a_member_that_is_no_issuer_is_not_believed(gate: Gate) -> None:
    chain = msgspec.structs.replace(chain_of(gate, gate.visit()), issuer=key("pi").public)
    assert "may not let machines" in not_joined(lambda: a_client(gate).step(packed(chain), NOW))


@pytest.mark.parametrize(
    ("off", "said"),
    [
        (-2 * DAY_MS - 3 * SKEW_MS, "2 days and 3 hours behind"),
        (2 * DAY_MS, "2 days and 0 hours ahead of"),
        (-5 * SKEW_MS, "5 hours behind"),
    ],
)
def test_a_clock_that_is_wrong_is_said_to_be_wrong(gate: Gate, off: int, said: str) -> None:
    text = not_joined(lambda: gate.joins(gate.invite(), now=NOW + off))
    assert text == f"this machine's clock is {said} the clock of the machine that lets in"


def test_clocks_may_differ_a_little(gate: Gate) -> None:
    for name, off in (("pi", -SKEW_MS), ("mac", SKEW_MS)):
        assert gate.joins(gate.invite(), name, now=NOW + off).mine.node == node(name)


def admitted(gate: Gate, certificate: bytes, *pages: Page) -> Callable[[], Joined | None]:
    client = a_client(gate)
    client.step(packed(chain_of(gate, gate.visit())), NOW)

    def go() -> Joined | None:
        found = client.step(packed(Admitted(certificate, len(pages))), NOW).joined
        for page in pages:
            found = client.step(packed(page), NOW).joined
        return found

    return go


def test_a_certificate_that_is_not_this_machines_is_not_taken(gate: Gate) -> None:
    realm = gate.realm
    assert admitted(gate, realm.member("pi"))() is not None
    for wrong in (
        realm.member("mac"),
        realm.member("mac", curve=curve("pi").public),
        realm.member("pi", curve=curve("mac").public),
        realm.member("pi", by="eve"),
        realm.member("pi", at=NOW - MEMBER_MS),
        b"",
    ):
        assert not_joined(admitted(gate, wrong)).startswith("not let in: this machine's certificate is refused: ")


def test_a_machine_that_was_put_out_meanwhile_is_told(gate: Gate) -> None:
    page = Page((gate.realm.revocation(node("pi")),))
    assert "was put out" in not_joined(admitted(gate, gate.realm.member("pi"), page))


def test_what_is_out_of_turn_is_not_believed(gate: Gate) -> None:
    chain = chain_of(gate, gate.visit())
    for letter in (Admitted(gate.realm.member("pi"), 0), Page(), Hello()):
        assert "not trusted" in not_joined(lambda letter=letter: a_client(gate).step(packed(letter), NOW))  # type: ignore[misc]
    client = a_client(gate)
    client.step(packed(chain), NOW)
    client.step(packed(Admitted(gate.realm.member("pi"), 0)), NOW)
    assert "was not asked" in not_joined(lambda: client.step(packed(Page()), NOW))


@pytest.mark.parametrize("pages", [-1, 1 << 40])
def test_nobody_is_made_to_wait_for_pages_without_end(gate: Gate, pages: int) -> None:
    client = a_client(gate)
    client.step(packed(chain_of(gate, gate.visit())), NOW)
    letter = packed(Admitted(gate.realm.member("pi"), pages))
    assert "no certificate" in not_joined(lambda: client.step(letter, NOW))


def test_a_refusal_is_told_in_its_own_words_and_cannot_steer_the_terminal(gate: Gate) -> None:
    letter = packed(Refused("x", "no\x1b[2J\nroom " + "x" * 500, "come later\r"))
    with pytest.raises(NotJoined) as caught:
        a_client(gate).step(letter, NOW)
    assert caught.value.message.startswith("not let in: no\\x1b[2J\\nroom")
    assert len(caught.value.message) < 230
    assert caught.value.hint == "come later\\r"


# ---- renewing --------------------------------------------------------------------------------------------------------


def test_a_certificate_is_renewed_with_the_machines_key(gate: Gate) -> None:
    joined = gate.joins(gate.invite(owner="ben"))
    gate.now += 7 * DAY_MS
    again = gate.renews(joined.trust, joined.certificate)
    assert (again.mine.owner, again.mine.name, again.mine.grants) == ("ben", "pi4", joined.mine.grants)
    assert again.mine.expiry == gate.now + MEMBER_MS
    assert gate.log.state.members[node("pi")].certificate == again.certificate


def test_a_laptop_back_from_a_long_holiday_just_works() -> None:
    realm = Realm()
    gate = Gate(realm)
    joined = gate.joins(gate.invite())
    gate.now = NOW + MEMBER_MS + LATE_MS - 1
    gate.trust.take(realm.issuer("gamebox", at=gate.now))  # the laptop has never heard of this one
    gate.porter = gate._porter()
    newest = gate.trust.issuers(gate.now)[-1]
    gate.porter = gate.porter._replace(issuer=newest)
    assert gate.renews(joined.trust, joined.certificate).mine.expiry == gate.now + MEMBER_MS
    gate.now += MEMBER_MS
    assert "its time is over" in not_joined(lambda: gate.renews(joined.trust, joined.certificate))


def test_without_the_key_nobody_renews(gate: Gate) -> None:
    """Certificates are no secret."""
    joined = gate.joins(gate.invite())
    thief = RenewClient(joined.trust, joined.certificate, key("eve"), curve("eve").public, curve("gamebox").public)
    assert "proof" in not_joined(lambda: gate.talk(thief, gate.visit("eve")))


def test_a_recorded_renewal_is_worth_nothing_again(gate: Gate) -> None:
    joined = gate.joins(gate.invite())
    gate.renews(joined.trust, joined.certificate)
    recorded = gate.heard[2]
    server = gate.visit("pi")
    chain_of(gate, server)
    assert refusal(gate, server, recorded) == "proof"


def test_who_was_put_out_does_not_renew(gate: Gate) -> None:
    joined = gate.joins(gate.invite())
    gate.log.do(Revoke(node("pi"), b"statement"))
    assert "was put out" in not_joined(lambda: gate.renews(joined.trust, joined.certificate))  # the log knows
    gate.trust.take(gate.realm.revocation(node("pi")))
    assert "was put out" in not_joined(lambda: gate.renews(joined.trust, joined.certificate))


def test_an_old_certificate_does_not_bring_back_what_was_taken_away(gate: Gate) -> None:
    joined = gate.joins(gate.invite())
    less = gate.realm.member("pi", at=NOW + DAY_MS, grants=int(Grant.SUBMIT))
    gate.log.do(RenewMember(node("pi"), less, NOW + DAY_MS + MEMBER_MS))
    gate.now += 2 * DAY_MS
    assert gate.renews(joined.trust, joined.certificate).mine.grants == Grant.SUBMIT


def test_who_was_away_while_its_certificate_was_made_anew_is_not_put_out_for_that(gate: Gate) -> None:
    """What the machine holds was signed by a key that lets nobody in any more."""
    gate.trust.take(gate.realm.issuer("nova"))
    gate.porter = gate._porter()
    joined = gate.joins(gate.invite())
    old = gate.realm.member("pi", by="nova", at=NOW, curve=curve("pi").public)
    gate.log.do(RenewMember(node("pi"), gate.realm.member("pi", at=NOW + DAY_MS), NOW + DAY_MS + MEMBER_MS))
    gate.now += 2 * DAY_MS
    before = joined.trust
    before.take(gate.realm.issuer("nova"))
    gate.trust.take(gate.realm.revocation(node_id(key("nova/issuer").public)))
    gate.porter = gate._porter()
    assert gate.renews(before, old).mine.expiry == gate.now + MEMBER_MS
    del gate.log.state.members[node("pi")]
    not_joined(lambda: gate.renews(before, old))


def test_the_log_cannot_make_a_renewal_give_more(gate: Gate) -> None:
    joined = gate.joins(gate.invite())
    state = gate.log.state
    for wrong in (gate.realm.member("pi", by="eve", at=NOW + 1, grants=int(ALL)), b"nothing"):
        state.members[node("pi")] = msgspec.structs.replace(state.members[node("pi")], certificate=wrong)
        not_joined(lambda: gate.renews(joined.trust, joined.certificate))
    other = gate.realm.member("gamebox", at=NOW + 1, grants=int(ALL))
    state.members[node("pi")] = msgspec.structs.replace(state.members[node("pi")], certificate=other)
    assert gate.renews(joined.trust, joined.certificate).mine.grants == joined.mine.grants


def test_a_renewal_is_asked_of_the_own_mesh_only(gate: Gate) -> None:
    joined = gate.joins(gate.invite())
    other = Gate(Realm("eve"))
    assert "another mesh" in not_joined(lambda: other.renews(joined.trust, joined.certificate))
    stranger = TrustSet(b"o" * 16, gate.realm.root.public)
    assert "another mesh" in not_joined(lambda: gate.renews(stranger, joined.certificate))


def test_an_issuer_whose_clock_went_back_still_says_what_time_it_has() -> None:
    """It may let nobody in before its own certificate begins; then the clocks are what is told, and nothing breaks."""
    gate = Gate()
    invite = gate.invite()
    gate.now = NOW - 400 * DAY_MS
    with pytest.raises(NotJoined, match="this machine's clock is 400 days and 0 hours ahead"):
        gate.joins(invite, now=NOW)
    with pytest.raises(NotJoined, match="can let nobody in at this time"):
        gate.joins(invite, now=gate.now)
