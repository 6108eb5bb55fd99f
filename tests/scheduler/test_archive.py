"""Ended jobs leave the state for a segment: all that the segment holds, or none; what left is known by its digest."""

import pytest

from odyssey.commands import (
    AdoptSegment,
    ArchiveJobs,
    CancelTasks,
    DropSegments,
    HoldJob,
    ReleaseJob,
    RetryTasks,
    SetPriority,
    Span,
)
from odyssey.events import CommandRefused, JobsArchived, SegmentAdopted, SegmentsDropped
from odyssey.ids import JobId, job_of
from odyssey.model import Segment
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.invariants import violations
from tests.builders import Mesh, a_spec, kinds
from tests.scheduler.acts import cancel, changes_nothing, end_on, refusal


def ended(jobs: int) -> Mesh:
    """A mesh with so many jobs, all over: every other one cancelled before it ran."""
    mesh = Mesh()
    node = mesh.machine()
    for number in range(1, jobs + 1):
        mesh.submit(count=2)
        if number % 2:
            end_on(mesh, number, node)
        cancel(mesh, number)
    return mesh


def archive(mesh: Mesh, *jobs: Span, digest: bytes = b"digest") -> ArchiveJobs:
    return ArchiveJobs(mesh.fence, digest, 700, jobs, mesh.state.head.index)


def test_archived_jobs_leave_with_all_their_tasks_and_the_digest_stays() -> None:
    mesh = ended(4)
    events = mesh.do(archive(mesh, (1, 4)))
    assert events == [JobsArchived(mesh.state.head.index, b"digest", ((1, 4),))]
    assert list(mesh.state.jobs) == [4]
    assert {job_of(task) for task in mesh.state.tasks} <= {4}
    assert dict(mesh.state.ended) == {JobId(4): None}
    assert mesh.state.segments == {b"digest": Segment(b"digest", JobId(1), JobId(3), 3, 700)}
    assert violations(mesh.state) == []


def test_jobs_that_lie_apart_go_into_one_segment() -> None:
    mesh = ended(5)
    (event,) = mesh.do(archive(mesh, (4, 5), (1, 2), (2, 3)))
    assert event == JobsArchived(mesh.state.head.index, b"digest", ((1, 3), (4, 5)))
    assert mesh.state.segments[b"digest"] == Segment(b"digest", JobId(1), JobId(4), 3, 700)
    assert list(mesh.state.jobs) == [3, 5]


def test_one_job_that_is_not_over_keeps_all_of_them_here() -> None:
    mesh = ended(3)
    mesh.submit()
    assert refusal(changes_nothing(mesh, archive(mesh, (1, 5)))) == "not-ended"


@pytest.mark.parametrize("jobs", [(1, 5), (0, 2), (-3, 2), (4, 5), (2, 1 << 60)])
def test_one_number_without_a_job_keeps_all_of_them_here(jobs: Span) -> None:
    mesh = ended(3)
    (event,) = changes_nothing(mesh, archive(mesh, jobs))
    assert isinstance(event, CommandRefused)
    assert (event.code, event.text) == ("not-ended", f"there are no jobs {jobs[0]} to {jobs[1] - 1}")


def test_numbers_that_a_recovery_passed_over_are_no_jobs() -> None:
    mesh = ended(1)
    mesh.generation = 2
    mesh.submit()
    cancel(mesh, 10_000)
    assert refusal(changes_nothing(mesh, archive(mesh, (1, 10_001)))) == "not-ended"
    mesh.do(archive(mesh, (1, 2), (10_000, 10_001)))
    assert mesh.state.jobs == {}


@pytest.mark.parametrize("jobs", [(), ((2, 2),), ((3, 1),)])
def test_a_segment_of_nothing_changes_nothing(jobs: tuple[Span, ...]) -> None:
    mesh = ended(3)
    assert kinds(changes_nothing(mesh, archive(mesh, *jobs))) == ["ChangedNothing"]


