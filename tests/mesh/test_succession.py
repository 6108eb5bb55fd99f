"""What one machine says and does when generations meet, and when somebody recovers. The others are said by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from odyssey.clock import SeededEntropy
from odyssey.ids import NodeId
from odyssey.mesh.generation import Charter, Fork, Lineage, is_signed, signed
from odyssey.mesh.letters import Scope
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import Config, HardState, Snapshot
from odyssey.mesh.recover import (
    AnyMessage,
    AskStanding,
    CannotRecover,
    Found,
    Founds,
    Keeps,
    Line,
    Recovery,
    Refusal,
    Standing,
)
from odyssey.mesh.replica import TICK_MS, Replica
from odyssey.mesh.store import Loaded
from odyssey.mesh.succession import (
    ASK_EVERY_MS,
    ASKED_TIMES,
    GOSSIP_MS,
    TELL_AGAIN_MS,
    Keys,
    Move,
    Succession,
    at_rest,
)
from tests.daemon_fakes import SlowDisk, Time
from tests.mesh.generation_model import sign_as, verify
from tests.mesh.raft import alone
from tests.mesh.raft.alone import entries
from tests.mesh.raft.machine import member
from tests.mesh.test_generation import MESH, ROOT

ME, OTHER = NodeId("1"), NodeId("2")
END = Fork(1, 2)  # of this machine's log


def child(parent: Lineage = ROOT, name: str = "c", founder: str = "2", fork: Fork = END, term: int = 5) -> Lineage:
    generation = type(parent.tip)(parent.tip.number + 1, name.encode() * 16)
    plain = Charter(MESH, generation, parent.tip, fork, term, member(founder), NodeId(founder))
    return parent.with_child(signed(plain, sign_as(NodeId(founder))))


class Rig:
    """Machine 1, its log two entries of term 1, and nobody leads."""

    def __init__(
        self, lineage: Lineage = ROOT, core: Core | None = None, served: tuple[NodeId, int] | None = None
    ) -> None:
        self.time, self.served = Time(), served
        self.said: list[tuple[NodeId, AnyMessage]] = []
        self.moves: list[tuple[Move, Lineage]] = []
        self.told: list[Recovery | CannotRecover] = []
        self.others = [NodeId("2"), NodeId("3")]
        one = core or alone.core("1 1", commit=2)
        self.replica = Replica(
            Scope("mesh", 1), one, self, SlowDisk(self.time), self, self.time, self.time, SeededEntropy(1)
        )
        self.succession = Succession(
            lineage,
            self.replica,
            lambda: self.served,
            lambda: self.others,
            self,
            self.time,
            self.time,
            SeededEntropy(1),
            Keys(sign_as(ME), verify),
            lambda move, to: self.moves.append((move, to)),
        )

    def say(self, node: NodeId, message: AnyMessage) -> None:
        self.said.append((node, message))

    def send(self, to: NodeId, letter: Any) -> None: ...

    def apply(self, entries: Any) -> dict[int, object]:
        return {}

    def load(self, slices: Any) -> None: ...

    def hears(self, message: AnyMessage, sender: NodeId = OTHER) -> None:
        self.succession.receive(sender, message)

    def recover(self) -> None:
        self.succession.recover(self.told.append)

    def words(self, kind: type) -> list[NodeId]:
        return [node for node, message in self.said if isinstance(message, kind)]


# -- meeting another generation ----------------------------------------------------------------------------------------


def test_a_stranger_is_told_the_lineage_once_a_second() -> None:
    rig = Rig(child())
    for _ in range(10):
        rig.succession.meet(OTHER)
    assert rig.words(Line) == [OTHER]
    rig.time.wait(TELL_AGAIN_MS)
    rig.succession.meet(OTHER)
    assert rig.words(Line) == [OTHER, OTHER]


def test_a_descendant_that_has_all_of_this_log_is_followed() -> None:
    rig = Rig()
    rig.hears(Line(child(fork=Fork(1, 2))))
    assert rig.moves == [(Move.FOLLOW, child(fork=Fork(1, 2)))]


def test_a_descendant_that_lacks_some_of_it_costs_the_store() -> None:
    rig = Rig()
    rig.hears(Line(child(fork=Fork(1, 1))))
    assert [move for move, _ in rig.moves] == [Move.BEGIN_ANEW]


def test_who_is_on_the_way_to_another_generation_hears_nothing_more() -> None:
    rig = Rig()
    rig.hears(Line(child()))
    rig.hears(Line(child(name="z")))
    rig.hears(AskStanding())
    assert (len(rig.moves), rig.said) == (1, [])


def test_who_is_behind_is_told() -> None:
    rig = Rig(child())
    rig.hears(Line(ROOT))
    assert rig.said == [(OTHER, Line(child()))]
    assert rig.moves == []


def test_what_nobody_signed_moves_nobody() -> None:
    rig = Rig()
    rig.hears(Line(ROOT.with_child(msgspec.structs.replace(child().charters[-1], signature=b"no"))))
    assert (rig.moves, rig.said) == ([], [])


def test_a_younger_generation_looks_the_others_up_and_the_first_one_does_not() -> None:
    first, second = Rig(), Rig(child())
    for rig in (first, second):
        for _ in range(20 * GOSSIP_MS // TICK_MS):
            rig.succession.tick()
            rig.time.wait(TICK_MS)
    assert first.said == []
    assert set(second.words(Line)) == {"2", "3"}


# -- recovering --------------------------------------------------------------------------------------------------------


def answer(name: str, end: Fork, hears: NodeId | None = None) -> Standing:
    return Standing(member(name), ROOT, Keeps.VOTER, end, end.term, 2, hears=hears, heard_ms=100)


def test_all_are_asked_until_they_have_answered_and_the_best_log_begins() -> None:
    rig = Rig()
    rig.recover()
    rig.hears(answer("2", Fork(1, 3)))
    rig.time.wait(ASKED_TIMES * ASK_EVERY_MS)
    assert rig.words(AskStanding).count(OTHER) == 1
    assert rig.words(AskStanding).count(NodeId("3")) == ASKED_TIMES > 3
    assert rig.told == []
    rig.hears(Founds(asked(rig).generation))
    (found,) = rig.told
    assert isinstance(found, Recovery)
    assert (found.founder, found.charter.fork) == (member("2"), Fork(1, 3))
    assert is_signed(found.charter, verify)
    assert found.charter == asked(rig)
    assert rig.moves == []


def asked(rig: Rig) -> Charter:
    return [message for _, message in rig.said if isinstance(message, Found)][-1].charter


def bidding() -> Rig:
    """It has asked machine 2 to begin."""
    rig = Rig()
    rig.recover()
    rig.hears(answer("2", Fork(1, 3)))
    rig.time.wait(ASKED_TIMES * ASK_EVERY_MS)
    assert rig.words(Found) == [OTHER]
    return rig


def refusal(rig: Rig) -> CannotRecover:
    (told,) = rig.told
    assert isinstance(told, CannotRecover)
    return told


def test_who_recovers_hears_why_the_founder_does_not_begin() -> None:
    rig = bidding()
    rig.hears(Founds(child(name="z").tip, "another question's answer"))
    rig.hears(Founds(asked(rig).generation, "another machine's answer"), NodeId("3"))
    assert rig.told == []
    for _ in range(2):
        rig.hears(Founds(asked(rig).generation, "it hears the coordinator 3 again"))
    assert refusal(rig).refusal is Refusal.DECLINED
    assert "2 was to go on with its log, and it hears the coordinator 3 again" in refusal(rig).message
    rig.time.wait(2 * ASKED_TIMES * ASK_EVERY_MS)
    assert rig.words(Found) == [OTHER], "nothing more is asked of it"
    assert len(rig.told) == 1


def test_who_recovers_hears_that_nobody_knows_when_the_founder_is_silent() -> None:
    rig = bidding()
    rig.time.wait(ASKED_TIMES * ASK_EVERY_MS)
    assert rig.words(Found) == [OTHER] * ASKED_TIMES
    assert refusal(rig).refusal is Refusal.UNKNOWN
    assert "status" in (refusal(rig).hint or "")
    rig.hears(Founds(asked(rig).generation))
    assert len(rig.told) == 1


def test_who_moves_while_it_waits_for_the_founder_says_what_that_means() -> None:
    rig, other = bidding(), bidding()
    rig.hears(Line(ROOT.with_child(asked(rig))))
    assert isinstance(rig.told[0], Recovery)
    other.hears(Line(child(fork=Fork(1, 3))))
    assert refusal(other).refusal is Refusal.DECLINED


def test_who_moves_while_it_asks_has_begun_nothing_and_says_so() -> None:
    rig = Rig()
    rig.recover()
    rig.hears(Line(child()))
    assert refusal(rig).refusal is Refusal.MOVED
    rig.time.wait(ASKED_TIMES * ASK_EVERY_MS)
    assert len(rig.told) == 1


def test_a_second_person_is_told_that_it_is_being_done() -> None:
    rig = Rig()
    rig.recover()
    rig.recover()
    assert refusal(rig).refusal is Refusal.UNDER_WAY
    rig.hears(answer("2", Fork(1, 3)))
    rig.time.wait(ASKED_TIMES * ASK_EVERY_MS)
    rig.recover()
    assert [type(one) for one in rig.told] == [CannotRecover, CannotRecover]
    rig.hears(Founds(asked(rig).generation))
    assert isinstance(rig.told[2], Recovery)


def test_a_founder_says_what_came_of_it_also_when_it_is_asked_once_more() -> None:
    rig = Rig()
    for late in (found_by_me(Fork(1, 1)), found_by_me(Fork(1, 2))):
        rig.hears(late)
    answers = [message for _, message in rig.said if isinstance(message, Founds)]
    assert [one.why_not for one in answers] == ["its log has gone on to entry 2 in term 1", ""]
    again = Rig(ROOT.with_child(late.charter))
    again.hears(late)
    assert again.said == [(OTHER, Founds(late.charter.generation))]
    assert again.moves == []


def test_a_founder_declines_what_nobody_may_sign() -> None:
    rig = Rig()
    charter = msgspec.structs.replace(found_by_me(Fork(1, 2)).charter, signature=b"no")
    rig.hears(Found(charter))
    (answer_,) = [message for _, message in rig.said if isinstance(message, Founds)]
    assert "key" in answer_.why_not
    assert rig.moves == []


def test_whose_own_log_is_the_best_begins_itself() -> None:
    rig = Rig()
    rig.recover()
    rig.hears(answer("2", Fork(1, 1)))
    rig.time.wait(ASKED_TIMES * ASK_EVERY_MS)
    ((move, lineage),) = rig.moves
    assert move is Move.FOUND
    assert (lineage.charters[-1].founder, lineage.charters[-1].fork) == (member("1"), Fork(1, 2))


def test_nobody_recovers_while_somebody_is_served() -> None:
    mine = Rig(served=(NodeId("3"), 500))
    theirs = Rig()
    for rig in (mine, theirs):
        rig.recover()
        if rig is theirs:
            rig.hears(answer("2", Fork(1, 1), hears=NodeId("3")))
        rig.time.wait(ASKED_TIMES * ASK_EVERY_MS)
        (refusal,) = rig.told
        assert isinstance(refusal, CannotRecover)
        assert refusal.refusal is Refusal.COORDINATED
        assert rig.moves == []


def found_by_me(fork: Fork, term: int = 5) -> Found:
    return Found(child(founder="1", fork=fork, term=term).charters[-1])


def test_a_charter_is_begun_once_and_only_as_long_as_nothing_has_changed() -> None:
    rig = Rig()
    for late in (found_by_me(Fork(1, 1)), found_by_me(Fork(1, 2), term=1), Found(child(founder="2").charters[-1])):
        rig.hears(late)
    assert rig.moves == []
    rig.hears(found_by_me(Fork(1, 2)))
    rig.hears(found_by_me(Fork(1, 2)))
    assert [move for move, _ in rig.moves] == [Move.FOUND]


# -- when the store is at rest -----------------------------------------------------------------------------------------


class AtRest:
    def __init__(self, terms: str, lineage: Lineage = ROOT) -> None:
        self.identity = self
        self.lineage = lineage
        self._terms = terms

    def load(self) -> Loaded:
        return Loaded(HardState(), Snapshot(config=Config()), list(entries(self._terms)), 1)


@pytest.mark.parametrize(
    ("move", "terms", "settled"),
    [
        (Move.FOLLOW, "1 1", Move.FOLLOW),
        (Move.FOLLOW, "1 1 1", Move.BEGIN_ANEW),
        (Move.FOLLOW, "2", Move.BEGIN_ANEW),
        (Move.FOUND, "1 1", Move.FOUND),
        (Move.FOUND, "1 1 1", None),
        (Move.FOUND, "1", None),
        (Move.BEGIN_ANEW, "1", Move.BEGIN_ANEW),
    ],
)
def test_what_was_under_way_may_have_made_it_to_the_disk(move: Move, terms: str, settled: Move | None) -> None:
    assert at_rest(move, child(fork=Fork(1, 2)), AtRest(terms)) is settled  # type: ignore[arg-type]
