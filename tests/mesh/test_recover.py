"""`mesh recover`: when it is refused, which log it goes on with, what is said to be missing, how the founder begins."""

from __future__ import annotations

from typing import Any

import pytest

from odyssey import wire
from odyssey.clock import SeededEntropy
from odyssey.commands import Entry, SubmitJobs
from odyssey.errors import lines
from odyssey.ids import ClientId, JobId, NodeId
from odyssey.mesh.generation import Charter, Fork, Lineage, draft
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.log import Log
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Member, Snapshot, Write
from odyssey.mesh.recover import (
    RECENT_MS,
    CannotRecover,
    Keeps,
    Lack,
    Missing,
    Recovery,
    Refusal,
    Standing,
    child,
    end_of,
    first_write,
    recovery,
    step_to_child,
    why_not,
)
from odyssey.mesh.store import ImpossibleWrite, Loaded
from odyssey.scheduler.apply import apply
from odyssey.scheduler.state import State
from tests.builders import a_spec
from tests.fakes import Disk, create_memory_store, open_memory_store
from tests.mesh.raft.alone import LONG, asks, core, entries, entry, said, wait
from tests.mesh.raft.cluster import Longest
from tests.mesh.raft.machine import config, member
from tests.mesh.test_generation import MESH, ROOT
from tests.mesh.test_generation import child as child_of

ANNA = NodeId("anna")


def standing(name: str, end: tuple[int, int] = (2, 10), voters: str = "1 2 3", **fields: Any) -> Standing:
    """A voter of the first generation. `end` is the term and the index at which its log ends."""
    fields.setdefault("lineage", ROOT)
    fields.setdefault("keeps", Keeps.VOTER)
    fields.setdefault("term", end[0])
    return Standing(member(name), end=Fork(*end), voters=config(voters).voters, **fields)


def spare(name: str) -> Standing:
    return Standing(member(name), ROOT)


def recovered(*answers: Standing) -> Recovery:
    return recovery(answers, ANNA, SeededEntropy(1))


def refusal(*answers: Standing) -> CannotRecover:
    with pytest.raises(CannotRecover) as refused:
        recovered(*answers)
    return refused.value


# -- when it is refused ------------------------------------------------------------------------------------------------


def test_not_while_somebody_hears_a_coordinator() -> None:
    error = refusal(standing("1"), standing("2", hears=NodeId("3"), heard_ms=200))
    assert (error.refusal, error.by) == (Refusal.COORDINATED, "2")
    assert lines(error) == (
        "error: 2 hears the coordinator 3",
        "hint: if 3 is to be given up, switch it off first",
    )


def test_a_machine_without_a_log_may_hear_it_too() -> None:
    hears = Standing(member("9"), ROOT, hears=NodeId("3"))
    assert refusal(standing("1"), hears).refusal is Refusal.COORDINATED


def test_who_has_not_heard_it_for_long_does_not_hear_it() -> None:
    def last_heard(ms: int) -> Standing:
        return standing("1", hears=NodeId("3"), heard_ms=ms)

    assert refusal(last_heard(RECENT_MS)).refusal is Refusal.COORDINATED
    assert recovered(last_heard(RECENT_MS + 1)).founder == member("1")


def test_not_without_a_log() -> None:
    assert refusal().refusal is Refusal.NO_LOG
    error = refusal(spare("7"), spare("8"))
    assert (error.refusal, error.by) == (Refusal.NO_LOG, None)


def test_not_on_a_log_that_has_gone_back() -> None:
    error = refusal(standing("1", (3, 8)), standing("2", (2, 10), commit=9))
    assert (error.refusal, error.by) == (Refusal.GONE_BACK, "1")
    assert recovered(standing("1", (3, 8)), standing("2", (2, 10), commit=8)).founder == member("1")


# -- on which log ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "founder"),
    [
        ({"1": (2, 10), "2": (2, 11), "3": (2, 9)}, "2"),
        ({"1": (1, 90), "2": (2, 11), "3": (3, 4)}, "3"),
        ({"1": (2, 10), "2": (2, 10), "3": (2, 10)}, "3"),
    ],
    ids=["the longest", "of the newest term", "ties by member"],
)
def test_the_best_log_is_chosen(ends: dict[str, tuple[int, int]], founder: str) -> None:
    answers = [standing(name, end) for name, end in ends.items()]
    for some in (answers, answers[::-1]):
        found = recovered(*some, spare("9"))
        assert found.founder == member(founder)
        assert found.charter.fork == Fork(*ends[founder])


def test_a_standby_may_found_too() -> None:
    assert recovered(standing("4", keeps=Keeps.STANDBY), spare("5")).founder == member("4")


