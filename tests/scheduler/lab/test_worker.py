"""A virtual machine starts what it was given as a real one does, and never more than it has."""

from odyssey.ids import AttemptId, NodeNumber, UserId, task_id
from odyssey.model import Outcome
from odyssey.resources import Resources
from odyssey.scheduler.lab.kinds import HETEROGENEOUS, draw
from odyssey.scheduler.lab.machines import GIB, Machine, What
from odyssey.scheduler.lab.simulate import Simulation
from odyssey.scheduler.lab.worker import Held, Worker
from odyssey.scheduler.snapshot import OwnerState
from odyssey.spec import Blob, JobSpec, Want

MIB = 1 << 20


def a_worker(cpus: int = 2, crowd: int = 0) -> Worker:
    return Worker(NodeNumber(1), Machine("pc", UserId("anna"), cpus, 8 * GIB, 1000, crowd, link=100))


def held(number: int, cpus: int = 1, user: str = "anna", inputs: tuple[Blob, ...] = ()) -> Held:
    spec = JobSpec(UserId(user), (b"cook",), Want(Resources(1000 * cpus, GIB), key="cook"), inputs=inputs)
    return Held(AttemptId(number), task_id(1, number), spec, run_ms=10_000)


def started(worker: Worker, now: int = 0) -> list[int]:
    return [running.held.attempt for running in worker.start_what_fits(now)]


def test_the_backlog_starts_in_order_as_long_as_the_next_one_fits() -> None:
    worker = a_worker()
    worker.backlog += [held(1), held(2, cpus=2), held(3)]
    assert started(worker) == [1]
    worker.end(AttemptId(1))
    assert started(worker) == [2]
    worker.end(AttemptId(2))
    assert started(worker) == [3]


def test_what_came_for_a_slot_starts_before_the_backlog_and_keeps_its_place() -> None:
    worker = a_worker()
    worker.backlog += [held(1)]
    worker.slots += [held(2), held(3, cpus=2)]
    assert started(worker) == [2]
    worker.end(AttemptId(2))
    assert started(worker) == [3]


def test_what_has_started_cannot_be_withdrawn() -> None:
    worker = a_worker(cpus=1)
    worker.backlog += [held(1), held(2)]
    assert started(worker) == [1]
    assert worker.withdraw(AttemptId(1)) is None
    assert worker.withdraw(AttemptId(2)) == held(2)
    assert not worker.backlog


def test_a_full_machine_is_a_slower_one() -> None:
    alone, full = a_worker(cpus=4, crowd=40), a_worker(cpus=4, crowd=40)
    full.slots += [held(number) for number in (2, 3, 4, 1)]
    alone.slots += [held(1)]
    (quick,), slow = alone.start_what_fits(0), full.start_what_fits(0)[-1]
    assert quick.compute_ms < slow.compute_ms <= 10_000 * 140 * 105 // 10_000


def test_files_are_fetched_once_and_not_counted_as_work() -> None:
    worker, file = a_worker(), Blob(b"scene", 300 * MIB)
    worker.slots += [held(1, inputs=(file,)), held(2, inputs=(file,))]
    for running in worker.start_what_fits(5_000):
        assert running.ends_ms == 8_000 + running.compute_ms


def test_an_owner_at_the_keyboard_keeps_others_out() -> None:
    worker = a_worker()
    worker.backlog += [held(1, user="ben"), held(2)]
    worker.change(What.OWNER_IN)
    assert worker.hand_back() == [held(1, user="ben")]
    assert worker.seen(0).owner is OwnerState.IN_USE
    assert started(worker) == [2]


def test_no_machine_ever_runs_more_than_it_has() -> None:
    """Counted from the spans of whole runs, second by second of change."""
    for seed, kind in enumerate(HETEROGENEOUS):
        history = Simulation(draw(kind, seed, machines=4), "weighted").run()
        for number, machine in enumerate(history.workload.machines, 1):
            moves = []
            for span in history.spans:
                if span.node == number and span.start_ms < span.end_ms:
                    need = history.submission(span.task).spec.want.need
                    moves += [(span.start_ms, 1, need), (span.end_ms, -1, need)]
            cpu = memory = 0
            for _, sign, need in sorted(moves, key=lambda move: move[:2]):
                cpu, memory = cpu + sign * need.cpu_milli, memory + sign * need.memory
                assert 0 <= cpu <= machine.cpus * 1000
                assert 0 <= memory <= machine.memory
        assert {span.outcome for span in history.spans} <= {Outcome.EXITED, Outcome.LOST, Outcome.EVICTED}
