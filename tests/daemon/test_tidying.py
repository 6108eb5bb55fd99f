"""Which output goes, and that what is still wanted stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from odyssey.daemon.tidying import AGAIN_S, FIRST_S, FilesTidying, Keep, Piece, Tidying, newest_to_go, of_live_jobs
from odyssey.ids import AttemptId
from odyssey.scheduler.state import State
from tests.builders import Mesh
from tests.daemon_fakes import Time

MONTH = 30 * 86_400_000
KEEP = Keep(1000, MONTH)
NOW = 10 * MONTH


def piece(highest: int, size: int = 100, age_ms: int = 0) -> Piece:
    return Piece(AttemptId(highest), size, NOW - age_ms)


@pytest.mark.parametrize(
    ("pieces", "newest"),
    [
        ([], 0),
        ([piece(1)], 0),
        ([piece(1, 1000)], 0),
        ([piece(1, 1001)], 1),
        ([piece(1, 600), piece(2, 600)], 1),
        ([piece(1, 600), piece(2, 600), piece(3, 600)], 2),
        ([piece(1, age_ms=MONTH)], 0),
        ([piece(1, age_ms=MONTH + 1)], 1),
        ([piece(1, age_ms=2 * MONTH), piece(2)], 1),
        ([piece(5, 600, age_ms=2), piece(3, 600, age_ms=1), piece(9, 600)], 5),
    ],
)
def test_what_is_old_or_too_much_goes_first(pieces: list[Piece], newest: int) -> None:
    assert newest_to_go(pieces, KEEP, NOW) == newest


class Shelf:
    def __init__(self, *attempts: int) -> None:
        self.those = [[AttemptId(one)] for one in attempts]
        self.size = 600

    def pieces(self) -> Sequence[tuple[int, int, int]]:
        return [(max(one), self.size, NOW) for one in self.those]

    def sweep(self, is_wanted: Callable[[AttemptId], bool]) -> bool:
        for one in self.those:
            if not any(map(is_wanted, one)):
                self.those.remove(one)
                return True
        return False


def test_it_looks_now_and_then_and_takes_one_piece_at_a_time() -> None:
    shelf, time = Shelf(1, 2, 3, 4), Time()
    Tidying(shelf, State, Keep(1300, 1 << 60), time, time).start()
    time.wait(round(1000 * FIRST_S) - 1)
    assert len(shelf.those) == 4
    time.wait(1_000)
    assert [max(one) for one in shelf.those] == [3, 4]
    shelf.those.append([AttemptId(5)])
    time.wait(round(1000 * AGAIN_S))
    assert [max(one) for one in shelf.those] == [4, 5]


def test_what_a_job_wrote_that_has_not_ended_stays() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=8)
    over, half = mesh.submit(), mesh.submit(count=2)
    mesh.assign(over, node)
    mesh.assign(half, node, 0, 1)
    ended, first, second = mesh.attempt(over), mesh.attempt(half, 0), mesh.attempt(half, 1)
    mesh.report(over)
    mesh.report(half, 0)
    live = of_live_jobs(mesh.state)
    assert live == {first, second}
    assert ended not in live
    shelf, time = Shelf(ended, first, second), Time()
    Tidying(shelf, lambda: mesh.state, Keep(0, 1 << 60), time, time).start()
    time.wait(round(1000 * FIRST_S) + 1_000)
    assert [max(one) for one in shelf.those] == [first, second]


class Cupboard:
    def __init__(self) -> None:
        self.asked: list[tuple[float, list[int]]] = []

    def sweep(self, before: float, is_live: Callable[[int], bool]) -> int:
        self.asked.append((before, [job for job in range(1, 9) if is_live(job)]))
        return 1


def test_files_that_are_old_go_but_not_those_of_jobs_that_have_not_ended_and_one_sweep_at_a_time() -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=8)
    over, live = mesh.submit(), mesh.submit()
    mesh.assign(over, node)
    mesh.report(over)
    cupboard, time, work = Cupboard(), Time(), list[Callable[[], None]]()
    FilesTidying(cupboard, lambda: mesh.state, 5_000, time, time, work.append).start()
    time.wait(round(1000 * FIRST_S))
    began = time.wall_ms()
    time.wait(round(3000 * AGAIN_S))
    (sweep,) = work
    sweep()
    assert cupboard.asked == [((began - 5_000) / 1000, [int(live)])]
    time.wait(round(1000 * AGAIN_S))
    assert len(work) == 2
