"""The vocabulary: lifecycles as tables, a job's state as a rule over its tasks, records that are exact.

Never: tests that a table says what it says; what is tested is what every table must be like.
"""

import enum
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey import model
from odyssey.ids import ClientId, JobId
from odyssey.model import ENDED, LIVE, TASK_STEPS, Job, JobState, Run, TaskState, array_index, job_state
from tests.builders import a_spec

T = TaskState


# ---- the lifecycle ---------------------------------------------------------------------------------------------------


def test_every_state_has_its_row() -> None:
    assert set(TASK_STEPS) == set(TaskState)


def test_an_ended_task_leads_nowhere_but_to_waiting_and_that_is_the_users_word() -> None:
    for state in ENDED:
        assert TASK_STEPS[state] <= {T.WAITING}


def test_a_result_is_final() -> None:
    assert TASK_STEPS[T.DONE] == frozenset()


def test_who_is_being_cancelled_can_only_be_cancelled() -> None:
    assert TASK_STEPS[T.CANCELLING] == {T.CANCELLED}


def test_a_task_never_skips_being_assigned_on_its_way_to_a_machine() -> None:
    assert [state for state in TaskState if T.CANCELLING in TASK_STEPS[state]] == [T.ASSIGNED]
    assert [state for state in TaskState if T.ASSIGNED in TASK_STEPS[state]] == [T.WAITING]


def test_every_state_can_be_reached_from_waiting() -> None:
    reached, todo = {T.WAITING}, [T.WAITING]
    while todo:
        new = TASK_STEPS[todo.pop()] - reached
        reached |= new
        todo += new
    assert reached == set(TaskState)


def test_from_every_live_state_there_is_a_way_to_an_end() -> None:
    for state in LIVE:
        assert TASK_STEPS[state] & ENDED


def test_no_state_is_a_step_to_itself() -> None:
    assert [state for state in TaskState if state in TASK_STEPS[state]] == []


# ---- a job's state ---------------------------------------------------------------------------------------------------


def a_job(*counts: int) -> Job:
    total = sum(counts)
    return Job(JobId(1), a_spec(count=max(1, total)), ClientId(b""), 0, (), counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tasks", "state"),
    [
        ("W", JobState.WAITING),
        ("A", JobState.RUNNING),
        ("X", JobState.RUNNING),
        ("D", JobState.DONE),
        ("F", JobState.FAILED),
        ("C", JobState.CANCELLED),
        ("S", JobState.SKIPPED),
        ("WA", JobState.RUNNING),
        ("WX", JobState.RUNNING),
        ("FA", JobState.RUNNING),
        ("FW", JobState.WAITING),
        ("DDW", JobState.WAITING),
        ("DDC", JobState.CANCELLED),
        ("DS", JobState.SKIPPED),
        ("CS", JobState.CANCELLED),
        ("DFCS", JobState.FAILED),
    ],
)
def test_a_job_runs_if_anything_runs_else_waits_if_anything_waits_else_is_as_bad_as_its_worst(
    tasks: str, state: JobState
) -> None:
    letters = {T.WAITING: "W", T.ASSIGNED: "A", T.CANCELLING: "X", T.DONE: "D"}
    letters |= {T.FAILED: "F", T.CANCELLED: "C", T.SKIPPED: "S"}
    assert job_state(a_job(*(tasks.count(letters[one]) for one in TaskState))) is state


@given(st.lists(st.integers(0, 3), min_size=7, max_size=7).filter(any))
def test_a_jobs_state_depends_on_which_states_there_are_and_not_on_how_many(counts: list[int]) -> None:
    assert job_state(a_job(*counts)) is job_state(a_job(*(min(1, count) for count in counts)))


@given(st.lists(st.integers(0, 3), min_size=7, max_size=7).filter(any))
def test_a_job_is_live_exactly_while_a_task_is(counts: list[int]) -> None:
    live = any(counts[state] for state in LIVE)
    assert (job_state(a_job(*counts)) in (JobState.RUNNING, JobState.WAITING)) == live


def test_array_indices_start_where_asked_and_may_go_down() -> None:
    assert [array_index(a_spec(count=3, start=10, step=5), index) for index in range(3)] == [10, 15, 20]
    assert [array_index(a_spec(count=3, start=0, step=-1), index) for index in range(3)] == [0, -1, -2]


# ---- records ---------------------------------------------------------------------------------------------------------

RECORDS = [kind for kind in vars(model).values() if isinstance(kind, type) and issubclass(kind, msgspec.Struct)]
RECORDS = [kind for kind in RECORDS if kind.__module__ == model.__name__]


def test_the_walk_finds_the_records() -> None:
    assert {model.Job, model.Task, model.Attempt, model.Node, model.Segment} <= set(RECORDS)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_is_frozen_and_small(kind: type[msgspec.Struct]) -> None:
    config = kind.__struct_config__
    assert config.frozen
    assert config.array_like


@pytest.mark.parametrize("kind", [kind for kind in RECORDS if kind is not model.Use], ids=lambda kind: kind.__name__)
def test_every_stored_record_refuses_what_a_newer_version_added(kind: type[msgspec.Struct]) -> None:
    assert kind.__struct_config__.forbid_unknown_fields


def leaves(hint: Any) -> set[type]:
    inner = typing.get_args(hint)
    return {leaf for part in inner if part is not ... for leaf in leaves(part)} if inner else {plain(hint)}


def plain(hint: Any) -> type:
    kind: Any = getattr(hint, "__supertype__", hint)
    return int if issubclass(kind, enum.IntEnum) else kind


def test_no_record_holds_anything_inexact() -> None:
    exact = {int, str, bytes, bool, type(None)} | set(RECORDS)
    odd = {
        f"{kind.__name__}.{name}"
        for kind in RECORDS
        for name, hint in typing.get_type_hints(kind).items()
        if not all(leaf in exact or issubclass(leaf, msgspec.Struct) for leaf in leaves(hint))
    }
    assert odd == set()


NUMBERED: dict[type[enum.IntEnum], str] = {
    TaskState: "WAITING ASSIGNED CANCELLING DONE FAILED CANCELLED SKIPPED",
    JobState: "WAITING RUNNING DONE SKIPPED CANCELLED FAILED",
    model.Outcome: "EXITED SIGNALLED TIMEOUT OOM CANCELLED LOST EVICTED NOT_HERE REJECTED",
    model.Cause: "DOWN MASS LEFT CUT REBOOT",
    model.Ending: "NONE OWN CANCELLED PARENT POISON ONCE NOWHERE",
}


@pytest.mark.parametrize("kind", NUMBERED, ids=lambda kind: kind.__name__)
def test_words_keep_the_numbers_they_have_in_logs_and_snapshots(kind: type[enum.IntEnum]) -> None:
    """A new one goes to the end."""
    known = NUMBERED[kind].split()
    assert [kind(number).name for number in range(len(known))] == known


def test_the_old_record_still_tells_the_truth_of_its_moment() -> None:
    before = Run(0, 5)
    after = msgspec.structs.replace(before, state=T.CANCELLED)
    assert (before.state, after.state) == (T.WAITING, T.CANCELLED)
