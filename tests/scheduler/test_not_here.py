"""A machine that cannot run a task says: not here. It is remembered; five such answers, or no machine left, end it."""

from odyssey.commands import GiveUpTasks
from odyssey.events import JobEnded, TasksEnded
from odyssey.ids import JobId, TaskId, task_id
from odyssey.model import NOWHERE_LIMIT, Ending, JobState, Outcome, TaskState
from odyssey.scheduler.dump import dump, load
from tests.builders import Mesh, kinds
from tests.scheduler.acts import cancel, changes_nothing, dropped, end_on, lose, queued, states


def refused_on(machines: int, count: int = 1) -> tuple[Mesh, JobId, list[int]]:
    """A job whose first task was refused by so many machines."""
    mesh = Mesh()
    nodes = [int(node) for node in mesh.machines(machines)]
    job = mesh.submit(count=count)
    for node in nodes:
        end_on(mesh, job, node, Outcome.NOT_HERE)
    return mesh, job, nodes


def test_a_machine_that_said_not_here_is_not_asked_again() -> None:
    mesh, job, (node, other) = refused_on(2)
    assert mesh.task(job).refused_by == (node, other)
    for one in (node, other):
        assert dropped(mesh.assign(job, one)) == {"not-waiting": ((0, 1),)}
    assert dropped(mesh.assign(job, mesh.machine())) == {}


def test_it_is_asked_about_other_tasks() -> None:
    mesh, job, (node,) = refused_on(1, count=2)
    assert dropped(mesh.assign(job, node, 1)) == {}


def test_it_is_remembered_over_losses_failures_and_restarts() -> None:
    mesh, job, (node,) = refused_on(1)
    mesh.assign(job, mesh.machine())
    lose(mesh, job)
    end_on(mesh, job, mesh.machine(), Outcome.EVICTED)
    mesh.state = load(dump(mesh.state))
    assert mesh.task(job).refused_by == (node,)
    assert dropped(mesh.assign(job, node)) == {"not-waiting": ((0, 1),)}


def test_the_fifth_machine_that_says_so_decides() -> None:
    mesh, job, _ = refused_on(NOWHERE_LIMIT - 1)
    assert queued(mesh) == {job}
    end_on(mesh, job, mesh.machine(), Outcome.NOT_HERE)
    assert (states(mesh, job), mesh.task(job).ending) == ("F", Ending.NOWHERE)
    assert len(mesh.task(job).refused_by) == NOWHERE_LIMIT


# ---- given up, because no machine is left ----------------------------------------------------------------------------


def test_a_task_that_every_machine_refused_is_given_up() -> None:
    mesh, job, _ = refused_on(2)
    events = mesh.do(GiveUpTasks(mesh.fence, (task_id(job, 0),)))
    index = mesh.state.head.index
    assert events == [
        TasksEnded(index, job, ((0, 1),), TaskState.FAILED, Ending.NOWHERE),
        JobEnded(index, job, JobState.FAILED),
    ]
    assert (states(mesh, job), mesh.task(job).ending, queued(mesh)) == ("F", Ending.NOWHERE, set())


def test_many_tasks_of_many_jobs_are_given_up_in_one_order() -> None:
    mesh, job, (node,) = refused_on(1, count=4)
    for index in (1, 2):
        mesh.assign(job, node, index)
        mesh.report(job, index, Outcome.NOT_HERE)
    other = mesh.submit()
    end_on(mesh, other, node, Outcome.NOT_HERE)
    tasks = [task_id(job, 2), task_id(other, 0), task_id(job, 0), task_id(job, 0)]
    events = mesh.do(GiveUpTasks(mesh.fence, tuple(tasks)))
    ended = {event.job: event.spans for event in events if isinstance(event, TasksEnded)}
    assert ended == {job: ((0, 1), (2, 3)), other: ((0, 1),)}
    assert (states(mesh, job), states(mesh, other)) == ("FWFW", "F")


def test_what_merely_waits_for_a_larger_machine_is_not_given_up() -> None:
    mesh = Mesh()
    node = mesh.machine()
    fresh = mesh.submit(cpus=400)
    lost = mesh.submit()
    mesh.assign(lost, node)
    lose(mesh, lost)
    order = GiveUpTasks(mesh.fence, (task_id(fresh, 0), task_id(lost, 0)))
    assert kinds(changes_nothing(mesh, order)) == ["ChangedNothing"]


def test_what_runs_is_over_or_is_unknown_is_not_given_up() -> None:
    mesh, job, _ = refused_on(1)
    mesh.assign(job, mesh.machine())
    over = mesh.submit()
    end_on(mesh, over, 1, Outcome.NOT_HERE)
    cancel(mesh, over)
    tasks = (task_id(job, 0), task_id(over, 0), task_id(job, 9), task_id(99, 0), TaskId(-7))
    assert kinds(changes_nothing(mesh, GiveUpTasks(mesh.fence, tasks))) == ["ChangedNothing"]


def test_children_learn_that_their_parent_was_given_up() -> None:
    mesh, job, _ = refused_on(1)
    child = mesh.submit(after=(job,))
    mesh.do(GiveUpTasks(mesh.fence, (task_id(job, 0),)))
    assert states(mesh, child) == "S"
