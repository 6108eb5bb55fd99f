"""Hold, release, priority: they move a job in the queue and leave alone what already runs."""

import pytest

from odyssey.commands import Command, HoldJob, ReleaseJob, SetPriority
from odyssey.events import JobChanged
from odyssey.ids import JobId
from tests.builders import Mesh, kinds
from tests.scheduler.acts import cancel, changes_nothing, dropped, queued, refusal, states

ONE = JobId(1)
COMMANDS: list[Command] = [HoldJob(ONE), ReleaseJob(ONE), SetPriority(ONE, 3)]
each_command = pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)


def test_a_held_job_leaves_the_queue_and_comes_back_at_its_release() -> None:
    mesh = Mesh()
    job = mesh.submit()
    assert mesh.do(HoldJob(job)) == [JobChanged(2, job, held=True, priority=0)]
    assert queued(mesh) == set()
    assert mesh.do(ReleaseJob(job)) == [JobChanged(3, job, held=False, priority=0)]
    assert queued(mesh) == {job}


def test_a_held_job_is_turned_away_at_the_door_and_what_runs_goes_on() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(count=2)
    mesh.assign(job, node, 0)
    mesh.do(HoldJob(job))
    assert dropped(mesh.assign(job, node, 1)) == {"not-waiting": ((1, 2),)}
    mesh.report(job, 0)
    assert states(mesh, job) == "DW"


def test_a_released_job_that_is_blocked_still_waits_for_its_parent() -> None:
    mesh = Mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,), held=True)
    mesh.do(ReleaseJob(child))
    assert queued(mesh) == {parent}


def test_a_priority_moves_the_job_to_another_lane() -> None:
    mesh = Mesh()
    one, other = mesh.submit(), mesh.submit()
    assert mesh.do(SetPriority(one, 5)) == [JobChanged(3, one, held=False, priority=5)]
    lanes = mesh.state.waiting.lanes[mesh.job(one).user]
    assert {priority: [head for head, _ in lane] for priority, lane in lanes.items()} == {0: [other], 5: [one]}


def test_the_asked_priority_stays_on_record_when_another_is_set() -> None:
    mesh = Mesh()
    job = mesh.submit(priority=2)
    mesh.do(SetPriority(job, -4))
    assert (mesh.job(job).spec.priority, mesh.job(job).priority) == (2, -4)


def test_a_held_job_keeps_its_hold_when_its_priority_is_set() -> None:
    mesh = Mesh()
    job = mesh.submit(held=True)
    mesh.do(SetPriority(job, 3))
    assert (mesh.job(job).held, queued(mesh)) == (True, set())


@pytest.mark.parametrize("priority", [-11, 11, 1 << 40])
def test_a_priority_out_of_range_is_refused(priority: int) -> None:
    mesh = Mesh()
    job = mesh.submit()
    assert refusal(changes_nothing(mesh, SetPriority(job, priority))) == "bad-priority"


@each_command
def test_what_is_already_so_changes_nothing(command: Command) -> None:
    mesh = Mesh()
    mesh.submit(held=isinstance(command, HoldJob), priority=3)
    assert kinds(changes_nothing(mesh, command)) == ["ChangedNothing"]


@each_command
def test_an_ended_job_cannot_be_changed(command: Command) -> None:
    mesh = Mesh()
    cancel(mesh, mesh.submit())
    assert refusal(changes_nothing(mesh, command)) == "job-ended"


@each_command
def test_an_unknown_job_is_refused(command: Command) -> None:
    assert refusal(changes_nothing(Mesh(), command)) == "no-such-job"
