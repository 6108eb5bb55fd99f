"""Ended jobs as the bytes of a segment: which, in what detail, and only whole ones back."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import islice

import msgspec
import pytest

from odyssey.clock import SeededEntropy
from odyssey.commands import CancelTasks, EndBackoff, RetryTasks
from odyssey.errors import Malformed, NotUnderstood, WireError
from odyssey.events import CommandRefused, JobsArchived, SegmentAdopted
from odyssey.ids import JobId, NodeNumber, task_id
from odyssey.model import Outcome, Run, Segment, TaskState
from odyssey.scheduler import segments
from odyssey.scheduler.runs import spans_in
from odyssey.scheduler.segments import (
    FORMAT,
    Begin,
    Detail,
    End,
    JobRow,
    Kept,
    Names,
    Packed,
    Packing,
    Piece,
    TaskRows,
    contents,
    foreign,
    framed,
    ripe,
)
from tests.builders import Mesh
from tests.scheduler.life import Life


def packed(mesh: Mesh, jobs: Iterable[int] | None = None) -> Packed:
    wanted = ripe(mesh.state).jobs if jobs is None else [JobId(job) for job in jobs]
    return done(Packing(mesh.state, wanted))


def done(packing: Packing) -> Packed:
    while (found := packing.step()) is None:
        pass
    return found


def ended(count: int, tasks: int = 2) -> Mesh:
    """So many jobs with tasks that ran on two machines, every second one with a failure."""
    mesh = Mesh()
    mesh.machines(2, cpus=64)
    for number in range(1, count + 1):
        mesh.submit(count=tasks)
        for index in range(tasks):
            mesh.assign(number, 1 + index % 2, index, why=b"a reason")
            mesh.report(number, index, code=(number + index) % 2, run_ms=1_000)
    return mesh


# -- which -------------------------------------------------------------------------------------------------------------


def test_ripe_is_what_has_ended_first_those_that_ended_first() -> None:
    mesh = ended(2)
    third, fourth = mesh.submit(), mesh.submit()
    mesh.do(CancelTasks(fourth))
    index = mesh.state.head.index
    mesh.do(CancelTasks(third))
    found = ripe(mesh.state)
    assert (found.jobs, found.total) == ([1, 2, fourth, third], 4)
    assert found.oldest == mesh.job(1).ended_index < index
    mesh.submit()
    assert ripe(mesh.state) == found


def test_nothing_is_ripe_where_nothing_has_ended() -> None:
    mesh = Mesh()
    mesh.submit()
    assert ripe(mesh.state) == ([], 0, 0)


def test_a_job_of_which_a_machine_still_holds_something_is_not_ripe() -> None:
    mesh = Mesh()
    mesh.machines(2)
    job = mesh.submit(overlap=True)
    mesh.assign(job, 1)
    mesh.assign(job, 2)
    mesh.report(job)
    assert mesh.job(job).ended_index
    assert ripe(mesh.state).jobs == []
    mesh.report(job, outcome=Outcome.CANCELLED)
    assert ripe(mesh.state).jobs == [job]


def test_a_segment_takes_no_more_than_a_thousand_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_JOBS", 3)
    mesh = ended(5)
    assert ripe(mesh.state) == ([1, 2, 3], 5, mesh.job(1).ended_index)
    assert packed(mesh, [1, 2, 3, 4, 5]).jobs == ((1, 4),)


# -- there and back ----------------------------------------------------------------------------------------------------


def test_history_has_all_that_the_state_had() -> None:
    mesh = ended(3)
    made = packed(mesh)
    found = contents(made.data)
    assert found.origin == b""
    assert [one.job for one in found.jobs] == [mesh.job(number) for number in (1, 2, 3)]
    assert [one.tasks for one in found.jobs] == [(mesh.task(number, 0), mesh.task(number, 1)) for number in (1, 2, 3)]
    assert {one.detail for one in found.jobs} == {Detail.ALL}
    assert found.names == {1: "pc-1", 2: "pc-2"}
    assert made.digest == sha256(made.data).digest()


def test_a_job_that_never_ran_has_no_records_and_speaks_of_no_machine() -> None:
    mesh = Mesh()
    mesh.machine()
    mesh.do(CancelTasks(mesh.submit(count=50)))
    found = contents(packed(mesh).data)
    assert found == (b"", (Kept(mesh.job(1), Detail.ALL, ()),), {})


def test_the_order_takes_exactly_these_jobs_from_the_state() -> None:
    mesh = ended(4)
    kept = mesh.submit()
    order = packed(mesh, [1, 2, 4]).order(mesh.fence)
    (event,) = mesh.do(order)
    assert event == JobsArchived(mesh.state.head.index, order.digest, ((1, 3), (4, 5)))
    assert list(mesh.state.jobs) == [3, kept]
    assert mesh.state.segments[order.digest].size == order.size


def test_equal_jobs_give_equal_bytes() -> None:
    assert packed(ended(3)) == packed(ended(3))
    assert packed(ended(3)).digest != packed(ended(3), [1, 2]).digest


@pytest.mark.parametrize("seed", range(10))
def test_whatever_jobs_lived_through_is_there_again(seed: int) -> None:
    life = Life(SeededEntropy(seed))
    for _ in range(150):
        life.step()
        jobs = [job for job in life.mesh.state.jobs.values() if not job.held and job.live]
        for job in jobs[:1]:
            life.mesh.assign(job.id, life.draw.choose(sorted(life.mesh.state.nodes)), 0)
    for live in [job.id for job in life.mesh.state.jobs.values() if job.live]:
        life.do(CancelTasks(live))
    state = life.mesh.state
    made = packed(life.mesh)
    found = contents(made.data)
    assert len(found.jobs) == ripe(state).total > 5
    for one in found.jobs:
        assert one.job == state.jobs[one.job.id]
        recorded = [state.tasks.get(task_id(one.job.id, index)) for index in range(one.job.spec.count)]
        assert list(one.tasks) == [task for task in recorded if task is not None]
    assert isinstance(life.mesh.do(made.order(life.mesh.fence))[0], JobsArchived)
    assert ripe(state).total == 0


# -- while the log goes on ---------------------------------------------------------------------------------------------


def begun(mesh: Mesh, steps: int) -> Packing:
    packing = Packing(mesh.state, ripe(mesh.state).jobs)
    assert [packing.step() for _ in range(steps)] == [None] * steps
    return packing


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_job_that_ended_again_meanwhile_is_not_lost(steps: int) -> None:
    """The second end may look like the first one, or not: it is what counts."""
    mesh = ended(2)
    packing = begun(mesh, steps)
    mesh.do(RetryTasks(JobId(1)))
    mesh.do(CancelTasks(JobId(1)))
    made = done(packing)
    assert (1 in {one.job.id for one in contents(made.data).jobs}) == (steps > 0)
    events = mesh.do(made.order(mesh.fence))
    if steps:
        assert isinstance(events[0], CommandRefused)
        assert events[0].code == "ended-later"
    assert JobId(1) in mesh.state.jobs
    assert mesh.job(1).counts[TaskState.CANCELLED]


def test_a_job_that_waits_again_is_left_out() -> None:
    mesh = ended(3)
    packing = begun(mesh, 0)
    mesh.do(RetryTasks(JobId(2)))
    assert done(packing).jobs == ((1, 2), (3, 4))


def test_jobs_that_another_segment_took_are_left_out() -> None:
    mesh = ended(3)
    packing = begun(mesh, 0)
    mesh.do(packed(mesh).order(mesh.fence))
    made = done(packing)
    assert (made.jobs, contents(made.data).jobs) == ((), ())


# -- room --------------------------------------------------------------------------------------------------------------


def test_a_segment_is_full_before_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = ended(40)
    whole = len(packed(mesh).data)
    monkeypatch.setattr(segments, "_REST", 100)
    monkeypatch.setattr(segments, "MAX_BYTES", whole // 3)
    seen: list[int] = []
    while (made := packed(mesh)).jobs:
        assert len(made.data) <= whole // 3
        assert {one.detail for one in contents(made.data).jobs} == {Detail.ALL}
        seen += [one.job.id for one in contents(made.data).jobs]
        mesh.do(made.order(mesh.fence))
    assert seen == list(range(1, 41))


def large() -> Mesh:
    """One job whose tasks have two tries each and long reasons, between two small ones."""
    mesh = Mesh()
    mesh.machine(cpus=64)
    mesh.do(CancelTasks(mesh.submit()))
    job = mesh.submit(count=60, retries=1)
    for code in (1, 0):
        for index in range(60):
            if index != 30 or code:
                mesh.assign(job, 1, index, why=b"w" * 300)
                mesh.report(job, index, code=code)
        end_backoffs(mesh)
    mesh.do(CancelTasks(job))
    mesh.do(CancelTasks(mesh.submit()))
    return mesh


def end_backoffs(mesh: Mesh) -> None:
    if mesh.state.backoffs:
        mesh.do(EndBackoff(mesh.fence, tuple(mesh.state.backoffs)))


@pytest.mark.parametrize(
    ("room", "detail"), [(1 << 20, Detail.ALL), (8_000, Detail.LAST_TRY), (1_000, Detail.STATES)], ids=str
)
def test_a_job_too_large_for_any_segment_gives_up_details(
    room: int, detail: Detail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_REST", 100)
    monkeypatch.setattr(segments, "MAX_BYTES", room)
    mesh = large()
    job = mesh.job(2)
    found: dict[int, Kept] = {}
    while (made := packed(mesh)).jobs:
        found.update((one.job.id, one) for one in contents(made.data).jobs)
        mesh.do(made.order(mesh.fence))
    kept = found[2]
    assert list(found) == [1, 2, 3]
    assert kept.detail is detail
    assert kept.job.counts == job.counts
    tries = {len(task.tries) for task in kept.tasks}
    if detail is Detail.STATES:
        assert kept.tasks == ()
        assert kept.job.runs == (
            Run(0, 30, TaskState.DONE),
            Run(30, 31, TaskState.CANCELLED),
            Run(31, 60, TaskState.DONE),
        )
    elif detail is Detail.LAST_TRY:
        assert tries == {1}
        assert {task.tries_total for task in kept.tasks} == {1, 2}
        assert {one.why for task in kept.tasks for one in task.tries} == {b""}
    else:
        assert tries == {1, 2}
        assert {one.why for task in kept.tasks for one in task.tries} == {b"w" * 300}


# -- of another generation ---------------------------------------------------------------------------------------------


def test_jobs_of_another_generation_say_so_and_keep_their_numbers() -> None:
    there = contents(packed(ended(3)).data)
    (made,) = foreign(there.jobs[1:], there.names, b"o" * 16)
    found = contents(made.data)
    assert found == (b"o" * 16, there.jobs[1:], there.names)
    here = Mesh()
    assert isinstance(here.do(made.adoption(here.fence))[0], SegmentAdopted)
    assert here.state.segments[made.digest] == Segment(made.digest, JobId(2), JobId(3), 2, len(made.data))
    assert list(foreign((), {}, b"o" * 16)) == []


@pytest.mark.parametrize(
    ("room", "details"),
    [
        (1 << 20, {Detail.ALL}),
        (8_000, {Detail.ALL, Detail.LAST_TRY}),
        (1_000, {Detail.ALL, Detail.STATES}),
    ],
    ids=str,
)
def test_they_take_as_many_segments_as_they_need(
    room: int, details: set[Detail], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = contents(packed(large()).data)
    monkeypatch.setattr(segments, "_REST", 100)
    monkeypatch.setattr(segments, "MAX_BYTES", room)
    packs = list(foreign(there.jobs, there.names, b"o"))
    assert all(len(one.data) <= room for one in packs)
    made = [contents(one.data) for one in packs]
    assert [one.job.id for found in made for one in found.jobs] == [1, 2, 3]
    assert {one.detail for found in made for one in found.jobs} == details
    assert [one.job.counts for found in made for one in found.jobs] == [one.job.counts for one in there.jobs]
    monkeypatch.setattr(segments, "MAX_JOBS", 2)
    assert [len(contents(one.data).jobs) for one in foreign(there.jobs, there.names, b"o")] == [2, 1]


# -- only whole ones ---------------------------------------------------------------------------------------------------


def pieces(data: bytes) -> list[Piece]:
    return list(segments._pieces(data))


def joined(some: Iterable[Piece]) -> bytes:
    return b"".join(framed(one) for one in some)


def test_a_segment_is_made_of_pieces_in_this_order() -> None:
    kinds = [type(one) for one in pieces(packed(ended(2)).data)]
    assert kinds == [Begin, JobRow, TaskRows, JobRow, TaskRows, Names, End]


def test_without_any_piece_or_with_one_moved_it_is_refused() -> None:
    mesh = ended(2)
    mesh.do(CancelTasks(mesh.submit()))  # without any record of a task
    whole = pieces(packed(mesh).data)
    for position, one in enumerate(whole):
        rest = whole[:position] + whole[position + 1 :]
        with pytest.raises(Malformed):
            contents(joined(rest))
        with pytest.raises(Malformed):
            contents(joined([*rest, one] if position + 1 < len(whole) else [one, *rest]))
    with pytest.raises(Malformed):
        contents(joined([*whole, whole[-1]]))


def test_cut_anywhere_it_is_refused() -> None:
    data = packed(ended(1)).data
    assert contents(data)
    for length in range(len(data)):
        with pytest.raises(WireError):
            contents(data[:length])


def test_tasks_of_another_job_are_refused() -> None:
    begin, row, tasks, *rest = pieces(packed(ended(1)).data)
    assert isinstance(tasks, TaskRows)
    first, second = tasks.rows
    for rows in (
        (first, msgspec.structs.replace(second, id=task_id(9, 1))),
        (second, first),
        (first, first),
        (first, second, second),
    ):
        with pytest.raises(Malformed):
            contents(joined([begin, row, TaskRows(rows), *rest]))


def test_another_format_is_refused_by_its_name() -> None:
    rest = pieces(packed(ended(1)).data)[1:]
    with pytest.raises(NotUnderstood, match="format 2, this version reads 1"):
        contents(joined([Begin(FORMAT + 1, b""), *rest]))
    with pytest.raises(Malformed, match="format 0"):
        contents(joined([Begin(0, b""), *rest]))


def test_what_a_newer_version_would_add_is_not_skipped() -> None:
    begin, *rest = pieces(packed(ended(1)).data)
    plain = msgspec.msgpack.decode(msgspec.msgpack.encode(begin))
    longer = msgspec.msgpack.encode([1, [*plain, 7]])
    with pytest.raises(NotUnderstood):
        contents(len(longer).to_bytes(4, "big") + longer + joined(rest))


def test_a_large_job_is_packed_in_steps() -> None:
    mesh = ended(1, tasks=700)
    packing = Packing(mesh.state, [JobId(1)])
    assert list(islice(iter(packing.step, object()), 6)) == [None] * 6
    made = done(packing)
    assert [len(one.rows) for one in pieces(made.data) if isinstance(one, TaskRows)] == [256, 256, 188]
    assert contents(made.data).names == {NodeNumber(1): "pc-1", NodeNumber(2): "pc-2"}
    assert spans_in(mesh.job(1).runs, frozenset(TaskState)) == []
