"""Who goes first: people by their share, one person's jobs by priority and age; and nobody stands in another's way."""

from collections import Counter

import pytest

from odyssey.commands import AgeQueue, DecayUsage, HoldJob, ReleaseJob, SetPriority
from odyssey.ids import JobId
from odyssey.scheduler.fairshare import HALF_LIFE_MS, keep_ppm
from odyssey.scheduler.feasible import Code
from odyssey.scheduler.plan import Plan, plan
from tests.builders import GIB, Mesh, a_spec, need
from tests.scheduler.asking import changed, given


def planned(mesh: Mesh) -> Plan:
    return plan(mesh.snapshot())


def by_user(mesh: Mesh, made: Plan) -> Counter[str]:
    shares: Counter[str] = Counter()
    for (job, _), count in given(made).items():
        shares[mesh.job(job).user] += count
    return shares


def jobs_of(made: Plan) -> list[JobId]:
    return [batch.job for batch in made.batches]


def a_mesh(cpus: float = 8) -> Mesh:
    mesh = Mesh()
    mesh.machine(cpus=cpus, memory=64 * GIB, shared=True, owner="cara")
    return mesh


# -- nobody stands in the way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wish",
    [{"cpus": 9}, {"needs": "has:unicorn"}, {"on": ("elsewhere",)}, {"memory": 65 * GIB}, {"gpus": 1}, {"arch": "vax"}],
)
def test_a_job_that_fits_nowhere_does_not_stop_those_behind_it(wish: dict[str, object]) -> None:
    mesh = a_mesh()
    mesh.submit(a_spec(priority=10, count=100, **wish))  # type: ignore[arg-type]
    job = mesh.submit(count=3)
    made = planned(mesh)
    assert given(made) == {(job, 1): 3}
    assert [one.job for one in made.blocked] == [1]


def test_a_job_that_finds_no_room_does_not_stop_those_behind_it() -> None:
    mesh = a_mesh()
    mesh.assign(mesh.submit(), 1)
    mesh.submit(cpus=8, priority=10)
    job = mesh.submit(count=3)
    assert given(planned(mesh)) == {(job, 1): 3}


def test_ten_thousand_that_fit_nowhere_do_not_stop_one_and_are_looked_at_once() -> None:
    mesh = a_mesh()
    for _ in range(10):
        mesh.submit(*([a_spec(cpus=9)] * 1000))
    job = mesh.submit()
    made = planned(mesh)
    assert given(made) == {(job, 1): 1}
    assert made.blocked[0] == (1, Code.TOO_SMALL)
    assert len(made.blocked) == 1


def test_held_jobs_and_those_that_wait_for_others_are_passed_over() -> None:
    mesh = a_mesh()
    first = mesh.submit(held=True)
    mesh.submit(after=(first,))
    job = mesh.submit()
    assert jobs_of(planned(mesh)) == [job]
    mesh.do(ReleaseJob(first))
    mesh.do(HoldJob(job))
    assert jobs_of(planned(mesh)) == [first]


# -- between people ----------------------------------------------------------------------------------------------------


def test_two_people_share_slots_equally_whatever_number_of_jobs_each_has() -> None:
    mesh = a_mesh()
    for _ in range(30):
        mesh.submit(user="anna", count=100, priority=10)
    mesh.submit(user="ben", count=4)
    assert by_user(mesh, planned(mesh)) == {"anna": 4, "ben": 4}


def test_the_share_is_of_cpus_not_of_tasks() -> None:
    mesh = a_mesh()
    mesh.submit(user="anna", cpus=2, count=100)
    mesh.submit(user="ben", cpus=1, count=100)
    shares = by_user(mesh, planned(mesh))
    assert abs(2 * shares["anna"] - shares["ben"]) <= 2
    assert 2 * shares["anna"] + shares["ben"] == 8


def test_what_one_person_leaves_another_gets() -> None:
    mesh = a_mesh()
    mesh.submit(user="anna", count=100)
    mesh.submit(user="ben", count=1)
    assert by_user(mesh, planned(mesh)) == {"anna": 7, "ben": 1}


