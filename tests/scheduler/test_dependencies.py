"""Jobs that wait for jobs: ready when all parents are over, skipped when one that had to succeed did not.

A job's end reaches everything that waited for it in the same entry, however long the chain; nothing waits for ever.
"""

import pytest

from odyssey.commands import ArchiveJobs, SubmitJobs
from odyssey.events import CommandRefused, Event, JobEnded, JobReady, TasksEnded
from odyssey.ids import JobId
from odyssey.model import Ending, JobState, Outcome, TaskState
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.transitions.jobs import parents_first
from tests.builders import Mesh, a_spec
from tests.scheduler.acts import cancel, dropped, give, lose, queued, retry, states

ENDS = {"done": "D", "failed": "F", "cancelled": "C", "skipped": "S"}
each_end = pytest.mark.parametrize("end", ENDS)


def a_mesh() -> tuple[Mesh, int]:
    mesh = Mesh()
    return mesh, mesh.machine(cpus=64, memory=1 << 40)


def finish(mesh: Mesh, job: int, end: str) -> list[Event]:
    """End the job so; all of its single task."""
    if end == "cancelled":
        return cancel(mesh, job)
    mesh.assign(job, 1)
    return mesh.report(job, code=0 if end == "done" else 1)


def a_parent(mesh: Mesh, end: str) -> JobId:
    """A parent that can come to such an end; `finish` on the number before it lets it be skipped."""
    return mesh.submit(after=(mesh.submit(),)) if end == "skipped" else mesh.submit()


def bring_to(mesh: Mesh, job: int, end: str) -> list[Event]:
    return cancel(mesh, job - 1) if end == "skipped" else finish(mesh, job, end)


# ---- one parent ------------------------------------------------------------------------------------------------------


def test_a_job_waits_for_its_parent_and_is_ready_with_its_success() -> None:
    mesh, node = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,))
    assert queued(mesh) == {parent}
    assert dropped(mesh.assign(child, node)) == {"not-waiting": ((0, 1),)}
    events = finish(mesh, parent, "done")
    assert JobReady(events[-1].index, child) in events
    assert queued(mesh) == {child}


@each_end
def test_a_job_that_needs_success_is_skipped_at_any_other_end(end: str) -> None:
    mesh, _ = a_mesh()
    parent = a_parent(mesh, end)
    child = mesh.submit(after=(parent,))
    bring_to(mesh, parent, end)
    assert states(mesh, parent) == ENDS[end]
    assert states(mesh, child) == ("W" if end == "done" else "S")
    assert mesh.job(child).blamed == (0 if end == "done" else parent)


@each_end
def test_a_job_that_only_waits_is_ready_at_any_end(end: str) -> None:
    mesh, _ = a_mesh()
    parent = a_parent(mesh, end)
    child = mesh.submit(after_any=(parent,))
    events = bring_to(mesh, parent, end)
    assert JobReady(events[-1].index, child) in events
    assert queued(mesh) == {child}


@each_end
@pytest.mark.parametrize("kind", ["after", "after_any"])
def test_a_parent_that_was_over_at_the_submit_counts_the_same(end: str, kind: str) -> None:
    mesh, _ = a_mesh()
    parent = a_parent(mesh, end)
    bring_to(mesh, parent, end)
    spec = a_spec(after=(parent,)) if kind == "after" else a_spec(after_any=(parent,))
    child = mesh.submit(spec)
    skipped = kind == "after" and end != "done"
    assert states(mesh, child) == ("S" if skipped else "W")
    assert mesh.job(child).live is not skipped
    assert mesh.job(child).blockers == ()


def test_being_skipped_is_an_end_with_a_reason() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,), count=3)
    events = cancel(mesh, parent)
    index = mesh.state.head.index
    assert TasksEnded(index, child, ((0, 3),), TaskState.SKIPPED, Ending.PARENT) in events
    assert JobEnded(index, child, JobState.SKIPPED) in events
    assert mesh.job(child).ended_index == index


def test_a_parent_is_over_only_when_its_last_task_is() -> None:
    mesh, node = a_mesh()
    parent = mesh.submit(count=2)
    child = mesh.submit(after_any=(parent,))
    mesh.assign(parent, node, 0, 1)
    mesh.report(parent, 0)
    cancel(mesh, parent)
    assert states(mesh, parent) == "DX"
    assert mesh.job(child).blockers == (parent,)
    mesh.report(parent, 1, Outcome.CANCELLED)
    assert queued(mesh) == {child}


def test_a_result_releases_children_while_a_loser_still_stops() -> None:
    mesh, node = a_mesh()
    parent = mesh.submit(overlap=True)
    child = mesh.submit(after=(parent,))
    other = mesh.machine()
    mesh.assign(parent, node)
    mesh.assign(parent, other)
    mesh.report(parent)
    assert mesh.job(parent).attempts == 1
    assert queued(mesh) == {child}


