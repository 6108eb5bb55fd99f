"""One person's queue is walked in the order in which a plain sort would put all tasks.

The line reads only as far as it is asked and never sorts jobs; the naive order below does nothing else.
"""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from odyssey.commands import AgeQueue, HoldJob
from odyssey.ids import JobId, task_id
from odyssey.model import Job, Outcome, TaskState
from odyssey.scheduler.line import LaneLine, Line, task_indices
from odyssey.scheduler.waiting import Group, Lane
from odyssey.spec import JobSpec, Want
from tests.builders import ANNA, Mesh, need

Rank = Callable[[Group], int] | None
Place = tuple[JobId, int]

WANTS = tuple(Want(need(1), key=key) for key in "abcd")


def by_key(group: Group) -> int:
    """d first, a last; b and c are equal."""
    return {"a": 3, "b": 2, "c": 2, "d": 1}[group.key.want.key]


def walked(mesh: Mesh, rank: Rank, drop: Callable[[JobId], bool] = lambda job: False) -> list[Place]:
    """Every task as the line gives it; when it comes to a job to drop, that job's group finds no room."""
    line, found = Line(mesh.state, ANNA, rank), []
    while (lane := line.first()) is not None:
        cursor = lane.first()
        assert cursor is not None
        if drop(cursor.job.id):
            lane.drop_first()
        elif (index := cursor.take()) is None:
            lane.next_job()
        else:
            found.append((cursor.job.id, index))
    return found


def naive(mesh: Mesh, rank: Rank, drop: Callable[[JobId], bool] = lambda job: False) -> list[Place]:
    state = mesh.state

    def key(job: Job) -> tuple[int, int, int]:
        group = state.waiting.group_of(job.id)
        assert group is not None
        age = sum(mark >= job.id for mark in state.head.age_marks)
        return -job.priority - age, rank(group) if rank is not None else 0, job.id

    def places() -> Iterator[Place]:
        dropped = set()
        for job in sorted((job for job in state.jobs.values() if job.id in state.waiting), key=key):
            group = state.waiting.group_of(job.id)
            if drop(job.id):
                dropped.add(id(group))
            if id(group) not in dropped:
                yield from ((job.id, index) for index in waiting_tasks(mesh, job))

    return list(places())


def waiting_tasks(mesh: Mesh, job: Job) -> list[int]:
    """Those that were tried before, then the others."""
    tasks = {index: mesh.state.tasks.get(task_id(job.id, index)) for index in range(job.spec.count)}
    tried = [index for index, task in tasks.items() if task is not None and task.state is TaskState.WAITING]
    return tried + [index for index, task in tasks.items() if task is None]


# -- a queue of any history --------------------------------------------------------------------------------------------

JOBS = st.tuples(st.just("job"), st.integers(-1, 1), st.integers(0, 3), st.integers(1, 3))
ACTS = st.lists(JOBS | JOBS | st.sampled_from(["age", "try", "hold"]), min_size=8, max_size=25)


def queue(acts: list[tuple[str, int, int, int] | str]) -> Mesh:
    """Jobs of three priorities and four wants, some with tasks that were tried, some held; ten minutes pass or not."""
    mesh = Mesh()
    mesh.machine(cpus=64, memory=1 << 40)
    for act in acts:
        newest = mesh.state.head.last_job
        if isinstance(act, tuple):
            _, priority, which, count = act
            want = WANTS[which]
            mesh.submit(JobSpec(ANNA, (b"true",), want, priority=priority, count=count, retries=9))
        elif act == "age":
            mesh.do(AgeQueue(mesh.fence))
        elif newest and mesh.job(newest).counts[TaskState.WAITING]:
            if act == "hold":
                mesh.do(HoldJob(newest))
            elif not mesh.job(newest).held:
                last = mesh.job(newest).spec.count - 1
                mesh.assign(newest, 1, last)
                mesh.report(newest, last, Outcome.EVICTED)
    return mesh


@pytest.mark.parametrize("rank", [None, by_key])
@settings(max_examples=150)
@given(acts=ACTS)
def test_the_line_is_the_order_of_a_plain_sort(rank: Rank, acts: list[tuple[str, int, int, int] | str]) -> None:
    mesh = queue(acts)
    assume(ANNA in mesh.state.waiting.lanes)
    assert walked(mesh, rank) == naive(mesh, rank)


@pytest.mark.parametrize("rank", [None, by_key])
@settings(max_examples=150)
@given(acts=ACTS, dropped=st.frozensets(st.integers(1, 8), min_size=2))
def test_a_group_without_room_leaves_the_line_with_all_its_jobs(
    rank: Rank, acts: list[tuple[str, int, int, int] | str], dropped: frozenset[int]
) -> None:
    mesh = queue(acts)
    assume(ANNA in mesh.state.waiting.lanes)
    assert walked(mesh, rank, dropped.__contains__) == naive(mesh, rank, dropped.__contains__)


# -- the rules one by one ----------------------------------------------------------------------------------------------


def order(mesh: Mesh, rank: Rank = None) -> list[JobId]:
    return list(dict.fromkeys(job for job, _ in walked(mesh, rank)))


def test_the_older_job_is_first() -> None:
    assert order(queue([("job", 0, 0, 1), ("job", 0, 1, 1), ("job", 0, 0, 1)])) == [1, 2, 3]


def test_priority_goes_before_age() -> None:
    assert order(queue([("job", 0, 0, 1), ("job", -1, 0, 1), ("job", 1, 1, 1)])) == [3, 1, 2]


def test_ten_minutes_of_waiting_are_a_point_and_equals_go_by_age() -> None:
    assert order(queue([("job", 0, 0, 1), "age", ("job", 1, 0, 1)])) == [1, 2]
    assert order(queue([("job", -1, 0, 1), "age", ("job", 1, 0, 1)])) == [2, 1]
    assert order(queue([("job", -1, 0, 1), "age", "age", ("job", 1, 0, 1)])) == [1, 2]


def test_a_rank_goes_before_age_among_equals_and_after_what_was_gained_by_waiting() -> None:
    assert order(queue([("job", 0, 0, 1), ("job", 0, 3, 1)]), by_key) == [2, 1]
    assert order(queue([("job", 0, 0, 1), "age", ("job", 0, 3, 1)]), by_key) == [1, 2]


def test_what_was_tried_before_is_first_in_its_job() -> None:
    mesh = queue([("job", 0, 0, 3), "try"])
    assert list(task_indices(mesh.state, mesh.job(1))) == [2, 0, 1]
    assert walked(mesh, None) == [(1, 2), (1, 0), (1, 1)]


def test_held_jobs_are_not_in_the_line() -> None:
    assert order(queue([("job", 0, 0, 1), ("job", 0, 0, 1), "hold", ("job", 0, 0, 1)])) == [1, 3]


class Watched(Lane):
    """Counts the groups that were read of it."""

    read = 0

    def __iter__(self) -> Iterator[tuple[int, Group]]:
        for one in super().__iter__():
            self.read += 1
            yield one


def test_the_line_reads_no_further_than_it_is_asked() -> None:
    mesh, lane = Mesh(), Watched()
    mesh.submit(*(JobSpec(ANNA, (b"true",), Want(need(1), key=str(number))) for number in range(1000)))
    real = mesh.state.waiting.lanes[ANNA][0]
    lane.heads, lane.groups = real.heads, real.groups
    line = LaneLine(mesh.state, 0, lane, None)
    for _ in range(10):
        line.next_job()
    assert lane.read == 11
