"""The door: an assignment is checked again when it arrives, task by task. What is out of date is dropped alone.

A task is never given twice, and a machine never holds more than it has, whatever was planned.
"""

from collections.abc import Callable

import pytest

from odyssey.commands import AssignTasks, Batch, DrainNode, HoldJob, RemoveNode, Span, UpdateNode
from odyssey.events import AssignmentDropped, TasksAssigned
from odyssey.ids import JobId, NodeNumber, attempt_parts
from odyssey.model import Outcome, TaskState
from odyssey.scheduler.invariants import violations
from tests.builders import GIB, Mesh, kinds
from tests.scheduler.acts import (
    cancel,
    changes_nothing,
    dropped,
    end_on,
    facts_of,
    give,
    lose,
    refusal,
    state,
    states,
    use,
)


def order(mesh: Mesh, *batches: Batch, whys: tuple[bytes, ...] = ()) -> AssignTasks:
    return AssignTasks(mesh.fence, batches, whys)


def batch(node: int, job: int, *spans: Span, slot: bool = True, why: int = 0, score: int = 0) -> Batch:
    return Batch(NodeNumber(node), JobId(job), spans or ((0, 1),), slot, why, score)


# ---- what is given ---------------------------------------------------------------------------------------------------


def test_a_given_task_is_with_its_machine_and_takes_its_room() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(cpus=2, memory=GIB)
    (event,) = mesh.assign(job, node)
    assert event == TasksAssigned(mesh.state.head.index, job, ((0, 1),), node, mesh.attempt(job), slot=True)
    assert (use(mesh, node).cpu_milli, use(mesh, node).memory, use(mesh, node).slots) == (2000, GIB, 1)
    assert mesh.state.held[node] == {mesh.attempt(job): mesh.task(job).id}
    assert mesh.state.reserved == {mesh.job(job).user: 2000}


def test_an_attempt_says_when_why_and_how_well_it_was_placed() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(count=2)
    mesh.do(order(mesh, batch(node, job, (0, 2), why=1, score=77), whys=(b"no", b"because")))
    first = mesh.task(job, 0).attempts[0]
    assert (first.node, first.score, first.why, first.assigned_ms) == (node, 77, b"because", mesh.entries[-1].wall_ms)
    assert mesh.task(job, 1).attempts[0].why == b"because"


@pytest.mark.parametrize("why", [-1, -5, 2, 1 << 40])
@pytest.mark.parametrize("whys", [(), (b"a", b"b")])
def test_a_reason_that_was_not_sent_is_no_reason_not_to_work(why: int, whys: tuple[bytes, ...]) -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit()
    assert kinds(mesh.do(order(mesh, batch(node, job, why=why), whys=whys))) == ["TasksAssigned"]
    assert mesh.task(job).attempts[0].why == b""


def test_an_attempts_id_is_its_place_in_the_log() -> None:
    mesh = Mesh(generation=3)
    node = mesh.machine()
    job = mesh.submit(count=4)
    mesh.do(order(mesh, batch(99, job, (0, 2)), batch(node, job, (2, 4))))
    index = mesh.state.head.index
    assert attempt_parts(mesh.attempt(job, 2)) == (3, index, 2), "positions count what was ordered, not what was given"
    assert attempt_parts(mesh.attempt(job, 3)) == (3, index, 3)


def test_what_is_dropped_in_the_middle_moves_no_other_attempts_id() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(count=3)
    mesh.assign(job, node, 1)
    mesh.do(order(mesh, batch(node, job, (0, 3))))
    index = mesh.state.head.index
    assert [attempt_parts(mesh.attempt(job, task)) for task in (0, 2)] == [(1, index, 0), (1, index, 2)]


def test_the_last_machine_given_something_is_remembered() -> None:
    mesh = Mesh()
    one, two = mesh.machines(2)
    job = mesh.submit(count=2)
    mesh.do(order(mesh, batch(one, job), batch(two, job, (1, 2))))
    assert mesh.state.head.last_given == two
    assert mesh.state.head.gave == 1, "the generation"
    mesh.assign(job, one, 0)
    assert mesh.state.head.last_given == two, "nothing was given"


