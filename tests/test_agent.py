"""One machine's agent among fakes: what it says, to whom, and what it has the hands do, in which order."""

from collections.abc import Iterable
from typing import Any

import pytest

from odyssey.agent import (
    ACT_MS,
    ASK_AGAIN_MS,
    BEAT_MS,
    ELSEWHERE_EVERY,
    LOST_MS,
    MANY_REPORTS,
    MOST_REPORTS,
    PLENTY,
    SOON_ENOUGH_MS,
    SOON_MS,
    Agent,
)
from odyssey.clock import SeededEntropy
from odyssey.commands import Fence
from odyssey.ids import AttemptId, JobId, NodeId, TaskId, task_id
from odyssey.mesh.lease import FOREVER, LEASE_MS, NOTHING_KEPT, Kept, Lease
from odyssey.messages import (
    AskJobs,
    Beat,
    BootId,
    Duty,
    Elsewhere,
    Going,
    JobsAre,
    Keeping,
    Listed,
    OwnerState,
    Telemetry,
)
from odyssey.model import Outcome
from odyssey.resources import Resources
from odyssey.spec import JobSpec
from tests.builders import GIB, a_spec
from tests.daemon_fakes import Hands, Notes, Time

BOOT = BootId(b"boot")
C1, C2, C3 = NodeId("c1"), NodeId("c2"), NodeId("c3")
HEALTH = Telemetry(owner=OwnerState.FREE), Keeping(store=b"store")


def listed(number: int, job: int = 1, **fields: Any) -> Listed:
    return Listed(AttemptId(number), task_id(job, number), **fields)


A, B, C, D = (listed(number) for number in (101, 102, 103, 104))


class Desk:
    """The agent of one daemon. The machine, its hands and its note outlive it."""

    def __init__(
        self, *others: NodeId, before: "Desk | None" = None, specs: Iterable[JobSpec] = (a_spec(),), cpus: int = 4
    ) -> None:
        self.time: Time = before.time if before else Time()
        self.hands: Hands = before.hands if before else Hands(self.time)
        self.notes: Notes = before.notes if before else Notes()
        self.specs = {JobId(number): spec for number, spec in enumerate(specs, 1)}
        self.knows_specs = True
        self.asked: list[tuple[NodeId, Beat | AskJobs]] = []
        self.others = list(others)
        self.revision = 0
        kept = self.notes.kept[-1] if self.notes.kept else NOTHING_KEPT
        lease = Lease(BOOT, self.time.boottime_ms(), kept, self.hands.until_ms)
        self.agent = Agent(
            lease,
            self.hands,
            self.notes,
            self,
            self.time,
            self.time,
            SeededEntropy(1),
            Resources(cpus * 1000, 8 * GIB),
            lambda: self.others,
            lambda: HEALTH,
        )
        self.agent.start()
        self._tick()

    def _tick(self) -> None:
        self.time.call_later(ACT_MS / 1000, self._tick)
        self.agent.tick()

    def ask(self, node: NodeId, message: Beat | AskJobs) -> None:
        self.asked.append((node, message))
        if isinstance(message, AskJobs) and self.knows_specs:
            known = tuple((job, self.specs[job]) for job in message.jobs if job in self.specs)
            self.time.call_later(0.001, lambda: self.agent.receive(node, JobsAre(known)))

    # -- what the test says

    def duty(self, *holds: Listed, term: int = 1, sender: NodeId = C1, **fields: Any) -> Duty:
        """The answer to its newest beat."""
        self.revision += 1
        duty = Duty(self.beats[-1].id, Fence(1, term), self.revision, AttemptId(1), holds, **fields)
        self.agent.receive(sender, duty)
        return duty

    def wait(self, ms: int) -> None:
        self.time.wait(ms)

    # -- what it asks

    @property
    def beats(self) -> list[Beat]:
        return [message for _, message in self.asked if isinstance(message, Beat)]

    @property
    def asks(self) -> list[tuple[JobId, ...]]:
        return [message.jobs for _, message in self.asked if isinstance(message, AskJobs)]

    @property
    def asked_whom(self) -> list[NodeId]:
        return [node for node, message in self.asked if isinstance(message, Beat)]


