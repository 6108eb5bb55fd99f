"""What hangs together, and the longest chain of it."""

from __future__ import annotations

from pathlib import Path

from odyssey.api import dag
from odyssey.api import requests as r
from odyssey.api.client import Client
from odyssey.ids import JobId
from tests.api.counter import FakeCounter
from tests.api.test_operations import archive, asked
from tests.builders import Mesh


def a_diamond() -> Mesh:
    """1 before 2 and 3, these before 4; 5 alone."""
    mesh = Mesh()
    mesh.machine()
    mesh.submit()
    mesh.submit(after=(1,))
    mesh.submit(after_any=(1,))
    mesh.submit(after=(2, 3))
    mesh.submit()
    return mesh


def test_all_that_hang_together_are_found_from_any_of_them() -> None:
    jobs = a_diamond().state.jobs
    for start in (1, 2, 3, 4):
        assert dag.component(jobs, JobId(start)) == dag.Component((JobId(1), JobId(2), JobId(3), JobId(4)), 0)
    assert dag.component(jobs, JobId(5)) == dag.Component((JobId(5),), 0)
    assert set(dag.edges(jobs, dag.component(jobs, JobId(1)).jobs)) == {(1, 2), (1, 3), (2, 4), (3, 4)}


def test_of_very_many_the_nearest_are_told() -> None:
    mesh = Mesh()
    mesh.machine()
    mesh.submit()
    for _ in range(dag.MOST + 10):
        mesh.submit(after=(1,))
    found = dag.component(mesh.state.jobs, JobId(1))
    assert (len(found.jobs), found.more, found.jobs[0]) == (dag.MOST, 11, 1)


def test_the_longest_chain_goes_by_time_and_then_by_the_number_of_jobs() -> None:
    pairs = ((1, 2), (1, 3), (2, 4), (3, 4))
    times = {1: 10, 2: 5, 3: 50, 4: 1}
    assert dag.longest(times, pairs, times.__getitem__) == (1, 3, 4)
    assert dag.longest(times, pairs, lambda _: None) == (1, 3, 4)
    assert dag.longest((1, 2, 9), ((1, 2),), {1: 1, 2: 1, 9: 500}.__getitem__) == (9,)
    assert dag.longest((), (), times.__getitem__) == ()


def test_numbers_need_not_grow_along_a_chain() -> None:
    """Of one submit a job may wait for a later one."""
    assert dag.longest((7, 8, 9), ((9, 7), (8, 9)), lambda _: 1) == (8, 9, 7)


def test_the_dag_is_told_with_what_became_history(tmp_path: Path) -> None:
    def prepare(counter: FakeCounter) -> None:
        for after in ((), (1,), (2,)):
            counter.submit(after=after)
        for job, began in ((1, 1_000), (2, 9_000)):
            counter.assign(job)
            counter.end(job, started_ms=began, ended_ms=began + 500)
        archive(counter, 1)

    def ask(client: Client) -> None:
        for ref in ("3", "2"):
            view = client.call(r.Dag(ref))
            assert [(job.id, job.state) for job in view.jobs] == [(1, "done"), (2, "done"), (3, "waiting")]
            assert (view.id, view.edges, view.chain, view.more) == (int(ref), ((1, 2), (2, 3)), (1, 2, 3), 0)
        assert client.call(r.Dag("3")).jobs[2].reason == "it starts now"

    asked(tmp_path, ask, prepare)
