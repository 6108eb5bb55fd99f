"""The one change that helps most: the smallest that starts the job now, else the smallest that lets it start at all."""

import pytest

from odyssey.commands import AgeQueue, DrainNode
from odyssey.ids import NodeNumber
from odyssey.model import Outcome
from odyssey.scheduler.explain import Why, dry_run, waiting
from odyssey.scheduler.remedy import Change
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen
from odyssey.spec import JobSpec
from tests.builders import GIB, Mesh, a_spec
from tests.scheduler.asking import taught, typed

MIB = 1 << 20
SEEN = dict[NodeNumber, Seen]


def a_mesh() -> Mesh:
    """pc-1: 8 cpus, 16 GiB, 2 GPUs of 12 GiB. pc-2: 4 cpus, 8 GiB."""
    mesh = Mesh()
    mesh.machine(cpus=8, memory=16 * GIB, gpus=2, gpu_memory=12 * GIB, labels=(("gpu", "a100"),))
    mesh.machine(cpus=4, memory=8 * GIB)
    return mesh


def best(mesh: Mesh, spec: JobSpec, seen: SEEN | None = None) -> Change | None:
    answer = dry_run(mesh.snapshot(seen), spec).waiting
    assert answer is not None
    return answer.change


def said(mesh: Mesh, spec: JobSpec, seen: SEEN | None = None) -> tuple[str, int, bool] | None:
    change = best(mesh, spec, seen)
    return (change.option, change.node, change.now) if change is not None else None


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (a_spec(cpus=9), ("--cpus 8", 1, True)),
        (a_spec(memory=17 * GIB), ("--mem 16G", 1, True)),
        (a_spec(gpus=3), ("--gpus 2", 1, True)),
        (a_spec(gpus=1, gpu_memory=20 * GIB), ("--gpu-mem 12G", 1, True)),
        (a_spec(os="darwin"), ("--os", 1, True)),
        (a_spec(arch="arm64"), ("--arch", 1, True)),
        (a_spec(needs="gpu=h100"), ("--needs", 1, True)),
        (a_spec(on=("elsewhere",)), ("--on", 1, True)),
        (a_spec(avoid=("pc-1", "pc-2")), ("--avoid", 1, True)),
        (a_spec(cpus=8, on=("pc-2",)), ("--on", 1, True)),  # a little less of one thing or half of the other
        (a_spec(cpus=5, on=("pc-2",)), ("--cpus 4", 2, True)),
        (a_spec(cpus=8.5), ("--cpus 8", 1, True)),
    ],
)
def test_each_part_of_a_wish_may_be_what_is_too_much(spec: JobSpec, expected: tuple[str, int, bool]) -> None:
    assert said(a_mesh(), spec) == expected


def test_what_no_single_change_helps_has_none() -> None:
    assert said(a_mesh(), a_spec(cpus=9, memory=17 * GIB)) is None
    assert said(a_mesh(), a_spec(user="stranger")) is None


def test_nothing_is_suggested_that_asks_for_nothing() -> None:
    """A machine with all its cpus and memory taken: a hundredth and a megabyte are the least."""
    mesh = Mesh()
    mesh.machine(cpus=1, memory=GIB)
    mesh.assign(mesh.submit(cpus=1, memory=GIB - MIB // 2), 1)
    assert said(mesh, a_spec(cpus=0.5, memory=1)) is None
    assert said(mesh, a_spec(cpus=0.01, memory=2 * MIB)) is None


def test_a_change_that_starts_it_now_goes_before_a_smaller_one_that_does_not() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(cpus=8), 1)
    assert said(mesh, a_spec(cpus=9)) == ("--cpus 4", 2, True)
    mesh.assign(mesh.submit(cpus=4), 2)
    assert said(mesh, a_spec(cpus=9)) == ("--cpus 8", 1, False)


def test_what_only_has_to_wait_is_told_a_change_only_if_it_saves_the_waiting() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(cpus=6), 1)
    assert said(mesh, a_spec(cpus=8)) == ("--cpus 4", 2, True)
    mesh.assign(mesh.submit(cpus=4), 2)
    assert said(mesh, a_spec(cpus=8)) == ("--cpus 2", 1, True)
    mesh.assign(mesh.submit(cpus=2), 1)
    assert said(mesh, a_spec(cpus=8)) is None


