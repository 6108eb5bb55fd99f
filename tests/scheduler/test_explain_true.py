"""What is told is what happens: at every step of random lives the answers are compared with the planner's deeds.

What is said to start next is placed by the plan, what the plan blocks is never said to start, a dry run agrees with the
submit that follows it, and the one change that is named has the effect that is named.
"""

from collections import Counter

import pytest

from odyssey.clock import SeededEntropy
from odyssey.commands import Entry, SubmitJobs
from odyssey.ids import ClientId, JobId, NodeNumber
from odyssey.model import TaskState
from odyssey.scheduler import say
from odyssey.scheduler.apply import apply
from odyssey.scheduler.draft import replace
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.explain import Waiting, Why, dry_run, waiting
from odyssey.scheduler.glance import glance
from odyssey.scheduler.plan import Plan, plan
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.snapshot import Snapshot
from odyssey.spec import JobSpec
from tests.scheduler.asking import typed
from tests.scheduler.life import Life


def started(plan: Plan, job: JobId, index: int | None = None) -> set[NodeNumber]:
    return {
        batch.node
        for batch in plan.batches
        for start, stop in batch.spans
        if batch.job == job and batch.slot and (index is None or start <= index < stop)
    }


def asked(snapshot: Snapshot, job: JobId, index: int | None = None) -> Waiting:
    answer = waiting(snapshot, job, index)
    assert answer is not None
    return answer


def the_answers_are_true(snapshot: Snapshot, planned: Plan) -> list[Why]:
    """Every job that waits, and its tasks one by one where some of them start and some do not."""
    blocked = {one.job for one in planned.blocked}
    told = []
    at_a_glance = glance(snapshot, snapshot.state.jobs.values())
    for job in snapshot.state.jobs.values():
        if not job.counts[TaskState.WAITING]:
            continue
        answer = asked(snapshot, job.id)
        told.append(answer.why)
        quick = at_a_glance[job.id]
        assert say.overall(quick) == say.overall(answer)
        assert (quick.earliest_ms, quick.where is None) == (answer.earliest_ms, answer.where is None)
        starts = started(planned, job.id)
        assert (answer.why is Why.NEXT) == bool(starts)
        if answer.why is Why.NEXT:
            assert answer.where in starts
            assert answer.earliest_ms == 0
            assert answer.verdicts[0].node == answer.where
        elif job.id in blocked:
            assert answer.why in (Why.FULL, Why.FASTER_SOON, Why.ABSENT, Why.IMPOSSIBLE)
        if answer.verdicts:
            one_verdict_each(snapshot, answer)
        if starts and job.spec.count > 1:
            for index in range(job.spec.count):
                of_task = asked(snapshot, job.id, index)
                assert (of_task.why is Why.NEXT) == bool(started(planned, job.id, index))
    return told


def one_verdict_each(snapshot: Snapshot, answer: Waiting) -> None:
    assert sorted(verdict.node for verdict in answer.verdicts) == sorted(snapshot.state.nodes)
    for verdict in answer.verdicts:
        assert verdict.start_ms is None or verdict.start_ms >= 0
        free = verdict.reason is None
        assert free == (verdict.start_ms == 0)
        if answer.why not in (Why.NEXT, Why.FASTER_SOON):
            assert not free


def a_dry_run_comes_true(life: Life, snapshot: Snapshot) -> list[str]:
    """In a copy of the mesh: asked, tried with the change that is named, submitted, planned."""
    spec = replace(life.spec(), held=False)
    before = state_hash(snapshot.state)
    answer = dry_run(snapshot, spec)
    assert answer.faults == ()
    assert answer.waiting is not None
    told = answer.waiting
    if told.change is not None:
        again = dry_run(snapshot, typed(spec, told.change)).waiting
        assert again is not None
        if told.change.now:
            assert again.why is Why.NEXT
            assert again.where == told.change.node
        else:
            assert told.why is Why.IMPOSSIBLE
            assert again.why is not Why.IMPOSSIBLE
    assert state_hash(snapshot.state) == before
    assert snapshot.state.waiting.layout() == load(dump(snapshot.state)).waiting.layout()
    starts = submitted(snapshot, spec)
    assert (told.why is Why.NEXT) == bool(starts)
    assert not starts or told.where in starts
    return [
        *(["a start"] if starts else []),
        *(["a change that starts it" if told.change.now else "a change that may"] if told.change else []),
    ]


def submitted(snapshot: Snapshot, spec: JobSpec) -> set[NodeNumber]:
    """Where a plan starts it once it is submitted."""
    state, head = load(dump(snapshot.state)), snapshot.state.head
    command = SubmitJobs(ClientId(b"asked and tried."), head.index, (spec,))
    state, _ = apply(state, [Entry(head.generation, head.term, head.index + 1, 0, command)])
    return started(plan(Snapshot(state, snapshot.seen)), state.head.last_job)


def lived(seed: int, policy: str, steps: int) -> Counter[str]:
    """What was told, and how often."""
    draw = SeededEntropy(seed)
    life = Life(draw.fork("life"), policy)
    told: Counter[str] = Counter()
    for _ in range(steps):
        life.step()
        planned = plan(life.snapshot())
        told.update(why.name for why in the_answers_are_true(life.snapshot(), planned))
        if draw.chance(700):
            life.mesh.carry_out(planned)
            told.update(a_dry_run_comes_true(life, life.snapshot()))
    return told


@pytest.mark.parametrize("policy", BUILT_IN)
def test_what_is_told_is_what_happens(policy: str) -> None:
    told = sum((lived(seed, policy, 40) for seed in range(3)), Counter[str]())
    for name in ("NEXT", "FULL", "IMPOSSIBLE", "ABSENT", "a start", "a change that starts it", "a change that may"):
        assert told[name] >= 5, told