def test_its_charter_follows_from_what_it_knows() -> None:
    found = recovered(standing("1", (2, 10), term=4), standing("2", (2, 8), term=7))
    charter = found.charter
    assert (charter.mesh, charter.parent, charter.generation.number) == (MESH, ROOT.tip, 2)
    assert charter.term == 8
    assert (charter.signer, charter.signature) == (ANNA, b"")
    assert len(charter.generation.id) == 16
    assert found.lineage.with_child(charter).is_sound()


def test_two_recoveries_have_two_ids() -> None:
    ids = {recovery([standing("1")], ANNA, SeededEntropy(seed)).charter.generation.id for seed in range(5)}
    assert len(ids) == 5


def test_the_newest_generation_comes_before_the_longest_log() -> None:
    found = recovered(standing("1", (5, 90)), standing("2", (3, 8), lineage=child_of(fork=(2, 7), term=3)))
    assert found.founder == member("2")
    assert found.charter.generation.number == 3


def test_of_two_generations_of_one_number_the_higher_id_is_gone_on_with() -> None:
    low, high = child_of(name="a"), child_of(name="b")
    found = recovered(standing("1", (9, 50), lineage=low), standing("2", (9, 12), lineage=high))
    assert (found.founder, found.charter.parent) == (member("2"), high.tip)
    assert Missing(member("1"), Lack.OTHER_BRANCH) in found.missing


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_voters_that_did_not_answer_are_named() -> None:
    found = recovered(standing("1"), spare("9"))
    assert found.missing == (Missing(member("2"), Lack.SILENT), Missing(member("3"), Lack.SILENT))


def test_a_voter_that_lost_its_store_is_named() -> None:
    found = recovered(standing("1", voters="1 2"), standing("2'", (1, 1), keeps=Keeps.STANDBY))
    assert found.missing == (Missing(member("2"), Lack.EMPTIED),)


def test_nothing_is_missing_when_all_voters_answered() -> None:
    assert recovered(standing("1"), standing("2"), standing("3")).missing == ()


def test_a_log_that_never_saw_its_own_generation_says_so() -> None:
    line = child_of(fork=(2, 10))
    found = recovered(standing("2", (2, 6), "2", lineage=line))
    assert found.missing == (Missing(member("1"), Lack.SILENT), Missing(member("2"), Lack.BEHIND))
    assert recovered(standing("2", (9, 12), "2", lineage=line)).missing == ()


def test_a_founder_that_was_interrupted_lacks_nothing() -> None:
    assert recovered(standing("1", (2, 10), "1", lineage=child_of(fork=(2, 10)))).missing == ()


# -- the founder looks again -------------------------------------------------------------------------------------------


def a_charter(founder: str = "1", end: tuple[int, int] = (2, 10), term: int = 5, parent: Lineage = ROOT) -> Charter:
    return draft(MESH, parent.tip, b"c" * 16, Fork(*end), term, member(founder), ANNA)


def test_a_founder_that_is_as_it_said_begins() -> None:
    assert why_not(a_charter(), standing("1", term=4)) == ""


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        (standing("2"), "1 is to begin it, with another store"),
        (standing("1'"), "1 is to begin it, with another store"),
        (standing("1", hears=NodeId("3")), "it hears the coordinator 3 again"),
        (standing("1", lineage=child_of()), "it follows generation 2 now"),
        (standing("1", (2, 11)), "its log has gone on to entry 11 in term 2"),
        (standing("1", (2, 10), term=5), "its log has gone on to entry 10 in term 5"),
    ],
    ids=["another machine", "another store", "a coordinator", "a generation", "an entry", "an election"],
)
def test_a_founder_that_has_moved_on_does_not(now: Standing, reason: str) -> None:
    assert why_not(a_charter(), now) == reason


# -- how it begins -----------------------------------------------------------------------------------------------------


def loaded(terms: str = "1 1 2", commit: int = 1) -> Loaded:
    return Loaded(HardState(2, member("3"), commit), Snapshot(config=config("1 2 3")), entries(terms), 1)


def test_the_first_entry_makes_the_founder_the_only_voter_and_commits_all() -> None:
    write = first_write(a_charter(end=(2, 3)), member("1"), loaded())
    assert write is not None
    assert write.hard == HardState(5, member("1"), 4)
    assert write.entries == (LogEntry(4, 5, Kind.CONFIG, wire.encode(Config((member("1"),)))),)