def served(*others: NodeId, **fields: Any) -> Desk:
    """It has found its coordinator and has said its first word."""
    desk = Desk(*others, **fields)
    desk.agent.follow(C1)
    desk.wait(SOON_MS)
    return desk


# -- beats -------------------------------------------------------------------------------------------------------------


def test_it_beats_once_a_second_and_says_all_it_is() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(10 * BEAT_MS)
    assert 9 <= len(desk.beats) <= 13
    assert [beat.id.number for beat in desk.beats] == list(range(1, len(desk.beats) + 1))
    newest = desk.beats[-1]
    assert (newest.telemetry, newest.keeping) == HEALTH
    assert (newest.fence, newest.revision, newest.since) == (Fence(1, 1), 1, AttemptId(1))
    assert [(one.attempt, one.started) for one in newest.holds] == [(A.attempt, True)]


def test_a_lease_counts_from_before_the_beat_was_handed_to_the_network() -> None:
    """The network takes long: whatever it takes is not added to the lease."""
    desk = Desk()
    sent_ms: list[int] = []

    def slow(node: NodeId, message: Beat | AskJobs) -> None:
        if isinstance(message, Beat):
            sent_ms.append(desk.time.boottime_ms())
            desk.asked.append((node, message))
            desk.time.advance(3_000)

    desk.ask = slow  # type: ignore[method-assign]
    desk.agent.follow(C1)
    desk.wait(SOON_MS)
    desk.duty(A)
    assert desk.agent.lease.until_ms == sent_ms[-1] + LEASE_MS


def ends(desk: Desk, *ones: Listed) -> None:
    for one in ones:
        desk.hands.end(one.attempt)
        desk.agent.ended()


def test_what_is_not_wanted_goes_before_the_lease_is_longer() -> None:
    """What waits to follow must not begin under a lease that does not list it."""
    desk = served()
    desk.duty(A)
    desk.wait(BEAT_MS * 2)
    desk.hands.told.clear()
    desk.duty(B)
    kinds = [kind for kind, _ in desk.hands.told]
    assert kinds.index("kill") < kinds.index("lease") < kinds.index("start")


def test_the_first_to_end_after_a_quiet_moment_is_told_at_once() -> None:
    desk = served(cpus=8)
    desk.duty(A, B)
    desk.wait(ACT_MS)
    before = len(desk.beats)
    ends(desk, A)
    desk.wait(0)
    assert len(desk.beats) == before + 1
    assert [one.attempt for one in desk.beats[-1].reports] == [A.attempt]


def test_what_ends_shortly_after_a_beat_is_told_together_while_others_run() -> None:
    desk = served(cpus=8)
    desk.duty(A, B, C, D)
    desk.wait(ACT_MS)
    ends(desk, A)
    desk.wait(0)
    before = len(desk.beats)
    ends(desk, B)
    desk.wait(SOON_MS - 1)
    ends(desk, C)
    assert len(desk.beats) == before
    desk.wait(1)
    assert [one.attempt for one in desk.beats[-1].reports] == [A.attempt, B.attempt, C.attempt]
    assert len(desk.beats) == before + 1


def test_the_last_that_runs_here_waits_for_no_company() -> None:
    desk = served(cpus=8)
    desk.duty(A, B)
    desk.wait(ACT_MS)
    ends(desk, A)
    desk.wait(0)
    before = len(desk.beats)
    ends(desk, B)
    desk.wait(0)
    assert len(desk.beats) == before + 1


def test_while_much_is_here_more_travels_together() -> None:
    many = [listed(number) for number in range(101, 101 + PLENTY + 3)]
    desk = served(cpus=len(many), specs=(a_spec(memory=1),))
    desk.duty(*many)
    desk.wait(ACT_MS)
    ends(desk, many[0])
    desk.wait(0)
    before = len(desk.beats)
    ends(desk, many[1])
    desk.wait(SOON_ENOUGH_MS - 1)
    assert len(desk.beats) == before
    desk.wait(1)
    assert len(desk.beats) == before + 1


