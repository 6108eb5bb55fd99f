"""Nothing waits for ever without a reason that people can see.

A mesh lives at random; then people stop submitting, nothing fails any more, and what runs is finished round by round.
When all is quiet, whatever still waits is held, has no machine that could ever take it, or none that is there.
"""

import pytest

from odyssey.clock import SeededEntropy
from odyssey.model import Outcome, TaskState
from odyssey.scheduler.draft import replace
from odyssey.scheduler.explain import Why, waiting
from odyssey.scheduler.plan import plan
from odyssey.scheduler.policies import BUILT_IN
from tests.scheduler.life import Life

ROUNDS = 500


def settled(life: Life) -> None:
    """Programs of others leave the memory alone, and what starts comes to its end."""
    life.seen = {number: replace(seen, memory_free=None) for number, seen in life.seen.items()}
    for _ in range(ROUNDS):
        life.end_backoffs()
        life.answer_recalls()
        for attempt, task in life.attempts():
            if attempt.slot:
                life.report(attempt, task, Outcome.CANCELLED if attempt.stopping else Outcome.EXITED)
        planned = plan(life.snapshot())
        life.mesh.carry_out(planned)
        if not planned.assigned and not life.attempts() and not life.mesh.state.backoffs:
            return
    raise AssertionError("it never comes to rest")


@pytest.mark.parametrize("policy", BUILT_IN)
@pytest.mark.parametrize("seed", range(8))
def test_an_idle_mesh_keeps_nothing_waiting_that_it_could_do(policy: str, seed: int) -> None:
    life = Life(SeededEntropy(seed), policy)
    for _ in range(80):
        life.step()
        life.mesh.carry_out(plan(life.snapshot()))
    settled(life)
    for job in life.mesh.state.jobs.values():
        if job.counts[TaskState.WAITING]:
            answer = waiting(life.snapshot(), job.id)
            assert answer is not None
            assert answer.why in (Why.HELD, Why.IMPOSSIBLE, Why.ABSENT), answer