def test_who_used_more_waits() -> None:
    mesh = a_mesh(cpus=2)
    mesh.submit(user="anna", count=2)
    mesh.carry_out(planned(mesh))
    mesh.finish_all(run_ms=3_600_000)
    mesh.submit(user="anna", count=9)
    mesh.submit(user="ben", count=9)
    assert by_user(mesh, planned(mesh)) == {"ben": 2}


def test_who_holds_more_waits() -> None:
    mesh = a_mesh(cpus=4)
    mesh.submit(user="anna", count=2)
    mesh.carry_out(planned(mesh))
    mesh.submit(user="anna", count=9)
    mesh.submit(user="ben", count=9)
    assert by_user(mesh, planned(mesh)) == {"ben": 2}


def test_time_evens_out_what_was_used() -> None:
    """Anna used an hour more; after days that is less than what one slot counts, and both get the same."""
    mesh = a_mesh(cpus=1)
    job = mesh.submit(user="anna")
    mesh.assign(job, 1)
    mesh.report(job, run_ms=3_600_000)
    mesh.submit(user="anna", count=99)
    mesh.submit(user="ben", count=99)
    changed(mesh, 1, total=need(8, 64 * GIB))
    assert by_user(mesh, planned(mesh)) == {"anna": 1, "ben": 7}
    for _ in range(6):
        mesh.do(DecayUsage(mesh.fence, keep_ppm(HALF_LIFE_MS)))
    assert by_user(mesh, planned(mesh)) == {"anna": 4, "ben": 4}


def test_a_priority_is_ones_own_affair() -> None:
    mesh = a_mesh(cpus=2)
    mesh.submit(user="anna", priority=10, count=9)
    mesh.submit(user="ben", priority=-10, count=9)
    assert by_user(mesh, planned(mesh)) == {"anna": 1, "ben": 1}


def test_whoever_has_no_machine_to_go_to_takes_no_turn_from_others() -> None:
    mesh = a_mesh(cpus=4)
    mesh.submit(user="anna", cpus=5, count=9)
    mesh.submit(user="ben", count=9)
    assert by_user(mesh, planned(mesh)) == {"ben": 4}


# -- one person's jobs -------------------------------------------------------------------------------------------------


def test_priority_orders_one_persons_jobs_and_then_age() -> None:
    mesh = a_mesh()
    low, old, high, young = (mesh.submit(priority=priority, key=str(priority)) for priority in (-1, 0, 5, 0))
    assert jobs_of(planned(mesh)) == [high, old, young, low]
    mesh.do(SetPriority(low, 9))
    assert jobs_of(planned(mesh)) == [low, high, old, young]


def test_an_old_job_of_low_priority_passes_a_young_one_of_high() -> None:
    mesh = a_mesh(cpus=1)
    old = mesh.submit(priority=-2)
    young = mesh.submit(priority=0)
    assert jobs_of(planned(mesh)) == [young]
    for _ in range(3):
        mesh.do(AgeQueue(mesh.fence))
    assert jobs_of(planned(mesh)) == [young]  # both have aged
    fresh = mesh.submit(priority=0)
    mesh.carry_out(planned(mesh))
    mesh.finish_all()
    assert fresh > old
    assert jobs_of(planned(mesh)) == [old]


def test_waiting_gains_ten_points_at_most() -> None:
    mesh = a_mesh(cpus=1)
    mesh.submit(priority=-6)
    for _ in range(30):
        mesh.do(AgeQueue(mesh.fence))
    assert jobs_of(planned(mesh)) == [1]
    high = mesh.submit(priority=5)
    assert jobs_of(planned(mesh)) == [high]
    mesh.do(SetPriority(high, 4))
    assert jobs_of(planned(mesh)) == [1]


def test_the_tasks_of_an_array_go_in_order() -> None:
    mesh = a_mesh(cpus=3)
    mesh.submit(count=9)
    assert planned(mesh).batches[0].spans == ((0, 3),)
    mesh.carry_out(planned(mesh))
    mesh.finish_all()
    assert planned(mesh).batches[0].spans == ((3, 6),)


def test_jobs_of_one_want_do_not_block_each_others_tasks() -> None:
    """A group is looked at until it finds no room: three jobs of two tasks, five places."""
    mesh = a_mesh(cpus=5)
    for _ in range(3):
        mesh.submit(count=2)
    assert given(planned(mesh)) == {(1, 1): 2, (2, 1): 2, (3, 1): 1}