# ---- what is dropped -------------------------------------------------------------------------------------------------


def not_here(mesh: Mesh, node: int) -> None:
    mesh.machine(name="elsewhere")
    end_on(mesh, 1, node, Outcome.NOT_HERE)


def out_of_memory(mesh: Mesh, node: int) -> None:
    end_on(mesh, 1, node, Outcome.OOM)


def backing_off(mesh: Mesh, node: int) -> None:
    mesh.assign(1, node)
    mesh.report(1, outcome=Outcome.REJECTED)


CHANGES: dict[str, tuple[Callable[[Mesh, int], object], str]] = {
    "it was given already": (lambda mesh, node: mesh.assign(1, node), "not-waiting"),
    "it is over": (lambda mesh, node: end_on(mesh, 1, node), "not-waiting"),
    "it was cancelled": (lambda mesh, node: cancel(mesh, 1, (0, 1)), "not-waiting"),
    "its job was cancelled": (lambda mesh, node: cancel(mesh, 1), "not-waiting"),
    "its job is held": (lambda mesh, node: mesh.do(HoldJob(JobId(1))), "not-waiting"),
    "it backs off": (backing_off, "not-waiting"),
    "the machine has said: not here": (not_here, "not-waiting"),
    "the machine has too little memory for it": (out_of_memory, "not-waiting"),
    "the machine drains": (lambda mesh, node: mesh.do(DrainNode(NodeNumber(node), True)), "draining"),
    "the machine is gone": (lambda mesh, node: mesh.do(RemoveNode(NodeNumber(node))), "no-such-machine"),
    "the machine is full": (lambda mesh, node: mesh.assign(mesh.submit(cpus=4), node), "no-room"),
}


@pytest.mark.parametrize(("change", "reason"), CHANGES.values(), ids=CHANGES)
def test_what_has_changed_since_the_plan_is_noticed(change: Callable[[Mesh, int], object], reason: str) -> None:
    mesh = Mesh()
    node = mesh.machine()
    mesh.submit(count=2, retries=1)
    change(mesh, node)
    events = changes_nothing(mesh, order(mesh, batch(node, 1)))
    assert events == [AssignmentDropped(mesh.state.head.index, JobId(1), ((0, 1),), node, reason)]


def test_a_machine_that_is_leaving_takes_nothing_though_it_is_still_known() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(count=2)
    mesh.assign(job, node)
    mesh.do(RemoveNode(node))
    assert dropped(mesh.assign(job, node, 1)) == {"no-such-machine": ((1, 2),)}


@pytest.mark.parametrize("job", [0, -1, 2, 1 << 42])
def test_a_job_nobody_knows_is_dropped(job: int) -> None:
    mesh = Mesh()
    node = mesh.machine()
    mesh.submit()
    assert dropped(changes_nothing(mesh, order(mesh, batch(node, job)))) == {"no-such-job": ((0, 1),)}


@pytest.mark.parametrize("node", [0, -1, 2, 1 << 42])
def test_a_machine_nobody_knows_is_dropped(node: int) -> None:
    mesh = Mesh()
    mesh.machine()
    job = mesh.submit()
    assert dropped(changes_nothing(mesh, order(mesh, batch(node, job)))) == {"no-such-machine": ((0, 1),)}


def test_other_peoples_machines_take_work_only_when_they_are_shared() -> None:
    mesh = Mesh()
    mine, theirs, shared = mesh.machine(), mesh.machine(owner="ben"), mesh.machine(owner="ben", shared=True)
    job = mesh.submit(count=3)
    assert dropped(mesh.assign(job, theirs, 0)) == {"not-yours": ((0, 1),)}
    assert dropped(mesh.assign(job, shared, 1)) == {}
    assert dropped(mesh.assign(job, mine, 2)) == {}
    assert states(mesh, job) == "WAA"


def test_the_rest_of_an_order_goes_on() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=3)
    job = mesh.submit(count=8)
    mesh.assign(job, node, 1)
    events = mesh.do(order(mesh, batch(node, job, (0, 6), (9, 10)), batch(77, job, (7, 8))))
    assert dropped(events) == {
        "not-waiting": ((1, 2), (9, 10)),
        "no-room": ((3, 6),),
        "no-such-machine": ((7, 8),),
    }
    assert [event.spans for event in events if isinstance(event, TasksAssigned)] == [((0, 1), (2, 3))]
    assert states(mesh, job) == "AAAWWWWW"


