"""What stands in a machine's backlog holds nothing; the machine takes it in order as room is freed.

The books follow by the same rule. It can be asked back; it moves when its machine says that it never started.
"""

import pytest

from odyssey.commands import LoseAttempts, RecallAttempts, UpdateNode
from odyssey.events import AttemptsRecalled, BacklogPromoted, Event
from odyssey.ids import AttemptId, JobId, NodeNumber, TaskId, UserId, task_id
from odyssey.model import Cause, Outcome
from odyssey.resources import DIMENSIONS, Resources
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.invariants import violations
from odyssey.spec import JobSpec, Want
from tests.builders import Mesh, kinds
from tests.scheduler.acts import (
    backoffs,
    cancel,
    changes_nothing,
    dropped,
    facts_of,
    give,
    lose,
    queued,
    recall,
    states,
    use,
)


def full(*cpus: float) -> tuple[Mesh, NodeNumber, list[JobId]]:
    """A machine of two cpus: the first job fills it, those of the given cpus stand in its backlog."""
    mesh = Mesh()
    node = mesh.machine(cpus=2)
    first = mesh.submit(cpus=2, count=1)
    mesh.assign(first, node)
    waiting = [mesh.submit(cpus=each) for each in cpus]
    for job in waiting:
        mesh.assign(job, node, slot=False)
    return mesh, node, [first, *waiting]


def in_slots(mesh: Mesh, node: NodeNumber) -> list[int]:
    """The jobs that hold room on the machine."""
    held = mesh.state.held[node].values()
    return sorted(task >> 20 for task in held if any(one.slot for one in mesh.state.tasks[task].attempts))


def promoted(events: list[Event]) -> list[int]:
    return [event.task >> 20 for event in events if isinstance(event, BacklogPromoted)]


# ---- in order, as room is freed --------------------------------------------------------------------------------------


def test_a_backlog_holds_no_room_but_stands_on_the_books() -> None:
    mesh, node, (first, second) = full(1)
    assert (use(mesh, node).slots, use(mesh, node).cpu_milli) == (1, 2000)
    assert use(mesh, node).backlog == (mesh.attempt(second),)
    assert mesh.state.reserved == {mesh.job(first).user: 2000}
    assert states(mesh, second) == "A"


def test_the_next_in_order_takes_the_room_that_a_report_freed() -> None:
    mesh, node, (first, second, third) = full(2, 2)
    events = mesh.report(first)
    assert events[-1] == BacklogPromoted(mesh.state.head.index, mesh.attempt(second), task_id(second, 0), node)
    assert in_slots(mesh, node) == [second]
    assert use(mesh, node).backlog == (mesh.attempt(third),)


def test_as_many_as_fit_are_taken_at_once() -> None:
    mesh, node, (first, *others) = full(1, 1, 1)
    assert promoted(mesh.report(first)) == others[:2]
    assert in_slots(mesh, node) == others[:2]


def test_the_one_in_front_keeps_the_others_waiting_while_it_does_not_fit() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=2)
    one, two, large, small = (mesh.submit(cpus=cpus) for cpus in (1, 1, 2, 0.5))
    mesh.assign(one, node)
    mesh.assign(two, node)
    mesh.assign(large, node, slot=False)
    mesh.assign(small, node, slot=False)
    assert promoted(mesh.report(one)) == []
    assert promoted(mesh.report(two)) == [large]
    assert promoted(mesh.report(large)) == [small]


@pytest.mark.parametrize("kind", DIMENSIONS)
def test_every_kind_of_room_must_be_there(kind: str) -> None:
    mesh = Mesh()
    node = mesh.machine(total=Resources(1000, 1000, 1000, 1000))
    need = Resources(**{"cpu_milli": 10, kind: 600})
    spec = JobSpec(UserId("anna"), (b"true",), Want(need))
    first, second = mesh.submit(spec), mesh.submit(spec)
    mesh.assign(first, node)
    assert getattr(use(mesh, node), kind) == 600
    assert dropped(mesh.assign(second, node)) == {"no-room": ((0, 1),)}
    mesh.assign(second, node, slot=False)
    assert in_slots(mesh, node) == [first]
    mesh.report(first)
    assert (in_slots(mesh, node), getattr(use(mesh, node), kind)) == ([second], 600)


def test_room_is_freed_by_a_loss_too() -> None:
    mesh, node, (first, second) = full(2)
    assert promoted(lose(mesh, first, cause=Cause.CUT)) == [second]
    assert in_slots(mesh, node) == [second]


