"""Tasks that queue at a machine: short ones only, few, and back they come when another machine is free."""

import pytest

from odyssey.commands import AgeQueue, DrainNode
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Outcome
from odyssey.scheduler.plan import Plan, plan
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen
from tests.builders import GIB, Mesh, kinds
from tests.scheduler.asking import changed, given, taught

PC1, PC2 = NodeNumber(1), NodeNumber(2)
SEEN = dict[NodeNumber, Seen]


def planned(mesh: Mesh, seen: SEEN | None = None) -> Plan:
    return plan(mesh.snapshot(seen))


def a_mesh(run_ms: int = 500, cpus: float = 2) -> Mesh:
    """One machine, and a command that takes so long there."""
    mesh = Mesh()
    mesh.machine(cpus=cpus)
    taught(mesh, "quick", run_ms, on=1)
    return mesh


# -- how many queue ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run_ms", "queued"),
    [(1, 128), (3, 128), (10, 50), (50, 10), (110, 4), (1000, 4), (1100, 2), (10_000, 2), (11_000, 0), (600_000, 0)],
)
def test_two_short_tasks_queue_per_slot_one_medium_and_no_long_ones_but_many_tiny_ones(
    run_ms: int, queued: int
) -> None:
    """So many tiny ones that the machine is never idle while the coordinator hears of their ends."""
    mesh = a_mesh(run_ms)
    job = mesh.submit(key="quick", count=200)
    made = planned(mesh)
    assert given(made) == {(job, PC1): 2}
    assert given(made, slot=False) == ({(job, PC1): queued} if queued else {})
    mesh.carry_out(made)
    assert planned(mesh).batches == ()


def test_what_nobody_knows_does_not_queue() -> None:
    mesh = a_mesh()
    mesh.submit(key="unknown", count=20)
    mesh.submit(count=20)
    assert given(planned(mesh), slot=False) == {}


def test_a_slot_is_as_big_as_the_task() -> None:
    """Four cpus hold two tasks of two cpus, so four of them queue."""
    mesh = a_mesh(cpus=4)
    job = mesh.submit(key="quick", cpus=2, count=20)
    assert given(planned(mesh), slot=False) == {(job, PC1): 4}


def test_nothing_queues_while_a_machine_is_free() -> None:
    mesh = a_mesh(cpus=1)
    mesh.machine(cpus=1, speed=990)
    job = mesh.submit(key="quick", count=2)
    made = planned(mesh)
    assert given(made, slot=False) == {}
    assert given(made) == {(job, PC1): 1, (job, PC2): 1}


def test_a_task_queues_where_it_is_done_first() -> None:
    mesh = a_mesh(cpus=1)
    mesh.machine(cpus=2)
    mesh.assign(mesh.submit(key="quick"), 1)
    mesh.assign(mesh.submit(key="quick", count=2), 2, 0, 1)
    job = mesh.submit(key="quick", count=4)
    assert given(planned(mesh), slot=False) == {(job, PC1): 1, (job, PC2): 3}


def test_what_queues_starts_by_itself_when_room_is_made() -> None:
    mesh = a_mesh(cpus=1)
    job = mesh.submit(key="quick", count=3)
    mesh.carry_out(planned(mesh))
    assert [mesh.task(job, index).attempts[0].slot for index in range(3)] == [True, False, False]
    assert "BacklogPromoted" in kinds(mesh.report(job, 0))
    assert [mesh.task(job, index).attempts[0].slot for index in (1, 2)] == [True, False]


