"""Why does it wait? One small situation for each answer.

That the answers agree with what the planner then does is shown over random lives in test_explain_true.
"""

from collections.abc import Callable

import pytest

from odyssey.commands import CancelTasks, DrainNode, HoldJob, RemoveNode
from odyssey.ids import JobId, NodeNumber
from odyssey.scheduler.explain import Waiting, Why, waiting
from odyssey.scheduler.snapshot import Seen
from tests.builders import Mesh
from tests.scheduler.asking import taught

PC1, PC2 = NodeNumber(1), NodeNumber(2)
SEEN = dict[NodeNumber, Seen]


def asked(mesh: Mesh, job: int, index: int | None = None, seen: SEEN | None = None) -> Waiting:
    answer = waiting(mesh.snapshot(seen), JobId(job), index)
    assert answer is not None
    return answer


def a_mesh(cpus: float = 2) -> Mesh:
    mesh = Mesh()
    mesh.machine(cpus=cpus)
    return mesh


# -- every Why ---------------------------------------------------------------------------------------------------------


def held(mesh: Mesh) -> int:
    return mesh.submit(held=True)


def parents(mesh: Mesh) -> int:
    return mesh.submit(after=(mesh.submit(),))


def backoff(mesh: Mesh) -> int:
    job = mesh.submit(retries=1)
    mesh.assign(job, PC1)
    mesh.report(job, code=1)
    return job


def no_machines(mesh: Mesh) -> int:
    mesh.do(RemoveNode(PC1))
    return mesh.submit()


def impossible(mesh: Mesh) -> int:
    return mesh.submit(cpus=3)


def absent(mesh: Mesh) -> int:
    mesh.do(DrainNode(PC1, draining=True))
    return mesh.submit()


def full(mesh: Mesh) -> int:
    mesh.assign(mesh.submit(cpus=2), PC1)
    return mesh.submit()


def faster_soon(mesh: Mesh) -> int:
    mesh.machine(cpus=1, speed=10_000)
    taught(mesh, "cook", 1000, on=2)
    mesh.assign(mesh.submit(key="cook"), PC2)
    return mesh.submit(key="cook")


def room(mesh: Mesh) -> int:
    return mesh.submit()


def running(mesh: Mesh) -> int:
    job = mesh.submit()
    mesh.assign(job, PC1)
    return job


SITUATIONS: dict[Why, Callable[[Mesh], int]] = {
    Why.HELD: held,
    Why.PARENTS: parents,
    Why.BACKOFF: backoff,
    Why.NO_MACHINES: no_machines,
    Why.IMPOSSIBLE: impossible,
    Why.ABSENT: absent,
    Why.FULL: full,
    Why.FASTER_SOON: faster_soon,
    Why.NEXT: room,
    Why.NOT_WAITING: running,
}


@pytest.mark.parametrize("why", Why)
def test_every_answer_has_its_situation(why: Why) -> None:
    mesh = a_mesh()
    assert asked(mesh, SITUATIONS[why](mesh)).why is why


def test_a_job_that_is_not_there_has_no_answer() -> None:
    assert waiting(a_mesh().snapshot(), JobId(7)) is None


def test_what_it_waits_for_is_named() -> None:
    mesh = a_mesh()
    one, two = mesh.submit(), mesh.submit()
    assert asked(mesh, mesh.submit(after=(one,), after_any=(two,))).parents == (one, two)
    failed = backoff(mesh)
    assert asked(mesh, failed).backoff_ms == mesh.task(failed).backoff_ms > 0


# -- one task of a job -------------------------------------------------------------------------------------------------


def test_each_task_is_answered_for_itself() -> None:
    """Four tasks, room for two: the first ran, the second failed, the third starts, the fourth does not."""
    mesh = a_mesh(cpus=1)
    job = mesh.submit(count=4, retries=1)
    mesh.assign(job, PC1, 0)
    mesh.report(job, 0)
    mesh.assign(job, PC1, 1)
    mesh.report(job, 1, code=1)
    assert [asked(mesh, job, index).why for index in range(4)] == [
        Why.NOT_WAITING,
        Why.BACKOFF,
        Why.NEXT,
        Why.FULL,
    ]
    assert asked(mesh, job).why is Why.NEXT


def test_a_task_that_does_not_wait_is_told_so_whatever_its_job_does() -> None:
    mesh = a_mesh()
    job = mesh.submit(count=4)
    mesh.assign(job, PC1, 0)
    mesh.do(CancelTasks(job, ((1, 2),)))
    mesh.do(HoldJob(job))
    assert [asked(mesh, job, index).why for index in (0, 1, 2, 4, -1)] == [
        Why.NOT_WAITING,
        Why.NOT_WAITING,
        Why.HELD,
        Why.NOT_WAITING,
        Why.NOT_WAITING,
    ]
