"""One daemon's parts together: who gets which letter, when there is a coordinator, and whether it is alone."""

from collections.abc import Callable
from typing import Any

import pytest

from odyssey import wire
from odyssey.agent import BEAT_MS, LOST_MS
from odyssey.archiving import Habits
from odyssey.book import Book
from odyssey.clock import SeededEntropy
from odyssey.commands import AdmitNode, Command, Facts, Fence, RemoveNode, SubmitJobs
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, UserId
from odyssey.mesh.generation import Generation, Lineage
from odyssey.mesh.lease import FOREVER, LEASE_MS, Lease
from odyssey.mesh.letters import Accepted, Forward, Forwarded, Letter, Logged, Outcome, Scope
from odyssey.mesh.raft.types import Append, Heartbeat, Kind, VoteRequest
from odyssey.mesh.replica import REST_MS, TICK_MS
from odyssey.mesh.succession import Keys, Move
from odyssey.mesh.worker import outcome
from odyssey.messages import (
    AskJobs,
    Beat,
    BeatId,
    BootId,
    Duty,
    Elsewhere,
    JobsAre,
    Keeping,
    Listed,
    Message,
    Telemetry,
)
from odyssey.node import Node, World
from odyssey.resources import Resources
from tests.builders import GIB, a_spec
from tests.daemon_fakes import Hands, Notes, SlowDisk, Time
from tests.memory_disk import Disk
from tests.memory_store import MemoryHome
from tests.mesh.generation_model import sign_as, verify
from tests.mesh.raft import alone
from tests.mesh.raft.alone import beat, beats_back, holds, votes
from tests.mesh.raft.machine import member

LINEAGE = Lineage(b"mesh", Generation(1, b"first"))
SCOPE = Scope(b"mesh".hex(), 1, b"first")
ME, OTHER, THIRD = NodeId("1"), NodeId("2"), NodeId("3")
TOTAL = Resources(4000, 8 * GIB)
BEAT = Beat(BeatId(BootId(b"other"), 1, 1))


class Desk:
    """Machine 1. Other voters answer while they have a voice, and agree; other letters are kept."""

    def __init__(self, members: str = "1", habits: Habits = Habits()) -> None:  # noqa: B008 - frozen
        self.time = Time()
        self.hands, self.notes, self.disk = Hands(self.time), Notes(), SlowDisk(self.time)
        self.voices = {name for name in members.split() if name not in ("1", "|")}
        self.sent: list[tuple[NodeId, Letter]] = []
        self.others: list[NodeId] = []
        self.moves: list[tuple[Move, Lineage]] = []
        self.book = Book()
        self.home = MemoryHome(Disk(), SeededEntropy(2), LINEAGE.mesh, ME, LINEAGE.root)
        world = World(
            links=self,
            disk=self.disk,
            shelf=self.disk,
            timers=self.time,
            clock=self.time,
            entropy=SeededEntropy(1),
            hands=self.hands,
            notes=self.notes,
            others=lambda: self.others,
            health=lambda: (Telemetry(), Keeping(store=member("1").store)),
            keys=Keys(sign_as(ME), verify),
            home=self.home,
            reader=self,
            move=lambda move, lineage: self.moves.append((move, lineage)),
            habits=habits,
        )
        lease = Lease(BootId(b"boot"), self.time.boottime_ms())
        self.node = Node(LINEAGE, alone.core(members=members), self.book, lease, TOTAL, world)
        self.node.start()

    def send(self, to: NodeId, letter: Letter) -> None:
        reply: Any = None
        if to in self.voices:
            match letter.content:
                case VoteRequest() as asked:
                    reply = votes(to, asked.term, pre=asked.pre)
                case Append() as told:
                    reply = holds(to, told.term, told.prev_index + len(told.entries))
                case Heartbeat() as told:
                    reply = beats_back(to, told.term, told.round)
        self.sent.append((to, letter))
        if reply is not None:
            self.time.call_later(0.001, lambda: self.hears(to, reply))

    def hears(self, sender: str, content: Any, scope: Scope = SCOPE, store: bytes = b"") -> None:
        to_log = not isinstance(content, Message)
        to = member("1").store if to_log and not store else store
        self.node.receive(NodeId(sender), Letter(scope, content, to))  # type: ignore[arg-type]

    def run(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """The thread that reads old stores."""
        self.time.call_later(0.001, lambda: done(outcome(job)))

    def wait(self, ms: int = 1_000) -> None:
        self.time.wait(ms)

    def propose(self, command: Command) -> list[Outcome]:
        outcomes: list[Outcome] = []
        self.node.replica.propose(command, outcomes.append)
        self.wait(20)
        return outcomes

    def said(self, kind: type, to: NodeId | None = None) -> list[Any]:
        return [letter.content for who, letter in self.sent if isinstance(letter.content, kind) and to in (None, who)]

    def on_log(self, kind: type[Command]) -> bool:
        log = self.node.replica.core.log
        entries = [one for one in log.since(1, 1 << 20, 1 << 40) if one.kind is Kind.COMMAND]
        return any(isinstance(wire.decode_log(one.data, Logged).command, kind) for one in entries)


def admission(node: NodeId) -> AdmitNode:
    return AdmitNode(node, f"pc{node}", UserId("anna"), Facts(TOTAL, shared=True))


def leading(members: str = "1") -> Desk:
    desk = Desk(members)
    desk.wait(5_000)
    assert desk.node.replica.core.leads_safely
    return desk


def admitted(members: str = "1") -> Desk:
    """It leads, and is the only machine of its mesh."""
    desk = leading(members)
    (outcome,) = desk.propose(admission(ME))
    assert isinstance(outcome, Accepted)
    desk.wait()
    return desk


def term_of(desk: Desk) -> int | None:
    """Of its coordinator, if it has one."""
    return desk.node.coordinator.term if desk.node.coordinator is not None else None


# -- who leads ---------------------------------------------------------------------------------------------------------


def test_there_is_a_coordinator_exactly_while_it_leads_and_another_one_per_term() -> None:
    desk = Desk("1 2 3")
    assert term_of(desk) is None
    desk.wait(5_000)
    terms = [term_of(desk)]
    desk.hears("2", beat("2", desk.node.replica.core.term + 1))
    terms.append(term_of(desk))
    desk.wait(8_000)
    terms.append(term_of(desk))
    assert terms == [1, None, 3]


def test_a_term_that_follows_at_once_has_a_coordinator_of_its_own() -> None:
    """It loses an election and wins the next while one letter is dealt with."""
    desk = leading()
    core = desk.node.replica.core
    core.step_down()
    core._campaign(pre=False)
    core.written(core.ready().write.number)  # type: ignore[union-attr]
    assert core.is_leader
    desk.wait(500)
    assert term_of(desk) == core.term == 2


def test_a_daemon_that_stopped_has_none_and_answers_nobody() -> None:
    desk = admitted()
    desk.node.stop()
    before = len(desk.sent)
    desk.hears("2", BEAT)
    desk.hears("2", alone.asks("2", 99))
    desk.node.replica.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)), lambda _: None)
    desk.wait()
    assert desk.node.coordinator is None
    assert len(desk.sent) == before


