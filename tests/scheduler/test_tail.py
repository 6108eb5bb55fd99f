"""The tail of an array waits for a faster machine exactly while that ends sooner.

Two machines, pc-1 ten times as fast as pc-2, and a command that takes 98 s on pc-1.
"""

import pytest

from odyssey.commands import AgeQueue
from odyssey.ids import AttemptId, NodeNumber
from odyssey.scheduler.board import Board
from odyssey.scheduler.dump import dump, load
from odyssey.scheduler.plan import TRY_AT_AGE, Plan, plan, policy_of
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.snapshot import NodeState, Seen
from odyssey.scheduler.tail import Tails, ends_on, remaining_ms, slots_free_at
from odyssey.spec import Want
from tests.builders import ANNA, GIB, Mesh, a_spec, need
from tests.scheduler.asking import changed, given, taught

FAST, SLOW = NodeNumber(1), NodeNumber(2)
RUN_MS = 98_304  # learned times are rounded to five bits, and this one has two


@pytest.fixture
def mesh() -> Mesh:
    mesh = Mesh()
    mesh.machine(cpus=2, speed=10_000)
    mesh.machine(cpus=2, speed=1_000)
    taught(mesh, "cook", RUN_MS, on=FAST)
    return mesh


def planned(mesh: Mesh, seen: dict[NodeNumber, Seen] | None = None) -> Plan:
    return plan(mesh.snapshot(seen))


def test_a_long_array_uses_every_machine(mesh: Mesh) -> None:
    job = mesh.submit(key="cook", count=100)
    assert given(planned(mesh)) == {(job, FAST): 2, (job, SLOW): 2}


def test_the_tail_waits_for_the_fast_machine(mesh: Mesh) -> None:
    job = mesh.submit(key="cook", count=4)
    assert given(planned(mesh)) == {(job, FAST): 2}


def test_as_many_wait_as_the_fast_machine_finishes_before_the_slow_one_would(mesh: Mesh) -> None:
    """20 runs fit into the slow machine's one: from the 21st task on it helps, with those that are too many."""
    assert given(planned(mesh)) == {}
    job = mesh.submit(key="cook", count=20)
    assert given(planned(mesh)) == {(job, FAST): 2}
    mesh.submit(key="cook", count=1)
    assert sum(tasks for (_, node), tasks in given(planned(mesh)).items() if node == SLOW) == 1


def test_what_runs_already_counts_by_what_is_left_of_it(mesh: Mesh) -> None:
    """Both slots of the fast machine are taken. When they have run nearly through, waiting is right for more tasks."""
    first = mesh.submit(key="cook", count=2)
    mesh.carry_out(planned(mesh))
    running = [mesh.attempt(first, index) for index in (0, 1)]
    job = mesh.submit(key="cook", count=20)
    fresh = {FAST: Seen(elapsed_ms=dict.fromkeys(running, 0))}
    assert given(planned(mesh, fresh)) == {(job, SLOW): 2}
    nearly = {FAST: Seen(elapsed_ms=dict.fromkeys(running, RUN_MS - 1))}
    assert given(planned(mesh, nearly)) == {(job, SLOW): 2}
    mesh.report(job=first, index=0, run_ms=RUN_MS)
    assert given(planned(mesh, nearly)) == {(job, FAST): 1, (job, SLOW): 1}


def test_what_overruns_counts_as_longer_and_longer_until_the_slow_machine_is_better(mesh: Mesh) -> None:
    first = mesh.submit(key="cook", count=2)
    mesh.carry_out(planned(mesh))
    job = mesh.submit(key="cook")
    for overrun, expected in ((1, {}), (10, {}), (30, {(job, SLOW): 1})):
        elapsed = dict.fromkeys([mesh.attempt(first, index) for index in (0, 1)], overrun * RUN_MS)
        assert given(planned(mesh, {FAST: Seen(elapsed_ms=elapsed)})) == expected


def test_nobody_waits_for_a_machine_that_is_closed_or_whose_work_is_unknown(mesh: Mesh) -> None:
    job = mesh.submit(key="cook", avoid=("pc-1",))
    assert given(planned(mesh)) == {(job, SLOW): 1}
    mesh.submit(count=2, on=("pc-1",))
    mesh.carry_out(planned(mesh))
    other = mesh.submit(key="cook", priority=1)
    assert given(planned(mesh)) == {(other, SLOW): 1}


