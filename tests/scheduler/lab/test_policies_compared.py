"""What the laboratory must show of the real scheduler, on a few workloads of each kind; `make bench` runs 200.

Promises: virtual time and fixed seeds, so a figure that gets worse is a change of the scheduler, never of the weather.
Never: is made to pass by choosing seeds: they are the first ones.
"""

import pytest

from odyssey.scheduler.lab.compare import compare, simulate
from odyssey.scheduler.lab.kinds import HETEROGENEOUS, KINDS, draw
from odyssey.scheduler.lab.measure import measure
from odyssey.scheduler.lab.simulate import History, Simulation
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import WeightedSum
from odyssey.scheduler.state import State

MINUTE_MS = 60_000


def test_the_default_ends_first_nearly_always() -> None:
    found = compare(seeds=2 * len(HETEROGENEOUS))
    for rival in found.against:
        assert rival.trials == 2 * len(HETEROGENEOUS)
        assert rival.wins >= 0.9 * rival.trials, rival
        assert rival.quartiles[1] > 1.2, rival


@pytest.mark.parametrize("policy", sorted(BUILT_IN))
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"stream"}))
def test_nobody_waits_for_ever(kind: str, policy: str) -> None:
    history = simulate(draw(kind, 1, machines=5), policy)
    found = measure(history)
    assert (found.unfinished, history.faults, history.dropped) == (0, (), 0)
    assert 0 < found.utilisation <= 1


@pytest.mark.parametrize("policy", sorted(BUILT_IN))
def test_a_task_that_needs_a_whole_machine_starts_in_an_endless_stream_of_small_ones(policy: str) -> None:
    """Ten minutes of ageing, then a machine is kept free: it is there when the longest small task on it has ended."""
    history = simulate(draw("stream", 1), policy)
    whole = max(submission.spec.want.need.cpu_milli for submission in history.workload.submissions)
    big = [task for task in history.times if history.submission(task).spec.want.need.cpu_milli == whole]
    small = [span.end_ms - span.start_ms for span in history.spans if span.task not in big]
    assert big
    for task in big:
        started = history.times[task].started_ms
        assert 0 <= started - history.times[task].submitted_ms <= 20 * MINUTE_MS + max(small)


@pytest.mark.parametrize("seed", range(3))
def test_what_was_learned_changes_what_is_done(seed: int) -> None:
    """Where a machine's measured speed says the opposite of what it is good at, only experience helps."""
    workload = draw("contrary", seed)
    assert simulate(workload, "weighted").end_ms < 0.9 * simulate(workload, "weighted", learning=False).end_ms


def test_without_waiting_for_faster_machines_batches_end_later() -> None:
    default = BUILT_IN["weighted"]
    assert isinstance(default, WeightedSum)
    rash = {**BUILT_IN, "weighted": default._replace(waits=False)}
    worse = [
        Simulation(workload, "weighted", policies=rash).run().end_ms / simulate(workload, "weighted").end_ms
        for workload in (draw("batch", seed) for seed in range(5))
    ]
    assert sorted(worse)[len(worse) // 2] > 1.2


def test_the_same_seed_is_the_same_history() -> None:
    def told(history: History) -> object:
        return history.spans, dict(history.times), history.end_ms

    assert told(simulate(draw("leavers", 4), "weighted")) == told(simulate(draw("leavers", 4), "weighted"))
    assert told(simulate(draw("leavers", 4), "weighted")) != told(simulate(draw("leavers", 5), "weighted"))


def test_the_room_is_given_back_in_the_end() -> None:
    run = Simulation(draw("owners", 2), "weighted")
    run.run()
    state: State = run.state
    assert not state.reserved
    assert all(use.slots == 0 and use.cpu_milli == 0 for use in state.uses.values())
