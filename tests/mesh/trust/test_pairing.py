"""Joining without an invite: only when both codes were typed, and nobody in the middle gets them to agree."""

from __future__ import annotations

import pytest

from odyssey.commands import AdmitMember
from odyssey.errors import OdysseyError
from odyssey.ids import UserId
from odyssey.mesh.trust.certificates import ALL, BY_INVITE, DAY_MS, MINE
from odyssey.mesh.trust.join_client import NotJoined
from odyssey.mesh.trust.join_server import Answer
from odyssey.mesh.trust.letters import Chain, Hello, Knock, Open, Refused, packed, unpacked
from odyssey.mesh.trust.pairing import PATIENCE_MS, PairClient, PairServer, WrongCode, codes, commitment
from tests.mesh.trust.gate import Gate
from tests.mesh.trust.people import NOW, Realm, curve, key, node

ANNA = UserId("anna")


class Two:
    """A machine that wants in and one that lets in, as far as the codes."""

    def __init__(self, gate: Gate | None = None, sees: str = "gamebox", visitor: str = "pi") -> None:
        self.gate = gate or Gate()
        self.client = PairClient(b"n" * 32, "pi4", key("pi"), curve("pi").public, curve(sees).public)
        self.server = PairServer(self.gate.porter, curve(visitor).public)

    def meet(self) -> Two:
        (chain,) = self.gate.hears(self.server, self.client.begin()).say
        answer = self.gate.hears(self.server, self.client.step(chain, NOW).say)
        assert answer == Answer()
        return self

    @property
    def shown_there(self) -> str:
        assert self.server.asks is not None
        return self.server.asks.code

    def approve(self, text: str, since_ms: int = 1000) -> Answer:
        answer = self.server.typed(text, ANNA, MINE, NOW, since_ms)
        return answer if answer.propose is None else self.server.decided(self.gate.takes(answer.propose))


def code_of(answer: Answer) -> str:
    letter = unpacked(answer.say[0])
    assert isinstance(letter, Refused)
    assert answer.ends
    return letter.code


@pytest.mark.parametrize("first", ["here", "there"])
def test_with_both_codes_typed_it_gets_in(first: str) -> None:
    two = Two().meet()
    asks = two.server.asks
    assert asks is not None
    assert (asks.node, asks.name) == (node("pi"), "pi4")
    assert len(two.client.code) == len(asks.code) == 6
    if first == "here":
        assert two.client.typed(asks.code, NOW, 1000).joined is None
    heard = [two.client.step(data, NOW) for data in two.approve(two.client.code).say]
    joined = heard[-1].joined if first == "here" else two.client.typed(asks.code, NOW, 1000).joined
    assert joined is not None
    assert (joined.mine.node, joined.mine.owner, joined.mine.grants) == (node("pi"), ANNA, BY_INVITE)
    assert two.gate.log.state.members[node("pi")].by == ANNA


def test_what_is_given_waits_for_the_code_to_be_typed_here() -> None:
    two = Two().meet()
    for data in two.approve(two.client.code).say:
        assert two.client.step(data, NOW).joined is None
    with pytest.raises(WrongCode):
        two.client.typed("000000", NOW, 1)
    assert two.client.typed(two_codes(two), NOW, 1).joined is not None


def two_codes(two: Two) -> str:
    return two.client._codes.of_issuer


def test_nothing_is_signed_before_the_code_is_typed_there() -> None:
    two = Two().meet()
    with pytest.raises(WrongCode, match="2 tries left"):
        two.server.typed("12345", ANNA, MINE, NOW, 1)
    assert not two.gate.log.state.members
    assert two.approve(f" {two.client.code[:3]} - {two.client.code[3:]} ").say


def test_the_third_wrong_code_ends_it_on_both_sides() -> None:
    two = Two().meet()
    right, here = two.client.code, two.shown_there
    for left in ("2 tries left", "1 try left"):
        with pytest.raises(WrongCode, match=left):
            two.server.typed("x", ANNA, MINE, NOW, 1)
        with pytest.raises(WrongCode, match=left):
            two.client.typed("x", NOW, 1)
    for text in ("x", right):
        assert code_of(two.approve(text)) == "codes"
    for text in ("x", here):
        with pytest.raises(NotJoined):
            two.client.typed(text, NOW, 1)
    assert two.server.asks is None
    assert two.client.code == ""
    assert not two.gate.log.state.members


def test_after_five_minutes_codes_are_worth_nothing() -> None:
    two = Two().meet()
    here = two.shown_there
    assert code_of(two.approve(two.client.code, PATIENCE_MS + 1)) == "codes"
    with pytest.raises(NotJoined):
        two.client.typed(here, NOW, PATIENCE_MS + 1)