def test_a_segment_that_is_known_already_takes_no_other_jobs() -> None:
    mesh = ended(3)
    mesh.do(archive(mesh, (1, 2)))
    assert refusal(changes_nothing(mesh, archive(mesh, (1, 2)))) == "not-ended"
    assert kinds(changes_nothing(mesh, archive(mesh, (2, 3)))) == ["ChangedNothing"]


def test_a_job_that_ended_after_its_segment_was_made_keeps_all_of_them_here() -> None:
    mesh = ended(3)
    index = mesh.job(2).ended_index
    assert refusal(changes_nothing(mesh, ArchiveJobs(mesh.fence, b"digest", 700, ((1, 4),), index))) == "ended-later"
    assert kinds(mesh.do(ArchiveJobs(mesh.fence, b"digest", 700, ((1, 3),), index))) == ["JobsArchived"]


def test_an_archived_job_is_not_here_any_more() -> None:
    mesh = ended(1)
    mesh.do(archive(mesh, (1, 2)))
    job = JobId(1)
    for command in (CancelTasks(job), RetryTasks(job), HoldJob(job), ReleaseJob(job), SetPriority(job, 1)):
        assert refusal(changes_nothing(mesh, command)) == "no-such-job"


def test_its_number_is_not_given_again() -> None:
    mesh = ended(2)
    mesh.do(archive(mesh, (1, 3)))
    assert mesh.submit() == 3


def test_who_waited_for_it_has_long_been_told() -> None:
    mesh = ended(0)
    first = mesh.submit(a_spec(), a_spec(after_any_here=(0,)))
    cancel(mesh, first)
    mesh.do(archive(mesh, (first, first + 1)))
    assert mesh.job(first + 1).parents == (first,)
    assert state_hash(load(dump(mesh.state))) == state_hash(mesh.state)
    cancel(mesh, first + 1)
    mesh.do(RetryTasks(JobId(first + 1)))
    assert mesh.job(first + 1).blockers == ()


# ---- history of another generation -----------------------------------------------------------------------------------


def test_history_of_another_generation_is_part_of_this_ones_and_touches_no_job() -> None:
    mesh = ended(2)
    adopted = AdoptSegment(mesh.fence, b"theirs", 700, JobId(1), JobId(40), 3)
    assert mesh.do(adopted) == [SegmentAdopted(mesh.state.head.index, b"theirs", 3)]
    assert mesh.state.segments == {b"theirs": Segment(b"theirs", JobId(1), JobId(40), 3, 700)}
    assert list(mesh.state.jobs) == [1, 2]
    assert kinds(changes_nothing(mesh, adopted)) == ["ChangedNothing"]
    mesh.do(DropSegments(mesh.fence, (b"theirs",)))
    assert mesh.state.segments == {}


@pytest.mark.parametrize(("first", "last", "jobs"), [(0, 3, 1), (4, 3, 1), (1, 3, 0), (1, 3, 4)])
def test_a_segment_of_numbers_that_cannot_be_is_refused(first: int, last: int, jobs: int) -> None:
    mesh = ended(1)
    order = AdoptSegment(mesh.fence, b"theirs", 700, JobId(first), JobId(last), jobs)
    assert refusal(changes_nothing(mesh, order)) == "bad-order"


# ---- dropped by retention --------------------------------------------------------------------------------------------


def test_segments_are_dropped_by_their_digest() -> None:
    mesh = ended(3)
    for number in (1, 2, 3):
        mesh.do(archive(mesh, (number, number + 1), digest=b"%d" % number))
    events = mesh.do(DropSegments(mesh.fence, (b"3", b"unknown", b"1", b"3")))
    assert events == [SegmentsDropped(mesh.state.head.index, (b"3", b"1"))]
    assert list(mesh.state.segments) == [b"2"]
    assert kinds(changes_nothing(mesh, DropSegments(mesh.fence, (b"1", b"x")))) == ["ChangedNothing"]


def test_segments_stay_in_the_order_they_came_through_a_restart() -> None:
    mesh = ended(3)
    for number, digest in ((2, b"z"), (1, b"m"), (3, b"a")):
        mesh.do(archive(mesh, (number, number + 1), digest=digest))
    assert list(load(dump(mesh.state)).segments) == [b"z", b"m", b"a"]