def test_it_serves_itself_like_everybody_else() -> None:
    desk = admitted()
    desk.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)))
    desk.wait()
    assert len(desk.hands.did("start")) == 1
    desk.hands.end(desk.hands.did("start")[0])
    desk.node.agent.ended()
    desk.wait()
    assert len(desk.book.state.ended) == 1
    assert len(desk.hands.did("forget")) == 1
    assert desk.said(Beat) == [], "not over the network"


# -- letters -----------------------------------------------------------------------------------------------------------


def test_who_leads_answers_beats_and_questions() -> None:
    desk = admitted()
    desk.propose(admission(OTHER))
    desk.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)))
    desk.hears("2", BEAT)
    desk.hears("2", AskJobs((JobId(1),)))
    desk.wait()
    assert [duty.beat for duty in desk.said(Duty, OTHER)] == [BEAT.id]
    assert len(desk.said(JobsAre, OTHER)) == 1


def test_who_does_not_lead_says_who_does() -> None:
    desk = Desk("1 2 3")
    desk.hears("2", beat("2", 1))
    desk.hears("3", BEAT)
    assert desk.said(Elsewhere, THIRD) == [Elsewhere(OTHER)]


def test_but_not_to_the_leader_itself_and_not_when_nobody_is_known() -> None:
    desk = Desk("1 2 3")
    desk.hears("3", BEAT)
    desk.hears("2", beat("2", 1))
    desk.hears("2", BEAT)
    assert desk.said(Elsewhere) == []


def test_who_keeps_no_log_tells_of_the_coordinator_that_serves_it() -> None:
    desk = Desk("")
    desk.others = [OTHER]
    desk.wait(2 * BEAT_MS)
    desk.hears("2", Duty(desk.said(Beat)[-1].id, Fence(1, 3), 1, AttemptId(1)))
    desk.hears("3", BEAT)
    assert desk.said(Elsewhere, THIRD) == [Elsewhere(OTHER)]
    desk.wait(LOST_MS)
    desk.hears("3", BEAT)
    assert len(desk.said(Elsewhere)) == 1


