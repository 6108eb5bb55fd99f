"""Attempts that take over the room of others, without anybody being asked in between."""

from __future__ import annotations

from pathlib import Path

from odyssey.exec.supervisor.desk import AHEAD
from odyssey.ids import AttemptId
from odyssey.model import Outcome
from tests.exec.rig import FOREVER, Rig, a_spec, listed, shell

FIRST = 100


def follow(rig: Rig, number: int, script: str) -> AttemptId:
    one = listed(number)
    rig.hands.follow(one, shell(script))
    return one.attempt


def line_up(rig: Rig, count: int, script: str) -> list[AttemptId]:
    return [follow(rig, FIRST + number, script) for number in range(count)]


def test_they_run_one_after_the_other_in_the_place_of_the_first(rig: Rig, tmp_path: Path) -> None:
    note = f"echo $ODYSSEY_JOB >> {tmp_path}/order"
    first = rig.start(shell(f"{note}; sleep 0.2"))
    alone = f"mkdir {tmp_path}/busy && {note} && rmdir {tmp_path}/busy"
    others = line_up(rig, 3 * AHEAD, alone)
    rig.until(lambda: {first, *others} <= rig.hands.reports().keys())
    assert [rig.hands.reports()[one].code for one in others] == [0] * len(others)
    assert (tmp_path / "order").read_text().split() == ["1", *(str(FIRST + number) for number in range(3 * AHEAD))]


def test_until_then_they_have_not_started(rig: Rig) -> None:
    first = rig.start(shell("sleep 60"))
    others = line_up(rig, 2, "true")
    assert [rig.hands.here()[one].started for one in (first, *others)] == [True, False, False]
    rig.reopen()
    assert [rig.hands.here()[one].started for one in (first, *others)] == [True, False, False]
    rig.hands.kill(first)
    rig.until(lambda: set(others) <= rig.hands.reports().keys())


def test_who_needs_something_else_waits_on(rig: Rig) -> None:
    first = rig.start(shell("sleep 0.1"))
    other = listed(FIRST)
    rig.hands.follow(other, a_spec("true", memory=1 << 20))
    rig.wait(first)
    rig.run(shell("true"))
    assert not rig.hands.here()[other.attempt].started
    rig.hands.start(other, a_spec("true", memory=1 << 20))
    assert rig.wait(other.attempt).code == 0


def test_one_that_was_refused_never_runs(rig: Rig, tmp_path: Path) -> None:
    first = rig.start(shell("sleep 0.3"))
    refused, other = line_up(rig, 2, f"echo $ODYSSEY_JOB >> {tmp_path}/ran")
    rig.until(lambda: rig.hands.here()[first].elapsed_ms > 100)
    rig.hands.refuse(listed(FIRST))
    assert rig.wait(refused).outcome is Outcome.REJECTED
    rig.wait(other)
    assert (tmp_path / "ran").read_text() == f"{FIRST + 1}\n"


def test_one_that_is_killed_before_it_began_was_never_started(rig: Rig) -> None:
    first = rig.start(shell("sleep 60"))
    killed, other = line_up(rig, 2, "exit 3")
    rig.hands.kill(killed)
    assert rig.wait(killed).outcome is Outcome.REJECTED
    rig.hands.kill(first)
    assert rig.wait(other).code == 3


def test_nobody_waits_behind_one_that_runs_long_while_there_is_room(rig: Rig) -> None:
    long = rig.start(shell("sleep 60"))
    rig.until(lambda: rig.hands.here()[long].elapsed_ms > 50)
    others = line_up(rig, 2 * AHEAD, "true")
    second = listed(FIRST - 1)
    rig.hands.start(second, shell("true"))
    rig.until(lambda: set(others) <= rig.hands.reports().keys())
    assert not rig.hands.here()[long].ended
    rig.hands.kill(long)
    rig.wait(long)


def test_the_first_order_of_a_new_runner_stays_with_it(rig: Rig) -> None:
    """Each of these needs a runner of its own, which may not have come to it when what is behind it is taken back."""
    for number in range(1, 11):
        memory = (100 + number) << 20
        first, other = listed(number), listed(FIRST + number)
        rig.hands.start(first, a_spec("true", memory=memory, memory_is_limit=True))
        rig.hands.follow(other, a_spec("true", memory=memory, memory_is_limit=True))
        rig.turn()
        rig.hands.kill(other.attempt)
        assert rig.wait(first.attempt).outcome is Outcome.EXITED
        rig.wait(other.attempt)


def test_force_on_one_never_hits_the_next(rig: Rig) -> None:
    """While attempts come and go, each is stopped at some moment: only that one may end by it."""
    first = rig.start(shell("sleep 0.1"))
    others = line_up(rig, 200, "true")
    for one in (first, *others):
        rig.hands.stop(one)
        rig.turn()
    rig.until(lambda: {first, *others} <= rig.hands.reports().keys())
    ends = {(rig.hands.reports()[one].outcome, rig.hands.reports()[one].code) for one in others}
    assert ends <= {(Outcome.EXITED, 0), (Outcome.CANCELLED, 15), (Outcome.REJECTED, 0)}


def test_when_the_lease_is_over_nobody_follows(rig: Rig) -> None:
    first = rig.start(shell("sleep 0.3"))
    (other,) = line_up(rig, 1, "true")
    rig.until(lambda: rig.hands.here()[first].elapsed_ms > 50)
    rig.lease(0)
    rig.until(lambda: rig.hands.here()[first].frozen_at_ms is not None)
    assert not rig.hands.here()[other].started
    rig.lease(FOREVER)
    rig.hands.thaw(first)
    rig.wait(other)
