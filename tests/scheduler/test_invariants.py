"""The walker notices: each way in which a state can be wrong is brought about by hand, and is named.

Without this, a walker that sees nothing would let every other test pass.
"""

from collections.abc import Callable
from typing import Any

import pytest

from odyssey.ids import AttemptId, ClientId, JobId, NodeNumber, TaskId, UserId, task_id
from odyssey.model import Outcome, Run, Task, TaskState, Try, Use
from odyssey.scheduler.draft import replace
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.state import MAX_AGE, State, Submitted
from tests.builders import Mesh, a_spec
from tests.scheduler.acts import cancel

T = TaskState
ONE = NodeNumber(1)


def sound() -> State:
    """Job 1: done, failed-and-backing-off, assigned, and a run of three. Job 2 waits for it. Job 3 is over."""
    mesh = Mesh()
    node = mesh.machine(cpus=8)
    mesh.machine()
    mesh.submit(a_spec(count=6, retries=1, key="x"), a_spec(after_here=(0,)), a_spec())
    mesh.assign(1, node, 0, 1, 2)
    mesh.report(1, 0, run_ms=5)
    mesh.report(1, 1, code=1)
    cancel(mesh, 3)
    return mesh.state


def job(there: State, number: int = 1, **changed: Any) -> None:
    there.jobs[JobId(number)] = replace(there.jobs[JobId(number)], **changed)


def task(there: State, index: int, **changed: Any) -> None:
    id_ = task_id(1, index)
    there.tasks[id_] = replace(there.tasks[id_], **changed)


def counts(state: State, **changed: int) -> None:
    new = list(state.jobs[JobId(1)].counts)
    for name, by in changed.items():
        new[TaskState[name]] += by
    job(state, counts=tuple(new))


def again_as_current(state: State) -> None:
    """The attempt that runs is in history already."""
    (attempt,) = state.tasks[task_id(1, 2)].attempts
    task(state, 2, tries=(Try(attempt.id, ONE, Outcome.LOST),), tries_total=1)


def on_another_machine(state: State, node: int) -> None:
    (attempt,) = state.tasks[task_id(1, 2)].attempts
    task(state, 2, attempts=(replace(attempt, node=NodeNumber(node)),))


def shared_attempt(state: State) -> None:
    """Two tasks hold the same attempt."""
    task(state, 1, attempts=state.tasks[task_id(1, 2)].attempts, state=T.ASSIGNED, backoff_ms=0)


def second_attempt(state: State) -> None:
    (attempt,) = state.tasks[task_id(1, 2)].attempts
    task(state, 2, attempts=(attempt, replace(attempt, id=AttemptId(7))))


def stopping(state: State) -> None:
    (attempt,) = state.tasks[task_id(1, 2)].attempts
    task(state, 2, attempts=(replace(attempt, stopping=True),))


def filed_wrongly(state: State) -> None:
    state.tasks[task_id(1, 5)] = state.tasks.pop(task_id(1, 0))


def same_names(state: State) -> None:
    state.nodes[NodeNumber(2)] = replace(state.nodes[NodeNumber(2)], name=state.nodes[ONE].name)


