"""The plan takes the best machine that may be taken: by a plain sum that people can change, past no hard filter."""

import pytest

from odyssey.commands import DrainNode, LoseAttempts, SetPolicy
from odyssey.ids import NodeNumber, task_id
from odyssey.model import Cause
from odyssey.scheduler.decision import decode
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.plan import Plan, plan
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen, Snapshot
from odyssey.spec import Blob
from tests.builders import GIB, Mesh, a_spec, kinds
from tests.scheduler.asking import changed, chosen, given, taught

PC1, PC2 = NodeNumber(1), NodeNumber(2)
SEEN = dict[NodeNumber, Seen]


def planned(mesh: Mesh, seen: SEEN | None = None) -> Plan:
    return plan(mesh.snapshot(seen))


def one(mesh: Mesh, seen: SEEN | None = None) -> int:
    """The machine of the only task that waits."""
    (node,) = chosen(planned(mesh, seen))
    return node


@pytest.fixture
def pair() -> Mesh:
    """Two machines with nothing between them, so the lower number wins until something speaks for the other."""
    mesh = Mesh()
    mesh.machines(2, cpus=4)
    return mesh


# -- the sum -----------------------------------------------------------------------------------------------------------


def test_the_machine_with_the_best_plain_sum_is_taken() -> None:
    mesh = Mesh()
    mesh.machine(cpus=2, speed=1000)
    mesh.machine(cpus=16, speed=900)
    mesh.machine(cpus=16, speed=800)
    mesh.submit()
    made = planned(mesh)
    read = decode(made.whys[0])
    assert read is not None
    sums = {candidate.node: sum(candidate.parts) for candidate in read.top}
    assert chosen(made) == [2] == [max(sums, key=lambda node: sums[node])]
    assert made.batches[0].score == sums[PC2]


def test_of_equal_machines_the_first_is_taken(pair: Mesh) -> None:
    pair.submit()
    assert one(pair) == PC1


def test_another_weight_makes_another_choice(pair: Mesh) -> None:
    changed(pair, 2, speed=500)
    pair.submit()
    seen = {PC2: Seen(mains=True)}
    assert one(pair, seen) == PC1
    pair.do(SetPolicy("weighted", (("power", 100),)))
    assert one(pair, seen) == PC2
    pair.do(SetPolicy("weighted", ()))
    assert one(pair, seen) == PC1


def test_learned_run_times_change_the_choice_and_only_for_their_command(pair: Mesh) -> None:
    taught(pair, "cook", 9000, on=1)
    taught(pair, "cook", 3000, on=2)
    pair.submit(key="cook")
    assert one(pair) == PC2
    pair.carry_out(planned(pair))
    pair.report(3)
    pair.submit(key="bake")
    assert one(pair) == PC1


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (Seen(owner=OwnerState.FREE), Seen(owner=OwnerState.IN_USE)),
        (Seen(owner=OwnerState.FREE), Seen()),
        (Seen(mains=True), Seen(mains=False)),
        (Seen(), Seen(mains=False)),
        (Seen(stay_ms=3_600_000), Seen(stay_ms=600_000)),
        (Seen(cpu_free_milli=3000), Seen(cpu_free_milli=500)),
        (Seen(memory_free=7 * GIB), Seen(memory_free=2 * GIB)),
    ],
)
def test_what_a_machine_tells_shifts_the_choice(pair: Mesh, better: Seen, worse: Seen) -> None:
    pair.submit()
    assert one(pair, {PC1: worse, PC2: better}) == PC2
    assert one(pair, {PC1: better, PC2: worse}) == PC1


def test_a_machine_that_broke_is_trusted_less(pair: Mesh) -> None:
    job = pair.submit()
    pair.assign(job, 1)
    pair.do(LoseAttempts(pair.fence, Cause.DOWN, ((pair.attempt(job), task_id(job, 0)),)))
    pair.submit(priority=1)
    assert chosen(planned(pair))[0] == PC2


# -- locality ----------------------------------------------------------------------------------------------------------

FILM, FONT = Blob(b"film", 3 * GIB), Blob(b"font", 1 << 20)