def test_rooms_are_counted_along_the_order() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=4, memory=2 * GIB, gpus=1)
    small, large, gpu = (
        mesh.submit(count=2, memory=GIB),
        mesh.submit(memory=GIB),
        mesh.submit(memory=0, gpus=1, count=2),
    )
    events = mesh.do(order(mesh, batch(node, small, (0, 2)), batch(node, large), batch(node, gpu, (0, 2))))
    assert dropped(events) == {"no-room": ((1, 2),)}
    assert (states(mesh, small), states(mesh, large), states(mesh, gpu)) == ("AA", "W", "AW")
    assert violations(mesh.state) == []


def test_the_same_task_twice_in_one_order_is_given_once() -> None:
    mesh = Mesh()
    one, two = mesh.machines(2)
    job = mesh.submit()
    events = mesh.do(order(mesh, batch(one, job, (0, 1), (0, 1)), batch(two, job)))
    assert kinds(events) == ["AssignmentDropped", "TasksAssigned", "AssignmentDropped"]
    assert [attempt.node for attempt in mesh.task(job).attempts] == [one]


def test_a_machine_that_shrank_takes_no_more_but_keeps_what_it_has() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=4)
    job = mesh.submit(count=4)
    mesh.assign(job, node, 0, 1, 2)
    smaller = mesh.machine(cpus=2)
    mesh.do(UpdateNode(node, facts_of(mesh, smaller)))
    assert dropped(mesh.assign(job, node, 3)) == {"no-room": ((3, 4),)}
    mesh.report(job, 0)
    assert dropped(mesh.assign(job, node, 3)) == {"no-room": ((3, 4),)}
    mesh.report(job, 1)
    assert dropped(mesh.assign(job, node, 3)) == {}


def test_a_backlog_holds_nothing_but_the_machine_must_be_large_enough() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=2)
    job = mesh.submit(cpus=2, count=3)
    huge = mesh.submit(cpus=3)
    mesh.assign(job, node, 0)
    assert dropped(mesh.assign(job, node, 1, 2, slot=False)) == {}
    assert use(mesh, node).slots == 1
    assert dropped(mesh.assign(huge, node, slot=False)) == {"no-room": ((0, 1),)}


def test_a_machine_with_more_memory_takes_what_ran_out_of_it() -> None:
    mesh = Mesh()
    node, same, more = mesh.machine(memory=8 * GIB), mesh.machine(memory=8 * GIB), mesh.machine(memory=9 * GIB)
    job = mesh.submit()
    end_on(mesh, job, node, Outcome.OOM)
    assert dropped(mesh.assign(job, same)) == {"not-waiting": ((0, 1),)}
    assert dropped(mesh.assign(job, more)) == {}


def test_what_was_lost_may_go_anywhere_at_once() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit()
    mesh.assign(job, node)
    lose(mesh, job)
    assert dropped(mesh.assign(job, node)) == {}
    assert state(mesh, job) is TaskState.ASSIGNED


# ---- orders that make no sense ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("span", [(0, 0), (2, 1), (-1, 1), (-5, -2)])
def test_an_order_with_an_empty_span_is_refused_whole(span: Span) -> None:
    mesh = Mesh()
    node = mesh.machine()
    mesh.submit(count=3)
    assert refusal(changes_nothing(mesh, order(mesh, batch(node, 1, (0, 1), span)))) == "bad-order"


def test_an_endless_span_is_refused_without_walking_it() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(count=3)
    assert refusal(give(mesh, job, node, (0, 1 << 60))) == "too-many"


def test_an_order_of_nothing_changes_nothing() -> None:
    mesh = Mesh()
    node = mesh.machine()
    mesh.submit()
    assert kinds(changes_nothing(mesh, order(mesh))) == ["ChangedNothing"]
    assert kinds(mesh.do(order(mesh, Batch(node, JobId(1), ())))) == ["ChangedNothing"]