def test_where_others_use_the_memory_nothing_queues() -> None:
    """By the books there is room, so what queues would be started as soon as it is there."""
    mesh = a_mesh(cpus=4)
    job = mesh.submit(key="quick", memory=GIB, count=9)
    assert planned(mesh, {PC1: Seen(memory_free=GIB // 2)}).batches == ()
    made = planned(mesh, {PC1: Seen(memory_free=2 * GIB)})
    assert (given(made), given(made, slot=False)) == ({(job, PC1): 2}, {})


def test_a_task_that_may_not_queue_there_keeps_no_other_of_its_job_from_it() -> None:
    mesh = a_mesh(cpus=1)
    job = mesh.submit(key="quick", count=3)
    mesh.assign(job, 1)
    mesh.report(job, outcome=Outcome.NOT_HERE)
    mesh.machine(cpus=1)
    mesh.assign(mesh.submit(), 1)
    made = planned(mesh, {PC2: Seen(state=NodeState.ASLEEP)})
    assert [(batch.node, batch.spans, batch.slot) for batch in made.batches] == [(PC1, ((1, 3),), False)]


# -- and back ----------------------------------------------------------------------------------------------------------


def queued_at_one(**late: object) -> tuple[Mesh, JobId]:
    """A job's second task queues at pc-1, whose only cpu is taken by the first; then pc-2 comes."""
    mesh = a_mesh(cpus=1)
    job = mesh.submit(key="quick", count=2)
    mesh.carry_out(planned(mesh))
    mesh.machine(cpus=1, **late)  # type: ignore[arg-type]
    return mesh, job


def test_what_queues_is_called_back_when_another_machine_is_free_and_nothing_waits() -> None:
    mesh, job = queued_at_one()
    queued = mesh.attempt(job, 1)
    assert planned(mesh).recall == ((queued, mesh.task(job, 1).id),)
    mesh.carry_out(planned(mesh))
    assert planned(mesh).recall == ()  # it was asked for already
    mesh.report(job, 1, outcome=Outcome.REJECTED)
    assert given(planned(mesh)) == {(job, PC2): 1}


def test_it_stays_where_it_would_be_done_sooner() -> None:
    mesh, _ = queued_at_one(speed=400)
    assert planned(mesh).recall == ()
    changed(mesh, 2, speed=600)
    assert len(planned(mesh).recall) == 1


def test_it_stays_while_other_tasks_want_the_free_machine() -> None:
    mesh, _ = queued_at_one()
    other = mesh.submit(cpus=1, key="other")
    made = planned(mesh)
    assert (given(made), made.recall) == ({(other, PC2): 1}, ())


def test_it_stays_while_a_bigger_task_waits_for_room() -> None:
    mesh, _ = queued_at_one()
    mesh.machine(cpus=2)
    assert len(planned(mesh).recall) == 1
    mesh.assign(mesh.submit(), 3)
    mesh.submit(cpus=2)
    assert planned(mesh).recall == ()


def test_what_can_run_nowhere_keeps_nothing_from_coming_back() -> None:
    mesh, _ = queued_at_one()
    mesh.submit(cpus=64)
    mesh.submit(needs="has:unicorn")
    assert len(planned(mesh).recall) == 1


def test_one_free_place_calls_one_task_back() -> None:
    mesh = a_mesh(cpus=1)
    mesh.submit(key="quick", count=3)
    mesh.carry_out(planned(mesh))
    mesh.machine(cpus=1)
    assert len(planned(mesh).recall) == 1
    mesh.machine(cpus=1)
    assert len(planned(mesh).recall) == 2


@pytest.mark.parametrize("left", [{"draining": True}, {"owner": OwnerState.PAUSED}])
def test_a_machine_that_takes_nothing_new_gives_back_what_did_not_start(left: dict[str, object]) -> None:
    mesh = a_mesh(cpus=1)
    job = mesh.submit(key="quick", count=3)
    mesh.carry_out(planned(mesh))
    seen = {}
    if "draining" in left:
        mesh.do(DrainNode(PC1, draining=True))
    else:
        seen[PC1] = Seen(owner=OwnerState.PAUSED)
    assert [task for _, task in planned(mesh, seen).recall] == [mesh.task(job, index).id for index in (1, 2)]


def test_a_machine_that_does_not_answer_is_not_asked() -> None:
    mesh, _ = queued_at_one()
    for state in (NodeState.SILENT, NodeState.GONE, NodeState.ASLEEP):
        assert planned(mesh, {PC1: Seen(state=state)}).recall == ()


def test_a_task_is_not_called_back_for_a_machine_that_refused_it() -> None:
    mesh = a_mesh(cpus=1)
    mesh.machine(cpus=1)
    mesh.assign(mesh.submit(), 1)
    job = mesh.submit(key="quick")
    mesh.assign(job, 2)
    mesh.report(job, outcome=Outcome.NOT_HERE)
    mesh.carry_out(planned(mesh))
    assert not mesh.task(job).attempts[0].slot
    assert planned(mesh).recall == ()


def test_what_has_queued_for_ten_minutes_comes_back_and_gets_a_machine_kept_free() -> None:
    """Smaller tasks fit beside those that run and would pass it for ever."""
    mesh = a_mesh(cpus=4)
    small = mesh.submit(key="quick", count=2)
    mesh.carry_out(planned(mesh))
    big = mesh.submit(key="quick", cpus=3)
    mesh.carry_out(planned(mesh))
    assert not mesh.task(big).attempts[0].slot
    assert planned(mesh).recall == ()
    mesh.do(AgeQueue(mesh.fence))
    mesh.carry_out(planned(mesh))
    assert mesh.task(big).attempts[0].recalled
    mesh.report(big, outcome=Outcome.REJECTED)
    mesh.submit(key="quick", count=20)
    assert planned(mesh).batches == ()
    mesh.report(small, 0)
    mesh.report(small, 1)
    assert given(planned(mesh))[(big, PC1)] == 1
