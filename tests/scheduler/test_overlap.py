"""--overlap ok: up to two attempts of a task at once. The first result wins, the other is told to stop, and what it
holds is counted until it has ended."""

import pytest

from odyssey.commands import ArchiveJobs
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Cause, Outcome
from odyssey.scheduler.invariants import violations
from tests.builders import Mesh
from tests.scheduler.acts import changes_nothing, dropped, end_on, give, lose, queued, refusal, retry, states, tell, use


def racing(**fields: object) -> tuple[Mesh, JobId, NodeNumber, NodeNumber]:
    mesh = Mesh()
    one, two = mesh.machines(2)
    job = mesh.submit(overlap=True, **fields)
    mesh.assign(job, one)
    assert dropped(mesh.assign(job, two)) == {}
    return mesh, job, one, two


def test_a_task_may_be_with_two_machines() -> None:
    mesh, job, one, two = racing()
    assert [attempt.node for attempt in mesh.task(job).attempts] == [one, two]
    assert (states(mesh, job), mesh.job(job).attempts) == ("A", 2)
    assert [use(mesh, node).slots for node in (one, two)] == [1, 1]


def test_but_not_with_three_nor_twice_with_one() -> None:
    mesh, job, one, two = racing()
    three = mesh.machine()
    for node in (one, two, three):
        assert dropped(mesh.assign(job, node)) == {"not-waiting": ((0, 1),)}


def test_not_twice_with_one_machine_in_one_order() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(overlap=True)
    assert dropped(give(mesh, job, node, (0, 1), (0, 1))) == {"not-waiting": ((0, 1),)}
    assert len(mesh.task(job).attempts) == 1


def test_without_overlap_a_task_is_with_one_machine() -> None:
    mesh = Mesh()
    one, two = mesh.machines(2)
    job = mesh.submit()
    mesh.assign(job, one)
    assert dropped(mesh.assign(job, two)) == {"not-waiting": ((0, 1),)}


@pytest.mark.parametrize("winner", [0, 1])
def test_the_first_result_wins_and_the_other_is_told_to_stop(winner: int) -> None:
    mesh, job, *nodes = racing()
    tell(mesh, mesh.task(job).attempts[winner], mesh.task(job).id)
    (loser,) = mesh.task(job).attempts
    assert (loser.node, loser.stopping) == (nodes[1 - winner], True)
    assert states(mesh, job) == "D"
    assert use(mesh, nodes[winner]).slots == 0
    assert use(mesh, nodes[1 - winner]).slots == 1, "it still holds its room"


@pytest.mark.parametrize("outcome", list(Outcome))
def test_whatever_the_loser_says_the_result_stands(outcome: Outcome) -> None:
    mesh, job, _, two = racing(retries=3)
    mesh.report(job)
    tell(mesh, mesh.task(job).attempts[0], mesh.task(job).id, outcome)
    assert (states(mesh, job), mesh.task(job).attempts, use(mesh, two).slots) == ("D", (), 0)
    assert mesh.task(job).tries_total == 2
    assert violations(mesh.state) == []


def test_a_loser_that_is_lost_leaves_the_result() -> None:
    mesh, job, _, two = racing()
    mesh.report(job)
    lose(mesh, job)
    assert (states(mesh, job), use(mesh, two).slots, queued(mesh)) == ("D", 0, set())


def test_a_job_is_archived_only_after_its_losers_have_stopped() -> None:
    mesh, job, _, _ = racing()
    mesh.report(job)
    assert not mesh.job(job).live
    archived = ArchiveJobs(mesh.fence, b"digest", 1, ((job, job + 1),), mesh.state.head.index)
    assert refusal(changes_nothing(mesh, archived)) == "not-ended"
    mesh.report(job, outcome=Outcome.CANCELLED)
    mesh.do(archived)
    assert job not in mesh.state.jobs


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.EVICTED, Outcome.SIGNALLED, Outcome.NOT_HERE])
def test_when_one_fails_the_other_goes_on_and_a_new_one_may_join_it(outcome: Outcome) -> None:
    mesh, job, _, two = racing()
    mesh.report(job, outcome=outcome)
    assert [attempt.node for attempt in mesh.task(job).attempts] == [two]
    assert (states(mesh, job), queued(mesh)) == ("A", set())
    assert dropped(mesh.assign(job, mesh.machine())) == {}


def test_when_both_fail_the_last_failure_decides() -> None:
    mesh, job, *_ = racing(retries=1)
    mesh.report(job, code=1)
    assert mesh.task(job).failures == 0
    mesh.report(job, code=1)
    assert (states(mesh, job), mesh.task(job).failures) == ("W", 1)


def test_when_both_are_lost_the_task_waits_again() -> None:
    mesh, job, *_ = racing()
    lose(mesh, job, cause=Cause.CUT)
    assert states(mesh, job) == "A"
    lose(mesh, job, cause=Cause.CUT)
    assert (states(mesh, job), queued(mesh)) == ("W", {job})


def test_a_machine_that_said_not_here_is_not_asked_again_while_the_other_runs() -> None:
    mesh, job, one, _ = racing()
    mesh.report(job, outcome=Outcome.NOT_HERE)
    assert dropped(mesh.assign(job, one)) == {"not-waiting": ((0, 1),)}


def test_machines_that_go_down_under_either_attempt_count() -> None:
    mesh, job, *_ = racing()
    lose(mesh, job, cause=Cause.DOWN)
    lose(mesh, job, cause=Cause.DOWN)
    assert mesh.task(job).deaths == 2


def test_a_second_attempt_may_stand_in_a_backlog() -> None:
    mesh = Mesh()
    one, two = mesh.machines(2, cpus=1)
    other, job = mesh.submit(), mesh.submit(overlap=True)
    mesh.assign(other, two)
    mesh.assign(job, one)
    assert dropped(mesh.assign(job, two, slot=False)) == {}
    mesh.report(job)
    assert (states(mesh, job), use(mesh, two).backlog) == ("D", (mesh.attempt(job),))
    mesh.report(job, outcome=Outcome.REJECTED)
    assert (states(mesh, job), use(mesh, two).backlog) == ("D", ())


def test_a_failed_race_can_be_retried() -> None:
    mesh, job, one, _ = racing()
    mesh.report(job, code=1)
    mesh.report(job, code=1)
    retry(mesh, job)
    end_on(mesh, job, one)
    assert states(mesh, job) == "D"
