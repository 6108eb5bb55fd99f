"""What a history was worth, counted by hand: two people, two machines, four tasks."""

import pytest

from odyssey.ids import NodeNumber, UserId, task_id
from odyssey.model import Outcome
from odyssey.resources import Resources
from odyssey.scheduler.lab.floor import Span
from odyssey.scheduler.lab.kinds import draw
from odyssey.scheduler.lab.machines import GIB, Change, Machine, What
from odyssey.scheduler.lab.measure import jain, mean, measure, quantile
from odyssey.scheduler.lab.simulate import History, Times
from odyssey.scheduler.lab.workload import Submission, Workload
from odyssey.spec import JobSpec, Want

FAST, SLOW = NodeNumber(1), NodeNumber(2)
SECOND = 1000
EXITED, LOST = Outcome.EXITED, Outcome.LOST


def a_machine(name: str, speed: int, *changes: Change) -> Machine:
    return Machine(name, UserId("anna"), 2, 8 * GIB, speed, crowd=0, link=100, changes=changes)


def a_submission(user: str, count: int) -> Submission:
    want = Want(Resources(1000, GIB), key="cook")
    return Submission(0, JobSpec(UserId(user), (b"cook",), want, count=count), (20 * SECOND,) * count, 0)


def a_history(*spans: Span, times: dict[tuple[int, int], Times], changes: tuple[Change, ...] = ()) -> History:
    machines = (a_machine("fast", 2000), a_machine("slow", 1000, *changes))
    workload = Workload("made", 0, machines, (a_submission("anna", 3), a_submission("ben", 1)), {})
    told = {task_id(job, index): one for (job, index), one in times.items()}
    return History(workload, "weighted", told, spans, 40 * SECOND, (), 0)


def a_span(node: NodeNumber, job: int, index: int, start: int, end: int, outcome: Outcome = EXITED) -> Span:
    return Span(node, task_id(job, index), start * SECOND, end * SECOND, outcome)


def seconds(start: int, end: int) -> Times:
    return Times(0, start * SECOND, end * SECOND)


@pytest.fixture
def history() -> History:
    """Anna's tasks 0 and 1 run at once, her third and Ben's wait for 10 s; Ben's is lost once."""
    return a_history(
        a_span(FAST, 1, 0, 0, 10),
        a_span(FAST, 1, 1, 0, 10),
        a_span(FAST, 1, 2, 10, 20),
        a_span(SLOW, 2, 0, 10, 20, LOST),
        a_span(SLOW, 2, 0, 20, 40),
        times={(1, 0): seconds(0, 10), (1, 1): seconds(0, 10), (1, 2): seconds(10, 20), (2, 0): seconds(10, 40)},
    )


def test_times_are_means_over_all_tasks(history: History) -> None:
    found = measure(history)
    assert (found.makespan_ms, found.turnaround_ms) == (40 * SECOND, 20 * SECOND)
    assert (found.wait_mean_ms, found.wait_max_ms, found.tasks, found.tries) == (5 * SECOND, 10 * SECOND, 4, 5)
    assert found.slowdown == pytest.approx((1 + 1 + 2 + 4) / 4)
    assert (found.failed, found.unfinished) == (0, 0)


def test_what_runs_counts_by_the_cores_that_are_there(history: History) -> None:
    found = measure(history)
    assert found.utilisation == pytest.approx(60 / (4 * 40))
    assert found.lost == pytest.approx(10 / 60)


def test_a_machine_that_was_away_could_not_be_used(history: History) -> None:
    away = (Change(5 * SECOND, What.VANISH), Change(10 * SECOND, What.RETURN))
    machines = (history.workload.machines[0], a_machine("slow", 1000, *away))
    found = measure(history._replace(workload=history.workload._replace(machines=machines)))
    assert found.utilisation == pytest.approx(60 / (2 * 40 + 2 * 35))


def test_fairness_is_of_the_time_in_which_everybody_waits(history: History) -> None:
    """In the first ten seconds both have a task that waits, and Anna has two cores of two."""
    assert measure(history).fairness == pytest.approx(0.5)


def test_one_person_is_neither_treated_fairly_nor_unfairly() -> None:
    assert measure(a_history(times={(1, 0): seconds(0, 10)})._replace(workload=draw("batch", 0))).fairness is None


def test_who_has_not_ended_is_counted_as_that(history: History) -> None:
    times = {**history.times, task_id(2, 0): Times(0, 10 * SECOND)}
    assert measure(history._replace(times=times)).unfinished == 1


def test_the_index_of_jain() -> None:
    assert jain([1, 1, 1]) == pytest.approx(1)
    assert jain([1, 0, 0, 0]) == pytest.approx(0.25)
    assert jain([0, 0]) == 1


@pytest.mark.parametrize(("part", "value"), [(0, 1), (0.5, 2.5), (0.25, 1.75), (1, 4)])
def test_a_quantile_lies_on_the_line_between_neighbours(part: float, value: float) -> None:
    assert quantile([4, 1, 3, 2], part) == pytest.approx(value)


def test_of_nothing_all_is_nothing() -> None:
    assert (mean([]), quantile([], 0.5)) == (0.0, 0.0)