def test_it_is_written_once_and_by_the_founder_only() -> None:
    charter = a_charter(end=(2, 3))
    assert first_write(charter, member("2"), loaded()) is None
    assert first_write(charter, member("1"), loaded("1 1 2 5")) is None
    assert first_write(charter, member("1"), loaded("1 1 2 5 6 6")) is None


def test_another_log_than_that_of_the_charter_is_not_gone_on_with() -> None:
    with pytest.raises(ImpossibleWrite):
        first_write(a_charter(end=(2, 3)), member("1"), loaded("1 1 2 2"))


def test_a_log_may_end_with_its_snapshot() -> None:
    assert end_of(Loaded(HardState(), Snapshot(7, 3), [], 8)) == Fork(3, 7)


def test_a_founder_leads_at_once_and_everything_takes_effect() -> None:
    """From a real store, with a restart between the two writes."""
    disk = Disk()
    store = create_memory_store(disk, SeededEntropy(1), MESH, NodeId("1"), ROOT.root)
    me = store.identity.member
    old = Config((Member(NodeId("3"), me.store), me))
    begun = [LogEntry(1, 2, Kind.CONFIG, wire.encode(old)), *entries("2 2", 2)]
    store.write(Write(1, HardState(2, None, 1), tuple(begun), None))
    charter = draft(MESH, ROOT.tip, b"c" * 16, Fork(2, 3), 5, me, ANNA)
    store.adopt(store.identity.lineage.with_child(charter))
    store.close()

    store = open_memory_store(disk, MESH, NodeId("1"))
    write = first_write(store.identity.lineage.charters[-1], me, store.load())
    assert write is not None
    store.write(write)
    hard, snapshot, kept, _ = store.load()
    one = Core(me, hard, Log(snapshot, kept, hard.commit), Longest(), store.identity.lineage.first_term)
    assert one.config == Config((me,))
    wait(one, LONG)
    assert one.leads_safely
    assert one.log.commit == 5
    assert first_write(charter, me, store.load()) is None


def test_job_numbers_go_on_behind_the_lost_ones_on_every_replica() -> None:
    """Also where the old entries are applied only after the recovery: they count in the generation they are of."""
    line = ROOT.with_child(a_charter(end=(1, 2), term=2))
    states = []
    for _ in range(2):
        state = State()
        for index in (1, 2, 3):
            command = SubmitJobs(ClientId(bytes([index]) * 16), 0, (a_spec(),))
            apply(state, [Entry(line.number_at(index), 1 + (index > 2), index, 0, command)])
        states.append(list(state.jobs))
    assert states == [[JobId(1), JobId(2), JobId(10_000)]] * 2


# -- others follow -----------------------------------------------------------------------------------------------------


def test_old_voters_do_not_elect_anybody_before_they_know_who_votes() -> None:
    """In the log of a follower the voters are still those of the old generation."""
    held = Log(Snapshot(config=config("2")), entries("1 1"), 2)
    follower = Core(member("2"), HardState(1, None, 2), held, Longest(), first_term=5)
    assert wait(follower, 3 * LONG) == []
    assert not follower.is_leader
    follower.step(asks("1", 6, (5, 4)))
    assert follower.vote == member("1")
    assert said(follower) != []


def test_who_has_reached_the_first_term_may_stand() -> None:
    held = Log(Snapshot(config=config("2")), [*entries("1 1"), entry(3, 5)], 3)
    follower = Core(member("2"), HardState(5, None, 3), held, Longest(), first_term=5)
    wait(follower, LONG)
    assert follower.is_leader
    assert core("1 1", "2").config == held.config


# -- the child of a generation that won --------------------------------------------------------------------------------


def test_the_way_to_a_child_lets_one_voter_go_at_a_time_the_silent_first() -> None:
    live = [member("1"), member("2")]
    here, steps = config("1 2 3 | 4"), []
    while (following := step_to_child(here, member("1"), live)) is not None:
        assert len(following.voters) == len(here.voters) - 1
        assert set(following.members) == set(here.members)
        steps.append(here := following)
    assert steps == [config("1 2 | 4 3"), config("1 | 4 3 2")]


def test_only_a_lone_voter_with_everything_committed_founds_a_child() -> None:
    alone = standing("1", (4, 10), "1", commit=10, lineage=child_of(), term=4)
    charter = child(alone, SeededEntropy(1))
    assert (charter.founder, charter.fork, charter.term) == (member("1"), Fork(4, 10), 5)
    assert charter.generation.number == 3
    assert why_not(charter, alone) == ""
    for other in (standing("1", (4, 10), "1 2", commit=10), standing("1", (4, 10), "1", commit=9)):
        with pytest.raises(ImpossibleWrite):
            child(other, SeededEntropy(1))