def test_a_code_cannot_be_used_twice() -> None:
    two = Two().meet()
    code = two.client.code
    assert two.approve(code).ends
    assert code_of(two.approve(code)) == "codes"


def test_an_approval_gives_no_more_than_an_invite() -> None:
    two = Two().meet()
    proposed = two.server.typed(two.client.code, ANNA, ALL, NOW, 1).propose
    assert isinstance(proposed, AdmitMember)
    assert two.gate.trust.check(proposed.certificate, NOW).grants == BY_INVITE


# ---- somebody in the middle ------------------------------------------------------------------------------------------


def test_with_somebody_in_the_middle_the_codes_differ() -> None:
    """Eve is an issuer of her own mesh for the machine, a machine for the real issuer, and hands on all she can."""
    eve = Gate(Realm("eve", b"e" * 16), "eve")
    left = Two(eve, sees="eve").meet()
    right = Two()
    right.client = PairClient(b"n" * 32, "pi4", key("pi"), curve("eve").public, curve("gamebox").public)
    right.server = PairServer(right.gate.porter, curve("eve").public)
    right.meet()
    assert left.client.code != right.client.code
    assert left.shown_there != right.shown_there
    with pytest.raises(WrongCode):
        right.approve(left.client.code)  # what a person reads at the machine
    with pytest.raises(WrongCode):
        left.client.typed(right.shown_there, NOW, 1)


def test_a_number_that_was_not_promised_is_refused() -> None:
    """Else she could try numbers until the codes agree."""
    two = Two()
    (chain,) = two.gate.hears(two.server, packed(Knock(commitment(b"o" * 32, key("pi").public, "pi4")))).say
    said = two.client.step(chain, NOW).say
    assert code_of(two.gate.hears(two.server, said)) == "proof"


@pytest.mark.parametrize("change", ["number", "key", "name", "connection"])
def test_all_that_both_sides_know_is_in_the_codes(change: str) -> None:
    one, other = Two().meet(), Two()
    fields = {
        "number": (b"m" * 32, "pi4", key("pi"), curve("pi").public),
        "key": (b"n" * 32, "pi4", key("mac"), curve("pi").public),
        "name": (b"n" * 32, "pi5", key("pi"), curve("pi").public),
        "connection": (b"n" * 32, "pi4", key("pi"), curve("mac").public),
    }[change]
    other.client = PairClient(*fields, curve("gamebox").public)
    other.server = PairServer(other.gate.porter, fields[3])
    other.meet()
    assert one.client.code != other.client.code
    assert one.shown_there != other.shown_there


def test_codes_are_six_digits_and_spread() -> None:
    made = [code for number in range(500) for code in codes(number.to_bytes(32, "big"), b"known")]
    assert {len(code) for code in made} == {6}
    assert len(set(made)) > 990
    assert any(code.startswith("0") for code in made)


def test_a_key_that_is_not_its_own_is_refused() -> None:
    two = Two()
    number, name, pi = b"n" * 32, "pi4", key("pi").public
    two.gate.hears(two.server, packed(Knock(commitment(number, pi, name))))
    assert code_of(two.gate.hears(two.server, packed(Open(number, pi, bytes(64), name)))) == "proof"


def test_out_of_turn_is_out() -> None:
    two = Two()
    assert code_of(two.gate.hears(two.server, packed(Hello()))) == "out-of-turn"
    assert code_of(two.gate.hears(two.server, two.client.begin())) == "out-of-turn"
    with pytest.raises(NotJoined):
        two.client.typed("123456", NOW, 1)
    assert code_of(two.approve("")) == "codes"
    assert code_of(two.approve("000000")) == "codes"


def test_a_rogue_with_a_genuine_chain_is_seen_at_once() -> None:
    two = Two(sees="rogue")
    (chain,) = two.gate.hears(two.server, two.client.begin()).say
    with pytest.raises(NotJoined, match="another machine's certificates"):
        two.client.step(chain, NOW)


def test_a_wrong_clock_is_said_before_any_code() -> None:
    two = Two()
    (chain,) = two.gate.hears(two.server, two.client.begin()).say
    assert isinstance(unpacked(chain), Chain)
    with pytest.raises(NotJoined, match="clock"):
        two.client.step(chain, NOW + 2 * DAY_MS)


def test_a_log_that_refuses_is_told() -> None:
    two = Two().meet()
    answer = two.server.typed(two.client.code, ANNA, MINE, NOW, 1)
    assert answer.propose is not None
    assert code_of(two.server.decided(OdysseyError("no quorum"))) == "not-taken"
