"""Ids: packing and unpacking are exact opposites, everything fits a signed 64-bit field, later ids are larger."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.ids import (
    GENERATION_BITS,
    LOG_BITS,
    MAX_POSITIONS,
    MAX_TASKS,
    POSITION_BITS,
    attempt_id,
    attempt_parts,
    index_of,
    job_of,
    show_task,
    task_id,
)

LARGEST = (1 << 63) - 1

generations = st.integers(0, (1 << GENERATION_BITS) - 1)
places = st.integers(0, (1 << LOG_BITS) - 1)
positions = st.integers(0, MAX_POSITIONS - 1)
parts = st.tuples(generations, places, positions)
jobs = st.integers(0, (1 << 43) - 1)
indices = st.integers(0, MAX_TASKS - 1)


@given(jobs, indices)
def test_a_task_id_gives_back_its_job_and_index(job: int, index: int) -> None:
    task = task_id(job, index)
    assert (job_of(task), index_of(task)) == (job, index)
    assert 0 <= task <= LARGEST


@given(st.tuples(jobs, indices), st.tuples(jobs, indices))
def test_task_ids_stand_in_the_order_of_job_and_index(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (task_id(*one) < task_id(*other)) == (one < other)


@given(parts)
def test_an_attempt_id_gives_back_its_parts(given: tuple[int, int, int]) -> None:
    attempt = attempt_id(*given)
    assert attempt_parts(attempt) == given
    assert 0 <= attempt <= LARGEST


@given(parts, parts)
def test_attempts_made_later_in_the_log_are_larger(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    assert (attempt_id(*one) < attempt_id(*other)) == (one < other)


def test_the_largest_ids_fit_a_signed_field_exactly() -> None:
    largest = attempt_id((1 << GENERATION_BITS) - 1, (1 << LOG_BITS) - 1, MAX_POSITIONS - 1)
    assert largest == LARGEST
    assert task_id((1 << 43) - 1, MAX_TASKS - 1) == LARGEST


@pytest.mark.parametrize(
    "wrong",
    [
        (-1, 0, 0),
        (0, -1, 0),
        (0, 0, -1),
        (1 << GENERATION_BITS, 0, 0),
        (0, 1 << LOG_BITS, 0),
        (0, 0, 1 << POSITION_BITS),
    ],
)
def test_a_part_that_does_not_fit_is_refused_and_not_wrapped(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        attempt_id(*wrong)


def test_a_task_is_shown_as_people_type_it() -> None:
    assert show_task(task_id(42, 7)) == "42/7"
    assert show_task(task_id(1, 0)) == "1/0"
