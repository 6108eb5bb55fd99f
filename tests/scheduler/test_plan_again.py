"""Another try goes to another machine where there is one, and to the same where there is not."""

import pytest

from odyssey.commands import EndBackoff
from odyssey.ids import JobId, NodeNumber, task_id
from odyssey.model import Ending, Outcome, TaskState
from odyssey.scheduler.plan import Plan, plan
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen
from tests.builders import GIB, Mesh, kinds, need
from tests.scheduler.asking import changed, chosen, taught

PC1, PC2, PC3 = NodeNumber(1), NodeNumber(2), NodeNumber(3)
SEEN = dict[NodeNumber, Seen]


def planned(mesh: Mesh, seen: SEEN | None = None) -> Plan:
    return plan(mesh.snapshot(seen))


def tried(mesh: Mesh, outcome: Outcome, at: int, **fields: object) -> JobId:
    """A job that was on this machine and ended so; no pause is left."""
    job = mesh.submit(retries=9, **fields)
    again(mesh, job, outcome, at)
    return job


def again(mesh: Mesh, job: JobId, outcome: Outcome, at: int) -> None:
    mesh.assign(job, at)
    mesh.report(job, outcome=outcome, code=1)
    mesh.do(EndBackoff(mesh.fence, (task_id(job, 0),)))


@pytest.fixture
def trio() -> Mesh:
    """pc-1 is the best of three, pc-3 the worst."""
    mesh = Mesh()
    for speed in (1000, 990, 980):
        mesh.machine(speed=speed)
    return mesh


# -- elsewhere first ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.EXITED, Outcome.SIGNALLED, Outcome.TIMEOUT, Outcome.EVICTED])
def test_a_task_that_failed_on_a_machine_goes_elsewhere_first(trio: Mesh, outcome: Outcome) -> None:
    tried(trio, outcome, at=1)
    assert chosen(planned(trio)) == [PC2]


def test_it_returns_when_that_machine_is_the_only_one() -> None:
    mesh = Mesh()
    mesh.machine()
    tried(mesh, Outcome.EXITED, at=1)
    assert chosen(planned(mesh)) == [PC1]


def test_it_returns_when_all_others_are_busy_away_or_unfit(trio: Mesh) -> None:
    tried(trio, Outcome.EXITED, at=1)
    trio.assign(trio.submit(cpus=4), 2)
    assert chosen(planned(trio)) == [PC3]
    assert chosen(planned(trio, {PC3: Seen(state=NodeState.ASLEEP)})) == [PC1]
    changed(trio, 3, total=need(0.5))
    assert chosen(planned(trio)) == [PC1]


def test_only_the_last_machine_counts(trio: Mesh) -> None:
    job = tried(trio, Outcome.EXITED, at=1)
    again(trio, job, Outcome.EXITED, at=2)
    assert chosen(planned(trio)) == [PC1]


def test_others_that_refused_it_are_no_reason_to_stay_away(trio: Mesh) -> None:
    job = tried(trio, Outcome.NOT_HERE, at=2)
    again(trio, job, Outcome.NOT_HERE, at=3)
    again(trio, job, Outcome.EXITED, at=1)
    assert chosen(planned(trio)) == [PC1]


def test_a_third_machine_is_found_where_the_second_refused_it(trio: Mesh) -> None:
    job = tried(trio, Outcome.NOT_HERE, at=2)
    again(trio, job, Outcome.EXITED, at=1)
    assert chosen(planned(trio)) == [PC3]


def test_it_does_not_wait_for_the_machine_it_avoids(trio: Mesh) -> None:
    """pc-2 would take ten times as long: too slow for one task, so the failed one goes back to pc-1."""
    taught(trio, "cook", 10_000, on=1)
    for node in (2, 3):
        taught(trio, "cook", 100_000, on=node)
    tried(trio, Outcome.EXITED, at=1, key="cook")
    assert chosen(planned(trio)) == [PC1]


def test_the_other_tasks_of_its_job_go_where_they_like(trio: Mesh) -> None:
    job = trio.submit(count=3, retries=1, cpus=4)
    trio.assign(job, 1)
    trio.report(job, 0, code=1)
    trio.do(EndBackoff(trio.fence, (task_id(job, 0),)))
    made = planned(trio)
    assert sorted((batch.node, batch.spans) for batch in made.batches) == [
        (PC1, ((1, 2),)),
        (PC2, ((0, 1),)),
        (PC3, ((2, 3),)),
    ]


# -- not here ----------------------------------------------------------------------------------------------------------


