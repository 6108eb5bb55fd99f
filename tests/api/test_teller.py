"""What is told of a job, to whom, in which order, and no byte twice. The tally, counted and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odyssey.api import project, teller
from odyssey.api import requests as r
from odyssey.api import views as v
from odyssey.api.following import Marks, merged
from odyssey.api.names import Meant, resolve
from odyssey.api.tally import Tallies, counted, recorded
from odyssey.api.teller import Teller
from odyssey.commands import CancelTasks
from odyssey.errors import UsageError
from odyssey.ids import JobId, task_id
from odyssey.model import Outcome
from tests.api.counter import FakeCounter
from tests.builders import ANNA


@pytest.fixture
def counter(tmp_path: Path) -> FakeCounter:
    return FakeCounter(tmp_path)


def a_teller(counter: FakeCounter, request: r.Follow | None = None, only: int | None = None) -> Teller:
    made = Teller(JobId(1), only, request or r.Follow("1"), counter.outputs)
    made.all_of(counter.mesh.job(1))
    return made


def told(counter: FakeCounter, made: Teller) -> list[v.AnyItem]:
    """All that there is to tell now."""
    found: list[v.AnyItem] = []
    for _ in range(1000):
        items = made.items(project.records_of(counter.state), counter.clock.monotonic_ms())
        found += items
        if not items and not made.has_more:
            return found
    raise AssertionError("it never ends")


def kinds(items: list[v.AnyItem]) -> list[str]:
    return [f"{type(item).__name__} {getattr(item, 'index', '')}" for item in items]


def test_output_comes_as_it_is_written_and_no_byte_twice(counter: FakeCounter) -> None:
    counter.submit()
    made = a_teller(counter)
    (attempt,) = counter.assign(1)
    made.look_at([0])
    assert kinds(told(counter, made)) == ["Began 0"]
    for text in (b"a", b"b"):
        counter.outputs.write(attempt, text)
        assert told(counter, made) == [v.Output(0, attempt, v.STDOUT, b"ab".index(text), text)]
    assert told(counter, made) == []
    assert made.look_again


def test_in_groups_the_output_comes_with_the_end(counter: FakeCounter) -> None:
    counter.submit(count=2)
    made = a_teller(counter, r.Follow("1", is_grouped=True))
    first, second = counter.assign(1, 0, 1)
    made.look_at([0, 1])
    assert kinds(told(counter, made)) == ["Began 0", "Began 1"]
    assert not made.look_again
    counter.outputs.write(first, b"one")
    counter.outputs.write(second, b"two")
    counter.end(1, 1)
    made.look_at([1])
    assert kinds(told(counter, made)) == ["Output 1", "Ended 1"]


def test_what_nobody_heard_begin_and_was_moved_is_not_told_in_groups(counter: FakeCounter) -> None:
    counter.submit(retries=1)
    (first,) = counter.assign(1)
    counter.outputs.write(first, b"void")
    counter.end(1, code=1)
    counter.end_backoff(*counter.state.backoffs)
    counter.assign(1)
    counter.end(1)
    assert kinds(told(counter, a_teller(counter, r.Follow("1", is_grouped=True)))) == ["Began 0", "Ended 0"]
    assert kinds(told(counter, a_teller(counter))) == ["Began 0", "Output 0", "Moved 0", "Began 0", "Ended 0"]


def test_a_task_that_was_heard_to_begin_is_heard_to_move_in_groups(counter: FakeCounter) -> None:
    counter.submit()
    made = a_teller(counter, r.Follow("1", is_grouped=True))
    counter.assign(1)
    made.look_at([0])
    assert kinds(told(counter, made)) == ["Began 0"]
    counter.end(1, outcome=Outcome.LOST)
    made.look_at([0])
    assert kinds(told(counter, made)) == ["Moved 0"]


def test_the_last_bytes_of_an_ended_try_are_waited_for_but_not_for_ever(counter: FakeCounter) -> None:
    counter.submit()
    (attempt,) = counter.assign(1)
    counter.outputs.write(attempt, b"most")
    counter.end(1)
    counter.outputs.complete.clear()
    made = a_teller(counter)
    assert kinds(told(counter, made)) == ["Began 0", "Output 0"]
    assert made.look_again
    counter.outputs.write(attempt, b", all")
    assert kinds(told(counter, made)) == ["Output 0"]
    counter.clock.advance(teller.COMPLETE_MS)
    assert kinds(told(counter, made)) == ["Ended 0"]
    assert not made.look_again


def test_a_stream_that_was_cut_says_so_once(counter: FakeCounter) -> None:
    counter.submit()
    (attempt,) = counter.assign(1)
    counter.outputs.write(attempt, b"head")
    counter.outputs.cut[attempt, v.STDOUT] = 99
    counter.end(1)
    items = told(counter, a_teller(counter))
    assert kinds(items) == ["Began 0", "Output 0", "Cut 0", "Ended 0"]
    assert items[2] == v.Cut(0, attempt, v.STDOUT, 99)


def test_who_sits_at_a_terminal_hears_at_once_that_it_is_cut(counter: FakeCounter) -> None:
    counter.submit(terminal=(24, 80))
    (attempt,) = counter.assign(1)
    counter.outputs.write(attempt, b"head")
    counter.outputs.cut[attempt, v.STDOUT] = 99
    made = a_teller(counter)
    assert kinds(told(counter, made)) == ["Began 0", "Output 0", "Cut 0"]
    counter.outputs.cut[attempt, v.STDOUT] = 100
    assert kinds(told(counter, made)) == []
    counter.end(1)
    assert kinds(told(counter, made)) == ["Ended 0"]


def test_what_was_cancelled_without_a_try_ends_too(counter: FakeCounter) -> None:
    counter.submit(count=3)
    counter.do(CancelTasks(JobId(1)))
    items = told(counter, a_teller(counter))
    assert kinds(items) == ["Ended 0", "Ended 1", "Ended 2"]
    assert isinstance(items[0], v.Ended)
    assert (items[0].state, items[0].exit_status) == ("cancelled", 130)


def test_one_task_of_many_is_told_alone(counter: FakeCounter) -> None:
    counter.submit(count=3)
    for attempt in counter.assign(1, 0, 1, 2):
        counter.outputs.write(attempt, b"x")
    assert kinds(told(counter, a_teller(counter, only=1))) == ["Began 1", "Output 1"]


def test_at_a_time_only_so_much_is_told(counter: FakeCounter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teller, "PIECE", 10)
    monkeypatch.setattr(teller, "ENOUGH_BYTES", 30)
    counter.submit()
    (attempt,) = counter.assign(1)
    counter.outputs.write(attempt, bytes(range(100)))
    made = a_teller(counter)
    first = made.items(project.records_of(counter.state), 0)
    assert sum(len(item.data) for item in first if isinstance(item, v.Output)) == 30
    assert made.has_more
    rest = told(counter, made)
    assert b"".join(item.data for item in [*first, *rest] if isinstance(item, v.Output)) == bytes(range(100))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whoever_comes_back_at_any_moment_has_all_in_the_end(data: st.DataObject) -> None:
    """Random lives of three tasks, a listener that is cut off at random, and goes on with its marks."""
    counter = FakeCounter(Path("/nowhere"))
    counter.submit(count=3, retries=3)
    marks = Marks(r.Follow("1", data.draw(st.booleans(), "grouped")))
    heard: list[v.AnyItem] = []
    written: dict[int, bytes] = {}
    made = a_teller(counter, marks.request())
    ended: set[int] = set()
    for _ in range(200):
        if len(ended) == 3:
            break
        index = data.draw(st.sampled_from([one for one in range(3) if one not in ended]), "task")
        task = counter.state.tasks.get(task_id(1, index))
        if task is not None and task.attempts:
            attempt = task.attempts[0].id
            if data.draw(st.booleans(), "write"):
                text = data.draw(st.binary(min_size=1, max_size=4), "text")
                counter.outputs.write(attempt, text)
                written[attempt] = written.get(attempt, b"") + text
            else:
                code = data.draw(st.integers(0, 1), "code")
                counter.end(1, index, code=code)
                counter.end_backoff(*counter.state.backoffs)
                if counter.mesh.task(1, index).state >= 3:
                    ended.add(index)
        else:
            counter.assign(1, index)
        if data.draw(st.booleans(), "cut off"):
            made = a_teller(counter, marks.request())
        made.look_at([index])
        items = made.items(project.records_of(counter.state), 0)[: data.draw(st.integers(0, 9), "taken")]
        heard += [item for item in items if marks.note(item)]
        made = a_teller(counter, marks.request())
    heard += [item for item in told(counter, made) if marks.note(item)]
    assert sorted(item.index for item in heard if isinstance(item, v.Ended)) == sorted(ended)
    for index in ended:
        last = counter.mesh.task(1, index).tries[-1].attempt
        parts = [item for item in heard if isinstance(item, v.Output) and item.attempt == last]
        assert b"".join(part.data for part in parts) == written.get(last, b"")
        assert [part.offset for part in parts] == [sum(len(one.data) for one in parts[:at]) for at in range(len(parts))]
    began = [item.attempt for item in heard if isinstance(item, v.Began)]
    assert len(began) == len(set(began))


AN_END = v.Ended(5, "done", 0, None, None, None, None, None, None, None)


def test_who_comes_back_gets_the_rest(counter: FakeCounter) -> None:
    counter.submit(count=2)
    for attempt in counter.assign(1, 0, 1):
        counter.outputs.write(attempt, b"before")
    counter.end(1, 0)
    marks = Marks(r.Follow("1"))
    for item in told(counter, a_teller(counter)):
        assert marks.note(item)
    counter.outputs.write(counter.mesh.attempt(1, 1), b"after")
    items = [item for item in told(counter, a_teller(counter, marks.request())) if marks.note(item)]
    assert [item.data for item in items if isinstance(item, v.Output)] == [b"after"]
    assert kinds(items) == ["Output 1"]


def test_marks_say_what_was_taken() -> None:
    marks = Marks(r.Follow("1"))
    for item in (v.Began(3, 77, 1, "pc"), v.Output(3, 77, v.STDERR, 0, b"abc"), AN_END):
        assert marks.note(item)
    assert marks.request() == r.Follow("1", False, ((5, 6),), (r.Mark(77, 0, 3),))
    assert not marks.note(v.Began(3, 77, 1, "pc"))
    assert merged([(5, 6), (1, 3), (3, 5), (9, 10)]) == [(1, 6), (9, 10)]


# -- the tally ---------------------------------------------------------------------------------------------------------


def test_a_tally_that_is_kept_is_one_that_is_counted(counter: FakeCounter) -> None:
    """Also over a retry and an archive."""
    kept = Tallies()
    counter.subscribe(lambda events: kept.heard(counter.state, events))
    kept.heard(counter.state, [])
    counter.mesh.machine("nova")
    counter.submit(count=4, retries=1)
    steps = [(0, 1, 0), (1, 2, 1), (2, 1, 1), (1, 1, 1), (3, 2, 0), (2, 2, 0)]
    for at, (index, node, code) in enumerate(steps):
        counter.assign(1, index, node=node)
        counter.end(1, index, code=code, started_ms=500 - at)
        counter.end_backoff(*counter.state.backoffs)
        job = counter.mesh.job(1)
        now, then = kept.of(counter.state, job), counted(job, recorded(counter.state, job))
        assert (now.ended_tries, now.started_ms, now.first_failed, now.nodes) == (
            then.ended_tries, then.started_ms, then.first_failed, then.nodes,
        )  # fmt: skip
    assert kept.of(counter.state, counter.mesh.job(1)).first_failed == 1


# -- names -------------------------------------------------------------------------------------------------------------


def test_a_reference_is_a_number_a_task_a_name_a_prefix_or_the_last(counter: FakeCounter) -> None:
    for name in ("fit", "fit", "fitting", "other"):
        counter.submit(name=name, count=3)
    counter.submit(user="ben", name="bens")

    def meant(ref: str) -> Meant:
        return resolve(ref, counter.state, ANNA)

    assert [meant(ref).job for ref in ("1", "fit", "fitt", "oth", "last", "b", " 2 ")] == [1, 2, 3, 4, 4, 5, 2]
    assert meant("fit/2") == Meant(JobId(2), 2)
    assert meant("last/0") == Meant(JobId(4), 0)


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        ("0", "no job 0"),
        ("99", "no job 99"),
        ("fi", "fit, fitting"),
        ("nobody", "no job nobody"),
        ("", "no job is named"),
        ("1/3", "no task 3"),
        ("1/x", "1/x is no task"),
        ("1/", "is no task"),
        ("٣", "no job"),
        ("9" * 5000, "no job"),
    ],
)
def test_what_means_no_job_or_several_is_refused(counter: FakeCounter, ref: str, text: str) -> None:
    for name in ("fit", "fitting"):
        counter.submit(name=name, count=3)
    with pytest.raises(UsageError) as told:
        resolve(ref, counter.state, ANNA)
    assert text in told.value.message
    assert told.value.hint
