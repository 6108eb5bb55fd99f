"""What follows an attempt's end, as a table of cases; and the length of a backoff.

What the machine broke never uses up retries; what the job broke is tried again as often as its submitter said; a job
that may never run twice stays down once it may have run.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.ids import AttemptId, NodeNumber, task_id
from odyssey.model import NOWHERE_LIMIT, POISON_LIMIT, Attempt, Cause, Ending, Outcome, Task, TaskState
from odyssey.scheduler.retry import MAX_BACKOFF_MS, REJECTED_BACKOFF_MS, End, Sequel, backoff_ms, sequel
from odyssey.spec import JobSpec
from tests.builders import GIB, a_spec

T, Out, N = TaskState, Outcome, NodeNumber
HERE = N(7)
OWN_FAULTS = {Out.EXITED: "exited", Out.SIGNALLED: "signalled", Out.TIMEOUT: "timeout"}

plain = a_spec()
once = a_spec(once=True)
thrice = a_spec(retries=2)
limited = a_spec(memory_is_limit=True, retries=1)


def ended(outcome: Outcome, code: int = 1, cause: Cause | None = None, recalled: bool = False) -> End:
    attempt = Attempt(AttemptId(99), HERE, 0, recalled=recalled)
    return End(attempt, outcome, code, cause, machine_memory=8 * GIB)


def a_task(state: TaskState = T.ASSIGNED, **history: Any) -> Task:
    return Task(task_id(1, 0), state, **history)


class Case(NamedTuple):
    spec: JobSpec
    task: Task
    end: End
    others: int
    state: TaskState
    expected: Mapping[str, Any] = MappingProxyType({})


failed, waiting, going_on = T.FAILED, T.WAITING, T.ASSIGNED
own, by_once, poison = {"ending": Ending.OWN}, {"ending": Ending.ONCE}, {"ending": Ending.POISON}
four_deaths = a_task(deaths=POISON_LIMIT - 1)
refusals = tuple(N(at) for at in range(1, NOWHERE_LIMIT))
all_but_one = a_task(refused_by=refusals)
had_oom = a_task(memory_floor=GIB)

CASES = {
    # results
    "a result is a result": Case(plain, a_task(), ended(Out.EXITED, 0), 0, T.DONE, own),
    "also of a job that runs once": Case(once, a_task(), ended(Out.EXITED, 0), 0, T.DONE, own),
    "also while another attempt goes on": Case(plain, a_task(), ended(Out.EXITED, 0), 1, T.DONE, own),
    "also after many failures": Case(plain, a_task(failures=9, deaths=9), ended(Out.EXITED, 0), 0, T.DONE, own),
    "a code is no result of a signal": Case(plain, a_task(), ended(Out.SIGNALLED, 0), 0, failed, own),
    # the job's own failures
    "a failure without retries": Case(plain, a_task(), ended(Out.EXITED), 0, failed, own),
    "a signal without retries": Case(plain, a_task(), ended(Out.SIGNALLED, 9), 0, failed, own),
    "a time limit without retries": Case(plain, a_task(), ended(Out.TIMEOUT), 0, failed, own),
    "a first failure with retries": Case(thrice, a_task(), ended(Out.EXITED), 0, waiting, {"failures": 1}),
    "a last failure with retries": Case(thrice, a_task(failures=1), ended(Out.TIMEOUT), 0, waiting, {"failures": 2}),
    "a failure after the last retry": Case(thrice, a_task(failures=2), ended(Out.EXITED), 0, failed, {"failures": 2}),
    "once does not fail by itself twice": Case(once, a_task(), ended(Out.EXITED), 0, failed, own),
    "a failure while another goes on": Case(thrice, a_task(), ended(Out.EXITED), 1, going_on, {"failures": 0}),
    # what the machine broke
    "lost": Case(plain, a_task(), ended(Out.LOST, 0, Cause.CUT), 0, waiting),
    "evicted": Case(plain, a_task(), ended(Out.EVICTED), 0, waiting),
    "killed by its machine": Case(plain, a_task(), ended(Out.CANCELLED), 0, waiting),
    "lost with failures": Case(thrice, a_task(failures=2), ended(Out.LOST), 0, waiting, {"failures": 2}),
    "lost while another goes on": Case(plain, a_task(), ended(Out.LOST, 0, Cause.CUT), 1, going_on),
    # machines that go down
    "a machine went down": Case(plain, a_task(), ended(Out.LOST, 0, Cause.DOWN), 0, waiting, {"deaths": 1}),
    "several went down": Case(plain, four_deaths, ended(Out.LOST, 0, Cause.MASS), 0, waiting, {"deaths": 4}),
    "a machine left": Case(plain, four_deaths, ended(Out.LOST, 0, Cause.LEFT), 0, waiting, {"deaths": 4}),
    "a machine is cut off": Case(plain, four_deaths, ended(Out.LOST, 0, Cause.CUT), 0, waiting, {"deaths": 4}),
    "a machine is back": Case(plain, four_deaths, ended(Out.LOST, 0, Cause.REBOOT), 0, waiting, {"deaths": 4}),
    "the fifth went down": Case(plain, four_deaths, ended(Out.LOST, 0, Cause.DOWN), 0, failed, {**poison, "deaths": 5}),
    "one of two went down": Case(plain, a_task(), ended(Out.LOST, 0, Cause.DOWN), 1, going_on, {"deaths": 1}),
    # not here
    "not here": Case(plain, a_task(), ended(Out.NOT_HERE), 0, waiting, {"refused_by": (HERE,)}),
    "not here, not there": Case(plain, a_task(refused_by=(N(1),)), ended(Out.NOT_HERE), 0, waiting,
                                {"refused_by": (N(1), HERE)}),
    "nowhere": Case(plain, all_but_one, ended(Out.NOT_HERE), 0, failed,
                    {"ending": Ending.NOWHERE, "refused_by": (*refusals, HERE)}),
    "not here, and never begun": Case(once, a_task(), ended(Out.NOT_HERE), 0, waiting, {"refused_by": (HERE,)}),
    "not here while another goes on": Case(plain, a_task(), ended(Out.NOT_HERE), 1, going_on, {"refused_by": (HERE,)}),
    "not here, then lost": Case(plain, all_but_one, ended(Out.LOST), 0, waiting, {"refused_by": refusals}),
    # rejected
    "rejected": Case(plain, a_task(), ended(Out.REJECTED), 0, waiting, {"backoff_ms": REJECTED_BACKOFF_MS}),
    "taken back": Case(plain, a_task(), ended(Out.REJECTED, recalled=True), 0, waiting, {"backoff_ms": 0}),
    "rejected, so never begun": Case(once, a_task(), ended(Out.REJECTED), 0, waiting,
                                     {"backoff_ms": REJECTED_BACKOFF_MS}),
    # once, and it may have run
    "once and lost": Case(once, a_task(), ended(Out.LOST, 0, Cause.CUT), 0, failed, by_once),
    "once and down": Case(once, a_task(), ended(Out.LOST, 0, Cause.DOWN), 0, failed, {**by_once, "deaths": 1}),
    "once and evicted": Case(once, a_task(), ended(Out.EVICTED), 0, failed, by_once),
    "once and killed": Case(once, a_task(), ended(Out.CANCELLED), 0, failed, by_once),
    "once and out of memory": Case(once, a_task(), ended(Out.OOM), 0, failed, own),
    # out of memory
    "out of memory": Case(plain, a_task(), ended(Out.OOM), 0, waiting, {"memory_floor": 8 * GIB, "failures": 0}),
    "out of memory again": Case(plain, had_oom, ended(Out.OOM), 0, failed, {**own, "memory_floor": GIB}),
    "out of memory again, with retries": Case(thrice, had_oom, ended(Out.OOM), 0, waiting,
                                              {"memory_floor": GIB, "failures": 1}),
    "over its own limit": Case(limited, a_task(failures=1), ended(Out.OOM), 0, failed, {**own, "memory_floor": 0}),
    "over its own limit, with a retry": Case(limited, a_task(), ended(Out.OOM), 0, waiting, {"failures": 1}),
    # cancelled
    "a cancelled one is cancelled": Case(plain, a_task(T.CANCELLING), ended(Out.CANCELLED), 0, T.CANCELLED),
    "also if it had a result": Case(plain, a_task(T.CANCELLING), ended(Out.EXITED, 0), 0, T.CANCELLED),
    "also if it is lost": Case(once, a_task(T.CANCELLING), ended(Out.LOST), 0, T.CANCELLED),
    "but not before its last attempt": Case(plain, a_task(T.CANCELLING), ended(Out.EXITED, 0), 1, T.CANCELLING),
    # over
    "a loser changes nothing": Case(plain, a_task(T.DONE, ending=Ending.OWN), ended(Out.EXITED, 1), 0, T.DONE, own),
    "nor one with a result": Case(plain, a_task(T.DONE, ending=Ending.OWN), ended(Out.EXITED, 0), 0, T.DONE, own),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_follows(case: Case) -> None:
    following = sequel(case.spec, case.task, case.end, case.others)
    assert following.state is case.state
    assert {name: getattr(following, name) for name in case.expected} == case.expected


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_same_end_has_the_same_sequel(case: Case) -> None:
    assert sequel(*case[:4]) == sequel(*case[:4])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_only_what_waits_backs_off_and_only_what_is_over_has_an_ending(case: Case) -> None:
    following = sequel(*case[:4])
    assert not following.backoff_ms or following.state is T.WAITING
    assert (following.ending is not Ending.NONE) == (following.state in (T.DONE, T.FAILED, T.CANCELLED, T.SKIPPED))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_history_is_never_forgotten(case: Case) -> None:
    following = sequel(*case[:4])
    assert following.failures >= case.task.failures
    assert following.deaths >= case.task.deaths
    assert following.refused_by[: len(case.task.refused_by)] == case.task.refused_by
    assert following.memory_floor >= case.task.memory_floor


@pytest.mark.parametrize("outcome", OWN_FAULTS, ids=OWN_FAULTS.get)
@pytest.mark.parametrize("word", OWN_FAULTS.values())
def test_retry_on_chooses_which_failures_are_tried_again(outcome: Outcome, word: str) -> None:
    following = sequel(a_spec(retries=1, retry_on=(word,)), a_task(), ended(outcome), 0)
    assert following.state is (T.WAITING if word == OWN_FAULTS[outcome] else T.FAILED)


def test_retry_on_has_no_say_in_what_the_machine_broke() -> None:
    for outcome in (Out.LOST, Out.EVICTED, Out.NOT_HERE, Out.REJECTED):
        assert sequel(a_spec(retry_on=("timeout",)), a_task(), ended(outcome), 0).state is T.WAITING


def test_out_of_memory_on_a_machine_that_tells_no_memory_still_counts_once() -> None:
    end = ended(Out.OOM)._replace(machine_memory=0)
    first = sequel(plain, a_task(), end, 0)
    assert first.state is T.WAITING
    assert sequel(plain, a_task(memory_floor=first.memory_floor), end, 0).state is T.FAILED


# ---- backoff ---------------------------------------------------------------------------------------------------------

attempts = st.integers(0, (1 << 63) - 1).map(AttemptId)


@given(st.integers(1, 1000), attempts)
def test_a_backoff_doubles_up_to_a_minute_within_a_fifth(failures: int, attempt: AttemptId) -> None:
    usual = min(60_000, 1_000 * 2 ** (failures - 1))
    assert usual * 80 // 100 <= backoff_ms(failures, attempt) <= usual * 120 // 100


@given(st.integers(1, 30), attempts)
def test_the_jitter_is_made_of_the_attempt_alone(failures: int, attempt: AttemptId) -> None:
    assert backoff_ms(failures, attempt) == backoff_ms(failures, attempt)


def test_a_thousand_retries_of_one_array_do_not_come_as_one() -> None:
    lengths = [backoff_ms(7, AttemptId(attempt)) for attempt in range(1_000)]
    thirds = [sum(low <= length < low + 8_000 for length in lengths) for low in (48_000, 56_000, 64_000)]
    assert min(thirds) > 250
    assert len(set(lengths)) > 900


JITTERED = {0: 800, 1: 1134, 2: 1005, 1 << 52: 1086, (1 << 63) - 1: 1156}


def test_the_jitter_is_the_same_on_every_machine_and_version() -> None:
    """Replicas must agree for ever: these numbers are in the states on disks."""
    assert [backoff_ms(1, AttemptId(attempt)) for attempt in JITTERED] == [*JITTERED.values()]


def test_no_backoff_is_longer_than_the_longest() -> None:
    assert max(backoff_ms(40, AttemptId(attempt)) for attempt in range(5_000)) <= MAX_BACKOFF_MS * 120 // 100


def test_a_sequel_says_nothing_that_was_not_asked() -> None:
    assert sequel(plain, a_task(), ended(Out.LOST, 0, Cause.CUT), 0) == Sequel(T.WAITING)
