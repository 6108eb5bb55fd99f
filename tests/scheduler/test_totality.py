"""`apply` is total: what cannot be carried out changes nothing, says so, and the log goes on.

Also when the bug is ours. Never: half an entry.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.commands import (
    AssignTasks,
    Batch,
    CancelTasks,
    Command,
    Entry,
    HoldJob,
    LoseAttempts,
    Report,
    ReportAttempts,
    SubmitJobs,
)
from odyssey.errors import ImpossibleStep, NegativeResources
from odyssey.events import CommandFailed, Event
from odyssey.ids import JobId, NodeNumber, task_id
from odyssey.model import Attempt, Cause, Outcome, Task, TaskState
from odyssey.resources import Resources
from odyssey.scheduler import apply as applying
from odyssey.scheduler.apply import TRANSITIONS, apply
from odyssey.scheduler.draft import Draft, replace, without
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.state import State
from odyssey.scheduler.transitions.base import Refused
from tests.builders import Mesh, a_spec, kinds
from tests.scheduler.acts import cancel, changes_nothing, end_on, give, lose
from tests.scheduler.arbitrary import records


def busy() -> Mesh:
    """Something of everything: run, lost, failed, refused, cancelled, held, blocked, in a backlog, ended."""
    mesh = Mesh()
    one, two = mesh.machine(cpus=2, shared=True), mesh.machine(cpus=4)
    job = mesh.submit(count=6, retries=1)
    give(mesh, job, two, (0, 3))
    give(mesh, job, one, (3, 6), slot=False)
    mesh.report(job, 0, code=1)
    mesh.report(job, 1, outcome=Outcome.NOT_HERE)
    lose(mesh, job, 2, Cause.CUT)
    mesh.submit(a_spec(held=True), a_spec(after_here=(0,)), a_spec(once=True), a_spec(overlap=True, user="ben"))
    mesh.assign(5, one, slot=False)
    end_on(mesh, 4, two)
    cancel(mesh, job, (4, 5))
    return mesh


# ---- our own bugs ----------------------------------------------------------------------------------------------------

BUGS = [
    ValueError("x" * 9000),
    AssertionError(),
    KeyError(7),
    ZeroDivisionError(),
    RecursionError(),
    ImpossibleStep("x"),
]


def breaking(real: Callable[..., list[Event]], bug: BaseException) -> Callable[..., list[Event]]:
    """The transition does all of its work, and then fails."""

    def broken(draft: Draft, entry: Entry, command: Command) -> list[Event]:
        real(draft, entry, command)
        raise bug

    return broken


def useful(mesh: Mesh) -> list[Command]:
    """Commands that change much of a busy mesh."""
    running = mesh.task(1, 3).attempts[0]
    return [
        SubmitJobs(mesh.client(), 0, (a_spec(), a_spec(after_here=(0,)))),
        CancelTasks(JobId(1)),
        AssignTasks(mesh.fence, (Batch(NodeNumber(2), JobId(1), ((1, 3),)),)),
        ReportAttempts(running.node, (Report(running.id, task_id(1, 3), Outcome.EXITED, run_ms=5),)),
        LoseAttempts(mesh.fence, Cause.DOWN, ((running.id, task_id(1, 3)),)),
    ]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: type(bug).__name__)
@pytest.mark.parametrize("which", range(5))
def test_a_bug_in_a_transition_changes_nothing_and_the_log_goes_on(
    which: int, bug: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = busy()
    command = useful(mesh)[which]
    with monkeypatch.context() as patch:
        patch.setattr(applying, "TRANSITIONS", {type(command): breaking(TRANSITIONS[type(command)], bug)})
        (event,) = changes_nothing(mesh, command)
    assert isinstance(event, CommandFailed)
    assert type(bug).__name__ in event.text
    assert len(event.text) <= 500
    assert violations(mesh.state) == []
    assert not {"CommandFailed", "CommandRefused", "ChangedNothing"} & set(kinds(mesh.do(command)))


@pytest.mark.parametrize("which", range(5))
def test_a_refusal_after_the_work_was_begun_changes_nothing_either(which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = busy()
    command = useful(mesh)[which]
    broken = breaking(TRANSITIONS[type(command)], Refused("no", "no", "yes"))
    monkeypatch.setattr(applying, "TRANSITIONS", {type(command): broken})
    assert kinds(changes_nothing(mesh, command)) == ["CommandRefused"]


@pytest.mark.parametrize("luck", [MemoryError(), KeyboardInterrupt()], ids=lambda luck: type(luck).__name__)
def test_bad_luck_of_one_machine_is_no_answer_of_the_log(luck: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others have the memory: were this taken as an answer, replicas would differ. The entry is not applied."""
    mesh = busy()
    before, index = state_hash(mesh.state), mesh.state.head.index
    with monkeypatch.context() as patch:
        patch.setattr(applying, "TRANSITIONS", {CancelTasks: breaking(TRANSITIONS[CancelTasks], luck)})
        with pytest.raises(type(luck)):
            cancel(mesh, 1)
    assert (state_hash(mesh.state), mesh.state.head.index) == (before, index)
    assert "TasksEnded" in kinds(cancel(mesh, 1))


