"""Every reason against a machine is given by some state, and only when it is true.

`CASES` has a row for each code: what differs from a task and a machine that suit each other, and what is said then. Two
codes are the planner's to give: these are in `PLANNED`. A code in neither table fails here.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from odyssey.commands import AgeQueue, DrainNode, RemoveNode
from odyssey.ids import JobId, NodeNumber, UserId
from odyssey.messages import Pause
from odyssey.model import Outcome, Task
from odyssey.resources import Resources
from odyssey.scheduler.board import Board
from odyssey.scheduler.draft import replace
from odyssey.scheduler.explain import waiting
from odyssey.scheduler.feasible import LASTING, Code, Reason, been_there, closed, full, has_room
from odyssey.scheduler.plan import policy_of
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen
from odyssey.spec import JobSpec, Want
from tests.builders import ANNA, GIB, Mesh, need
from tests.scheduler.asking import changed, taught

PC = NodeNumber(1)
UP = Seen()


class Case(NamedTuple):
    """A mesh with pc-1 (4 cpus, 8 GiB, one GPU of 8 GiB) and what is asked of it."""

    reason: Reason
    want: Want = Want(need(1))
    user: str = "anna"
    seen: Seen = UP
    prepare: Callable[[Mesh], object] = lambda mesh: None
    task: Callable[[Mesh], Task | None] = lambda mesh: None


def ended(outcome: Outcome) -> Callable[[Mesh], Task]:
    def task(mesh: Mesh) -> Task:
        job = mesh.submit()
        mesh.assign(job, PC)
        mesh.report(job, outcome=outcome)
        return mesh.task(job)

    return task


def removed_while_busy(mesh: Mesh) -> None:
    mesh.assign(mesh.submit(), PC)
    mesh.do(RemoveNode(PC))


def busy(mesh: Mesh) -> None:
    mesh.assign(mesh.submit(cpus=3.5, memory=6 * GIB, gpus=1), PC)


CASES: dict[Code, Case] = {
    Code.TOO_SMALL: Case(
        Reason(Code.TOO_SMALL, (("cpu_milli", 1000), ("memory", GIB))), want=Want(need(5, 9 * GIB, gpus=1))
    ),
    Code.GPU_MEMORY: Case(
        Reason(Code.GPU_MEMORY, (("gpu_memory", 4 * GIB),)), want=Want(need(1, gpus=1), gpu_memory=12 * GIB)
    ),
    Code.OS: Case(Reason(Code.OS, detail="linux"), want=Want(need(1), os="darwin")),
    Code.ARCH: Case(Reason(Code.ARCH, detail="x86_64"), want=Want(need(1), arch="arm64")),
    Code.NEEDS: Case(Reason(Code.NEEDS, detail="cuda>=13"), want=Want(need(1), needs="cuda>=13")),
    Code.NOT_NAMED: Case(Reason(Code.NOT_NAMED, detail="pc-2, pc-3"), want=Want(need(1), on=("pc-2", "pc-3"))),
    Code.AVOIDED: Case(Reason(Code.AVOIDED), want=Want(need(1), avoid=("pc-1",))),
    Code.NOT_YOURS: Case(Reason(Code.NOT_YOURS, detail="anna"), user="ben"),
    Code.REMOVED: Case(Reason(Code.REMOVED), prepare=removed_while_busy),
    Code.GONE: Case(Reason(Code.GONE), seen=Seen(state=NodeState.GONE)),
    Code.SILENT: Case(Reason(Code.SILENT), seen=Seen(state=NodeState.SILENT)),
    Code.ASLEEP: Case(Reason(Code.ASLEEP), seen=Seen(state=NodeState.ASLEEP)),
    Code.DRAINING: Case(Reason(Code.DRAINING), prepare=lambda mesh: mesh.do(DrainNode(PC, draining=True))),
    Code.PAUSED: Case(Reason(Code.PAUSED, detail="anna"), seen=Seen(owner=OwnerState.PAUSED)),
    Code.ON_BATTERY: Case(Reason(Code.ON_BATTERY), seen=Seen(owner=OwnerState.PAUSED, pause=Pause.BATTERY)),
    Code.LID_CLOSED: Case(Reason(Code.LID_CLOSED), seen=Seen(owner=OwnerState.PAUSED, pause=Pause.LID)),
    Code.OUTSIDE_HOURS: Case(Reason(Code.OUTSIDE_HOURS), seen=Seen(owner=OwnerState.PAUSED, pause=Pause.HOURS)),
    Code.RULES_BROKEN: Case(Reason(Code.RULES_BROKEN), seen=Seen(owner=OwnerState.PAUSED, pause=Pause.RULES)),
    Code.OWNER_PRESENT: Case(
        Reason(Code.OWNER_PRESENT, detail="anna"),
        user="ben",
        seen=Seen(owner=OwnerState.IN_USE),
        prepare=lambda mesh: changed(mesh, PC, shared=True),
    ),
    Code.NOT_HERE: Case(Reason(Code.NOT_HERE), task=ended(Outcome.NOT_HERE)),
    Code.MEMORY_FLOOR: Case(Reason(Code.MEMORY_FLOOR, (("memory", 1),)), task=ended(Outcome.OOM)),
    Code.FULL: Case(
        Reason(Code.FULL, (("cpu_milli", 500), ("memory", GIB), ("gpus", 1))),
        want=Want(need(1, 3 * GIB, gpus=1)),
        prepare=busy,
    ),
}


def kept_for_another() -> Reason | None:
    """A task that needs the whole machine has waited; what came later may not have the room that is left."""
    mesh = a_mesh()
    mesh.assign(mesh.submit(), PC)
    mesh.submit(cpus=4)
    mesh.do(AgeQueue(mesh.fence))
    return told(mesh, mesh.submit())


def faster_soon() -> Reason | None:
    mesh = a_mesh()
    mesh.machine(cpus=1, speed=10_000)
    taught(mesh, "cook", 1000, on=2)
    mesh.assign(mesh.submit(key="cook"), 2)
    return told(mesh, mesh.submit(key="cook"))


PLANNED: dict[Code, Callable[[], Reason | None]] = {Code.RESERVED: kept_for_another, Code.FASTER_SOON: faster_soon}


def told(mesh: Mesh, job: JobId) -> Reason | None:
    """What explain says of pc-1."""
    answer = waiting(mesh.snapshot(), job)
    assert answer is not None
    return next(verdict.reason for verdict in answer.verdicts if verdict.node == PC)


def a_mesh() -> Mesh:
    mesh = Mesh()
    mesh.machine(cpus=4, memory=8 * GIB, gpus=1, gpu_memory=8 * GIB, labels=(("cuda", "12"),))
    return mesh


def row_and_wish(mesh: Mesh, want: Want, user: str = "anna", seen: Seen = UP) -> tuple[Row, Wish]:
    snapshot, board = mesh.snapshot({PC: seen}), Board()
    board.sync(snapshot, *policy_of(snapshot, BUILT_IN))
    return board.rows[PC], board.wish(snapshot, UserId(user), want)


def closed_to(user: str, mesh: Mesh, seen: Seen) -> Reason | None:
    row, wish = row_and_wish(mesh, Want(need(1)), user, seen)
    return closed(wish, row)


@pytest.mark.parametrize("code", Code)
def test_every_code_is_given_when_it_is_true(code: Code) -> None:
    if code in PLANNED:
        reason = PLANNED[code]()
        assert reason is not None
        assert reason.code is code
        return
    case, mesh = CASES[code], a_mesh()
    case.prepare(mesh)
    task = case.task(mesh)
    row, wish = row_and_wish(mesh, case.want, case.user, case.seen)
    assert (been_there(task, row) or closed(wish, row) or full(wish, row)) == case.reason


def test_a_machine_that_suits_has_nothing_against_a_task() -> None:
    everything = Want(
        need(4, 8 * GIB, gpus=1),
        gpu_memory=8 * GIB,
        needs="cuda>=12",
        os="linux",
        arch="x86_64",
        on=("pc-1", "pc-2"),
        avoid=("pc-3",),
    )
    row, wish = row_and_wish(a_mesh(), everything)
    assert closed(wish, row) is None
    assert full(wish, row) is None
    assert been_there(None, row) is None
    assert been_there(ended(Outcome.EVICTED)(a_mesh()), row) is None


@pytest.mark.parametrize("code", sorted(LASTING - {Code.REMOVED}))
def test_what_would_remain_longest_is_said_first(code: Code) -> None:
    """The machine is away, finishing, paused and full: what no waiting changes is told all the same."""
    case, mesh = CASES[code], a_mesh()
    mesh.assign(mesh.submit(cpus=4), PC)
    mesh.do(DrainNode(PC, draining=True))
    row, wish = row_and_wish(mesh, case.want, case.user, Seen(state=NodeState.GONE, owner=OwnerState.PAUSED))
    assert closed(wish, row) == case.reason


def test_the_order_among_reasons_that_pass() -> None:
    """Away, then finishing, then paused, then in use; a machine that leaves says only that."""
    mesh = a_mesh()
    changed(mesh, PC, shared=True)

    def said(seen: Seen) -> Code:
        reason = closed_to("ben", mesh, seen)
        assert reason is not None
        return reason.code

    assert said(Seen(owner=OwnerState.IN_USE)) is Code.OWNER_PRESENT
    assert said(Seen(owner=OwnerState.PAUSED)) is Code.PAUSED
    mesh.do(DrainNode(PC, draining=True))
    assert said(Seen(owner=OwnerState.PAUSED)) is Code.DRAINING
    assert said(Seen(state=NodeState.ASLEEP, owner=OwnerState.PAUSED)) is Code.ASLEEP
    mesh.do(DrainNode(PC, draining=False))
    removed_while_busy(mesh)
    assert said(Seen(state=NodeState.ASLEEP, owner=OwnerState.PAUSED)) is Code.REMOVED


def test_an_owner_at_the_keyboard_keeps_out_others_but_not_the_own_work() -> None:
    mesh = a_mesh()
    assert closed_to("anna", mesh, Seen(owner=OwnerState.IN_USE)) is None
    assert closed_to("anna", mesh, Seen(owner=OwnerState.PAUSED)) == Reason(Code.PAUSED, detail="anna")


@pytest.mark.parametrize(("free", "short"), [(None, 0), (GIB, 0), (GIB - 1, 1), (0, GIB)])
def test_memory_that_others_use_is_not_given_away(free: int | None, short: int) -> None:
    row, wish = row_and_wish(a_mesh(), Want(need(1, GIB)), seen=Seen(memory_free=free))
    assert has_room(wish, row) is not bool(short)
    assert full(wish, row) == (Reason(Code.FULL, (("memory", short),)) if short else None)


def test_cpu_that_others_use_is_given_all_the_same() -> None:
    """Programs share a cpu; a busy machine scores less, and that is all."""
    row, wish = row_and_wish(a_mesh(), Want(need(4)), seen=Seen(cpu_free_milli=0))
    assert full(wish, row) is None


@pytest.mark.parametrize("kind", ["cpu_milli", "memory", "gpus", "disk"])
def test_too_small_and_full_begin_one_above_what_there_is(kind: str) -> None:
    mesh = a_mesh()
    everything = mesh.node(PC).total
    row, exact = row_and_wish(mesh, Want(everything))
    assert (closed(exact, row), full(exact, row)) == (None, None)
    more = Want(replace(everything, **{kind: getattr(everything, kind) + 1}))
    row, wish = row_and_wish(mesh, more)
    assert closed(wish, row) == Reason(Code.TOO_SMALL, ((kind, 1),))
    changed(mesh, PC, total=more.need)
    mesh.assign(mesh.submit(JobSpec(ANNA, (b"true",), Want(Resources(10, 1, 1, 1)))), PC)
    row, wish = row_and_wish(mesh, more)
    assert closed(wish, row) is None
    busy = full(wish, row)
    assert busy is not None
    assert dict(busy.lacks)[kind] == (10 if kind == "cpu_milli" else 1)


def test_a_memory_floor_admits_only_more_memory() -> None:
    mesh = a_mesh()
    task = ended(Outcome.OOM)(mesh)
    assert task.memory_floor == 8 * GIB
    for memory, suits in ((8 * GIB, False), (8 * GIB + 1, True)):
        changed(mesh, PC, total=need(4, memory))
        row, _ = row_and_wish(mesh, Want(need(1)))
        assert (been_there(task, row) is None) is suits
