"""The shrinker, on worlds that are a single sentence: it finds the two faults that matter, and knows when to stop."""

from tests.sim.runs import Failure
from tests.sim.schedule import Schedule, drawn
from tests.sim.shrink import Shrinker


def crash_then_cut(schedule: Schedule) -> Failure | None:
    """Fails when machine 2 crashes and something is cut later, with 2 s of calm at least."""
    crashes = [fault.at_ms for fault in schedule.faults if fault.kind == "crash" and fault.machine == 2]
    cuts = [fault.at_ms for fault in schedule.faults if fault.kind in ("cut", "one-way")]
    broken = bool(crashes and cuts and min(crashes) < max(cuts) < schedule.faulty_ms and schedule.calm_ms >= 2000)
    return Failure("invariant 3", "lost", schedule.faulty_ms + 2000) if broken else None


ROUGH = next(one for one in map(drawn, range(100)) if len(one.faults) > 60 and one.weather.loss and crash_then_cut(one))


def test_only_what_matters_is_left() -> None:
    failure = crash_then_cut(ROUGH)
    assert failure is not None
    found = Shrinker(ROUGH, failure, crash_then_cut).shrink()
    assert len(found.schedule.faults) == 2
    assert found.schedule.machines == 1 + max(fault.machine for fault in found.schedule.faults)
    assert not found.schedule.weather.loss
    assert found.schedule.faulty_ms == found.schedule.faults[1].at_ms + 1
    assert 2000 <= found.schedule.calm_ms < 5000
    assert crash_then_cut(found.schedule) is not None


def test_another_failure_is_not_the_same_one() -> None:
    """With fewer than five faults another invariant breaks first: that is another story."""

    def fails(schedule: Schedule) -> Failure:
        return Failure("invariant 3" if len(schedule.faults) >= 5 else "invariant 6", "", 60_000)

    found = Shrinker(ROUGH, fails(ROUGH), fails).shrink()
    assert len(found.schedule.faults) == 5
    assert found.failure.name == "invariant 3"


def test_it_runs_no_more_than_it_may() -> None:
    runs = []

    def fails(schedule: Schedule) -> Failure | None:
        runs.append(schedule)
        return crash_then_cut(schedule)

    failure = crash_then_cut(ROUGH)
    assert failure is not None
    found = Shrinker(ROUGH, failure, fails, 10).shrink()
    assert found.runs == len(runs) == 10
    assert len(found.schedule.faults) < len(ROUGH.faults)


def test_what_comes_after_the_failure_is_dropped_at_once() -> None:
    middle = ROUGH.faults[len(ROUGH.faults) // 2].at_ms

    def fails(schedule: Schedule) -> Failure | None:
        return Failure("invariant 1", "", middle) if schedule.faulty_ms > middle else None

    found = Shrinker(ROUGH, Failure("invariant 1", "", middle), fails, 1).shrink()
    assert found.schedule.faults == tuple(fault for fault in ROUGH.faults if fault.at_ms <= middle)
    assert (found.schedule.faulty_ms, found.schedule.calm_ms) == (middle + 1, 0)