# -- commands that nobody has run yet ----------------------------------------------------------------------------------


def test_a_command_nobody_knows_is_left_to_a_machine_more_than_twice_as_fast_that_is_at_it(mesh: Mesh) -> None:
    job = mesh.submit(key="never seen", count=4)
    assert given(planned(mesh)) == {(job, FAST): 2}
    mesh.carry_out(planned(mesh))
    assert given(planned(mesh)) == {}


def test_a_command_nobody_knows_does_not_wait_for_ever_for_one_that_never_ends(mesh: Mesh) -> None:
    job = mesh.submit(key="server", count=4)
    mesh.carry_out(planned(mesh))
    for _ in range(TRY_AT_AGE):
        assert given(planned(mesh)) == {}
        mesh.do(AgeQueue(mesh.fence))
    assert given(planned(mesh)) == {(job, SLOW): 2}


def test_half_as_fast_is_fast_enough(mesh: Mesh) -> None:
    half = mesh.machine("pc-3", cpus=2, speed=mesh.node(FAST).speed // 2)
    mesh.machine("pc-4", cpus=2, speed=mesh.node(FAST).speed // 2 - 1)
    job = mesh.submit(key="never seen", count=6)
    assert given(planned(mesh)) == {(job, FAST): 2, (job, half): 2}


def test_a_command_without_a_name_is_never_left_to_others(mesh: Mesh) -> None:
    job = mesh.submit(key="", count=4)
    assert given(planned(mesh)) == {(job, FAST): 2, (job, SLOW): 2}


def test_a_slow_machine_tries_what_no_faster_one_is_at(mesh: Mesh) -> None:
    mesh.submit(count=2, on=("pc-1",))
    mesh.carry_out(planned(mesh))
    job = mesh.submit(key="never seen", count=4)
    assert given(planned(mesh)) == {(job, SLOW): 2}


def test_a_machine_that_is_closed_to_a_job_is_not_waited_for_whatever_it_is_at(mesh: Mesh) -> None:
    """Not named, or another person's own: nobody would ever start the job there."""
    mesh.machine(owner="ben", cpus=2, speed=50_000)
    for node, user in ((1, "anna"), (3, "ben")):
        mesh.assign(mesh.submit(key="python", user=user), node)
    job = mesh.submit(key="python", avoid=("pc-1",))
    assert given(planned(mesh)) == {(job, SLOW): 1}
    assert given(planned(mesh, {FAST: Seen(state=NodeState.GONE)})) == {(job, SLOW): 1}


def test_each_new_command_sends_a_scout_to_a_fast_machine_first(mesh: Mesh) -> None:
    first, second = mesh.submit(key="new", count=4), mesh.submit(key="newer", count=4)
    assert given(planned(mesh)) == {(first, FAST): 1, (second, FAST): 1}


# -- what the rule counts ----------------------------------------------------------------------------------------------


def test_a_machine_kept_free_for_another_task_is_not_waited_for(mesh: Mesh) -> None:
    job = mesh.submit(key="cook", count=4)
    snapshot = mesh.snapshot()
    board = Board()
    board.sync(snapshot, *policy_of(snapshot, BUILT_IN))
    wish = board.wish(snapshot, ANNA, a_spec(key="cook").want)
    assert Tails(snapshot, board.rows).better_wait(wish, (), board.rows[SLOW], lambda: 4, 0)
    board.reserve(board.rows[FAST], job)
    assert not Tails(snapshot, board.rows).better_wait(wish, (), board.rows[SLOW], lambda: 4, 0)


def test_what_the_plan_itself_gave_is_counted_again(mesh: Mesh) -> None:
    """With an empty fast machine the 20 tasks wait; once this plan has given it something they are too many."""
    mesh.submit(key="cook", count=20)
    snapshot, board = mesh.snapshot(), Board()
    board.sync(snapshot, *policy_of(snapshot, BUILT_IN))
    wish = board.wish(snapshot, ANNA, a_spec(key="cook").want)
    tails = Tails(snapshot, board.rows)
    assert tails.better_wait(wish, (), board.rows[SLOW], lambda: 20, 0)
    board.give(board.rows[FAST], wish, slot=True)
    assert not tails.better_wait(wish, (), board.rows[SLOW], lambda: 20, 1)
    assert tails.better_wait(wish, (), board.rows[SLOW], lambda: 19, 1)


# -- when a slot is free -----------------------------------------------------------------------------------------------


def slots(mesh: Mesh, want: Want, elapsed: dict[AttemptId, int] | None = None) -> list[int | None]:
    """Of pc-1, in seconds."""
    running = {attempt: 1000 * passed for attempt, passed in (elapsed or {}).items()}
    snapshot = mesh.snapshot({FAST: Seen(elapsed_ms=running)})
    board = Board()
    board.sync(snapshot, *policy_of(snapshot, BUILT_IN))
    row = board.rows[FAST]
    found = slots_free_at(board.wish(snapshot, ANNA, want), row, ends_on(snapshot, row))
    return [None if at is None else at // 1000 for at in found]


COOK = a_spec(key="cook").want


def test_an_empty_machine_has_its_slots_now(mesh: Mesh) -> None:
    assert slots(mesh, COOK) == [0, 0]
    assert slots(mesh, Want(need(2), key="cook")) == [0]


def test_a_busy_slot_is_free_when_its_task_ends_and_after_what_queues_there(mesh: Mesh) -> None:
    job = mesh.submit(key="cook", count=5)
    mesh.assign(job, FAST, 0, 1)
    early = {mesh.attempt(job, 0): 90}
    assert slots(mesh, COOK, early) == [8, 98]
    mesh.assign(job, FAST, 2, slot=False)
    assert slots(mesh, COOK, early) == [98, 106]
    mesh.assign(job, FAST, 3, slot=False)
    assert slots(mesh, COOK, early) == [106, 196]


def test_what_is_unknown_is_never_free(mesh: Mesh) -> None:
    mesh.assign(mesh.submit(), FAST)
    assert slots(mesh, COOK) == [0, None]
    mesh.assign(mesh.submit(), FAST)
    assert slots(mesh, COOK) == [None, None]
    mesh.assign(mesh.submit(key="cook"), FAST, slot=False)
    assert slots(mesh, COOK) == [None, None]


def test_the_order_in_which_attempts_are_kept_does_not_matter(mesh: Mesh) -> None:
    """A younger job's task was placed first, so a reloaded state keeps the two the other way round."""
    old, young = mesh.submit(key="cook"), mesh.submit()
    mesh.assign(young, FAST)
    mesh.assign(old, FAST)
    changed(mesh, FAST, total=need(1, GIB))  # and only one of them counts
    before = slots(mesh, COOK)
    mesh.state = load(dump(mesh.state))
    assert slots(mesh, COOK) == before == [None]


# -- what is left of a task --------------------------------------------------------------------------------------------


def left(mesh: Mesh, node: NodeNumber, elapsed: int = 0) -> int | None:
    job = mesh.submit(key="cook")
    mesh.assign(job, node)
    snapshot = mesh.snapshot({node: Seen(elapsed_ms={mesh.attempt(job): elapsed})})
    board = Board()
    board.sync(snapshot, *policy_of(snapshot, BUILT_IN))
    return remaining_ms(snapshot, board.rows[node], mesh.attempt(job), mesh.task(job).id)


def test_the_time_left_is_by_this_machine_else_by_its_speed(mesh: Mesh) -> None:
    assert left(mesh, FAST) == RUN_MS
    assert left(mesh, SLOW) == 10 * RUN_MS
    assert left(mesh, SLOW, 30_000) == 10 * RUN_MS - 30_000


def test_an_overrun_is_expected_to_go_on_for_half_of_what_it_took(mesh: Mesh) -> None:
    assert left(mesh, FAST, RUN_MS) == RUN_MS // 2 + 1
    assert left(mesh, FAST, 4 * RUN_MS) == 2 * RUN_MS + 1


def test_the_time_left_of_an_unknown_command_is_unknown() -> None:
    mesh = Mesh()
    mesh.machine()
    assert left(mesh, NodeNumber(1)) is None
