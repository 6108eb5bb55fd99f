"""The runner sees a bug that was put there, prints what repeats it, and outlives a process that dies."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from odyssey.mesh.raft.core import Core
from odyssey.mesh.raft.types import AnyMessage, Member, VoteReply
from odyssey.mesh.replica import Replica
from tests.sim.__main__ import explore, main
from tests.sim.net import Weather
from tests.sim.pool import Died, Pool
from tests.sim.runs import Ran, ran
from tests.sim.schedule import Schedule


@contextmanager
def votes_that_do_not_wait() -> Iterator[None]:
    sound = Core._promise

    def promise(self: Core, to: Member, message: AnyMessage) -> None:
        (self._send if isinstance(message, VoteReply) else lambda to, message: sound(self, to, message))(to, message)

    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(Core, "_promise", promise)
        yield


def with_forgotten_votes(schedule: Schedule) -> Ran:
    with votes_that_do_not_wait():
        return ran(schedule)


def test_a_planted_bug_is_found_and_its_line_finds_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert explore([5, 6], 1, 12, with_forgotten_votes) == 1
    told = capsys.readouterr().out
    assert "FAILED seed 5: invariant 6: " in told
    assert "again: make sim FROM=5 SEEDS=1" in told
    assert "FAILED seed 6: " in told
    line = re.findall("REPLAY='(.+)'", told)
    assert len(line) == 1  # both for the same reason: one is enough
    with votes_that_do_not_wait():
        assert main(["--replay", line[0]]) == 1
    assert main(["--replay", line[0]]) == 0


def test_sound_seeds_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--from", "3", "--seeds", "1", "--workers", "1"]) == 0
    assert re.search(
        r"(?m)^1 seeds, [\d,]+ events, [\d,]+ a CPU second and core \(median\), 0 failed$", capsys.readouterr().out
    )


def test_a_line_that_is_no_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--replay", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("error: no schedule: ")


# -- the pool ----------------------------------------------------------------------------------------------------------


def half(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if number == 4:
        os._exit(9)
    return number // 2


def test_who_dies_takes_only_its_own_work_along() -> None:
    outcomes = dict(Pool(half, 2).each(range(8)))
    assert outcomes.pop(3) == Died("the process died of SIGSEGV")
    assert outcomes.pop(4) == Died("the process ended with 9")
    assert outcomes == {number: number // 2 for number in (0, 1, 2, 5, 6, 7)}


def for_ever(_: int) -> int:
    while True:
        pass


def test_who_does_not_end_is_ended() -> None:
    assert list(Pool(for_ever, 1, limit_seconds=0.01).each([1])) == [(1, Died("no end within 0.01 s"))]


# -- reads -------------------------------------------------------------------------------------------------------------


def with_reads_that_ask_nobody(schedule: Schedule) -> Ran:
    with pytest.MonkeyPatch().context() as patched:
        patched.setattr(Replica, "read", lambda self, done: done(self.applied))
        return ran(schedule)


def test_an_answer_without_a_quorum_is_seen_by_the_history() -> None:
    """Slow letters are enough: who is behind and does not know it shows what was."""
    slow = [Schedule(seed, 3, 3, 0, Weather(delay_ms=300), 150, (), 15_000, 0) for seed in range(6)]
    found = [one for schedule in slow if (one := with_reads_that_ask_nobody(schedule).failure) is not None]
    assert len(found) >= 2
    assert {one.name for one in found} == {"invariant linear"}
    assert all("no place for get" in one.text for one in found)
    assert all(ran(schedule).failure is None for schedule in slow)
