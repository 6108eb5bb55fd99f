"""What all hands promise the agent: those that run processes, and those of the simulation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odyssey.agent import Hands
from odyssey.clock import SeededEntropy
from odyssey.ids import NodeId, task_id
from odyssey.mesh.generation import Generation
from odyssey.messages import Listed
from odyssey.model import Outcome
from odyssey.spec import JobSpec
from tests.exec.rig import FOREVER, Rig, a_spec, listed
from tests.sim.hands import SimHands, Witness, script
from tests.sim.loop import VirtualLoop, new_loop


class Case(ABC):
    hands: Hands
    freed: list[bool]  # what was told of room

    @abstractmethod
    def until(self, happened: Callable[[], object]) -> None: ...

    @abstractmethod
    def now_ms(self) -> int: ...

    @abstractmethod
    def spec(self, one: Listed, memory: int = 0) -> JobSpec:
        """Of something that takes as long as that task does."""

    @abstractmethod
    def close(self) -> None: ...

    def wait(self, one: Listed) -> Outcome:
        self.until(lambda: one.attempt in self.hands.reports())
        return self.hands.reports()[one.attempt].outcome

    def start(self, one: Listed, memory: int = 0) -> None:
        self.hands.start(one, self.spec(one, memory))

    def follow(self, one: Listed, memory: int = 0) -> None:
        self.hands.follow(one, self.spec(one, memory))

    def is_frozen(self, one: Listed) -> bool:
        return self.hands.here()[one.attempt].frozen_at_ms is not None


class Real(Case):
    def __init__(self, home: Path) -> None:
        self._rig = Rig(home).open()
        self.hands, self.freed = self._rig.hands, self._rig.freed

    def until(self, happened: Callable[[], object]) -> None:
        self._rig.until(happened)

    def now_ms(self) -> int:
        return self._rig.clock.boottime_ms()

    def spec(self, one: Listed, memory: int = 0) -> JobSpec:
        seconds = script(one.task).run_ms / 1000
        return a_spec("sh", "-c", f"sleep {seconds}; exit {script(one.task).code}", memory=memory)

    def close(self) -> None:
        self._rig.close()


class _Clocks:
    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def boottime_ms(self) -> int:
        return round(self._loop.time() * 1000) + 1_000

    def real_seconds(self, ms: int) -> float:
        return ms / 1000


class Simulated(Case):
    def __init__(self) -> None:
        self._loop, self.freed = new_loop(), []
        self._clocks = _Clocks(self._loop)
        generation = Generation(1, b"first")
        self.hands = SimHands(
            NodeId("n1"), self._loop, self._clocks, SeededEntropy(1), Witness(), self.freed.append, lambda: generation
        )
        self.hands.lease(FOREVER)

    def until(self, happened: Callable[[], object]) -> None:
        end = self._loop.time() + 60
        while not happened():
            assert self._loop.time() < end
            self._loop.run_until(self._loop.time() + 0.005)

    def now_ms(self) -> int:
        return self._clocks.boottime_ms()

    def spec(self, one: Listed, memory: int = 0) -> JobSpec:
        return a_spec("true", memory=memory)

    def close(self) -> None:
        pass


@pytest.fixture(params=["real", "simulated"])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    case = Real(tmp_path) if request.param == "real" else Simulated()
    try:
        yield case
    finally:
        case.close()


def some(least_ms: int, most_ms: int, count: int) -> list[Listed]:
    """Attempts of tasks that take so long, and end well."""
    fitting = (number for number in range(1, 10_000) if least_ms <= script(task_id(number, 0)).run_ms < most_ms)
    return [listed(next(fitting)) for _ in range(count)]


LONG = (8_000, 12_000)
SHORT = (20, 150)


def test_an_attempt_is_here_from_its_start_to_its_report_until_it_is_forgotten(case: Case) -> None:
    (one,) = some(*SHORT, 1)
    case.start(one)
    assert case.hands.here()[one.attempt].started
    assert case.hands.here()[one.attempt].task == one.task
    assert case.wait(one) is Outcome.EXITED
    report = case.hands.reports()[one.attempt]
    assert (report.code, report.task) == (script(one.task).code, one.task)
    assert case.hands.here()[one.attempt].ended
    case.hands.forget(one.attempt)
    assert one.attempt not in case.hands.here()
    assert one.attempt not in case.hands.reports()


def test_what_was_forgotten_is_lost_when_it_is_asked_for_again(case: Case) -> None:
    (one,) = some(*SHORT, 1)
    case.start(one)
    case.wait(one)
    case.hands.forget(one.attempt)
    case.start(one)
    assert case.wait(one) is Outcome.LOST
    case.hands.forget(one.attempt)
    case.hands.refuse(one)
    assert case.wait(one) is Outcome.LOST


def test_what_is_refused_is_rejected_and_never_starts(case: Case) -> None:
    (one,) = some(*SHORT, 1)
    case.hands.refuse(one)
    assert case.wait(one) is Outcome.REJECTED
    case.start(one)
    assert case.hands.reports()[one.attempt].outcome is Outcome.REJECTED


def test_what_has_started_is_not_refused(case: Case) -> None:
    (one, other) = some(*SHORT, 2)
    case.start(one)
    case.start(other)
    case.wait(other)
    case.hands.refuse(one)
    assert case.wait(one) is Outcome.EXITED


def test_what_runs_is_stopped_or_killed(case: Case) -> None:
    one, other = some(*LONG, 2)
    for each in (one, other):
        case.start(each)
    case.until(lambda: all(case.hands.here()[each.attempt].elapsed_ms > 50 for each in (one, other)))
    case.hands.stop(one.attempt)
    case.hands.kill(other.attempt)
    assert case.wait(one) is Outcome.CANCELLED
    assert case.wait(other) is Outcome.EVICTED


def test_frozen_its_time_stands_still(case: Case) -> None:
    (one,) = some(*LONG, 1)
    case.start(one)
    case.until(lambda: case.hands.here()[one.attempt].elapsed_ms > 50)
    case.hands.freeze(one.attempt)
    case.until(lambda: case.is_frozen(one))
    before, at = case.hands.here()[one.attempt].elapsed_ms, case.now_ms()
    case.until(lambda: case.now_ms() > at + 100)
    assert case.hands.here()[one.attempt].elapsed_ms == before
    case.hands.thaw(one.attempt)
    case.until(lambda: case.hands.here()[one.attempt].elapsed_ms > before)
    case.hands.kill(one.attempt)
    case.wait(one)


def test_when_the_lease_is_over_all_is_frozen_and_nothing_starts_or_thaws(case: Case) -> None:
    one, other = some(*LONG, 2)
    case.start(one)
    case.hands.lease(case.now_ms() + 200)
    case.until(lambda: case.is_frozen(one))
    case.start(other)
    assert other.attempt not in case.hands.here()
    case.hands.thaw(one.attempt)
    at = case.now_ms()
    case.until(lambda: case.now_ms() > at + 100)
    assert case.is_frozen(one)
    case.hands.lease(FOREVER)
    case.hands.thaw(one.attempt)
    case.until(lambda: not case.is_frozen(one))
    case.hands.kill(one.attempt)
    case.wait(one)


def test_whoever_tells_the_lease_is_told_when_it_is_known(case: Case) -> None:
    told: list[int] = []
    case.hands.lease(case.now_ms() + 60_000, lambda: told.append(1))
    case.until(lambda: told)


def test_who_follows_starts_when_one_that_needs_the_same_has_ended(case: Case) -> None:
    first, *others = some(*SHORT, 4)
    (other_need,) = some(160, 300, 1)
    case.start(first)
    for one in others:
        case.follow(one)
    case.follow(other_need, memory=1 << 20)
    assert not any(case.hands.here()[one.attempt].started for one in others)
    for one in others:
        assert case.wait(one) is Outcome.EXITED
    assert not case.hands.here()[other_need.attempt].started
    case.start(other_need, memory=1 << 20)
    assert case.wait(other_need) is Outcome.EXITED


def test_it_is_told_whether_what_ended_has_left_room(case: Case) -> None:
    first, second = listed(1), listed(2)
    case.start(first)
    case.follow(second)
    case.freed.clear()
    case.wait(first)
    case.until(lambda: case.freed)
    assert case.freed == [False], "the other one has it"
    case.wait(second)
    case.until(lambda: len(case.freed) == 2)
    assert case.freed[1]


@pytest.mark.parametrize("how", ["refuse", "kill"])
def test_who_follows_can_be_taken_back_before(case: Case, how: str) -> None:
    (first,) = some(*LONG, 1)
    (other,) = some(*SHORT, 1)
    case.start(first)
    case.follow(other)
    if how == "refuse":
        case.hands.refuse(other)
    else:
        case.hands.kill(other.attempt)
    assert case.wait(other) is Outcome.REJECTED
    case.hands.kill(first.attempt)
    case.wait(first)