def test_whoever_is_admitted_is_served_at_once_and_not_with_its_next_beat() -> None:
    desk = leading()
    desk.wait(1)
    desk.node.replica.propose(admission(ME), lambda _: None)
    desk.wait(5)
    assert desk.node.agent.served() is not None


def test_whoever_was_admitted_and_removed_in_one_breath_is_no_member() -> None:
    desk = leading()
    desk.wait(1)
    desk.disk.held = True
    for command in (admission(ME), admission(OTHER), RemoveNode(NodeNumber(2))):  # one write, then the others together
        desk.node.replica.propose(command, lambda _: None)
    desk.wait(5)
    desk.disk.let_go()
    desk.wait(5)
    assert list(desk.book.state.nodes) == [1]


def test_the_agent_follows_a_new_leader_at_once() -> None:
    desk = Desk("1 2 3")
    desk.hears("3", beat("3", 1))
    desk.wait(50)
    assert len(desk.said(Beat, THIRD)) == 1
    desk.hears("2", beat("2", 2))
    desk.wait(50)
    assert len(desk.said(Beat, OTHER)) == 1


def test_and_does_not_fall_back_on_a_leader_of_long_ago() -> None:
    """It stood by once and was let go: its log says nothing new any more, and the leader it knew is off."""
    desk = Desk("2 | 1")
    desk.hears("2", beat("2", 1))
    desk.wait(50)
    desk.hears("2", Elsewhere(THIRD))
    desk.wait(50)
    beats = desk.said(Beat, THIRD)
    for number in range(10):
        desk.hears("3", Duty(desk.said(Beat, THIRD)[-1].id, Fence(1, 2), number + 1, AttemptId(1)))
        desk.wait(BEAT_MS)
    assert len(desk.said(Beat, THIRD)) >= len(beats) + 8
    assert len(desk.said(Beat, OTHER)) == 1


@pytest.mark.parametrize("content", [BEAT, beat("2", 9)], ids=["for the coordinator", "for the log"])
@pytest.mark.parametrize(
    "scope", [Scope(b"mesh".hex(), 2, b"first"), Scope(b"mesh".hex(), 1, b"other"), Scope("x", 1, b"first")]
)
def test_letters_of_another_log_are_for_nobody(scope: Scope, content: Any) -> None:
    desk = admitted()
    desk.propose(admission(OTHER))
    term = desk.node.replica.core.term
    desk.hears("2", content, scope)
    desk.wait()
    assert desk.said(Duty, OTHER) == []
    assert desk.node.replica.core.term == term


def test_letters_for_its_former_store_are_for_nobody() -> None:
    desk = leading()
    term = desk.node.replica.core.term
    desk.hears("2", beat("2", 9), store=b"former")
    assert desk.node.replica.core.term == term


# -- alone or not ------------------------------------------------------------------------------------------------------


def test_the_only_machine_of_its_mesh_needs_no_lease() -> None:
    desk = admitted()
    desk.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)))
    desk.wait()
    assert desk.hands.until_ms == FOREVER
    desk.disk.held = True  # so that nobody is answered
    desk.node.agent.stop()
    desk.wait(5 * LEASE_MS)
    assert desk.hands.did("freeze") == []


def test_before_it_is_admitted_it_is_not_alone() -> None:
    desk = leading()
    desk.wait()
    assert desk.hands.until_ms != FOREVER


def test_who_votes_with_others_is_not_alone() -> None:
    desk = admitted("1 2 3")
    assert desk.node.coordinator is not None
    assert desk.hands.until_ms != FOREVER


def proposed(desk: Desk) -> Callable[[], bool]:
    outcomes: list[Outcome] = []
    desk.node.replica.propose(admission(OTHER), outcomes.append)
    return lambda: bool(outcomes)


def forwarded(desk: Desk) -> Callable[[], bool]:
    data = wire.encode_log(Logged(0, admission(OTHER)))
    desk.hears("2", Forward(member("2"), 5, data))
    return lambda: bool(desk.said(Forwarded))


@pytest.mark.parametrize("ask", [proposed, forwarded])
def test_another_machine_is_admitted_when_the_hands_know_the_lease_and_not_before(
    ask: Callable[[Desk], Callable[[], bool]],
) -> None:
    desk = admitted()
    assert desk.hands.until_ms == FOREVER
    desk.hands.slow = True
    answered = ask(desk)
    desk.wait(300)
    assert desk.time.boottime_ms() < desk.hands.until_ms <= desk.time.boottime_ms() + LEASE_MS
    assert not any(isinstance(wire.decode_log(one.data, Logged).command, AdmitNode) for one in unapplied(desk))
    assert len(desk.book.state.nodes) == 1
    assert not answered()
    desk.hands.confirm()
    desk.wait(300)
    assert answered()
    assert len(desk.book.state.nodes) == 2
    desk.wait(3_000)
    assert desk.hands.until_ms != FOREVER


