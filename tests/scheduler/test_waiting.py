"""The queue as an index: whatever came and went, it is what one would build from the jobs that are left."""

from collections.abc import Iterable
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from odyssey.ids import JobId, TaskIndex, UserId
from odyssey.resources import Resources
from odyssey.scheduler.waiting import GroupKey, Waiting
from odyssey.spec import Want
from tests.builders import Mesh
from tests.scheduler.acts import queued

KEYS = [
    GroupKey(UserId(user), priority, Want(Resources(cpus)))
    for user in ("anna", "ben")
    for priority in (0, 5)
    for cpus in (1000, 2000)
]
jobs = st.integers(1, 12).map(JobId)
keys = st.sampled_from(KEYS)


class Shown(NamedTuple):
    """A queue, seen from outside."""

    lanes: dict[tuple[UserId, int], list[tuple[int, GroupKey, list[int]]]]
    ready: dict[JobId, list[int]]


def shown(waiting: Waiting) -> Shown:
    lanes = {
        (user, priority): [(head, group.key, list(group.jobs)) for head, group in lane]
        for user, of_user in waiting.lanes.items()
        for priority, lane in of_user.items()
    }
    return Shown(lanes, {job: list(indices) for job, indices in waiting.ready.items()})


def reference(placed: dict[JobId, GroupKey], ready: set[tuple[JobId, int]]) -> Shown:
    """From the jobs alone: groups of equal keys, by their oldest job, in lanes by person and priority."""
    lanes: dict[tuple[UserId, int], list[tuple[int, GroupKey, list[int]]]] = {}
    for key in set(placed.values()):
        members: list[int] = sorted(job for job, its in placed.items() if its == key)
        lanes.setdefault((key.user, key.priority), []).append((members[0], key, members))
    return Shown(
        {name: sorted(lane, key=lambda group: group[0]) for name, lane in lanes.items()},
        {job: sorted(index for other, index in ready if other == job) for job, _ in ready},
    )


class AgainstTheReference(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.waiting = Waiting()
        self.placed: dict[JobId, GroupKey] = {}
        self.ready: set[tuple[JobId, int]] = set()

    @rule(job=jobs, key=keys)
    def put(self, job: JobId, key: GroupKey) -> None:
        self.waiting.put(job, key)
        self.placed[job] = key

    @rule(job=jobs)
    def drop(self, job: JobId) -> None:
        self.waiting.drop(job)
        self.placed.pop(job, None)

    @rule(job=jobs, index=st.integers(0, 4), ready=st.booleans())
    def mark(self, job: JobId, index: int, ready: bool) -> None:
        self.waiting.mark(job, TaskIndex(index), ready)
        (self.ready.add if ready else self.ready.discard)((job, index))

    @invariant()
    def looks_as_if_built_anew(self) -> None:
        assert shown(self.waiting) == reference(self.placed, self.ready)

    @invariant()
    def knows_who_is_in_it(self) -> None:
        assert set(self.waiting.jobs()) == set(self.placed)
        assert len(self.waiting) == len(self.placed)
        for job in range(1, 13):
            group = self.waiting.group_of(JobId(job))
            assert (JobId(job) in self.waiting) == (group is not None)
            assert (group.key if group is not None else None) == self.placed.get(JobId(job))

    @invariant()
    def keeps_nothing_that_is_empty(self) -> None:
        assert all(of_user for of_user in self.waiting.lanes.values())
        assert all(len(lane.heads) for of_user in self.waiting.lanes.values() for lane in of_user.values())
        assert all(len(indices) for indices in self.waiting.ready.values())


TestAgainstTheReference = AgainstTheReference.TestCase
TestAgainstTheReference.settings = settings(max_examples=60, stateful_step_count=40)


def filled(placed: Iterable[tuple[JobId, GroupKey]]) -> Waiting:
    waiting = Waiting()
    for job, key in placed:
        waiting.put(job, key)
    return waiting


@given(st.dictionaries(jobs, keys, min_size=2).flatmap(lambda placed: st.permutations(list(placed.items()))))
def test_the_order_in_which_jobs_came_leaves_no_trace(placed: list[tuple[JobId, GroupKey]]) -> None:
    assert filled(placed).layout() == filled(sorted(placed, key=lambda one: one[0])).layout()


def test_a_layout_tells_apart_what_differs() -> None:
    one, other = filled([(JobId(1), KEYS[0])]), filled([(JobId(1), KEYS[1])])
    assert one.layout() != other.layout()
    marked = filled([(JobId(1), KEYS[0])])
    marked.mark(JobId(1), TaskIndex(0), ready=True)
    assert one.layout() != marked.layout()


# ---- which jobs are in it --------------------------------------------------------------------------------------------


def test_a_job_is_in_the_queue_exactly_while_a_task_of_it_could_start() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(count=2, retries=1)
    assert queued(mesh) == {job}
    mesh.assign(job, node, 0, 1)
    assert queued(mesh) == set()
    mesh.report(job, 1, code=1)
    assert queued(mesh) == set(), "its only waiting task is backing off"


def test_a_held_or_blocked_job_is_not_in_the_queue() -> None:
    mesh = Mesh()
    first = mesh.submit()
    mesh.submit(held=True)
    mesh.submit(after_any=(first,))
    assert queued(mesh) == {first}


def test_equal_wants_of_one_person_and_priority_stand_in_one_group() -> None:
    mesh = Mesh()
    same = {mesh.submit(cpus=2), mesh.submit(cpus=2, name="other", retries=3)}
    apart = [mesh.submit(cpus=1), mesh.submit(cpus=2, user="ben"), mesh.submit(cpus=2, priority=1)]
    group = mesh.state.waiting.group_of(min(same))
    assert group is not None
    assert set(group.jobs) == same
    assert all(mesh.state.waiting.group_of(other) is not group for other in apart)