def test_the_beats_of_every_second_do_not_make_the_others_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each comes while the next one is due already: that one was for what has been told by then."""
    monkeypatch.setattr("odyssey.agent.MOST_REPORTS", 10_000)  # nothing is settled here
    seconds, step_ms = 3, 5
    many = [listed(number) for number in range(101, 101 + PLENTY + seconds * BEAT_MS // step_ms)]
    desk = served(cpus=len(many), specs=(a_spec(memory=1),))
    desk.duty(*many)
    desk.wait(ACT_MS)
    before = len(desk.beats)
    for one in many[:-PLENTY]:
        ends(desk, one)
        desk.wait(step_ms)
    by_themselves = seconds * BEAT_MS // SOON_ENOUGH_MS
    assert len(desk.beats) - before <= by_themselves + 2 * seconds


def test_many_ends_do_not_wait_for_more() -> None:
    many = [listed(number) for number in range(101, 103 + MANY_REPORTS)]
    desk = served(cpus=len(many))
    desk.duty(*many)
    desk.wait(ACT_MS)
    ends(desk, many[0])
    desk.wait(0)
    before = len(desk.beats)
    ends(desk, *many[1:MANY_REPORTS])
    assert len(desk.beats) == before
    ends(desk, many[MANY_REPORTS])
    assert len(desk.beats) == before + 1
    desk.wait(SOON_MS)
    assert len(desk.beats) == before + 1, "nothing new was to be told"


def test_nor_are_many_that_were_told_already_told_with_each_that_ends() -> None:
    """They are not settled yet, so every beat repeats them."""
    many = [listed(number) for number in range(101, 105 + MANY_REPORTS)]
    desk = served(cpus=len(many))
    desk.duty(*many)
    desk.wait(ACT_MS)
    ends(desk, *many[:MANY_REPORTS])
    desk.wait(SOON_MS)
    before = len(desk.beats)
    ends(desk, *many[MANY_REPORTS:-1])
    assert len(desk.beats) == before


def test_what_was_settled_meanwhile_is_not_taken_for_new() -> None:
    many = [listed(number) for number in range(101, 110 + 2 * MANY_REPORTS)]
    desk = served(cpus=len(many))
    desk.duty(*many)
    desk.wait(ACT_MS)
    ends(desk, *many[:10])
    desk.wait(SOON_MS)
    desk.duty(*many[10:], settled=tuple(one.attempt for one in many[:10]))
    before = len(desk.beats)
    ends(desk, *many[10 : 10 + MANY_REPORTS])
    assert len(desk.beats) == before + 1


def test_who_stopped_says_nothing_more() -> None:
    desk = served()
    desk.agent.stop()
    before = len(desk.asked)
    desk.duty(A)
    desk.agent.ended()
    desk.wait(5_000)
    assert len(desk.asked) == before
    assert desk.hands.did("start") == []


# -- notes first -------------------------------------------------------------------------------------------------------


def test_nothing_follows_from_a_duty_before_the_note_is_on_disk() -> None:
    desk = served()
    desk.notes.slow = True
    desk.duty(A)
    desk.wait(ACT_MS)
    assert desk.hands.told == [("lease", 0)] or desk.hands.told == []
    desk.notes.finish()
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == [A.attempt]


def test_an_older_note_never_takes_the_place_of_a_newer_one() -> None:
    """Two coordinators in a row, while the disk is slow: one note is under way at a time."""
    desk = served()
    desk.notes.slow = True
    desk.duty(A, term=1)
    desk.duty(A, term=2, sender=C2)
    desk.duty(A, term=3, sender=C3)
    assert len(desk.notes.under_way) == 1
    desk.notes.finish()
    assert desk.hands.did("start") == []
    desk.notes.finish()
    desk.wait(ACT_MS)
    assert [kept.fence.term for kept in desk.notes.kept] == [1, 3]
    assert desk.notes.under_way == []
    assert desk.hands.did("start") == [A.attempt]


def test_the_next_daemon_goes_by_the_note() -> None:
    desk = served()
    desk.duty(A, term=5)
    again = served(before=desk)
    again.duty(B, term=4)
    again.wait(ACT_MS)
    assert again.hands.did("start") == [A.attempt]
    assert again.beats[-1].fence == Fence(1, 5)
    assert again.beats[-1].since == AttemptId(1)


def test_the_hands_know_the_lease_before_they_start_anything() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    words = [word for word, _ in desk.hands.told]
    assert words.index("start") > max(at for at, word in enumerate(words) if word == "lease")
    assert desk.hands.until_ms > desk.time.boottime_ms()


# -- starting ----------------------------------------------------------------------------------------------------------


def test_what_a_job_is_to_run_is_asked_once_and_again_after_a_second() -> None:
    desk = served()
    desk.knows_specs = False
    desk.duty(A)
    desk.wait(ASK_AGAIN_MS - ACT_MS)
    assert desk.asks == [(JobId(1),)]
    assert desk.hands.did("start") == []
    desk.wait(2 * ACT_MS)
    assert desk.asks == [(JobId(1),)] * 2
    desk.knows_specs = True
    desk.wait(ASK_AGAIN_MS + ACT_MS)
    assert desk.hands.did("start") == [A.attempt]
    desk.wait(5 * ASK_AGAIN_MS)
    assert len(desk.asks) == 3


def test_only_what_has_room_starts_and_nothing_overtakes_what_does_not_fit() -> None:
    specs = [a_spec(cpus=3), a_spec(cpus=2), a_spec(cpus=1)]
    desk = served(specs=specs, cpus=4)
    desk.duty(listed(101, 1), listed(102, 2), listed(103, 3))
    desk.wait(2 * ACT_MS)
    assert desk.hands.did("start") == [101]
    desk.hands.end(101)
    desk.agent.ended()
    assert desk.hands.did("start") == [101, 102, 103]


def test_who_needs_the_same_as_what_runs_may_follow_it() -> None:
    desk = served(specs=[a_spec(cpus=3), a_spec(cpus=2)], cpus=4)
    desk.duty(listed(101, 1), listed(102, 1), listed(103, 1), listed(104, 2))
    desk.wait(2 * ACT_MS)
    assert desk.hands.did("start") == [101]
    assert desk.hands.did("follow") == [102, 103]
    desk.hands.end(101)
    desk.agent.ended()
    assert desk.hands.did("start") == [101, 102]  # if the hands have not come to it by themselves


def test_where_a_follower_has_the_room_nothing_is_looked_at_until_the_next_tick() -> None:
    desk = served(specs=[a_spec(cpus=3)], cpus=4)
    desk.duty(listed(101), listed(102))
    desk.wait(ACT_MS)
    desk.hands.end(101)
    desk.agent.ended(has_freed=False)
    assert desk.hands.did("start") == [101]
    desk.wait(2 * ACT_MS)
    assert desk.hands.did("start") == [101, 102], "the hands may have been wrong"


def test_but_while_all_stands_still_so_does_who_follows() -> None:
    desk = served(specs=[a_spec(cpus=3)], cpus=4)
    desk.duty(listed(101), listed(102))
    desk.wait(ACT_MS)
    desk.agent.allow(Resources(4000, 1 << 40), paused=True)
    desk.hands.end(101)
    desk.hands.start(listed(102), a_spec(cpus=3))
    desk.agent.ended(has_freed=False)
    assert desk.hands.did("freeze") == [101, 102]


def test_what_is_told_to_follow_is_not_overtaken() -> None:
    desk = served(specs=[a_spec(cpus=3), a_spec(cpus=1)], cpus=4)
    desk.duty(listed(101, 1), listed(102, 1), listed(103, 2))
    desk.wait(2 * ACT_MS)
    assert desk.hands.did("start") == [101]
    assert desk.hands.did("follow") == [102]


def test_one_with_a_terminal_follows_nobody_and_is_not_overtaken() -> None:
    desk = served(specs=[a_spec(cpus=3), a_spec(cpus=3, terminal=(24, 80))], cpus=4)
    desk.duty(listed(101, 1), listed(102, 1), listed(103, 2), listed(104, 1))
    desk.wait(2 * ACT_MS)
    assert (desk.hands.did("start"), desk.hands.did("follow")) == ([101], [102])
    for attempt in (101, 102):
        desk.hands.end(attempt)
    desk.agent.ended()
    assert desk.hands.did("start")[-1] == 103


def test_where_less_is_given_nobody_follows() -> None:
    desk = served(specs=[a_spec(cpus=1)], cpus=2)
    desk.duty(listed(101), listed(102), listed(103))
    desk.wait(2 * ACT_MS)
    desk.agent.allow(Resources(cpu_milli=1000, memory=1 << 40), paused=False)
    assert desk.hands.did("follow") == [103]
    assert desk.hands.did("refuse") == [103]


def test_slots_go_before_the_backlog_and_the_backlog_keeps_its_order() -> None:
    desk = served(specs=[a_spec(cpus=2)], cpus=4)
    desk.duty(listed(101, slot=False), listed(102, slot=False), listed(103))
    desk.wait(2 * ACT_MS)
    assert desk.hands.did("start") == [103, 101]
    desk.hands.end(103)
    desk.agent.ended()
    assert desk.hands.did("start") == [103, 101, 102]


def test_what_a_job_is_to_run_says_whoever_was_asked() -> None:
    desk = served()
    desk.knows_specs = False
    desk.duty(listed(101))
    desk.agent.receive(NodeId("somebody"), JobsAre(((JobId(1), a_spec(name="another")),)))
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == []
    desk.agent.receive(C1, JobsAre(((JobId(1), desk.specs[JobId(1)]),)))
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == [101]


def test_after_a_restart_nothing_starts_until_it_is_known_what_runs() -> None:
    desk = served(specs=[a_spec(cpus=3), a_spec(cpus=2)], cpus=4)
    desk.duty(listed(101, 1))
    desk.wait(ACT_MS)
    again = served(before=desk, specs=[a_spec(cpus=3), a_spec(cpus=2)], cpus=4)
    again.knows_specs = False
    again.duty(listed(101, 1), listed(102, 2))
    again.wait(ACT_MS)
    again.agent.receive(C1, JobsAre(((JobId(2), again.specs[JobId(2)]),)))
    again.wait(ACT_MS)
    assert again.hands.did("start") == [101], "of 101 nobody knows yet how much it takes"
    again.knows_specs = True
    again.wait(2 * ASK_AGAIN_MS)
    assert again.hands.did("start") == [101], "it leaves one cpu"
    again.hands.end(101)
    again.agent.ended()
    assert again.hands.did("start") == [101, 102]


def test_what_the_newest_duty_does_not_list_is_killed_and_what_is_recalled_is_given_back() -> None:
    desk = served(specs=[a_spec(cpus=3)], cpus=4)
    desk.duty(A, listed(103, slot=False))
    desk.wait(ACT_MS)
    desk.duty(listed(103, slot=False, recall=True))
    desk.wait(ACT_MS)
    assert set(desk.hands.did("kill")) == {A.attempt}
    assert desk.hands.did("refuse") == [103]
    assert desk.hands.did("start") == [A.attempt]


def test_while_the_owner_wants_nothing_to_run_all_stands_still_and_nothing_starts() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.agent.allow(Resources(4_000, 8 * GIB), paused=True)
    assert desk.hands.did("freeze") == [A.attempt]
    desk.duty(A, B)
    desk.wait(3 * ACT_MS)
    assert (desk.hands.did("start"), desk.hands.did("thaw")) == ([A.attempt], [])
    desk.agent.allow(Resources(4_000, 8 * GIB), paused=False)
    desk.wait(ACT_MS)
    assert (desk.hands.did("thaw"), desk.hands.did("start")) == ([A.attempt], [A.attempt, B.attempt])


def test_a_pause_is_told_soon_and_what_is_to_end_ends_in_it() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    before = len(desk.beats)
    desk.agent.allow(Resources(4_000, 8 * GIB), paused=True)
    desk.wait(SOON_MS)
    assert len(desk.beats) == before + 1
    desk.duty(listed(101, stop=True))
    assert desk.hands.did("stop") == [A.attempt]


def test_what_the_owner_gives_is_all_that_can_be_filled() -> None:
    desk = served(specs=(a_spec(),))
    desk.agent.allow(Resources(1_000, 8 * GIB), paused=False)
    desk.duty(A, B)
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == [A.attempt]
    desk.agent.allow(Resources(2_000, 8 * GIB), paused=False)
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == [A.attempt, B.attempt]


def test_when_the_lease_is_over_what_runs_is_frozen_and_a_newer_duty_thaws_it() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(LEASE_MS + ACT_MS)
    assert desk.hands.did("freeze") == [A.attempt]
    desk.duty(A)
    assert desk.hands.did("thaw") == [A.attempt]


def test_a_doubled_or_an_older_duty_changes_nothing() -> None:
    desk = served()
    old = desk.duty(A, B)
    desk.wait(ACT_MS)
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.agent.receive(C1, old)
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == [A.attempt, B.attempt]
    assert set(desk.hands.did("kill")) == {B.attempt}


# -- results -----------------------------------------------------------------------------------------------------------


def test_a_report_is_told_until_it_is_settled_and_then_forgotten() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.hands.end(A.attempt)
    desk.wait(5 * BEAT_MS)
    assert all([one.attempt for one in beat.reports] == [A.attempt] for beat in desk.beats[-4:])
    desk.duty(A)  # its report is on the way onto the log
    desk.wait(BEAT_MS)
    assert desk.hands.did("forget") == []
    desk.duty(settled=(A.attempt,))
    desk.wait(2 * BEAT_MS)
    assert desk.hands.did("forget") == [A.attempt]
    assert not desk.beats[-1].reports
    assert not desk.beats[-1].holds


def test_a_result_survives_a_restart_of_the_daemon_and_another_coordinator() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.agent.stop()
    desk.hands.end(A.attempt, Outcome.EXITED, 7)
    again = served(before=desk)
    assert [(one.attempt, one.code) for one in again.beats[-1].reports] == [(A.attempt, 7)]
    again.agent.follow(C2)
    again.wait(BEAT_MS)
    assert again.asked_whom[-1] == C2
    assert len(again.beats[-1].reports) == 1
    again.duty(term=2, sender=C2, settled=(A.attempt,))
    assert again.hands.did("forget") == [A.attempt]


def test_a_duty_that_has_no_effect_settles_nothing() -> None:
    """A deposed coordinator may believe what was never agreed."""
    desk = served()
    desk.duty(A, term=2)
    desk.wait(ACT_MS)
    desk.hands.end(A.attempt)
    desk.duty(term=1, settled=(A.attempt,))
    assert desk.hands.did("forget") == []


def ended_long_ago(desk: Desk, count: int) -> list[AttemptId]:
    """So many reports are not settled."""
    many = [listed(number) for number in range(101, 101 + count)]
    desk.duty(*many)
    desk.wait(ACT_MS)
    for one in many:
        desk.hands.end(one.attempt)
    desk.wait(2 * BEAT_MS)
    return [one.attempt for one in many]


def test_of_very_many_reports_the_oldest_go_first() -> None:
    desk = served(specs=[a_spec(cpus=0.001, memory=1)])
    many = ended_long_ago(desk, MOST_REPORTS + 5)
    assert [one.attempt for one in desk.beats[-1].reports] == many[:MOST_REPORTS]
    desk.duty(settled=tuple(many[:MOST_REPORTS]))
    desk.wait(2 * BEAT_MS)
    assert [one.attempt for one in desk.beats[-1].reports] == many[MOST_REPORTS:]


def test_who_leaves_says_so_when_one_beat_can_tell_all_that_is_left() -> None:
    """What has ended there and is not told would count as left behind."""
    desk = served(specs=[a_spec(cpus=0.001, memory=1)])
    many = ended_long_ago(desk, MOST_REPORTS + 5)
    desk.agent.go(Going.LEAVE)
    desk.wait(2 * BEAT_MS)
    before = len(desk.beats)
    desk.duty(settled=tuple(many[:10]))
    desk.wait(2 * ACT_MS)
    assert [desk.beats[before - 1].going, desk.beats[-1].going] == [Going.STAYING, Going.LEAVE]
    assert [one.attempt for one in desk.beats[-1].reports] == many[10:]


# -- who coordinates ---------------------------------------------------------------------------------------------------


def test_who_knows_nobody_asks_another_one_each_time() -> None:
    desk = Desk(C1, C2, C3)
    desk.wait(20 * BEAT_MS)
    assert set(desk.asked_whom) == {C1, C2, C3}


def test_it_tells_who_is_likely_to_coordinate() -> None:
    desk = Desk(C1)
    assert desk.agent.likely() == (C1,)  # a guess
    desk.agent.receive(C1, Elsewhere(C2))
    assert desk.agent.likely()[0] == C2
    desk.duty(sender=C2, keepers=(C2, C3))
    assert desk.agent.likely() == (C2, C2, C3)


def test_whom_it_asked_may_send_it_elsewhere() -> None:
    desk = Desk(C1)
    desk.wait(BEAT_MS)
    desk.agent.receive(C1, Elsewhere(C2))
    desk.wait(SOON_MS)
    assert desk.asked_whom[-1] == C2


def test_an_answer_of_somebody_it_does_not_ask_any_more_sends_it_nowhere() -> None:
    desk = served()
    desk.duty()
    desk.agent.receive(C3, Elsewhere(C2))
    desk.wait(BEAT_MS)
    assert desk.asked_whom[-1] == C1


def test_after_two_seconds_of_silence_it_asks_those_who_keep_the_log() -> None:
    desk = served(C3)
    desk.duty(keepers=(C2,))
    desk.wait(LOST_MS - BEAT_MS)
    assert desk.asked_whom[-1] == C1
    desk.wait(2 * BEAT_MS)
    assert desk.asked_whom[-1] == C2
    desk.wait(2 * ELSEWHERE_EVERY * BEAT_MS)
    assert C3 in desk.asked_whom, "and others now and then: the keepers may all be new"
    desk.agent.receive(desk.asked_whom[-1], Elsewhere(C1))
    desk.wait(SOON_MS)
    desk.duty(term=2)
    desk.wait(BEAT_MS)
    assert desk.asked_whom[-1] == C1


def test_who_has_just_become_a_member_beats_at_once_to_whom_it_was_shown() -> None:
    desk = Desk(C2)
    desk.wait(300)
    before = len(desk.beats)
    desk.agent.shown(C1)
    desk.wait(1)
    assert (len(desk.beats), desk.asked_whom[-1]) == (before + 1, C1)


def test_who_is_served_is_not_sent_elsewhere_by_what_somebody_says() -> None:
    desk = Desk(C1)
    desk.duty()
    before = len(desk.beats)
    desk.agent.shown(C2)
    desk.wait(1)
    assert len(desk.beats) == before
    desk.wait(LOST_MS)
    desk.agent.shown(C2)
    desk.wait(1)
    assert desk.asked_whom[-1] == C2


def test_who_sent_a_duty_in_force_is_asked_from_then_on() -> None:
    desk = served()
    desk.duty(term=2, sender=C2)
    desk.wait(2 * BEAT_MS)
    assert desk.asked_whom[-1] == C2


def test_it_knows_who_served_it_last_and_does_not_count_whom_it_only_heard_of() -> None:
    desk = served(C2)
    told = [desk.agent.served()]
    desk.duty()
    told.append(desk.agent.served())
    desk.agent.follow(C3)
    desk.wait(LOST_MS)
    told.append(desk.agent.served())
    assert told == [None, (C1, 0), (C1, LOST_MS)]


# -- going -------------------------------------------------------------------------------------------------------------


def test_a_restart_is_said_at_once_and_ends_nothing() -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.agent.go(Going.RESTART)
    assert desk.beats[-1].going is Going.RESTART
    desk.duty(A, B)
    desk.wait(ACT_MS)
    assert desk.hands.did("kill") == []
    assert desk.agent.lease.until_ms > desk.time.boottime_ms()


@pytest.mark.parametrize("going", [Going.SLEEP, Going.SHUTDOWN, Going.LEAVE])
def test_it_says_that_it_goes_when_all_has_ended_and_the_hands_know(going: Going) -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.hands.slow = True
    desk.agent.go(going)
    desk.wait(2 * BEAT_MS)
    assert A.attempt in desk.hands.did("kill")
    assert desk.hands.until_ms > 0
    assert all(beat.going is Going.STAYING for beat in desk.beats)
    desk.hands.end(A.attempt, Outcome.EVICTED)
    desk.wait(2 * BEAT_MS)
    assert desk.hands.until_ms == 0
    assert all(beat.going is Going.STAYING for beat in desk.beats), "the hands have not confirmed it"
    desk.hands.confirm()
    assert desk.beats[-1].going is going
    assert desk.beats[-1].leaves_nothing
    assert len(desk.beats[-1].reports) == 1
    before = len(desk.beats)
    desk.wait(3 * BEAT_MS)
    assert len(desk.beats) > before
    assert all(beat.going is going for beat in desk.beats[before:])


def test_no_duty_that_was_under_way_has_an_effect_on_who_has_gone() -> None:
    desk = served()
    desk.agent.go(Going.SLEEP)
    before = desk.beats[-2].id
    desk.agent.receive(C1, Duty(before, Fence(1, 1), 99, AttemptId(1), (A,)))
    desk.wait(2 * BEAT_MS)
    assert desk.hands.did("start") == []
    assert desk.hands.until_ms == 0


def test_while_it_ends_what_runs_it_starts_nothing_and_says_so() -> None:
    """Else it would never come to an end: what ends is given to it again at once."""
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.agent.go(Going.LEAVE)
    desk.duty(A, B)
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == [A.attempt]
    assert desk.hands.did("refuse") == [B.attempt]
    desk.hands.end(A.attempt, Outcome.EVICTED)
    desk.wait(ACT_MS)
    assert desk.beats[-1].going is Going.LEAVE
    assert {one.outcome for one in desk.beats[-1].reports} == {Outcome.EVICTED, Outcome.REJECTED}


@pytest.mark.parametrize("gone", [False, True])
def test_who_stays_after_all_works_on(gone: bool) -> None:
    desk = served()
    desk.duty(A)
    desk.wait(ACT_MS)
    desk.agent.go(Going.SLEEP)
    if gone:
        desk.hands.end(A.attempt, Outcome.EVICTED)
        desk.wait(ACT_MS)
        assert desk.beats[-1].going is Going.SLEEP
    desk.agent.go(Going.STAYING)
    assert desk.beats[-1].going is Going.STAYING
    desk.duty(B)
    desk.wait(ACT_MS)
    assert desk.hands.did("start") == [A.attempt, B.attempt]
    desk.hands.end(A.attempt, Outcome.EVICTED) if not gone else None
    desk.wait(2 * BEAT_MS)
    assert all(beat.going is Going.STAYING for beat in desk.beats[-2:])


# -- alone -------------------------------------------------------------------------------------------------------------


def test_who_is_alone_needs_no_lease() -> None:
    desk = served()
    desk.duty(A)
    desk.agent.set_alone(True)
    desk.wait(ACT_MS)
    assert desk.hands.until_ms == FOREVER
    desk.wait(10 * LEASE_MS)
    assert desk.hands.did("freeze") == []


def test_who_is_alone_no_more_has_the_lease_of_its_newest_duty_and_the_hands_confirm_it() -> None:
    desk = served()
    desk.agent.set_alone(True)
    desk.wait(3 * LEASE_MS)
    desk.duty(A)
    sent_ms = desk.time.boottime_ms()
    desk.hands.slow = True
    told: list[bool] = []
    desk.agent.set_alone(False, lambda: told.append(True))
    assert told == []
    assert sent_ms < desk.hands.until_ms <= sent_ms + LEASE_MS
    desk.hands.confirm()
    assert told == [True]


def test_who_goes_gets_no_lease_from_being_alone() -> None:
    desk = served()
    desk.agent.go(Going.SLEEP)
    desk.agent.set_alone(True)
    desk.wait(BEAT_MS)
    assert desk.hands.until_ms == 0


def test_whether_it_is_still_alone_must_be_said_anew_after_a_restart() -> None:
    desk = served()
    desk.duty(A)
    desk.agent.set_alone(True)
    desk.wait(ACT_MS)
    again = Desk(before=desk)
    assert again.hands.until_ms == 0
    assert again.hands.did("freeze") == [A.attempt]


def test_the_note_of_another_boot_leaves_only_the_fence() -> None:
    desk = Desk()
    desk.notes.kept.append(Kept(Fence(1, 9), BootId(b"other"), AttemptId(55)))
    again = served(before=desk)
    assert (again.beats[-1].fence, again.beats[-1].since) == (Fence(1, 9), AttemptId(0))
    assert TaskId(1) not in [one.task for one in again.beats[-1].holds]
