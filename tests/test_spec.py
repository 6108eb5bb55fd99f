"""The check of a submit: every mistake visible in it is named, with what would be right; a sound submit has none.

Never: blames something for what another part of the submit did wrong, or stops at the first mistake of a job.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.ids import MAX_TASKS, UserId
from odyssey.resources import Resources
from odyssey.spec import (
    MAX_JOBS_AT_ONCE,
    MAX_PRIORITY,
    MAX_RETRIES,
    RETRY_WORDS,
    Blob,
    JobSpec,
    SpecFault,
    Want,
    faults,
)
from tests.builders import a_spec


def found(**fields: Any) -> list[SpecFault]:
    return faults((a_spec(**fields),))


# ---- one job ---------------------------------------------------------------------------------------------------------


def test_a_plain_job_has_no_fault() -> None:
    assert found() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"priority": MAX_PRIORITY},
        {"priority": -MAX_PRIORITY},
        {"retries": MAX_RETRIES},
        {"retry_on": RETRY_WORDS},
        {"count": MAX_TASKS},
        {"count": 1, "step": 0},
        {"count": 3, "step": -2},
        {"name": "x" * 64},
        {"cpus": 0.01},
        {"memory": 0},
        {"once": True},
        {"overlap": True, "retries": 3},
        {"argv": (b"true",) * 4096},
        {"inputs": (Blob(b"d", 0),)},
        {"env": ((b"A", b"b=c"),)},
    ],
    ids=str,
)
def test_the_largest_and_smallest_that_make_sense_are_accepted(fields: dict[str, Any]) -> None:
    assert found(**fields) == []


MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "no words": ({"argv": ()}, "no command to run", "odyssey run -- hostname"),
    "an empty command": ({"argv": (b"", b"x")}, "no command to run", "after --"),
    "too many words": ({"argv": (b"x",) * 4097}, "4097 words", "at most 4096"),
    "nobody's job": ({"user": ""}, "no user", "through a machine of the mesh"),
    "a long name": ({"name": "x" * 65}, "too long or not printable", "at most 64"),
    "a name that steers terminals": ({"name": "a\x1b[2J"}, "too long or not printable", "printable"),
    "no tasks": ({"count": 0}, "an array of 0 tasks", f"between 1 and {MAX_TASKS}"),
    "less than no tasks": ({"count": -3}, "an array of -3 tasks", f"between 1 and {MAX_TASKS}"),
    "too many tasks": ({"count": MAX_TASKS + 1}, f"an array of {MAX_TASKS + 1} tasks", f"{MAX_TASKS}"),
    "an array that stands still": ({"count": 2, "step": 0}, "step is 0", "--array 0-99"),
    "a high priority": ({"priority": 11}, "--priority 11 is out of range", "-10 to 10"),
    "a low priority": ({"priority": -11}, "--priority -11 is out of range", "-10 to 10"),
    "negative retries": ({"retries": -1}, "--retries -1 is out of range", "0 to 1000"),
    "many retries": ({"retries": 1001}, "--retries 1001 is out of range", "0 to 1000"),
    "an unknown word": (
        {"retry_on": ("exited", "rain")},
        "--retry-on 'rain' is not known",
        "exited, signalled, timeout",
    ),
    "a negative time limit": ({"timeout_ms": -1}, "--timeout is negative", "--timeout 2h"),
    "a negative patience": ({"patience_ms": -2}, "--patience is negative", "--patience 5m"),
    "hardly any cpu": ({"cpus": 0.009}, "--cpus 0.009 is too little", "--cpus 0.01"),
    "no cpu": ({"cpus": 0}, "--cpus 0 is too little", "--cpus 0.01"),
    "once and twice": ({"once": True, "overlap": True}, "--once and --overlap ok contradict", "may never run twice"),
    "once and again": ({"once": True, "retries": 1}, "--once and --retries contradict", "leave one of them out"),
    "an input of less than nothing": ({"inputs": (Blob(b"d", -1),)}, "negative size", "send the inputs again"),
    "a word that no system can pass on": ({"argv": (b"echo", b"a\0b")}, "NUL", "file"),
    "a variable that no system can pass on": ({"env": ((b"A", b"a\0b"),)}, "NUL", "file"),
    "a directory that cannot be": ({"cwd": b"/a\0b"}, "NUL", "file"),
    "a variable without a name": ({"env": ((b"", b"x"),)}, "variable", "NAME=VALUE"),
    "a variable with two names": ({"env": ((b"A=B", b"x"),)}, "variable", "NAME=VALUE"),
}


@pytest.mark.parametrize(("fields", "error", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_with_its_mend(fields: dict[str, Any], error: str, hint: str) -> None:
    (fault,) = found(**fields)
    assert error in fault.error
    assert hint in fault.hint


def test_every_fault_is_two_lines_a_person_can_read() -> None:
    for fields, _, _ in MISTAKES.values():
        for fault in found(**fields):
            assert fault.error.isprintable()
            assert fault.hint.isprintable()
            assert fault.hint


def test_all_mistakes_of_a_job_are_told_at_once() -> None:
    assert len(found(argv=(), user="", count=0, priority=99, retries=-1, cpus=0)) == 6


def test_a_long_unknown_word_is_cut() -> None:
    (fault,) = found(retry_on=("y" * 5000,))
    assert len(fault.error) < 100


# ---- many jobs -------------------------------------------------------------------------------------------------------


def test_a_submit_of_nothing_is_refused() -> None:
    (fault,) = faults(())
    assert fault == SpecFault("0 jobs in one submit", "send between 1 and 1000 jobs at a time")


def test_a_submit_of_too_many_is_refused() -> None:
    assert faults((a_spec(),) * MAX_JOBS_AT_ONCE) == []
    (fault,) = faults((a_spec(),) * (MAX_JOBS_AT_ONCE + 1))
    assert "1001 jobs" in fault.error


def test_the_mistakes_of_every_job_are_told() -> None:
    told = faults((a_spec(retries=-1), a_spec(), a_spec(priority=50)))
    assert [fault.error.split()[0] for fault in told] == ["--retries", "--priority"]


def waiting(field: str, other: int, name: str = "") -> JobSpec:
    fields: dict[str, Any] = {field: (other,)}
    return a_spec(name=name, **fields)


@pytest.mark.parametrize("field", ["after_here", "after_any_here"])
@pytest.mark.parametrize("other", [-1, 2, 99])
def test_waiting_for_a_job_that_is_not_there_is_refused(field: str, other: int) -> None:
    (fault,) = faults((a_spec(name="train"), waiting(field, other, "test")))
    assert fault.error == f"test waits for job {other} of this submit, which has 2"
    assert "same submit" in fault.hint


@pytest.mark.parametrize("field", ["after_here", "after_any_here"])
def test_waiting_for_oneself_is_refused(field: str) -> None:
    (fault,) = faults((a_spec(), waiting(field, 1)))
    assert fault == SpecFault("job 1 of this submit waits for itself", "remove it from its own dependencies")


# ---- cycles ----------------------------------------------------------------------------------------------------------


def chain(*parents: tuple[int, ...]) -> tuple[JobSpec, ...]:
    return tuple(a_spec(name=f"j{position}", after_here=mine) for position, mine in enumerate(parents))


def test_a_cycle_is_told_job_by_job() -> None:
    (fault,) = faults(chain((1,), (2,), (0,)))
    assert fault.error == "these jobs wait for each other: j0 -> j1 -> j2 -> j0"
    assert fault.hint == "remove one of these dependencies"


def test_a_job_without_a_name_is_told_by_its_place() -> None:
    (fault,) = faults((a_spec(after_here=(1,)), a_spec(name="b", after_here=(0,))))
    assert fault.error == "these jobs wait for each other: job 0 of this submit -> b -> job 0 of this submit"


def test_who_only_waits_for_a_cycle_is_not_told_as_a_part_of_it() -> None:
    (fault,) = faults(chain((1,), (2,), (1,), (0,), ()))
    assert fault.error == "these jobs wait for each other: j1 -> j2 -> j1"


def test_a_cycle_of_both_kinds_of_waiting_is_a_cycle() -> None:
    (fault,) = faults((a_spec(name="a", after_any_here=(1,)), a_spec(name="b", after_here=(0,))))
    assert fault.error == "these jobs wait for each other: a -> b -> a"


def test_a_diamond_is_no_cycle() -> None:
    assert faults(chain((), (0,), (0,), (1, 2))) == []


def test_the_longest_chain_is_no_cycle_and_needs_no_recursion() -> None:
    links = [(position + 1,) for position in range(MAX_JOBS_AT_ONCE - 1)]
    assert faults(chain(*links, ())) == []
    (fault,) = faults(chain(*links, (0,)))
    assert fault.error.count("->") == MAX_JOBS_AT_ONCE


def reaches_itself(parents: list[set[int]]) -> set[int]:
    """The simple reference: who comes back to itself by walking to parents."""
    found = set()
    for start in range(len(parents)):
        seen, todo = set[int](), list(parents[start])
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo += parents[at]
        if start in seen:
            found.add(start)
    return found


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[set[int], set[int]]]:
    count = draw(st.integers(1, 9))
    others = st.sets(st.integers(0, count - 1), max_size=2)
    return [(draw(others) - {me}, draw(others) - {me}) for me in range(count)]


@given(graphs())
def test_cycles_are_found_exactly_where_a_job_comes_back_to_itself(graph: list[tuple[set[int], set[int]]]) -> None:
    specs = tuple(
        a_spec(name=f"j{me}", after_here=tuple(strict), after_any_here=tuple(loose))
        for me, (strict, loose) in enumerate(graph)
    )
    parents = [strict | loose for strict, loose in graph]
    told = faults(specs)
    assert bool(told) == bool(reaches_itself(parents))
    for fault in told:
        assert_is_a_cycle(fault.error.partition(": ")[2], parents)


def assert_is_a_cycle(told: str, parents: list[set[int]]) -> None:
    walk = [int(name[1:]) for name in told.split(" -> ")]
    assert walk[0] == walk[-1]
    assert len(set(walk)) == len(walk) - 1
    assert all(after in parents[before] for before, after in steps(walk))


def steps(walk: list[int]) -> Iterator[tuple[int, int]]:
    return pairwise(walk)


# ---- records ---------------------------------------------------------------------------------------------------------


def test_what_was_asked_cannot_be_changed_afterwards() -> None:
    spec = JobSpec(UserId("anna"), (b"true",), Want(Resources(1000)))
    with pytest.raises(AttributeError):
        spec.count = 2  # type: ignore[misc]
    assert msgspec.structs.replace(spec, count=2) != spec