def test_of_what_is_free_now_whole_megabytes_are_told() -> None:
    mesh = a_mesh()
    free = Seen(memory_free=3 * GIB + MIB // 2)
    mesh.do(DrainNode(NodeNumber(2), draining=True))
    assert said(mesh, a_spec(memory=4 * GIB), {NodeNumber(1): free}) == ("--mem 3G", 1, True)


def test_machines_that_are_away_are_no_help_now() -> None:
    """It only has to wait for them; but what starts it elsewhere now is worth telling."""
    asleep = {NodeNumber(1): Seen(state=NodeState.ASLEEP)}
    assert said(a_mesh(), a_spec(cpus=8), asleep) == ("--cpus 4", 2, True)
    assert said(a_mesh(), a_spec(on=("pc-1",)), asleep) == ("--on", 2, True)
    both = {**asleep, NodeNumber(2): Seen(owner=OwnerState.PAUSED)}
    assert said(a_mesh(), a_spec(on=("pc-1",)), both) is None
    mesh = a_mesh()
    mesh.assign(mesh.submit(cpus=4), 2)
    assert said(mesh, a_spec(cpus=8), asleep) is None


def test_a_machine_that_a_task_was_refused_by_is_not_named() -> None:
    mesh = Mesh()
    mesh.machine(cpus=8)
    mesh.machine(cpus=8)
    job = mesh.submit(on=("pc-1",))
    mesh.assign(job, 1)
    mesh.report(job, outcome=Outcome.NOT_HERE)
    answer = waiting(mesh.snapshot(), job)
    assert answer is not None
    assert answer.why is Why.IMPOSSIBLE
    assert answer.change is not None
    assert (answer.change.option, answer.change.node, answer.change.now) == ("--on", 2, True)
    mesh.assign(mesh.submit(cpus=8), 2)
    again = waiting(mesh.snapshot(), job)
    assert again is not None
    assert again.change == Change("--on", True, NodeNumber(2), False, 400)


def test_a_machine_kept_free_for_another_is_not_named() -> None:
    mesh = Mesh()
    mesh.machine(cpus=4)
    mesh.assign(mesh.submit(cpus=1), 1)
    mesh.submit(cpus=4, key="first")
    assert said(mesh, a_spec(cpus=4)) == ("--cpus 3", 1, True)
    mesh.do(AgeQueue(mesh.fence))
    assert said(mesh, a_spec(cpus=4)) is None


def test_a_change_after_which_it_would_wait_for_a_faster_machine_is_not_called_a_start() -> None:
    """Room alone is not enough: the planner was asked."""
    mesh = Mesh()
    mesh.machine(cpus=2, speed=10_000)
    mesh.machine(cpus=2, speed=1_000)
    taught(mesh, "cook", 60_000, on=1)
    mesh.assign(mesh.submit(key="cook", cpus=2), 1)
    assert best(mesh, a_spec(key="cook", cpus=4)) == Change("--cpus 2", False, NodeNumber(1), False, 500)


def test_the_change_is_worded_as_it_is_typed() -> None:
    mesh = a_mesh()
    for spec in (
        a_spec(cpus=9),
        a_spec(memory=17 * GIB),
        a_spec(gpus=3),
        a_spec(on=("x",)),
        a_spec(gpu_memory=20 * GIB),
    ):
        change = best(mesh, spec)
        assert change is not None
        again = dry_run(mesh.snapshot(), typed(spec, change)).waiting
        assert again is not None
        assert again.why is Why.NEXT
        assert again.where == change.node
