"""An array is one command, one job and one run, however many tasks it has; what happens to few costs few records."""

import pytest

from odyssey import wire
from odyssey.commands import SubmitJobs
from odyssey.events import JobEnded, TasksAssigned, TasksEnded
from odyssey.ids import MAX_TASKS, JobId, NodeNumber
from odyssey.model import Ending, JobState, Run, TaskState
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.invariants import violations
from tests.builders import Mesh, a_spec
from tests.scheduler.acts import cancel, dropped, give, lose, refusal, retry, state, states, use

MANY = 100_000
T = TaskState


def an_array(count: int = MANY) -> tuple[Mesh, JobId, NodeNumber]:
    mesh = Mesh()
    node = mesh.machine(cpus=64, memory=1 << 40)
    return mesh, mesh.submit(count=count), node


def test_a_hundred_thousand_tasks_are_one_small_command_and_one_run() -> None:
    mesh, job, _ = an_array()
    assert isinstance(mesh.entries[-1].command, SubmitJobs)
    assert len(wire.encode_log(mesh.entries[-1])) < 200
    assert mesh.job(job).runs == (Run(0, MANY),)
    assert mesh.state.tasks == {}
    assert sum(len(piece) for piece in dump(mesh.state)) < 1_000


def test_tasks_that_start_leave_the_run_and_get_records() -> None:
    mesh, job, node = an_array()
    give(mesh, job, node, (0, 3), (50_000, 50_001))
    assert mesh.job(job).runs == (Run(3, 50_000), Run(50_001, MANY))
    assert len(mesh.state.tasks) == 4
    assert mesh.job(job).counts[T.ASSIGNED] == 4
    assert violations(mesh.state) == []


def test_attempts_of_one_order_are_numbered_along_its_spans() -> None:
    mesh, job, node = an_array()
    (event,) = give(mesh, job, node, (7, 9), (20, 21))
    assert isinstance(event, TasksAssigned)
    assert event.spans == ((7, 9), (20, 21))
    assert [mesh.attempt(job, index) for index in (7, 8, 20)] == [event.first, event.first + 1, event.first + 2]


def test_cancelling_all_of_it_is_one_run_and_one_event() -> None:
    mesh, job, _ = an_array()
    index = mesh.state.head.index + 1
    assert cancel(mesh, job) == [
        TasksEnded(index, job, ((0, MANY),), T.CANCELLED, Ending.CANCELLED),
        JobEnded(index, job, JobState.CANCELLED),
    ]
    assert mesh.job(job).runs == (Run(0, MANY, T.CANCELLED),)


def test_cancelling_a_part_leaves_the_rest() -> None:
    mesh, job, _ = an_array()
    cancel(mesh, job, (10, 20), (15, 30), (40, 50))
    assert mesh.job(job).runs == (
        Run(0, 10),
        Run(10, 30, T.CANCELLED),
        Run(30, 40),
        Run(40, 50, T.CANCELLED),
        Run(50, MANY),
    )
    assert mesh.job(job).live


def test_a_retry_joins_the_run_again() -> None:
    mesh, job, _ = an_array()
    cancel(mesh, job, (10, 20))
    retry(mesh, job, (10, 15))
    assert mesh.job(job).runs == (Run(0, 15), Run(15, 20, T.CANCELLED), Run(20, MANY))
    retry(mesh, job)
    assert mesh.job(job).runs == (Run(0, MANY),)


def test_a_task_beyond_the_end_is_turned_away_alone() -> None:
    mesh, job, node = an_array(3)
    events = give(mesh, job, node, (2, 5))
    assert dropped(events) == {"not-waiting": ((3, 5),)}
    assert states(mesh, job) == "WWA"


@pytest.mark.parametrize("beyond", [MAX_TASKS, MAX_TASKS + 1, 3 * MAX_TASKS, 5 * MAX_TASKS, 1 << 40])
def test_a_task_far_beyond_the_end_is_never_taken_for_one_of_another_job(beyond: int) -> None:
    """Its number would run over into the job's: a small need would open the door for a large one."""
    mesh = Mesh()
    small, large = mesh.machine(cpus=1), mesh.machine(cpus=64)
    for job in range(1, 9):
        mesh.submit(count=2, cpus=job)
        mesh.assign(job, large, 0, 1)
        lose(mesh, job, 0)
        lose(mesh, job, 1)
    for job in range(1, 9):
        assert dropped(give(mesh, job, small, (beyond, beyond + 2))) == {"not-waiting": ((beyond, beyond + 2),)}
    assert use(mesh, small).slots == 0


def test_right_behind_the_largest_array_begins_another_job() -> None:
    mesh = Mesh()
    node = mesh.machine()
    array = mesh.submit(a_spec(), a_spec(count=MAX_TASKS), a_spec(count=2)) + 1
    mesh.assign(array + 1, node)
    lose(mesh, array + 1)
    assert dropped(give(mesh, array, node, (MAX_TASKS, MAX_TASKS + 1))) != {}
    assert states(mesh, array + 1) == "WW"


def test_the_largest_array_works_to_its_last_task() -> None:
    mesh, job, node = an_array(MAX_TASKS)
    give(mesh, job, node, (MAX_TASKS - 1, MAX_TASKS))
    mesh.report(job, MAX_TASKS - 1)
    cancel(mesh, job)
    assert (state(mesh, job, MAX_TASKS - 1), state(mesh, job, 0)) == (T.DONE, T.CANCELLED)
    assert not mesh.job(job).live


def test_an_array_ends_when_its_last_task_does() -> None:
    mesh, job, node = an_array(40)
    give(mesh, job, node, (0, 40))
    for index in range(39):
        mesh.report(job, index)
        assert mesh.job(job).live
    assert JobEnded(mesh.state.head.index + 1, job, JobState.DONE) in mesh.report(job, 39)


def test_an_order_may_give_16384_tasks_and_no_more() -> None:
    mesh, job, node = an_array()
    assert refusal(give(mesh, job, node, (0, 16_385))) == "too-many"
    assert refusal(give(mesh, job, node, (0, 16_384), (20_000, 20_001))) == "too-many"
    assert dropped(give(mesh, job, node, (0, 16_384))) == {"no-room": ((64, 16_384),)}
    assert use(mesh, node).slots == 64


def test_an_array_in_a_hundred_thousand_pieces_can_be_stored_and_loaded() -> None:
    """Whoever cancels every other task makes as many runs as tasks: still one record, and it must come back."""
    mesh, job, _ = an_array(140_000)
    for start in range(0, 140_000, 56_000):
        cancel(mesh, job, *((index, index + 1) for index in range(start, min(start + 56_000, 140_000), 2)))
    assert len(mesh.job(job).runs) == 140_000
    assert state_hash(load(dump(mesh.state))) == state_hash(mesh.state)
    cancel(mesh, job)
    assert mesh.job(job).runs == (Run(0, 140_000, T.CANCELLED),)
