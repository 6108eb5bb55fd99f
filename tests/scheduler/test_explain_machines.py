"""What is told of each machine to a job that waits, and when the job starts at the earliest."""

import pytest

from odyssey.commands import AgeQueue, DrainNode, RemoveNode
from odyssey.ids import JobId, NodeNumber
from odyssey.model import Outcome
from odyssey.scheduler.explain import Waiting, Why, waiting
from odyssey.scheduler.feasible import Code
from odyssey.scheduler.plan import plan
from odyssey.scheduler.snapshot import NodeState, Seen
from tests.builders import Mesh
from tests.scheduler.asking import taught

PC1, PC2 = NodeNumber(1), NodeNumber(2)
SEEN = dict[NodeNumber, Seen]


def asked(mesh: Mesh, job: int, index: int | None = None, seen: SEEN | None = None) -> Waiting:
    answer = waiting(mesh.snapshot(seen), JobId(job), index)
    assert answer is not None
    return answer


def codes(answer: Waiting) -> list[tuple[int, Code | None]]:
    return [(one.node, one.reason.code if one.reason is not None else None) for one in answer.verdicts]


def a_mesh(cpus: float = 2) -> Mesh:
    mesh = Mesh()
    mesh.machine(cpus=cpus)
    return mesh


# -- machines ----------------------------------------------------------------------------------------------------------


def test_every_member_answers_those_that_would_take_it_first() -> None:
    mesh = Mesh()
    mesh.machine(owner="ben")
    mesh.machine(cpus=1)
    mesh.machine(cpus=4)
    mesh.machine(cpus=4, speed=2000)
    mesh.machine(cpus=4)
    mesh.machine(cpus=4)
    mesh.assign(mesh.submit(cpus=4), 3)
    mesh.assign(mesh.submit(), 6)
    mesh.do(RemoveNode(NodeNumber(6)))
    mesh.do(DrainNode(NodeNumber(5), draining=True))
    answer = asked(mesh, mesh.submit(cpus=2), seen={NodeNumber(5): Seen(state=NodeState.GONE)})
    assert codes(answer) == [
        (4, None),
        (3, Code.FULL),
        (5, Code.GONE),
        (6, Code.REMOVED),
        (1, Code.NOT_YOURS),
        (2, Code.TOO_SMALL),
    ]
    assert sum(answer.verdicts[0].parts.values()) == plan(mesh.snapshot()).batches[0].score
    assert answer.verdicts[1].parts
    assert not answer.verdicts[2].parts


def test_too_small_and_away_is_too_small() -> None:
    mesh = a_mesh()
    answer = asked(mesh, mesh.submit(cpus=3), seen={PC1: Seen(state=NodeState.ASLEEP)})
    assert (answer.why, codes(answer)) == (Why.IMPOSSIBLE, [(1, Code.TOO_SMALL)])


def test_a_machine_that_leaves_the_mesh_is_no_hope() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(), PC1)
    mesh.do(RemoveNode(PC1))
    assert asked(mesh, mesh.submit()).why is Why.IMPOSSIBLE


def test_what_every_machine_refused_is_impossible_and_given_up_by_the_next_plan() -> None:
    mesh = a_mesh()
    job = mesh.submit()
    mesh.assign(job, PC1)
    mesh.report(job, outcome=Outcome.NOT_HERE)
    answer = asked(mesh, job)
    assert (answer.why, codes(answer)) == (Why.IMPOSSIBLE, [(1, Code.NOT_HERE)])
    assert plan(mesh.snapshot()).give_up == (mesh.task(job).id,)


def test_room_that_goes_to_others_first_is_no_room() -> None:
    mesh = a_mesh(cpus=1)
    first, second = mesh.submit(), mesh.submit()
    assert asked(mesh, first).why is Why.NEXT
    answer = asked(mesh, second)
    assert (answer.why, codes(answer), answer.ahead) == (Why.FULL, [(1, Code.FULL)], 1)
    urgent = mesh.submit(priority=1)
    assert asked(mesh, urgent).why is Why.NEXT
    assert asked(mesh, first).why is Why.FULL