def test_a_machine_that_said_not_here_is_not_asked_again(trio: Mesh) -> None:
    job = tried(trio, Outcome.NOT_HERE, at=1)
    assert chosen(planned(trio)) == [PC2]
    again(trio, job, Outcome.NOT_HERE, at=2)
    assert chosen(planned(trio)) == [PC3]
    trio.assign(trio.submit(cpus=4), 3)
    made = planned(trio)
    assert (made.batches, made.give_up) == ((), ())


def test_when_all_have_said_not_here_it_is_given_up(trio: Mesh) -> None:
    job = tried(trio, Outcome.NOT_HERE, at=1)
    again(trio, job, Outcome.NOT_HERE, at=2)
    again(trio, job, Outcome.NOT_HERE, at=3)
    assert planned(trio).give_up == (task_id(job, 0),)
    assert "TasksEnded" in kinds(trio.carry_out(planned(trio)))
    assert (trio.task(job).state, trio.task(job).ending) == (TaskState.FAILED, Ending.NOWHERE)


@pytest.mark.parametrize(
    "seen",
    [
        Seen(state=NodeState.GONE),
        Seen(state=NodeState.SILENT),
        Seen(state=NodeState.ASLEEP),
        Seen(owner=OwnerState.PAUSED),
    ],
)
def test_not_while_a_machine_that_is_only_away_might_have_it(trio: Mesh, seen: Seen) -> None:
    job = tried(trio, Outcome.NOT_HERE, at=1)
    again(trio, job, Outcome.NOT_HERE, at=2)
    made = planned(trio, {PC3: seen})
    assert (made.batches, made.give_up) == ((), ())


def test_machines_that_never_could_are_not_waited_for(trio: Mesh) -> None:
    """The others are too small, not named, or of another kind, away or not."""
    away = Seen(state=NodeState.ASLEEP)
    for wish in ({"on": ("pc-1",)}, {"arch": "arm64"}, {"cpus": 9}, {"needs": "has:x"}):
        mesh = Mesh()
        mesh.machine(cpus=16, arch="arm64", labels=(("has:x", ""),))
        mesh.machine()
        job = tried(mesh, Outcome.NOT_HERE, at=1, **wish)
        assert planned(mesh, {PC2: away}).give_up == (task_id(job, 0),), wish


def test_a_job_that_only_waits_for_a_machine_is_never_given_up(trio: Mesh) -> None:
    trio.submit(cpus=64)
    trio.submit(needs="has:unicorn")
    assert planned(trio).give_up == ()
    job = tried(trio, Outcome.EXITED, at=1, cpus=3)
    for node in (1, 2, 3):
        changed(trio, node, total=need(2))
    made = planned(trio)
    assert (made.give_up, job in {one.job for one in made.blocked}) == ((), True)


def test_the_other_tasks_of_a_job_do_not_wait_for_the_one_that_was_refused(trio: Mesh) -> None:
    job = trio.submit(count=3, on=("pc-1", "pc-2"))
    trio.assign(job, 1)
    trio.report(job, outcome=Outcome.NOT_HERE)
    trio.assign(trio.submit(cpus=4), 2)
    made = planned(trio)
    assert [(batch.node, batch.spans) for batch in made.batches] == [(PC1, ((1, 3),))]


# -- out of memory -----------------------------------------------------------------------------------------------------


def test_after_running_out_of_memory_only_a_machine_with_more_is_tried(trio: Mesh) -> None:
    tried(trio, Outcome.OOM, at=1)
    assert planned(trio).batches == ()
    trio.machine(memory=8 * GIB + 1, speed=100)
    assert chosen(planned(trio)) == [4]


def test_when_no_machine_has_more_memory_it_has_failed(trio: Mesh) -> None:
    job = tried(trio, Outcome.OOM, at=1, on=("pc-1", "pc-2"))
    trio.machine(memory=16 * GIB)
    made = planned(trio)
    assert made.give_up == (task_id(job, 0),)
    assert "TasksEnded" in kinds(trio.carry_out(made))
    assert (trio.task(job).state, trio.task(job).ending) == (TaskState.FAILED, Ending.OWN)


def test_not_while_one_with_more_is_only_away(trio: Mesh) -> None:
    trio.machine(memory=16 * GIB)
    tried(trio, Outcome.OOM, at=1)
    made = planned(trio, {NodeNumber(4): Seen(state=NodeState.GONE)})
    assert (made.batches, made.give_up) == ((), ())


def test_it_does_not_wait_for_faster_machines_that_are_too_small_for_it(trio: Mesh) -> None:
    """All know the command, and pc-4 is the slowest by far; it is the only one with more memory."""
    for node in (1, 2, 3):
        taught(trio, "cook", 10_000, on=node)
    trio.machine(memory=16 * GIB, speed=10)
    tried(trio, Outcome.OOM, at=1, key="cook")
    assert chosen(planned(trio)) == [4]