def unapplied(desk: Desk) -> list[Any]:
    replica = desk.node.replica
    return [one for one in replica.core.log.since(replica.applied + 1, 1 << 20, 1 << 40) if one.kind is Kind.COMMAND]


def test_a_second_admission_waits_too() -> None:
    """The first one took the lease back; that says nothing of whether the hands know it yet."""
    desk = admitted()
    desk.hands.slow = True
    desk.node.replica.propose(admission(OTHER), lambda _: None)
    desk.node.replica.propose(admission(THIRD), lambda _: None)
    desk.wait(300)
    assert len(desk.book.state.nodes) == 1
    desk.hands.confirm()
    desk.wait(300)
    assert len(desk.book.state.nodes) == 3


def test_it_is_not_alone_again_while_an_admission_is_on_its_way_onto_the_log() -> None:
    desk = admitted()
    desk.disk.held = True
    desk.node.replica.propose(admission(OTHER), lambda _: None)
    desk.wait(2_000)
    assert desk.hands.until_ms != FOREVER
    desk.disk.let_go()
    desk.wait()
    assert len(desk.book.state.nodes) == 2


def test_an_admission_that_was_not_taken_leaves_it_alone() -> None:
    desk = admitted()
    desk.node.replica.core.transferring = member("9")
    desk.node.replica.core._transfer_until = 1 << 40
    outcomes = desk.propose(admission(OTHER))
    assert not isinstance(outcomes[0], Accepted)
    desk.wait()
    assert desk.hands.until_ms == FOREVER


def test_when_the_others_are_gone_it_is_alone_again() -> None:
    desk = admitted()
    desk.propose(admission(OTHER))
    desk.wait()
    assert desk.hands.until_ms != FOREVER
    desk.propose(RemoveNode(NodeNumber(2)))
    desk.wait()
    assert desk.hands.until_ms == FOREVER


def test_its_own_admission_once_more_changes_nothing() -> None:
    desk = admitted()
    desk.hands.slow = True
    assert len(desk.propose(admission(ME))) == 1
    assert desk.hands.until_ms == FOREVER


def test_who_does_not_lead_any_more_is_not_alone() -> None:
    """Who slept does not know what has become of its mesh until it leads again."""
    desk = admitted()
    desk.time.suspend(60_000)
    desk.wait(2 * TICK_MS)
    assert not desk.node.replica.core.is_leader
    assert desk.hands.until_ms != FOREVER
    desk.wait(8_000)
    assert desk.hands.until_ms == FOREVER


# -- rest --------------------------------------------------------------------------------------------------------------


def ticks(desk: Desk, ms: int) -> int:
    """How often it was woken for the time meanwhile."""
    asked, tick = [], desk.node.replica._ticked

    def counted(now: int) -> bool:
        asked.append(now)
        return tick(now)

    desk.node.replica._ticked = counted
    desk.wait(ms)
    desk.node.replica._ticked = tick
    return len(asked)


def test_who_is_alone_and_has_nothing_to_do_is_seldom_woken() -> None:
    desk = admitted()
    before = desk.time.turns
    assert ticks(desk, 10_000) <= 10_000 // REST_MS + 1
    assert desk.time.turns - before <= 6 * 10, "with the beats and what answers them"
    assert desk.node.agent.served() is not None


def test_who_has_company_keeps_watch() -> None:
    desk = admitted()
    desk.propose(admission(OTHER))
    desk.wait()
    assert ticks(desk, 2_000) == 2_000 // TICK_MS


def test_time_counts_while_something_runs_here() -> None:
    desk = admitted()
    desk.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)))
    assert ticks(desk, 2_000) == 2_000 // TICK_MS
    desk.hands.end(desk.hands.did("start")[0])
    desk.node.agent.ended()
    desk.wait(2_000)
    assert ticks(desk, 10_000) <= 10_000 // REST_MS + 1


def test_and_while_something_is_here_that_the_log_does_not_know() -> None:
    desk = admitted()
    desk.hands.start(Listed(AttemptId(77), TaskId(1)), a_spec())
    assert ticks(desk, 2_000) == 2_000 // TICK_MS


def test_whatever_is_asked_of_it_ends_its_rest() -> None:
    desk = admitted()
    desk.wait(10 * REST_MS)
    while not ticks(desk, 1):
        pass
    desk.disk.held = True  # so that nothing follows from it
    desk.node.replica.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)), lambda _: None)
    assert ticks(desk, 2 * TICK_MS) == 2
