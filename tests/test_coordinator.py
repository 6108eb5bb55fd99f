"""The coordinator on a real replica and a real book: what it proposes, what it says, and when.

Machine 1 leads; beats and the voices of other members are said by the test. A disk takes a millisecond.
"""

from collections.abc import Iterable
from typing import Any, NoReturn

import pytest

from odyssey.commands import (
    NEWEST_LEVEL,
    AgeQueue,
    AssignTasks,
    Batch,
    CancelTasks,
    DecayUsage,
    EndBackoff,
    Facts,
    Fence,
    LoseAttempts,
    RecallAttempts,
    RemoveNode,
    Report,
    ReportAttempts,
    SetLevel,
    SubmitJobs,
    UpdateNode,
)
from odyssey.coordinator import AGE_MS, AT_ONCE, LEVEL_EVERY_MS, LOOK_AGAIN_MS
from odyssey.ids import AttemptId, ClientId, JobId, NodeId, NodeNumber, TaskId, task_id
from odyssey.mesh.grants import DEAF_MS, RECOVERED_MS
from odyssey.mesh.lease import GIVE_AWAY_MS
from odyssey.mesh.letters import Outcome
from odyssey.mesh.raft.types import Append, Heartbeat, Member
from odyssey.mesh.replica import TICK_MS
from odyssey.messages import Going, Holding, Keeping, Telemetry
from odyssey.model import Cause, TaskState, Use
from odyssey.model import Outcome as Ended
from odyssey.scheduler.apply import TRANSITIONS
from odyssey.scheduler.fairshare import DECAY_EVERY_MS
from odyssey.scheduler.plan import plan
from tests.builders import GIB, a_spec
from tests.coordinator_desk import Desk, Worker, again, at_work, busy, leading

# -- when it may order -------------------------------------------------------------------------------------------------


def test_nothing_is_ordered_before_its_own_entry_is_applied() -> None:
    """What an earlier coordinator did may still be on its way onto the log."""
    desk = leading("1 2 3")
    worker = desk.admit("2")
    job = desk.submit()
    desk.unheard = (Append,)
    again(desk)
    assert not desk.replica.core.leads_safely
    desk.beats(worker)
    desk.wait()
    desk.beats(worker)
    assert desk.log(AssignTasks) == []
    assert worker.duties == []
    desk.unheard = ()
    desk.wait()
    desk.beats(worker)
    desk.wait()
    assert worker.holds == [desk.attempt(job)]


def test_beats_that_come_before_its_own_entry_is_applied_are_answered_then() -> None:
    """All machines beat as soon as they hear of a new leader, which is just before that."""
    desk, worker, job = at_work("1 2 3", name="2")
    desk.unheard = (Append,)
    again(desk)
    worker.duties.clear()
    desk.beats(worker, reports=its_end(desk, job))
    desk.wait(600)
    assert not worker.duties
    desk.unheard = ()
    desk.wait(600)
    assert worker.duties[-1].beat.number == worker.number
    assert desk.state_of(job) is TaskState.DONE


@pytest.mark.parametrize("members", ["1", "1 2 3"])
def test_no_machine_stops_the_mesh_by_saying_that_another_one_coordinates(members: str) -> None:
    desk, worker, job = at_work(members, name="2")
    liar = desk.admit("9")
    desk.beats(liar, fence=Fence(1 << 40, 1 << 40))
    desk.wait(1_000)
    desk.beats(worker, reports=its_end(desk, job))
    desk.wait(1_000)
    assert desk.state_of(job) is TaskState.DONE
    other = desk.submit()
    desk.beats(liar, fence=Fence(1 << 41, 1 << 41))
    desk.beats(worker)
    desk.wait(1_000)
    assert desk.state_of(other) is not TaskState.WAITING


def test_one_plan_is_under_way_at_a_time() -> None:
    desk = leading()
    worker = desk.admit("1")
    desk.beats(worker)
    desk.wait()
    desk.disk.held = True
    replica = desk.replica
    for number in (1, 2):
        replica.propose(SubmitJobs(ClientId(bytes([number]) * 16), 0, (a_spec(),)), lambda _: None)
    desk.wait()
    desk.disk.let_go()
    desk.disk.held = True
    for _ in range(5):
        desk.beats(worker)
        desk.wait(200)
    assert len(desk.log(AssignTasks)) == 1
    desk.disk.let_go()
    desk.wait()
    assert all(desk.state_of(JobId(job)) is TaskState.ASSIGNED for job in (1, 2))


