"""A schedule that fails, made as short as it will go and still fail in the same way.

Faults are left out by delta debugging: halves first, then smaller pieces, down to single ones. Then the weather, the
time and the machines. Each try is a run, and runs are counted: what is left when they are used up is the answer.

Promises: the answer fails with the same name as the schedule that was given; it is never longer.
Never: runs more than it was allowed to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from tests.sim.faults import Fault
from tests.sim.net import Weather
from tests.sim.runs import Failure, Ran, Run
from tests.sim.schedule import Schedule

RUNS: Final = 150
RARELY_MS: Final = 4000  # somebody acts; less would not be simpler to understand
Fails = Callable[[Schedule], Failure | None]


class Shrunk(NamedTuple):
    schedule: Schedule
    failure: Failure
    runs: int


class Shrinker:
    def __init__(self, schedule: Schedule, failure: Failure, fails: Fails, most: int = RUNS) -> None:
        self.schedule, self.failure = schedule, failure
        self.runs = 0
        self._fails, self._most = fails, most
        self._tried: set[Schedule] = {schedule}

    def shrink(self) -> Shrunk:
        before = None
        while before != self.schedule and self.runs < self._most:
            before = self.schedule
            self._end_early()
            self._faults()
            self._rest()
        return Shrunk(self.schedule, self.failure, self.runs)

    def _try(self, schedule: Schedule) -> bool:
        """Take it if it still fails like that."""
        if schedule in self._tried or self.runs >= self._most:
            return False
        self._tried.add(schedule)
        self.runs += 1
        failure = self._fails(schedule)
        if failure is None or failure.name != self.failure.name:
            return False
        self.schedule, self.failure = schedule, failure
        return True

    def _end_early(self) -> None:
        """What comes after the failure has nothing to do with it."""
        plan, stop = self.schedule, self.failure.at_ms + 1
        if stop < plan.faulty_ms:
            early = tuple(fault for fault in plan.faults if fault.at_ms < stop)
            self._try(plan._replace(faults=early, faulty_ms=stop, calm_ms=0)) or self._try(
                plan._replace(faults=early, faulty_ms=stop)
            )

    def _faults(self) -> None:
        size = (len(self.schedule.faults) + 1) // 2
        while size >= 1:
            if not self._without_pieces(size):
                size //= 2

    def _without_pieces(self, size: int) -> bool:
        """One pass: leave out each piece of so many, the last ones first."""
        shorter = False
        start = (max(0, len(self.schedule.faults) - 1) // size) * size
        while start >= 0:
            faults = self.schedule.faults
            rest = faults[:start] + faults[start + size :]
            if len(rest) < len(faults):
                shorter = self._try(self.schedule._replace(faults=rest)) or shorter
            start -= size
        return shorter

    def _rest(self) -> None:
        for simpler in _simpler:
            for candidate in simpler(self.schedule):
                if self._try(candidate):
                    break


def shortest(run: Run, runs: int, result: Ran) -> Shrunk:
    assert result.failure is not None
    return Shrinker(result.schedule, result.failure, lambda schedule: run(schedule).failure, runs).shrink()


# -- what else may be simpler, the simplest first ----------------------------------------------------------------------


def _calmer(plan: Schedule) -> Iterator[Schedule]:
    yield plan._replace(weather=Weather())
    for name, mild in Weather()._asdict().items():
        yield plan._replace(weather=plan.weather._replace(**{name: mild}))


def _shorter_calm(plan: Schedule) -> Iterator[Schedule]:
    for part in (8, 4, 2):
        yield plan._replace(calm_ms=plan.calm_ms // part)


def _shorter(plan: Schedule) -> Iterator[Schedule]:
    least = max((fault.at_ms + 1 for fault in plan.faults), default=0)
    for stop in (least, (least * 3 + plan.faulty_ms) // 4, (least + plan.faulty_ms) // 2):
        yield plan._replace(faulty_ms=stop)


def _fewer_people(plan: Schedule) -> Iterator[Schedule]:
    for people_ms in (RARELY_MS, RARELY_MS // 4, plan.people_ms * 2):
        if plan.people_ms < people_ms <= RARELY_MS:
            yield plan._replace(people_ms=people_ms)


def _fewer_machines(plan: Schedule) -> Iterator[Schedule]:
    for machines in range(1, plan.machines):
        voters = min(plan.voters, machines)
        learners = min(plan.learners, machines - voters)
        yield plan._replace(machines=machines, voters=voters, learners=learners, faults=_of(machines, plan.faults))


def _of(machines: int, faults: Sequence[Fault]) -> tuple[Fault, ...]:
    everybody = (1 << machines) - 1
    return tuple(fault._replace(mask=fault.mask & everybody) for fault in faults if fault.machine < machines)


_simpler: Final = (_calmer, _fewer_machines, _shorter, _shorter_calm, _fewer_people)