def test_a_lost_parent_is_tried_again_and_its_child_goes_on_waiting() -> None:
    mesh, node = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,))
    mesh.assign(parent, node)
    lose(mesh, parent)
    assert states(mesh, child) == "W"
    assert queued(mesh) == {parent}


# ---- many parents ----------------------------------------------------------------------------------------------------


def test_a_job_waits_for_all_of_its_parents() -> None:
    mesh, _ = a_mesh()
    one, two, three = (mesh.submit() for _ in range(3))
    child = mesh.submit(after=(one, two), after_any=(three,))
    finish(mesh, two, "done")
    finish(mesh, three, "failed")
    assert mesh.job(child).blockers == (one,)
    finish(mesh, one, "done")
    assert queued(mesh) == {child}


def test_the_first_failed_parent_decides_and_the_others_are_not_waited_for() -> None:
    mesh, _ = a_mesh()
    one, two = mesh.submit(), mesh.submit()
    child = mesh.submit(after=(one, two))
    cancel(mesh, two)
    assert (states(mesh, child), mesh.job(child).blamed) == ("S", two)
    assert finish(mesh, one, "done")[-1] == JobEnded(mesh.state.head.index, one, JobState.DONE)


def test_a_parent_named_twice_counts_once_and_strictly() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent, parent), after_any=(parent,))
    assert mesh.job(child).blockers == (parent,)
    cancel(mesh, parent)
    assert states(mesh, child) == "S"


def test_who_is_held_stays_held_when_its_parent_is_over() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after_any=(parent,), held=True)
    cancel(mesh, parent)
    assert (mesh.job(child).blockers, queued(mesh)) == ((), set())


def test_who_was_cancelled_while_blocked_is_not_reached_by_its_parents_end() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,))
    cancel(mesh, child)
    ended = mesh.job(child).ended_index
    assert not any(isinstance(event, JobReady) for event in finish(mesh, parent, "done"))
    assert (states(mesh, child), mesh.job(child).ended_index) == ("C", ended)
    assert mesh.state.children == {}


# ---- within one submit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reverse", [False, True])
def test_jobs_of_one_submit_may_wait_for_each_other_in_any_order(reverse: bool) -> None:
    mesh, _ = a_mesh()
    first = (
        mesh.submit(a_spec(after_here=(1,)), a_spec()) if reverse else mesh.submit(a_spec(), a_spec(after_here=(0,)))
    )
    parent, child = (first + 1, first) if reverse else (first, first + 1)
    assert mesh.job(child).blockers == (parent,)
    assert mesh.job(child).parents == (parent,)
    finish(mesh, parent, "done")
    assert queued(mesh) == {child}


def test_a_failed_parent_skips_the_whole_submit_that_hangs_on_it() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    cancel(mesh, parent)
    first = mesh.submit(a_spec(after_here=(1,)), a_spec(after_here=(2,)), a_spec(after=(parent,)), a_spec())
    assert [states(mesh, first + at) for at in range(4)] == ["S", "S", "S", "W"]
    assert [mesh.job(first + at).blamed for at in range(3)] == [first + 1, first + 2, parent]


def test_the_order_puts_every_parent_before_its_children() -> None:
    specs = (a_spec(after_here=(3, 1)), a_spec(after_any_here=(2,)), a_spec(after_here=(3, 3)), a_spec())
    order = parents_first(specs)
    assert sorted(order) == [0, 1, 2, 3]
    assert [order.index(at) for at in (3, 2, 1, 0)] == sorted(order.index(at) for at in range(4))


# ---- long chains and wide trees --------------------------------------------------------------------------------------


def a_chain(mesh: Mesh, length: int, strict: bool) -> None:
    """Jobs 1 to `length`, each after the one before."""
    for start in range(0, length, 1000):
        here = [((at - 1,) if at else ()) for at in range(min(1000, length - start))]
        before = (JobId(start),) if start else ()
        if strict:
            mesh.submit(*(a_spec(after_here=one, after=before if not one else ()) for one in here))
        else:
            mesh.submit(*(a_spec(after_any_here=one, after_any=before if not one else ()) for one in here))


def test_a_chain_of_ten_thousand_falls_in_one_entry_and_without_recursion() -> None:
    mesh, _ = a_mesh()
    a_chain(mesh, 10_000, strict=True)
    events = cancel(mesh, 1)
    assert [event.job for event in events if isinstance(event, JobEnded)] == list(range(1, 10_001))
    assert len(mesh.state.ended) == 10_000
    assert mesh.state.children == {}
    assert {mesh.job(job).blamed for job in range(2, 10_001)} == set(range(1, 10_000))