def test_the_machine_with_the_inputs_wins_by_the_bytes_to_move(pair: Mesh) -> None:
    pair.submit(inputs=(FILM, FONT))
    has = {name: Seen(blobs=frozenset(blobs)) for name, blobs in (("film", {b"film"}), ("font", {b"font"}))}
    assert one(pair, {PC2: has["film"]}) == PC2
    assert one(pair, {PC1: has["font"], PC2: has["film"]}) == PC2
    assert one(pair, {PC1: has["film"], PC2: has["font"]}) == PC1


def test_a_few_bytes_do_not_outweigh_a_faster_machine(pair: Mesh) -> None:
    changed(pair, 2, speed=500)
    pair.submit(inputs=(FONT,))
    assert one(pair, {PC2: Seen(blobs=frozenset({b"font"}))}) == PC1


def test_a_machine_with_the_inputs_and_no_room_is_no_choice(pair: Mesh) -> None:
    pair.assign(pair.submit(cpus=4), 2)
    pair.submit(inputs=(FILM,))
    assert one(pair, {PC2: Seen(blobs=frozenset({b"film"}))}) == PC1


# -- hard filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "other"),
    [
        ({"on": ("pc-2",)}, {}),
        ({"avoid": ("pc-1", "pc-3")}, {}),
        ({"needs": "has:ffmpeg"}, {"labels": (("has:ffmpeg", ""),)}),
        ({"os": "darwin"}, {"os": "darwin"}),
        ({"arch": "arm64"}, {"arch": "arm64"}),
        ({"gpus": 1}, {"gpus": 1}),
        ({"gpus": 1, "gpu_memory": 8 * GIB}, {"gpus": 1, "gpu_memory": 8 * GIB}),
        ({"cpus": 5}, {"cpus": 5}),
        ({"memory": 9 * GIB}, {"memory": 9 * GIB}),
        ({"user": "ben"}, {"shared": True}),
        ({"user": "ben"}, {"owner": "ben"}),
    ],
)
def test_what_a_job_asks_for_is_never_passed_over(wish: dict[str, object], other: dict[str, object]) -> None:
    """Only pc-2 suits; the others are ten times as fast, and stay empty however many wait."""
    mesh = Mesh()
    mesh.machine(speed=10_000)
    mesh.machine(**{"speed": 1000, **other})  # type: ignore[arg-type]
    mesh.machine(speed=10_000)
    mesh.submit(a_spec(count=50, **wish))  # type: ignore[arg-type]
    assert set(chosen(planned(mesh))) == {PC2}


@pytest.mark.parametrize("state", [NodeState.GONE, NodeState.SILENT, NodeState.ASLEEP])
def test_a_machine_that_is_not_there_gets_nothing(pair: Mesh, state: NodeState) -> None:
    pair.submit(count=50)
    assert set(chosen(planned(pair, {PC1: Seen(state=state)}))) == {PC2}


def test_a_machine_never_heard_of_since_the_start_gets_nothing(pair: Mesh) -> None:
    pair.submit()
    assert chosen(plan(Snapshot(pair.state, {PC2: Seen()}))) == [PC2]


def test_a_machine_that_finishes_or_is_paused_gets_nothing(pair: Mesh) -> None:
    pair.submit(count=50)
    assert set(chosen(planned(pair, {PC1: Seen(owner=OwnerState.PAUSED)}))) == {PC2}
    pair.do(DrainNode(PC1, draining=True))
    assert set(chosen(planned(pair))) == {PC2}


def test_an_owner_at_the_keyboard_gets_no_work_of_others(pair: Mesh) -> None:
    changed(pair, 1, shared=True)
    pair.submit(user="ben")
    assert chosen(planned(pair, {PC1: Seen(owner=OwnerState.IN_USE)})) == []
    assert chosen(planned(pair, {PC1: Seen(owner=OwnerState.FREE)})) == [PC1]


def test_memory_in_use_by_others_is_not_given(pair: Mesh) -> None:
    pair.submit(memory=GIB, count=50)
    assert given(planned(pair, {PC1: Seen(memory_free=3 * GIB), PC2: Seen(memory_free=GIB - 1)})) == {(1, PC1): 3}


def test_a_machine_never_gets_more_than_it_has(pair: Mesh) -> None:
    pair.submit(cpus=1.5, count=9)
    assert given(planned(pair)) == {(1, PC1): 2, (1, PC2): 2}
    assert kinds(pair.carry_out(planned(pair))).count("AssignmentDropped") == 0
    assert violations(pair.state) == []