def test_a_machine_kept_free_is_told_and_to_whom_it_is_kept_it_is_busy() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(), PC1)
    big = mesh.submit(cpus=2)
    mesh.do(AgeQueue(mesh.fence))
    answer = asked(mesh, mesh.submit())
    assert (answer.why, codes(answer), answer.earliest_ms) == (Why.FULL, [(1, Code.RESERVED)], None)
    assert codes(asked(mesh, big)) == [(1, Code.FULL)]


def test_a_slow_machine_that_is_free_is_told_to_be_left_for_a_faster_one() -> None:
    mesh = a_mesh()
    mesh.machine(cpus=1, speed=10_000)
    taught(mesh, "cook", 1000, on=2)
    first = mesh.submit(key="cook")
    mesh.assign(first, PC2)
    answer = asked(mesh, mesh.submit(key="cook"), seen={PC2: Seen(elapsed_ms={mesh.attempt(first): 200})})
    assert codes(answer) == [(2, Code.FULL), (1, Code.FASTER_SOON)]
    assert (answer.earliest_ms, answer.where) == (800, PC2)


def test_tasks_ahead_are_those_of_older_jobs_that_want_the_same() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(cpus=2), PC1)
    mesh.submit()
    mesh.submit(cpus=2, count=9)
    mesh.submit(count=3)
    assert asked(mesh, mesh.submit()).ahead == 1 + 3
    assert asked(mesh, mesh.submit(user="ben")).ahead == 0


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy() -> tuple[Mesh, SEEN]:
    """Two cpus, taken by two runs of a command that takes 100 s; they have run for 70 and 20 s."""
    mesh = a_mesh()
    taught(mesh, "cook", 100_000, on=1)
    job = mesh.submit(key="cook", count=2)
    mesh.assign(job, PC1, 0, 1)
    return mesh, {PC1: Seen(elapsed_ms={mesh.attempt(job, 0): 70_000, mesh.attempt(job, 1): 20_000})}


def test_the_earliest_start_is_when_enough_has_ended(busy: tuple[Mesh, SEEN]) -> None:
    mesh, seen = busy
    assert asked(mesh, mesh.submit(), seen=seen).earliest_ms == 30_000
    assert asked(mesh, mesh.submit(cpus=2), seen=seen).earliest_ms == 80_000


def test_what_queues_there_starts_first(busy: tuple[Mesh, SEEN]) -> None:
    mesh, seen = busy
    queued = mesh.submit(key="cook", count=3)
    mesh.assign(queued, PC1, 0, slot=False)
    assert asked(mesh, mesh.submit(), seen=seen).earliest_ms == 80_000
    mesh.assign(queued, PC1, 1, slot=False)
    assert asked(mesh, mesh.submit(), seen=seen).earliest_ms == 130_000
    mesh.assign(queued, PC1, 2, slot=False)
    assert asked(mesh, mesh.submit(cpus=2), seen=seen).earliest_ms == 230_000


def test_what_is_unknown_is_no_time(busy: tuple[Mesh, SEEN]) -> None:
    mesh, seen = busy
    mesh.report(2, 1, run_ms=100_000)
    mesh.assign(mesh.submit(), PC1)
    assert asked(mesh, mesh.submit(), seen=seen).earliest_ms == 30_000
    both = asked(mesh, mesh.submit(cpus=2), seen=seen)
    assert (both.earliest_ms, both.where) == (None, None)


def test_the_machine_that_is_free_first_is_named(busy: tuple[Mesh, SEEN]) -> None:
    mesh, seen = busy
    mesh.machine(cpus=1)
    job = mesh.submit(key="cook")
    mesh.assign(job, PC2)
    answer = asked(mesh, mesh.submit(), seen={**seen, PC2: Seen(elapsed_ms={mesh.attempt(job): 95_000})})
    assert (answer.earliest_ms, answer.where) == (5_000, PC2)