def test_a_chain_that_only_waits_advances_one_by_one() -> None:
    mesh, _ = a_mesh()
    a_chain(mesh, 1_001, strict=False)
    for job in range(1, 1_001):
        assert queued(mesh) == {job}
        cancel(mesh, job)
    assert queued(mesh) == {1_001}


@pytest.mark.parametrize("end", ["done", "cancelled"])
def test_five_thousand_jobs_may_wait_for_one(end: str) -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    for _ in range(5):
        mesh.submit(*[a_spec(after=(parent,))] * 1000)
    finish(mesh, parent, end)
    assert len(mesh.state.waiting) == (5_000 if end == "done" else 0)
    assert mesh.state.children == {}


def test_one_job_may_wait_for_thousands() -> None:
    mesh, _ = a_mesh()
    for _ in range(3):
        mesh.submit(*[a_spec()] * 1000)
    child = mesh.submit(after_any=tuple(JobId(job) for job in range(1, 3_001)))
    for job in range(1, 3_001):
        cancel(mesh, job)
    assert queued(mesh) == {child}


def test_who_is_blamed_does_not_depend_on_the_history_of_the_replica() -> None:
    """Two parents fall in the same entry: which of them falls first is a rule, not a matter of who came first."""
    mesh, _ = a_mesh()
    root = mesh.submit()
    first = mesh.submit(a_spec(after_here=(1,)), a_spec(), a_spec(after=(root,)))
    mesh.submit(a_spec(after=(root,)))
    retried = mesh.submit(a_spec(after=(JobId(first + 2), JobId(first + 3))))
    cancel(mesh, first + 2)
    retry(mesh, first + 2)  # now it stands behind its sibling where the order is that of coming
    retry(mesh, retried)
    twin = load(dump(mesh.state))
    cancel(mesh, root)
    reloaded = Mesh()
    reloaded.state = twin
    cancel(reloaded, root)
    assert mesh.job(retried).blamed == first + 2
    assert state_hash(mesh.state) == state_hash(reloaded.state)
    assert mesh.events[-5:] == reloaded.events[-5:]


# ---- retries ---------------------------------------------------------------------------------------------------------


def test_a_skipped_job_that_is_retried_runs_by_the_users_word() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,), count=3)
    cancel(mesh, parent)
    retry(mesh, child)
    assert (states(mesh, child), queued(mesh), mesh.job(child).blamed) == ("WWW", {child}, 0)
    assert mesh.job(child).live


def test_a_skipped_job_that_is_retried_waits_for_a_parent_that_was_retried_before() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,))
    cancel(mesh, parent)
    retry(mesh, parent)
    retry(mesh, child)
    assert mesh.job(child).blockers == (parent,)
    finish(mesh, parent, "done")
    assert queued(mesh) == {child}


def test_a_retried_parent_does_not_bring_back_who_was_skipped() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,))
    cancel(mesh, parent)
    retry(mesh, parent)
    finish(mesh, parent, "done")
    assert states(mesh, child) == "S"


def test_what_runs_of_a_job_goes_on_when_the_rest_of_it_is_skipped() -> None:
    """A job can be half under way and blocked: a parent was retried, then some of its own tasks."""
    mesh, node = a_mesh()
    parent = mesh.submit()
    child = mesh.submit(after=(parent,), count=3)
    finish(mesh, parent, "failed")
    retry(mesh, child)
    give(mesh, child, node, (0, 2))
    retry(mesh, parent)
    mesh.report(child, 1, code=1)
    retry(mesh, child, (1, 2))
    assert mesh.job(child).blockers == (parent,)
    cancel(mesh, parent)
    assert states(mesh, child) == "ASS"
    assert mesh.job(child).live
    mesh.report(child, 0)
    assert (states(mesh, child), mesh.job(child).live) == ("DSS", False)
    assert violations(mesh.state) == []


# ---- parents that are gone -------------------------------------------------------------------------------------------


def test_waiting_for_a_job_in_the_history_is_refused_with_advice() -> None:
    mesh, _ = a_mesh()
    parent = mesh.submit()
    cancel(mesh, parent)
    mesh.do(ArchiveJobs(mesh.fence, b"digest", 1, ((parent, parent + 1),), mesh.state.head.index))
    (event,) = mesh.do(SubmitJobs(mesh.client(), 99, (a_spec(after=(parent,)),)))
    assert isinstance(event, CommandRefused)
    assert (event.code, event.text) == ("unknown-dependency", "job 1 ended long ago and is in the history now")
    assert event.hint == "leave the dependency out if it succeeded"