def test_a_command_without_a_transition_is_a_bug_that_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh = busy()
    with monkeypatch.context() as patch:
        patch.setattr(applying, "TRANSITIONS", {})
        assert kinds(changes_nothing(mesh, HoldJob(JobId(1)))) == ["CommandFailed"]
    assert kinds(mesh.do(HoldJob(JobId(1)))) == ["JobChanged"]


# ---- whatever can be read --------------------------------------------------------------------------------------------

LIVED = [bytes(piece) for piece in dump(busy().state)]


@given(st.lists(st.sampled_from(list(TRANSITIONS)).flatmap(records), min_size=1, max_size=6))
def test_no_command_that_can_be_read_is_a_bug(commands: list[Command]) -> None:
    state = load(LIVED)
    for command in commands:
        state, events = apply(state, [Entry(1, 1, state.head.index + 1, 0, command)])  # type: ignore[arg-type]
        assert events
        assert "CommandFailed" not in kinds(events), events
    assert violations(state) == []
    assert state_hash(load(dump(state))) == state_hash(state)


@pytest.mark.parametrize("kind", TRANSITIONS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_empty_mesh_is_told_anything(kind: type[Command], data: st.DataObject) -> None:
    mesh = Mesh()
    assert "CommandFailed" not in kinds(mesh.do(data.draw(records(kind))))
    assert violations(mesh.state) == []


# ---- entries in order ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 2, 4, 99, -1])
def test_an_entry_that_does_not_follow_is_not_applied(index: int) -> None:
    mesh = Mesh()
    mesh.machines(2)
    before = state_hash(mesh.state)
    with pytest.raises(ImpossibleStep, match="cannot follow"):
        apply(mesh.state, [Entry(1, 1, index, 0, HoldJob(JobId(1)))])
    assert state_hash(mesh.state) == before


def test_many_entries_at_once_are_the_same_as_one_by_one() -> None:
    mesh = busy()
    state, events = apply(State(), mesh.entries)
    assert state_hash(state) == state_hash(mesh.state)
    assert events == mesh.events


def test_every_entry_has_an_answer() -> None:
    mesh = busy()
    assert {event.index for event in mesh.events} == {entry.index for entry in mesh.entries}


# ---- what a draft refuses to write -----------------------------------------------------------------------------------


def test_a_step_that_is_not_in_the_table_cannot_be_written() -> None:
    mesh = Mesh()
    job = mesh.submit()
    cancel(mesh, job)
    draft = Draft(mesh.state, mesh.state.head)
    ended = Task(task_id(job, 0), TaskState.DONE)
    with pytest.raises(ImpossibleStep, match="1/0 cannot go from DONE to WAITING"):
        draft.change(ended, replace(ended, state=TaskState.WAITING))
    assert (draft.tasks, draft.jobs) == ({}, {})


def test_more_than_is_held_cannot_be_taken_away() -> None:
    mesh = Mesh()
    node = mesh.machine()
    mesh.assign(mesh.submit(), node)
    attempt = Attempt(mesh.attempt(1), node, 0)
    with pytest.raises(NegativeResources, match="less than nothing"):
        without(mesh.state.uses[node], attempt, Resources(1001))


def test_a_draft_that_is_dropped_has_done_nothing() -> None:
    mesh = busy()
    before = state_hash(mesh.state)
    draft = Draft(mesh.state, applying.next_head(mesh.state.head, mesh.entries[-1]))
    TRANSITIONS[CancelTasks](draft, mesh.entries[-1], CancelTasks(JobId(1)))
    assert draft.tasks
    assert state_hash(mesh.state) == before
    assert violations(mesh.state) == []