def test_what_was_planned_and_has_come_true_is_planned_again_with_a_tick_and_then_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plans: list[object] = []

    def counted(*given: Any) -> object:
        plans.append(made := plan(*given))
        return made

    desk, _, _ = at_work()
    desk.wait(3 * TICK_MS)
    monkeypatch.setattr("odyssey.coordinator.plan", counted)
    desk.submit()
    desk.wait(20)
    assert len(desk.log(AssignTasks)) == 2
    assert len(plans) == 1
    desk.wait(10 * TICK_MS)
    assert len(plans) == 2


def test_memory_that_others_have_taken_is_looked_at_again_when_they_may_have_gone() -> None:
    """Nothing happens on the log when a browser is closed."""
    desk = leading()
    worker = desk.admit("1")
    desk.beats(worker, telemetry=Telemetry(memory_free=GIB // 4))
    desk.wait()
    job = desk.submit()
    desk.beating(10_000, worker, telemetry=Telemetry(memory_free=GIB // 4))
    assert not worker.holds
    desk.beating(LOOK_AGAIN_MS + 1_000, worker, telemetry=Telemetry(memory_free=4 * GIB))
    assert worker.holds == [desk.attempt(job)]


def test_a_plan_that_the_log_does_not_take_is_made_again_later_and_not_at_once() -> None:
    """At once would be for ever: the log is as busy as before, and nothing else would be done here any more."""
    desk = leading()
    desk.beats(worker := desk.admit("1"))
    desk.wait()
    desk.replica.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)), lambda _: None)
    busy(desk)
    looks = desk.looks
    desk.wait()
    assert desk.looks - looks < 100
    assert desk.log(AssignTasks) == []
    busy(desk, False)
    desk.wait()
    assert worker.holds == [desk.attempt(JobId(1))]


# -- Duties ------------------------------------------------------------------------------------------------------------


def test_after_a_recovery_nothing_is_given_until_all_leases_of_before_are_over() -> None:
    """What was given behind the fork is not known here, and may still run."""
    desk = leading(recovered=True)
    worker = desk.admit("7")
    job = desk.submit()
    desk.beats(worker)
    desk.wait(100)
    assert not desk.log(AssignTasks), "5.1 s after its election"
    for _ in range(RECOVERED_MS // 1_000):
        desk.beats(worker)
        desk.wait(1_000)
    assert worker.holds == [desk.attempt(job)]


def test_a_duty_leaves_only_when_a_quorum_has_answered_since() -> None:
    desk = leading("1 2 3")
    worker = desk.admit("2")
    desk.unheard = (Heartbeat,)
    desk.beats(worker)
    desk.wait(400)
    assert worker.duties == []
    desk.unheard = ()
    desk.wait(400)
    assert [duty.beat.number for duty in worker.duties] == [1]


def test_what_a_quorum_answers_that_was_asked_before_the_beat_proves_nothing() -> None:
    desk = leading("1 2 3")
    worker = desk.admit("2")
    desk.lag_ms = 200
    asked = desk.replica.core.next_round
    while desk.replica.core.next_round == asked:
        desk.wait(10)
    desk.beats(worker)
    desk.wait(250)
    assert desk.replica.core.confirmed_round == asked
    assert worker.duties == []
    desk.wait(300)
    assert [duty.beat.number for duty in worker.duties] == [1]


def test_each_beat_is_answered_by_itself_and_not_with_the_next_one() -> None:
    """Else a lease would always be a second older than it has to be."""
    desk, worker, _ = at_work()
    for _ in range(3):
        desk.beats(worker)
        desk.wait(400)
        assert worker.duties[-1].beat.number == worker.number


def test_many_beats_of_one_machine_do_not_hold_up_the_answer_to_the_first() -> None:
    """It tells of each end at once, up to a hundred times a second; the way there and back takes longer."""
    desk, worker, _ = at_work("1 2 3", name="2")
    desk.lag_ms = 200
    for _ in range(200):
        desk.beats(worker)
        desk.wait(10)
    assert worker.number - worker.duties[-1].beat.number < 100


@pytest.mark.parametrize("members", ["1", "1 2 3"])
def test_the_first_duty_of_a_machine_waits_for_no_heartbeat(members: str) -> None:
    desk = leading(members)
    worker = desk.admit("7")
    desk.beats(worker)
    desk.wait(2 * desk.lag_ms)
    assert len(worker.duties) == 1, "a heartbeat comes every 300 ms"


def test_machines_that_are_heard_together_share_a_round() -> None:
    desk = leading("1 2 3")
    workers = [desk.admit(name) for name in "456"]
    before = desk.replica.core.next_round
    for worker in workers:
        desk.beats(worker)
    assert desk.replica.core.next_round == before + 1
    desk.wait(4 * TICK_MS)
    assert all(worker.duties for worker in workers)


def test_a_duty_says_at_once_what_has_changed() -> None:
    desk, worker, job = at_work()
    before = len(worker.duties)
    desk.do(CancelTasks(job))
    assert [one.stop for one in worker.duties[-1].holds] == [True]
    assert worker.duties[-1].beat == worker.duties[before - 1].beat, "without waiting for another beat"


def test_who_lost_the_race_is_told_at_once_to_stop() -> None:
    desk = leading()
    first, second = desk.admit("1", cpus=1), desk.admit("2", cpus=1)
    for worker in (first, second):
        desk.beats(worker)
    desk.wait()
    job = desk.submit(overlap=True, count=1)
    desk.wait(100)
    (held,) = [worker for worker in (first, second) if worker.duties[-1].holds]
    other = second if held is first else first
    number = NodeNumber(2 if held is first else 1)
    desk.do(AssignTasks(desk.fence, (Batch(number, job, ((0, 1),)),)))
    assert len(other.holds) == 1
    desk.beats(held, reports=(Report(held.holds[0], task_id(job, 0), Ended.EXITED),))
    desk.wait(50)
    assert [one.stop for one in other.duties[-1].holds] == [True]


def test_a_place_in_a_backlog_is_taken_back_at_once() -> None:
    desk, worker, _ = at_work(cpus=4)
    job = desk.submit(cpus=4)
    desk.do(AssignTasks(desk.fence, (Batch(NodeNumber(1), job, ((0, 1),), slot=False),)))
    assert [one.slot for one in worker.duties[-1].holds] == [True, False]
    desk.do(RecallAttempts(desk.fence, ((desk.attempt(job), task_id(job, 0)),)))
    assert [one.recall for one in worker.duties[-1].holds] == [False, True]


# -- reports -----------------------------------------------------------------------------------------------------------


def its_end(desk: Desk, job: JobId, outcome: Ended = Ended.EXITED, code: int = 0) -> tuple[Report, ...]:
    return (Report(desk.attempt(job), task_id(job, 0), outcome, code),)


def test_a_report_is_settled_when_it_is_applied_and_not_before() -> None:
    desk, worker, job = at_work("1 2 3", name="2")
    desk.unheard = (Append,)
    reports = its_end(desk, job)
    for _ in range(2):
        desk.beats(worker, reports=reports)
        desk.wait(400)
    assert worker.duties[-1].beat.number == worker.number
    assert not worker.duties[-1].settled
    desk.unheard = ()
    desk.wait()
    assert worker.duties[-1].settled == (reports[0].attempt,)
    assert desk.state_of(job) is TaskState.DONE


def test_what_is_settled_goes_along_with_the_orders_that_follow_from_it() -> None:
    desk, worker, job = at_work(count=2, cpus=4)
    before = len(worker.duties)
    first = desk.attempt(job)
    desk.beats(worker, reports=its_end(desk, job))
    desk.wait(20)
    (duty,) = worker.duties[before:]
    assert duty.settled == (first,)
    assert [one.task for one in duty.holds] == [task_id(job, 1)]


def test_and_waits_for_none_where_none_follow() -> None:
    desk, worker, job = at_work(count=1)
    before = len(worker.duties)
    desk.beats(worker, reports=its_end(desk, job))
    desk.wait(20)
    assert worker.duties[before].settled


def test_a_report_is_proposed_once_however_often_it_is_told() -> None:
    desk, worker, job = at_work()
    reports = its_end(desk, job)
    for _ in range(5):
        desk.beats(worker, reports=reports)
        desk.wait(50)
    assert len(desk.log(ReportAttempts)) == 1


def test_the_next_coordinator_hears_it_and_settles_it_again() -> None:
    """The Duty that settled it may have been lost with the coordinator that sent it."""
    desk, worker, job = at_work()
    reports = its_end(desk, job)
    desk.beats(worker, reports=reports)
    desk.wait()
    again(desk)
    worker.duties.clear()
    desk.beats(worker, reports=reports)
    desk.wait()
    assert worker.duties[-1].settled == (reports[0].attempt,)
    assert len(desk.log(ReportAttempts)) == 2
    assert desk.state_of(job) is TaskState.DONE


def test_a_report_that_the_log_did_not_take_is_proposed_again() -> None:
    desk, worker, job = at_work()
    busy(desk)
    desk.beats(worker, reports=its_end(desk, job))
    desk.wait(400)
    assert desk.log(ReportAttempts) == []
    assert not worker.duties[-1].settled
    busy(desk, False)
    desk.wait(400)
    assert len(desk.log(ReportAttempts)) == 1
    assert len(worker.duties[-1].settled) == 1
    assert desk.state_of(job) is TaskState.DONE


def _fail(*_: object) -> NoReturn:
    raise ZeroDivisionError("a bug")


def test_a_report_that_could_not_be_applied_is_not_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug in applying it: the attempt is still held, so the machine keeps the report for a coordinator to come."""
    desk, worker, job = at_work()
    monkeypatch.setitem(TRANSITIONS, ReportAttempts, _fail)  # type: ignore[misc]
    desk.beats(worker, reports=its_end(desk, job))
    desk.wait()
    assert desk.state_of(job) is TaskState.ASSIGNED
    assert not worker.duties[-1].settled


def test_what_is_told_no_more_is_settled_no_more() -> None:
    desk, worker, job = at_work()
    desk.beats(worker, reports=its_end(desk, job))
    desk.wait()
    desk.beats(worker)
    desk.wait()
    assert not worker.duties[-1].settled


def test_the_report_of_an_attempt_that_was_given_away_is_settled_too() -> None:
    """Else the machine would tell it for ever."""
    desk, worker, _ = at_work()
    old = Report(AttemptId(5), TaskId(77), Ended.EXITED)
    desk.beats(worker, reports=(old,))
    desk.wait()
    assert worker.duties[-1].settled == (old.attempt,)


def test_nor_is_that_settled_before_it_is_on_the_log() -> None:
    desk, worker, _ = at_work("1 2 3", name="2")
    desk.unheard = (Append,)
    old = Report(AttemptId(5), TaskId(77), Ended.EXITED)
    for _ in range(2):
        desk.beats(worker, reports=(old,))
        desk.wait(400)
    assert worker.duties[-1].beat.number == worker.number
    assert not worker.duties[-1].settled


# -- losses ------------------------------------------------------------------------------------------------------------

LOST_MS = GIVE_AWAY_MS + 1_500


def test_what_a_silent_machine_held_goes_to_another_one() -> None:
    desk, _, job = at_work(cpus=3)
    other = desk.admit("2")
    desk.beats(other)
    desk.wait(400)
    desk.beating(LOST_MS, other)
    assert [command.cause for command in desk.log(LoseAttempts)] == [Cause.DOWN]
    assert other.holds == [desk.attempt(job)]


def test_a_loss_that_the_log_did_not_take_is_proposed_again() -> None:
    desk, _, job = at_work()
    busy(desk)
    desk.wait(LOST_MS)
    assert desk.log(LoseAttempts) == []
    busy(desk, False)
    desk.wait(2_000)
    assert desk.state_of(job) is TaskState.WAITING


def test_and_is_listed_again_if_the_machine_comes_back_first() -> None:
    desk, silent, job = at_work()
    busy(desk)
    desk.wait(LOST_MS)
    desk.beats(silent, holds=(Holding(desk.attempt(job), task_id(job, 0), started=True),))
    busy(desk, False)
    desk.wait(400)
    assert silent.holds == [desk.attempt(job)]
    assert desk.log(LoseAttempts) == []


def test_whose_report_is_on_its_way_onto_the_log_has_not_left_it_behind() -> None:
    """The machine leaves; its last beat brings the result. Were the loss on the log first, `--once` would fail."""
    desk, worker, job = at_work(once=True)
    busy(desk)
    held = Holding(desk.attempt(job), task_id(job, 0), started=True, ended=True)
    desk.beats(worker, going=Going.LEAVE, holds=(held,), reports=its_end(desk, job))
    desk.wait(50)
    busy(desk, False)
    desk.wait(2_000)
    assert desk.state_of(job) is TaskState.DONE


def test_losses_of_many_machines_may_be_applied_while_they_are_looked_for() -> None:
    """A disk that is done at once."""
    desk = leading()
    for number in range(1, 6):
        desk.beats(desk.admit(str(number), cpus=1))
    desk.wait()
    desk.submit(count=5)
    desk.wait()
    desk.disk.instant = True
    desk.wait(LOST_MS)
    assert sum(len(command.attempts) for command in desk.log(LoseAttempts)) == 5


# -- time --------------------------------------------------------------------------------------------------------------


def failing(desk: Desk, worker: Worker, job: JobId) -> int:
    """The task fails and waits for its second try; for so long."""
    desk.beats(worker, reports=its_end(desk, job, code=1))
    desk.wait(10)
    return desk.book.state.tasks[task_id(job, 0)].backoff_ms


def test_a_backoff_ends_on_its_clock() -> None:
    desk, worker, job = at_work(retries=1)
    backoff_ms = failing(desk, worker, job)
    assert backoff_ms > 500
    desk.wait(backoff_ms - 2 * TICK_MS)
    assert desk.log(EndBackoff) == []
    desk.wait(4 * TICK_MS)
    assert len(desk.log(EndBackoff)) == 1
    assert desk.state_of(job) is TaskState.ASSIGNED


def test_a_machine_is_told_which_try_it_is() -> None:
    desk, worker, job = at_work(retries=1)
    assert [one.number for one in worker.duties[-1].holds] == [1]
    desk.wait(failing(desk, worker, job) + 4 * TICK_MS)
    desk.beats(worker)
    desk.wait()
    assert [one.number for one in worker.duties[-1].holds] == [2]


def test_a_new_coordinator_starts_it_afresh() -> None:
    desk, worker, job = at_work(retries=1)
    backoff_ms = failing(desk, worker, job)
    again(desk)
    assert desk.log(EndBackoff) == []
    desk.wait(backoff_ms - 3 * TICK_MS)
    assert desk.log(EndBackoff) == []
    desk.wait(5 * TICK_MS)
    assert len(desk.log(EndBackoff)) == 1


def test_a_backoff_that_the_log_did_not_end_ends_later() -> None:
    desk, worker, job = at_work(retries=1)
    backoff_ms = failing(desk, worker, job)
    busy(desk)
    desk.wait(backoff_ms + 1_000)
    assert desk.log(EndBackoff) == []
    busy(desk, False)
    desk.wait(500)
    assert len(desk.log(EndBackoff)) == 1


def test_backoffs_of_a_huge_array_end_in_orders_that_fit_into_an_entry() -> None:
    desk = leading()
    worker = desk.admit("1", cpus=2 * AT_ONCE)
    desk.beats(worker)
    desk.wait()
    job = desk.submit(count=AT_ONCE + 10, retries=1, memory=1 << 20)
    desk.wait()
    desk.beats(worker, reports=tuple(Report(one.attempt, one.task, Ended.EXITED, 1) for one in worker.duties[-1].holds))
    desk.wait(50)
    assert len(desk.book.state.backoffs) == AT_ONCE + 10
    busy(desk)
    desk.wait(3_000)  # so that all are over at once
    busy(desk, False)
    desk.beats(worker)
    desk.wait()
    orders = desk.log(EndBackoff)
    assert sum(len(order.tasks) for order in orders) == AT_ONCE + 10
    assert max(len(order.tasks) for order in orders) <= AT_ONCE
    assert desk.state_of(job) is TaskState.ASSIGNED


def test_the_queue_ages_and_use_fades_on_its_clock() -> None:
    desk = leading()
    desk.wait(AGE_MS - 10_000)
    assert desk.log(AgeQueue) == []
    desk.wait(10_000)
    assert len(desk.log(AgeQueue)) == 1
    desk.wait(DECAY_EVERY_MS)
    assert len(desk.log(DecayUsage)) >= 1


def test_what_the_log_did_not_take_of_that_comes_soon_and_not_ten_minutes_later() -> None:
    desk = leading()
    busy(desk)
    desk.wait(max(AGE_MS, DECAY_EVERY_MS))
    assert not desk.log(AgeQueue)
    assert not desk.log(DecayUsage)
    busy(desk, False)
    desk.wait()
    assert (len(desk.log(AgeQueue)), len(desk.log(DecayUsage))) == (1, 1)


def test_the_level_rises_as_soon_as_every_machine_understands_more() -> None:
    desk = leading()
    desk.admit("2")
    desk.admit("3")
    for node in list(desk.book.state.nodes.values()):
        desk.wait(3 * LEVEL_EVERY_MS)
        assert desk.log(SetLevel) == []
        desk.do(UpdateNode(node.number, Facts(node.total, level=NEWEST_LEVEL + 1)))
    desk.wait(3 * LEVEL_EVERY_MS)
    assert len(desk.log(SetLevel)) == 1
    assert desk.book.state.head.level == NEWEST_LEVEL


# -- machines ----------------------------------------------------------------------------------------------------------


def test_who_is_no_member_is_not_answered() -> None:
    desk = leading()
    stranger = desk.workers[NodeId("8")] = Worker("8")
    desk.beats(stranger)
    desk.wait()
    assert stranger.duties == []


def test_what_a_removed_machine_held_moves_when_its_lease_is_over() -> None:
    desk, gone, job = at_work(cpus=3)
    other = desk.admit("2")
    desk.beats(other)
    desk.wait(400)
    desk.do(RemoveNode(NodeNumber(1)))
    before = len(gone.duties)
    desk.beating(GIVE_AWAY_MS - 2_000, other)
    desk.beats(gone)
    assert desk.state_of(job) is TaskState.ASSIGNED
    desk.beating(4_000, other)
    assert [command.cause for command in desk.log(LoseAttempts)] == [Cause.LEFT]
    assert other.holds == [desk.attempt(job)]
    assert len(gone.duties) == before


def test_a_machine_that_was_removed_and_comes_back_is_a_new_one() -> None:
    desk = leading()
    worker = desk.admit("2")
    desk.beats(worker)
    desk.wait()
    desk.do(RemoveNode(NodeNumber(1)))
    worker = desk.admit("2")
    desk.beats(worker)
    job = desk.submit()
    desk.wait()
    assert worker.holds == [desk.attempt(job)]
    assert desk.book.state.tasks[task_id(job, 0)].attempts[0].node == 2


def test_a_removed_machine_that_is_switched_off_excuses_nobody() -> None:
    """Two that fall silent together are no fault of a task. One that is no member says nothing of another."""
    desk, *_ = at_work()
    removed = desk.admit("2")
    desk.beats(removed)
    desk.wait(400)
    desk.do(RemoveNode(NodeNumber(2)))
    desk.wait(LOST_MS)
    assert [command.cause for command in desk.log(LoseAttempts)] == [Cause.DOWN]


def test_a_deaf_machine_gets_nothing_and_loses_what_it_has() -> None:
    desk, deaf, job = at_work(cpus=3)
    other = desk.admit("2", cpus=3)
    desk.beats(other)
    desk.wait(400)
    heard = deaf.duties[-1].revision
    for _ in range((DEAF_MS + GIVE_AWAY_MS) // 1_000 + 2):
        desk.beats(deaf, revision=heard - 1)
        desk.beating(1_000, other)
    assert [command.cause for command in desk.log(LoseAttempts)] == [Cause.CUT]
    assert other.holds == [desk.attempt(job)]
    desk.beats(other, reports=its_end(desk, job))
    desk.do(SubmitJobs(ClientId(b"x" * 16), 0, (a_spec(cpus=3, count=2),)))
    for _ in range(3):
        desk.beats(deaf, revision=heard - 1)
        desk.beating(1_000, other)
    assert desk.book.state.uses.get(NodeNumber(1), Use()).slots == 0
    assert desk.book.state.uses[NodeNumber(2)].slots == 1


def test_what_jobs_are_is_told_to_who_asks_each_in_a_letter_of_its_own() -> None:
    """Together they might be too large for one."""
    desk, worker, job = at_work()
    other = desk.submit(name="x" * 60)
    desk.ask(worker, job, JobId(99), other)
    assert worker.specs == {one: desk.book.state.jobs[one].spec for one in (job, other)}
    assert worker.letters == 2


# -- who keeps the log -------------------------------------------------------------------------------------------------


def keepers(machines: int, ms: int, *others: str) -> Desk:
    """So many machines with a store that have been there for so long; `others` may not keep the log."""
    desk = leading()
    desk.others.update(others)
    for number in range(machines):
        desk.admit(str(number + 1))
    desk.voices |= desk.workers.keys() - {"1"}
    keep(desk, ms)
    return desk


def keep(desk: Desk, ms: int) -> None:
    for _ in range(ms // 500):
        for worker in desk.workers.values():
            desk.beats(worker, keeping=Keeping(store=worker.id.encode()))
        desk.wait(500)


def names(members: Iterable[Member]) -> set[str]:
    return {one.node for one in members}


def test_a_second_machine_stands_by_and_is_waited_for_once_it_keeps_step() -> None:
    desk = keepers(2, 20_000)
    core = desk.replica.core
    assert (names(core.config.voters), names(core.config.learners)) == ({"1"}, {"2"})
    assert core.in_step == frozenset()
    desk = keepers(2, 45_000)
    assert names(desk.replica.core.in_step) == {"2"}
    desk.unheard = (Append,)
    outcomes: list[Outcome] = []
    desk.replica.propose(SubmitJobs(ClientId(b"1" * 16), 0, (a_spec(),)), outcomes.append)
    desk.wait(1_000)
    assert outcomes == []
    desk.wait(2_000)
    assert len(outcomes) == 1, "after two seconds without it, the voter goes on alone"


def test_of_three_machines_all_vote_in_the_end() -> None:
    desk = keepers(3, 50_000)
    assert names(desk.replica.core.config.voters) == {"1", "2", "3"}


def test_who_may_not_keep_the_log_does_not_whatever_it_says() -> None:
    desk = keepers(3, 50_000, "3")
    assert names(desk.replica.core.config.members) == {"1", "2"}


def test_who_was_removed_keeps_the_log_no_more_even_if_it_still_answers() -> None:
    desk = keepers(3, 50_000)
    assert names(desk.replica.core.config.voters) == {"1", "2", "3"}
    desk.do(RemoveNode(NodeNumber(3)))
    keep(desk, 2_000)
    assert "3" not in names(desk.replica.core.config.members)


def test_nor_if_it_was_removed_in_an_earlier_term() -> None:
    """All that is left of it is that nobody knows it. Who founds a mesh is not known at first either, but soon."""
    desk = leading("1 2 3")
    for name in ("1", "2"):
        desk.admit(name)
    keep(desk, 50_000)
    assert names(desk.replica.core.config.voters) == {"1", "2", "3"}
    keep(desk, 20_000)
    assert names(desk.replica.core.config.members) == {"1", "2"}


def test_a_machine_without_a_store_keeps_nothing() -> None:
    desk = leading()
    for worker in (desk.admit("1"), desk.admit("2")):
        desk.beats(worker)
    desk.wait(60_000)
    assert names(desk.replica.core.config.members) == {"1"}


def test_a_new_leader_gives_members_that_have_not_answered_their_minute() -> None:
    """At its election it has heard nobody: that is no reason to take voters away from the mesh."""
    desk = Desk("1 2 3 4 5")
    desk.voices = {"2", "3"}
    desk.wait(5_000)
    for name in "12345":
        desk.admit(name)
    desk.wait(30_000)
    core = desk.replica.core
    assert core.leads_safely
    assert names(core.config.voters) == set("12345")
    desk.wait(40_000)
    assert names(core.config.voters) == set("123")