def test_room_is_made_by_a_machine_that_grew() -> None:
    mesh, node, (first, second) = full(2)
    larger = facts_of(mesh, node, total=mesh.node(mesh.machine(cpus=4)).total)
    assert promoted(mesh.do(UpdateNode(node, larger))) == [second]
    assert in_slots(mesh, node) == [first, second]


def test_what_finds_room_when_it_arrives_does_not_wait() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=2)
    job = mesh.submit(count=3)
    events = give(mesh, job, node, (0, 3), slot=False)
    assert kinds(events) == ["TasksAssigned", "BacklogPromoted", "BacklogPromoted"]
    assert [mesh.task(job, index).attempts[0].slot for index in range(3)] == [True, True, False]
    assert violations(mesh.state) == []


def test_a_backlog_stands_in_the_order_of_its_attempts_whatever_came_between() -> None:
    mesh, node, (first, second, third) = full(2, 2)
    recall(mesh, second)  # its record is a new one now
    assert use(mesh, node).backlog == (mesh.attempt(second), mesh.attempt(third))
    assert load(dump(mesh.state)).uses[node].backlog == use(mesh, node).backlog
    assert promoted(mesh.report(first)) == [second]


def test_an_attempt_that_ends_in_the_backlog_frees_no_room() -> None:
    mesh, node, (_, second, third) = full(2, 2)
    mesh.report(second, outcome=Outcome.REJECTED)
    assert (use(mesh, node).slots, use(mesh, node).cpu_milli) == (1, 2000)
    assert use(mesh, node).backlog == (mesh.attempt(third),)


def test_when_all_is_over_a_machine_holds_nothing() -> None:
    mesh, node, _ = full(1, 1, 2, 0.5)
    while mesh.running():
        mesh.finish_all()
    assert (use(mesh, node).cpu_milli, use(mesh, node).memory, use(mesh, node).slots) == (0, 0, 0)
    assert (use(mesh, node).backlog, mesh.state.reserved) == ((), {})


# ---- asked back ------------------------------------------------------------------------------------------------------


def test_what_is_recalled_stays_until_its_machine_says_it_never_started() -> None:
    mesh, node, (_, second) = full(2)
    assert recall(mesh, second) == [AttemptsRecalled(mesh.state.head.index, (mesh.attempt(second),))]
    assert (states(mesh, second), mesh.task(second).attempts[0].recalled) == ("A", True)
    assert use(mesh, node).backlog == (mesh.attempt(second),)
    assert backoffs(mesh.report(second, outcome=Outcome.REJECTED)) == [0], "it moves at once"
    assert (states(mesh, second), queued(mesh)) == ("W", {second})


def test_what_had_started_before_it_could_be_recalled_just_goes_on() -> None:
    mesh, node, (first, second) = full(2)
    recall(mesh, second)
    mesh.report(first)
    assert in_slots(mesh, node) == [second]
    mesh.report(second)
    assert states(mesh, second) == "D"


def test_what_is_in_a_slot_cannot_be_recalled() -> None:
    mesh, _, (first, _) = full(2)
    order = RecallAttempts(mesh.fence, ((mesh.attempt(first), task_id(first, 0)),))
    assert kinds(changes_nothing(mesh, order)) == ["ChangedNothing"]


def test_what_is_recalled_already_or_unknown_is_not_recalled_again() -> None:
    mesh, _, (_, second) = full(2)
    recall(mesh, second)
    pairs = (
        (mesh.attempt(second), task_id(second, 0)),
        (mesh.attempt(second), task_id(second, 1)),
        (mesh.attempt(second), task_id(1, 0)),
        (AttemptId(-1), TaskId(-1)),
        (AttemptId(0), TaskId(1 << 60)),
    )
    assert kinds(changes_nothing(mesh, RecallAttempts(mesh.fence, pairs))) == ["ChangedNothing"]


def test_a_recalled_attempt_can_be_lost_or_cancelled_like_any_other() -> None:
    mesh, node, (_, second, third) = full(2, 2)
    recall(mesh, second)
    recall(mesh, third)
    cancel(mesh, second)
    pair = (mesh.attempt(third), task_id(third, 0))
    mesh.do(LoseAttempts(mesh.fence, Cause.CUT, (pair,)))
    assert (states(mesh, second), states(mesh, third)) == ("X", "W")
    assert use(mesh, node).backlog == (mesh.attempt(second),)
