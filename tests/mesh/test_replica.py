"""One replica by itself: what its waiting people are told, and when. The others are said by hand.

That replicas agree is the core's part (`tests/mesh/raft/`) and the simulation's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest

from odyssey import wire
from odyssey.clock import SeededEntropy
from odyssey.commands import AgeQueue, Command, Entry, Fence, HoldJob, SubmitJobs
from odyssey.ids import ClientId, JobId, NodeId
from odyssey.mesh.letters import (
    NO_ROOM,
    NOT_SURE,
    Accepted,
    Again,
    AskRead,
    Content,
    Forward,
    Forwarded,
    Letter,
    Logged,
    NoRoom,
    Outcome,
    ReadAt,
    Scope,
    Unknown,
)
from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import Install, Kind, LogEntry, Member, Snapshot, Write
from odyssey.mesh.replica import BUSY_MS, FORWARD_MS, READ_MS, SLOW_WRITE_MS, TICK_MS, Replica
from tests.builders import a_spec
from tests.fakes import FakeClock
from tests.mesh.raft import alone
from tests.mesh.raft.alone import append, beat, beats_back, core, holds, votes
from tests.mesh.raft.machine import config, member

SCOPE = Scope("mesh", 1, b"first")
WISH = HoldJob(JobId(7))
SUBMIT = SubmitJobs(ClientId(bytes(16)), 0, (a_spec(),))
ORDER = AgeQueue(Fence(1, 1))
LONGEST_ELECTION_MS = alone.LONG * TICK_MS
NEWER = b"\x92\x01\x92\x00\x91\xcd\x03\xe7"  # an entry that holds a command of kind 999


def data(command: Command = WISH) -> bytes:
    return wire.encode_log(Logged(0, command))  # type: ignore[arg-type]


def told(index: int, term: int, command: bytes = b"") -> LogEntry:
    return LogEntry(index, term, Kind.COMMAND, command or data())


class Rig:
    """Machine 1 with its replica. The disk writes when it is told to; time goes in ticks."""

    def __init__(self, one: Core, seed: int = 1) -> None:
        self.vouches = True
        self.clock = FakeClock()
        self.writes: list[Callable[[], None]] = []
        self.fetches: list[tuple[Snapshot, Callable[[Iterable[bytes]], None]]] = []
        self.applied: list[Entry] = []
        self.loads: list[list[bytes]] = []
        self.sent: list[tuple[NodeId, Content]] = []
        self.outcomes: list[Outcome] = []
        self._timers: list[Callable[[], None]] = []
        self.replica = Replica(SCOPE, one, self, self, self, self, self.clock, SeededEntropy(seed))
        self.replica._vouched = lambda _: self.vouches
        self.replica.start()

    # -- ports

    def apply(self, entries: Sequence[Entry]) -> Mapping[int, object]:
        self.applied += entries
        return {entry.index: f"said {entry.index}" for entry in entries}

    def load(self, slices: Iterable[bytes]) -> None:
        self.loads.append(list(slices))

    def write(self, write: Write, done: Callable[[], None]) -> None:
        self.writes.append(done)

    def fetch(self, snapshot: Snapshot, source: Member, done: Callable[[Iterable[bytes]], None]) -> None:
        self.fetches.append((snapshot, done))

    def send(self, to: NodeId, letter: Letter) -> None:
        assert isinstance(letter.content, Content)
        self.sent.append((to, letter.content))

    def call_later(self, delay: float, callback: Callable[[], None], /) -> object:
        self._timers.append(callback)
        return None

    # -- what the test does

    def sync(self) -> None:
        while self.writes:
            self.writes.pop(0)()

    def wait(self, ms: int) -> None:
        for _ in range(ms // TICK_MS):
            self.clock.advance(TICK_MS)
            timers, self._timers = self._timers, []
            for call in timers:
                call()

    def hears(self, *contents: Content) -> None:
        for content in contents:
            self.replica.receive(Letter(SCOPE, content, self.replica.me.store))
            self.sync()

    def propose(self, command: Command = WISH) -> None:
        self.replica.propose(command, self.outcomes.append)

    def said(self, kind: type) -> list[Content]:
        return [content for _, content in self.sent if isinstance(content, kind)]

    @property
    def term(self) -> int:
        return self.replica.core.term

    def heir(self) -> Member | None:
        return self.replica.core.transferring

    def forget_the_heir(self) -> None:
        """It did not come to that."""
        self.replica.core.transferring = None

    @property
    def indices(self) -> list[int]:
        return [entry.index for entry in self.applied]


def leading() -> Rig:
    """Leads 2 and 3, and the first entry of its term is committed."""
    rig = Rig(alone.leader())
    rig.sync()
    rig.hears(holds("2", rig.term, 1))
    assert rig.replica.core.leads_safely
    return rig


def following(seed: int = 1) -> Rig:
    """2 leads."""
    rig = Rig(core(), seed)
    rig.hears(beat("2", 1))
    return rig


def request_of(rig: Rig) -> int:
    (asked,) = rig.said(Forward)
    assert isinstance(asked, Forward)
    return asked.request


# -- proposals here ----------------------------------------------------------------------------------------------------


def test_a_proposal_is_answered_when_it_is_applied_and_not_before() -> None:
    rig = leading()
    rig.propose()
    assert rig.outcomes == []
    rig.sync()
    assert rig.outcomes == []
    rig.hears(holds("2", rig.term, 2))
    assert rig.outcomes == [Accepted(2, "said 2")]
    assert rig.applied[-1] == Entry(1, rig.term, 2, rig.clock.wall_ms(), WISH)


def test_who_votes_alone_waits_for_its_disk() -> None:
    rig = Rig(alone.leader(members="1"))
    rig.sync()
    rig.propose()
    assert rig.outcomes == []
    rig.sync()
    assert rig.outcomes == [Accepted(2, "said 2")]


def test_whose_leadership_is_lost_nobody_knows() -> None:
    rig = leading()
    rig.propose()
    rig.hears(beat("2", rig.term + 1))
    assert rig.outcomes == [Unknown()]
    rig.hears(append("2", rig.term, (1, 1), [told(2, 1)], commit=2))
    assert rig.indices == [1, 2]
    assert rig.outcomes == [Unknown()], "each has one outcome"


def test_who_slept_leads_no_more() -> None:
    rig = leading()
    rig.propose()
    rig.clock.suspend(2_000)
    rig.wait(TICK_MS)
    assert not rig.replica.core.is_leader
    assert rig.outcomes == [Unknown()]


def test_where_nobody_leads_one_has_to_ask_again() -> None:
    rig = Rig(core())
    rig.propose()
    assert rig.outcomes == [Again(BUSY_MS)]


def test_each_entry_is_applied_in_the_term_it_was_decided_in() -> None:
    rig = following()
    rig.hears(append("2", 5, (0, 0), [LogEntry(1, 3, Kind.START, b""), told(2, 4)], commit=2))
    assert [(entry.term, type(entry.command).__name__) for entry in rig.applied] == [(3, "StartTerm"), (4, "HoldJob")]


# -- proposals through the leader --------------------------------------------------------------------------------------


def test_a_wish_goes_to_the_leader_and_is_answered_when_it_is_applied_here() -> None:
    rig = following()
    rig.propose()
    rig.hears(Forwarded(member("2"), request_of(rig), 1))
    assert rig.outcomes == []
    rig.hears(append("2", 1, (0, 0), [told(1, 1)], commit=1))
    assert rig.outcomes == [Accepted(1, "said 1")]


def test_or_at_once_if_it_was_applied_before() -> None:
    rig = following()
    rig.propose()
    rig.hears(append("2", 1, (0, 0), [told(1, 1)], commit=1), Forwarded(member("2"), request_of(rig), 1))
    assert rig.outcomes == [Accepted(1, None)]


def test_what_the_leader_did_not_take_is_to_be_asked_again() -> None:
    rig = following()
    rig.propose()
    rig.hears(Forwarded(member("2"), request_of(rig), 0))
    assert rig.outcomes == [Again(BUSY_MS)]


def test_after_five_seconds_without_an_answer_nobody_knows() -> None:
    rig = following()
    rig.propose()
    for _ in range(FORWARD_MS // 1_000 - 1):
        rig.hears(beat("2", 1))
        rig.wait(1_000)
    rig.hears(beat("2", 1))
    rig.wait(900)
    assert rig.outcomes == []
    rig.wait(100)
    assert rig.outcomes == [Unknown()]
    rig.hears(Forwarded(member("2"), request_of(rig), 1))
    assert rig.outcomes == [Unknown()]


def test_another_leader_does_not_know_either() -> None:
    rig = following()
    rig.propose()
    rig.hears(beat("3", 2))
    assert rig.outcomes == [Unknown()]


def test_the_answer_to_what_it_asked_before_a_restart_is_for_nobody() -> None:
    before, rig = following(), following(seed=2)
    before.propose()
    rig.propose()
    rig.hears(append("2", 1, (0, 0), [told(1, 1)], commit=1), Forwarded(member("2"), request_of(before), 1))
    assert rig.outcomes == []


def test_orders_of_a_coordinator_are_not_forwarded() -> None:
    rig = following()
    rig.propose(ORDER)
    assert rig.outcomes == [Again(BUSY_MS)]
    assert rig.said(Forward) == []


def test_nor_taken_from_who_forwards_them() -> None:
    rig = leading()
    rig.hears(Forward(member("2"), 5, data(ORDER)))
    assert rig.replica.core.log.last == 1
    assert rig.said(Forwarded) == []


def test_nor_what_nobody_vouches_for() -> None:
    rig = leading()
    rig.vouches = False
    rig.hears(Forward(member("2"), 5, data()))
    assert rig.replica.core.log.last == 1
    assert rig.said(Forwarded) == [Forwarded(member("1"), 5, 0)]


def test_a_copy_of_what_was_taken_in_is_for_nobody() -> None:
    """Else it could be told to ask again while the first one is on its way onto the log."""
    rig = leading()
    rig.hears(*[Forward(member("3"), 5, data())] * 2)
    assert rig.replica.core.log.last == 2
    rig.replica.core.transfer(member("2"))  # now nothing is taken in
    rig.hears(Forward(member("3"), 5, data()), Forward(member("3"), 6, data()))
    rig.hears(holds("2", rig.term, 2))
    assert rig.said(Forwarded) == [Forwarded(member("1"), 6, 0), Forwarded(member("1"), 5, 2)]


def test_copies_are_known_for_as_long_as_somebody_waits() -> None:
    rig = leading()
    rig.hears(Forward(member("3"), 5, data()))
    for last, seconds in ((2, 2 * FORWARD_MS // 1000), (3, 1)):
        for _ in range(seconds):
            rig.wait(1_000)
            rig.hears(beats_back("2", rig.term, 1))
        rig.hears(Forward(member("3"), 5, data()))
        assert rig.replica.core.log.last == last


def test_who_does_not_lead_cannot_say_that_it_was_not_taken_in() -> None:
    rig = following()
    rig.hears(Forward(member("3"), 5, data()))
    assert rig.said(Forwarded) == [Forwarded(member("1"), 5, NOT_SURE)]


def test_nor_who_leads_no_more() -> None:
    rig = leading()
    rig.hears(Forward(member("3"), 5, data()), beat("2", rig.term + 1))
    assert rig.said(Forwarded) == [Forwarded(member("1"), 5, NOT_SURE)]


def test_of_what_the_leader_is_not_sure_nobody_knows() -> None:
    rig = following()
    rig.propose()
    rig.hears(Forwarded(member("2"), request_of(rig), NOT_SURE))
    assert rig.outcomes == [Unknown()]


@pytest.mark.parametrize("nonsense", [b"", b"\xc1", NEWER], ids=["nothing", "garbage", "newer"])
def test_what_cannot_be_read_does_not_get_onto_the_log(nonsense: bytes) -> None:
    rig = leading()
    rig.hears(Forward(member("2"), 5, nonsense))
    assert rig.replica.core.log.last == 1
    assert rig.said(Forwarded) == []


def test_a_leader_says_that_it_took_a_wish_when_it_is_applied() -> None:
    rig = leading()
    rig.hears(Forward(member("3"), 5, data()))
    assert rig.said(Forwarded) == []
    rig.hears(holds("2", rig.term, 2))
    assert rig.said(Forwarded) == [Forwarded(rig.replica.me, 5, 2)]


def test_who_asks_anew_from_within_takes_no_outcome_away_from_others() -> None:
    """Two wait for too long in the very tick in which the leader is given up."""
    rig = following()

    def told_and_again(outcome: Outcome) -> None:
        rig.outcomes.append(outcome)
        rig.propose()
        rig.replica.read(lambda _: None)

    for _ in range(2):
        rig.replica.propose(WISH, told_and_again)
    rig.wait(FORWARD_MS - LONGEST_ELECTION_MS)
    rig.hears(beat("2", 1))
    rig.wait(LONGEST_ELECTION_MS)
    assert rig.outcomes.count(Unknown()) == 2


# -- reads -------------------------------------------------------------------------------------------------------------


def test_a_read_waits_for_a_round_that_a_quorum_answered() -> None:
    rig, reads = leading(), list[int | None]()
    rig.replica.read(reads.append)
    assert reads == []
    rig.hears(beats_back("2", rig.term, rig.replica.core.next_round - 2))
    assert reads == []
    rig.hears(beats_back("2", rig.term, rig.replica.core.next_round - 1))
    assert reads == [1]


def test_who_does_not_know_yet_all_that_was_committed_answers_no_read() -> None:
    rig, reads = Rig(alone.leader()), list[int | None]()
    rig.sync()
    rig.replica.read(reads.append)
    rig.hears(AskRead(member("3"), 5), beats_back("2", rig.term, 99), beats_back("3", rig.term, 99))
    assert reads == []
    assert rig.said(ReadAt) == []


def test_a_read_ends_without_an_answer_when_leadership_is_lost() -> None:
    rig, reads = leading(), list[int | None]()
    rig.replica.read(reads.append)
    rig.hears(AskRead(member("3"), 5), beat("2", rig.term + 1))
    assert reads == [None]
    assert rig.said(ReadAt) == []


@pytest.mark.parametrize("where", [leading, following, lambda: Rig(core())], ids=["leading", "following", "alone"])
def test_a_read_that_nobody_can_prove_ends_in_time(where: Callable[[], Rig]) -> None:
    rig, reads = where(), list[int | None]()
    rig.replica.read(reads.append)
    rig.wait(READ_MS)
    assert reads == [None]


def test_a_leader_answers_others_after_the_round_and_with_what_was_committed() -> None:
    rig = leading()
    rig.hears(AskRead(member("3"), 5))
    assert rig.said(ReadAt) == []
    rig.hears(beats_back("2", rig.term, rig.replica.core.next_round - 1))
    assert rig.said(ReadAt) == [ReadAt(rig.replica.me, 5, 1)]


def test_a_read_elsewhere_waits_until_it_is_applied_here() -> None:
    rig, reads = following(), list[int | None]()
    rig.replica.read(reads.append)
    (asked,) = rig.said(AskRead)
    assert isinstance(asked, AskRead)
    rig.hears(ReadAt(member("2"), asked.request, 2), append("2", 1, (0, 0), [told(1, 1)], commit=1))
    assert reads == []
    rig.hears(append("2", 1, (1, 1), [told(2, 1)], commit=2))
    assert reads == [2]


# -- whose letters -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "letter",
    [
        Letter(Scope("other", 1, b"first"), beat("2", 9), member("1").store),
        Letter(Scope("mesh", 1, b"second"), beat("2", 9), member("1").store),
        Letter(SCOPE, beat("2", 9), member("1'").store),
    ],
    ids=["another mesh", "another generation", "its former store"],
)
def test_letters_that_are_not_for_this_store_of_this_mesh_are_nothing(letter: Letter) -> None:
    rig = following()
    rig.replica.receive(letter)
    assert rig.term == 1


# -- snapshots ---------------------------------------------------------------------------------------------------------

SHOT = Snapshot(5, 1, config("1 2 3"), b"digest", 3)


def test_a_snapshot_is_fetched_once_and_loaded_when_it_is_there() -> None:
    rig = following()
    rig.hears(Install(1, member("2"), SHOT), beat("2", 1), beat("2", 1))
    ((_, done),) = rig.fetches
    assert rig.replica.applied == 0
    done([b"abc"])
    assert (rig.loads, rig.replica.applied) == ([[b"abc"]], 5)


def test_one_that_comes_too_late_takes_nothing_back() -> None:
    rig = following()
    rig.hears(Install(1, member("2"), SHOT))
    rig.hears(append("2", 1, (0, 0), [told(index, 1) for index in range(1, 7)], commit=6))
    ((_, done),) = rig.fetches
    done([b"abc"])
    assert (rig.loads, rig.replica.applied) == ([], 6)


# -- a newer version ---------------------------------------------------------------------------------------------------


def test_it_stops_at_an_entry_of_a_newer_version_and_never_goes_on() -> None:
    rig = following()
    rig.hears(append("2", 1, (0, 0), [told(1, 1), told(2, 1, NEWER)], commit=1))
    rig.hears(append("2", 1, (2, 1), [told(3, 1)], commit=3), append("2", 1, (3, 1), [told(4, 1)], commit=4))
    assert rig.indices == [1]
    assert rig.replica.stopped is not None


def test_who_stops_leads_no_more_and_leaves_nobody_waiting() -> None:
    """The entry is of the leader before; those who wait for theirs behind it are told."""
    rig = Rig(core(term=1))
    rig.replica.core.log.append(told(1, 1, NEWER))
    elect(rig)
    rig.propose()
    rig.hears(holds("2", rig.term, 3))
    assert rig.replica.stopped is not None
    assert not rig.replica.core.is_leader
    assert rig.outcomes == [Unknown()]


def elect(rig: Rig) -> None:
    rig.wait(LONGEST_ELECTION_MS)
    rig.hears(votes("2", rig.term + 1, pre=True))
    rig.hears(votes("2", rig.term))
    assert rig.replica.core.is_leader


# -- a slow disk, a full disk ------------------------------------------------------------------------------------------


def test_a_leader_whose_disk_is_slow_hands_over_to_one_that_answers_but_not_again_and_again() -> None:
    rig = leading()
    rig.hears(holds("2", rig.term, 1))
    rig.propose()
    rig.wait(SLOW_WRITE_MS)
    assert rig.heir() is None
    rig.replica.receive(Letter(SCOPE, beats_back("2", rig.term, 1), member("1").store))
    rig.wait(TICK_MS)
    assert rig.heir() == member("2")
    rig.forget_the_heir()
    rig.replica.receive(Letter(SCOPE, beats_back("2", rig.term, 2), member("1").store))
    rig.wait(TICK_MS)
    assert rig.heir() is None


def test_where_the_disk_is_nearly_full_no_jobs_are_taken_in_and_all_else_is() -> None:
    rig = leading()
    rig.replica.low = True
    rig.propose(SUBMIT)
    assert rig.outcomes == [NoRoom()]
    rig.propose()
    rig.hears(holds("2", rig.term, 2))
    assert rig.outcomes == [NoRoom(), Accepted(2, "said 2")]


def test_others_are_told_that_there_is_no_room() -> None:
    rig = leading()
    rig.replica.low = True
    rig.hears(Forward(member("3"), 5, data(SUBMIT)))
    assert rig.said(Forwarded) == [Forwarded(rig.replica.me, 5, NO_ROOM)]
    assert rig.replica.core.log.last == 1
    other = following()
    other.propose(SUBMIT)
    other.hears(Forwarded(member("2"), request_of(other), NO_ROOM))
    assert other.outcomes == [NoRoom()]


def test_a_leader_whose_disk_is_nearly_full_hands_over() -> None:
    rig = leading()
    rig.replica.low = True
    rig.hears(holds("2", rig.term, 1))
    rig.wait(TICK_MS)
    assert rig.heir() == member("2")


def test_who_has_stopped_takes_nothing_and_says_so() -> None:
    rig = leading()
    answers: list[int | None] = []
    rig.replica.give_up()
    rig.propose()
    rig.replica.read(answers.append)
    assert (rig.outcomes, answers) == ([Again(BUSY_MS)], [None])