RUNS = (Run(3, 6),)
WRONG: dict[str, tuple[Callable[[State], object], str]] = {
    "overlapping runs": (lambda state: job(state, runs=(Run(3, 5), Run(4, 6))), "runs overlap"),
    "an empty run": (lambda state: job(state, runs=(Run(3, 3), Run(3, 6))), "runs overlap, are empty"),
    "a run beyond the array": (lambda state: job(state, runs=(Run(3, 7),)), "leave the array"),
    "a run over a record": (lambda state: job(state, runs=(Run(2, 6),)), "both in a run and on record"),
    "a run of results": (lambda state: job(state, runs=(Run(3, 6, T.DONE),)), "a run is DONE"),
    "a missing task": (lambda state: job(state, runs=(Run(3, 5),)), "but there are"),
    "wrong counts": (lambda state: counts(state, DONE=1, FAILED=-1), "but there are"),
    "too many counted": (lambda state: counts(state, DONE=1), "7 tasks of 6"),
    "attempts forgotten": (lambda state: job(state, attempts=0), "says it has 0 attempts"),
    "a live job that ended": (lambda state: job(state, ended_index=3), "live tasks, ended at 3"),
    "an ended job that lives": (lambda state: job(state, 3, ended_index=0), "0 live tasks, ended at 0"),
    "a blocker that is over": (lambda state: job(state, 2, blockers=(JobId(3),)), "waits for job 3, which is over"),
    "a blocker nobody knows": (lambda state: job(state, 2, blockers=(JobId(9),)), "waits for job 9, which is over"),
    "a blocker that is no parent": (lambda state: job(state, 1, blockers=(JobId(2),)), "which is no parent"),
    "an end that waits": (lambda state: job(state, 3, blockers=(JobId(1),), parents=(JobId(1),)), "and still waits"),
    "a number not given yet": (
        lambda state: setattr(state, "head", replace(state.head, last_job=JobId(2))), "newer than"),
    "assigned to nobody": (lambda state: task(state, 2, attempts=()), "ASSIGNED with 0 current"),
    "assigned to a loser": (stopping, "ASSIGNED with 0 current"),
    "waiting with an attempt": (lambda state: task(state, 2, state=T.WAITING), "waits while an attempt is out"),
    "cancelling nothing": (lambda state: task(state, 1, state=T.CANCELLING), "cancelling nothing"),
    "two attempts": (second_attempt, "2 attempts at once"),
    "a result that backs off": (lambda state: task(state, 0, backoff_ms=5), "backs off while DONE"),
    "done without a result": (lambda state: task(state, 0, tries=()), "1/0: done without a result"),
    "done by a failure": (
        lambda state: task(state, 0, tries=state.tasks[task_id(1, 1)].tries), "done without a result"),
    "history cut short": (lambda state: task(state, 1, tries=()), "1/1: 0 tries on record of 1"),
    "an attempt in history": (again_as_current, "the same attempt twice"),
    "an attempt of two tasks": (shared_attempt, "belongs to 1/1 and 1/2"),
    "a machine nobody knows": (lambda state: on_another_machine(state, 9), "on machine 9, which is no member"),
    "another machine": (lambda state: on_another_machine(state, 2), "machine 1: says it uses"),
    "a room not counted": (lambda state: state.uses.pop(ONE), "no use on record"),
    "a room counted wrongly": (lambda state: state.uses.update({ONE: Use(cpu_milli=-5)}), "machine 1: says it uses"),
    "two machines of one name": (same_names, "same name"),
    "a task filed wrongly": (filed_wrongly, "filed under another's number"),
    "tasks of no job": (lambda state: state.jobs.pop(JobId(1)), "tasks of job 1, which does not exist"),
    "a task outside the array": (
        lambda state: state.tasks.update({task_id(1, 9): Task(task_id(1, 9))}), "outside the array"),
    "marks out of order": (
        lambda state: setattr(state, "head", replace(state.head, age_marks=(JobId(3), JobId(1)))), "age marks"),
    "too many marks": (
        lambda state: setattr(state, "head", replace(state.head, age_marks=(JobId(1),) * (MAX_AGE + 1))), "age marks"),
    "less than nothing used": (lambda state: state.usage.update({UserId("anna"): -1}), "less than nothing"),
    "backoffs not indexed": (lambda state: state.backoffs.clear(), "index backoffs"),
    "children not indexed": (lambda state: state.children.clear(), "index children"),
    "ends not indexed": (lambda state: state.ended.clear(), "index ended"),
    "a reservation forgotten": (lambda state: state.reserved.clear(), "index reserved"),
    "holders not indexed": (lambda state: state.held[ONE].clear(), "index held"),
    "a backlog of ghosts": (
        lambda state: state.uses.update({ONE: replace(state.uses[ONE], backlog=(AttemptId(5),))}), "index uses"),
    "a queue without a job": (lambda state: state.waiting.drop(JobId(1)), "the queue is"),
    "a queue with an ended job": (
        lambda state: state.waiting.put(JobId(3), state.waiting.group_of(JobId(1)).key), "the queue is"),  # type: ignore[union-attr]
}  # fmt: skip


def test_a_sound_state_has_no_violations() -> None:
    assert violations(sound()) == []
    assert violations(State()) == []


@pytest.mark.parametrize(("spoil", "complaint"), WRONG.values(), ids=WRONG)
def test_a_wrong_state_is_noticed_and_named(spoil: Callable[[State], object], complaint: str) -> None:
    state = sound()
    spoil(state)
    found = violations(state)
    assert any(complaint in text for text in found), found


def test_too_much_kept_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey.scheduler.invariants.MAX_CLIENTS", 3)
    state = sound()
    for number in range(4):
        state.clients[ClientId(bytes([number]))] = Submitted(1, JobId(1), 1)
    assert "client ids" in violations(state)[0]


def test_the_walk_repairs_nothing() -> None:
    state = sound()
    state.backoffs.clear()
    assert violations(state) == violations(state) != []
    assert TaskId(0) not in state.tasks
