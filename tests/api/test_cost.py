"""A question costs what its answer is long, not what the job or the mesh is large: what is looked at is counted."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from odyssey.api import requests as r
from odyssey.api import taskpage
from odyssey.api import views as v
from odyssey.api.census import Census
from odyssey.api.taskpage import Asked, Show, page
from odyssey.commands import CancelTasks, HoldJob, RetryTasks
from odyssey.ids import ClientId, JobId, TaskId, UserId, index_of, task_id
from odyssey.model import Job, JobState, Run, Task, TaskState, job_state
from odyssey.scheduler.state import State
from tests.api.counter import FakeCounter, desk_of
from tests.api.test_operations import archive
from tests.builders import a_spec

K = TypeVar("K")
V = TypeVar("V")
T = TaskState
MANY = 3_000


class Looks(dict[K, V]):
    """Counts how often an element is looked at."""

    looks = 0

    def __getitem__(self, key: K) -> V:
        self.looks += 1
        return super().__getitem__(key)

    def get(self, key: K, default: Any = None) -> Any:
        self.looks += 1
        return super().get(key, default)

    def values(self) -> Any:
        self.looks += len(self)
        return super().values()


# -- pages of tasks ----------------------------------------------------------------------------------------------------

SHOW = Show(
    lambda task: v.TaskView(index_of(task.id), task.state.name.lower(), None, (), 1),
    lambda index, state: v.TaskView(index, state.name.lower(), None, (), 0),
)


def an_array(chance: Random, count: int) -> tuple[Job, Looks[TaskId, Task]]:
    """Pieces of it have records, others are runs."""
    runs: list[Run] = []
    tasks = Looks[TaskId, Task]()
    at = 0
    while at < count:
        stop = min(count, at + chance.randint(1, 9))
        if chance.random() < 0.5 and (not runs or runs[-1].stop < at):
            runs.append(Run(at, stop, chance.choice([T.WAITING, T.CANCELLED])))
        else:
            tasks.update((id_, Task(id_, chance.choice(list(T)))) for id_ in (task_id(1, i) for i in range(at, stop)))
        at = stop
    return Job(JobId(1), a_spec(count=count), ClientId(b""), 0, tuple(runs), (0,) * 7), tasks


def shown(job: Job, tasks: Looks[TaskId, Task], asked: Asked) -> Iterator[tuple[int, str]]:
    """Page after page."""
    start: int | None = asked.start
    while start is not None:
        found, start = page(job, tasks, asked._replace(start=start), SHOW)
        yield from ((one.index, one.state) for one in found)


@pytest.mark.parametrize("seed", range(30))
def test_pages_show_every_fitting_task_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = Random(seed)
    monkeypatch.setattr(taskpage, "MOST_LOOKED", chance.choice([1, 2, 7, 1000]))
    job, tasks = an_array(chance, chance.randint(1, 60))
    states = tuple(chance.sample(v.TASK_STATES, chance.randint(0, 3)))
    start, stop = chance.randint(0, 20), chance.randint(20, 60)
    every = {index: run.state for run in job.runs for index in range(run.start, run.stop)}
    every |= {index_of(task.id): task.state for task in tasks.values()}
    wanted = [
        (index, state.name.lower())
        for index, state in sorted(every.items())
        if start <= index < min(stop, job.spec.count) and (not states or state.name.lower() in states)
    ]
    asked = Asked(start, min(stop, job.spec.count), chance.randint(1, 9), states)
    assert list(shown(job, tasks, asked)) == wanted


def test_a_page_looks_at_no_more_than_it_shows_or_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taskpage, "MOST_LOOKED", 100)
    tasks = Looks[TaskId, Task]((id_, Task(id_, T.DONE)) for id_ in (task_id(1, i) for i in range(MANY)))
    job = Job(JobId(1), a_spec(count=2 * MANY), ClientId(b""), 0, (Run(MANY, 2 * MANY),), (0,) * 7)
    for asked, most in (
        (Asked(0, 2 * MANY, 1, ()), 2),
        (Asked(MANY - 5, 2 * MANY, 10, ()), 5),
        (Asked(0, 2 * MANY, 10, ("failed",)), 100),
    ):
        tasks.looks = 0
        page(job, tasks, asked, SHOW)
        assert tasks.looks <= most, asked


# -- questions ---------------------------------------------------------------------------------------------------------


def a_large_array(counter: FakeCounter) -> JobId:
    """Most of it has ended, some has a machine, the rest waits."""
    job = counter.submit(count=2 * MANY)
    for start in range(0, MANY, 500):
        counter.tell(counter.mesh.assign(job, 1, *range(start, start + 500), slot=False))
        for index in range(start, start + 500):
            counter.mesh.report(job, index)
    counter.tell(counter.mesh.assign(job, 1, MANY, MANY + 1))
    return job


Asks = tuple[str, Any]


async def looks(counter: FakeCounter, ask: Asks, meanwhile: Callable[[], object] = lambda: None) -> tuple[int, int]:
    """At tasks and jobs, by the second of two questions."""
    desk = desk_of(counter)
    name, request = ask
    await desk.handlers[name](request)  # type: ignore[misc]
    meanwhile()
    state = counter.state
    tasks = state.tasks = Looks(state.tasks)
    jobs = state.jobs = Looks(state.jobs)
    await desk.handlers[name](request)  # type: ignore[misc]
    desk.close()
    return tasks.looks, jobs.looks


@pytest.mark.parametrize(
    "ask",
    [
        ("job", r.Job("1", limit=1)),
        ("job", r.Job("1", limit=0)),
        ("job", r.Job("1", MANY, 5)),
        ("job", r.Job("1", MANY, 5, ("waiting",))),
        ("explain", r.Explain("1")),
    ],
)
def test_a_question_about_an_array_looks_at_few_of_its_tasks(ask: Asks, tmp_path: Path) -> None:
    counter = FakeCounter(tmp_path)
    assert a_large_array(counter) == 1
    assert max(asyncio.run(looks(counter, ask))) <= 10


@pytest.mark.parametrize(
    "ask",
    [("jobs", r.Jobs(states=("waiting",), limit=5)), ("status", r.Status()), ("job", r.Job("last"))],
)
def test_a_question_about_the_mesh_looks_at_few_of_its_jobs(ask: Asks, tmp_path: Path) -> None:
    counter = FakeCounter(tmp_path)
    counter.mesh.submit(*[a_spec() for _ in range(500)])
    assert max(asyncio.run(looks(counter, ask, lambda: counter.assign(7)))) <= 40


def test_many_jobs_leave_next_to_nothing_for_the_garbage_collector(tmp_path: Path) -> None:
    counter = FakeCounter(tmp_path)

    async def left() -> int:
        desk = desk_of(counter)
        counter.submit()
        gc.collect()
        before = len(gc.get_objects())
        for job in range(2, 302):
            counter.submit()
            counter.assign(job)
            counter.end(job)
        await desk.handlers["jobs"](r.Jobs())  # type: ignore[misc]
        gc.collect()
        after = len(gc.get_objects())
        desk.close()
        return after - before

    assert asyncio.run(left()) < 300


# -- how many jobs are how ---------------------------------------------------------------------------------------------


def counted(state: State) -> list[int]:
    counts = [0] * len(JobState)
    for job in state.jobs.values():
        counts[job_state(job)] += 1
    return counts


def stirred(counter: FakeCounter) -> Iterable[None]:
    """All that moves a job from one state to another."""
    yield None
    for _ in range(4):
        counter.submit(count=2)
    yield None
    counter.assign(1, 0, 1)
    yield None
    counter.end(1, 0, code=1)
    counter.end(1, 1)
    yield None
    counter.assign(2)
    counter.do(CancelTasks(JobId(2), (), UserId("anna")))
    yield None
    counter.end(2)
    yield None
    counter.do(HoldJob(JobId(3), UserId("anna")))
    yield None
    counter.do(RetryTasks(JobId(1), (), UserId("anna")))
    yield None
    counter.assign(1)
    counter.end(1)
    yield None
    archive(counter, 1)
    yield None
    counter.submit()
    yield None


def test_numbers_of_jobs_are_kept_from_what_happens(tmp_path: Path) -> None:
    counter, census = FakeCounter(tmp_path), Census()
    counter.subscribe(lambda events: census.heard(counter.state, events))
    for _ in stirred(counter):
        assert census.counts(counter.state) == counted(counter.state)


def test_and_are_counted_anew_for_another_state(tmp_path: Path) -> None:
    counter, other, census = FakeCounter(tmp_path), FakeCounter(tmp_path), Census()
    counter.submit()
    assert census.counts(counter.state) == counted(counter.state)
    assert census.counts(other.state) == counted(other.state)
