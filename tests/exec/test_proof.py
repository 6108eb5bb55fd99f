"""What is proven of a supervisor that is gone, with processes in the place of its runners."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odyssey.exec.supervisor import slots, tree
from odyssey.exec.supervisor.proof import make_sure_it_is_over
from odyssey.exec.supervisor.slots import IDLE, NOBODY, Server, Slots
from tests.exec.rig import is_there

Runner = Callable[[str], int]


@pytest.fixture
def runner() -> Iterator[Runner]:
    made: list[subprocess.Popen[bytes]] = []

    def begin(script: str) -> int:
        made.append(subprocess.Popen(["sh", "-c", script]))
        return made[-1].pid

    yield begin
    for one in made:
        one.kill()
        one.wait()


def pages(tmp_path: Path, are_alone: bool, *pids: int) -> Slots:
    """As a supervisor has left them: slot 0 ran attempt 100, slot 1 attempt 101."""
    made = slots.make(str(tmp_path / "slots"), 1, are_alone)
    for slot, pid in enumerate(pids):
        made.serve(slot, Server(pid, tree.began(pid) or 0))
        made.write(slot, IDLE._replace(attempt=100 + slot))
    return made


def test_where_there_was_none_nothing_ran(tmp_path: Path) -> None:
    assert make_sure_it_is_over(str(tmp_path)) == ([], frozenset())


def test_it_waits_until_all_are_dead(tmp_path: Path, runner: Runner) -> None:
    pids = [runner("sleep 0.2"), runner("exit 0")]
    pages(tmp_path, True, *pids)
    assert make_sure_it_is_over(str(tmp_path)) == ([100, 101], frozenset())
    assert [is_there(pid) for pid in pids] == [False, False]


def test_who_does_not_die_is_killed(tmp_path: Path, runner: Runner) -> None:
    pid = runner("trap '' TERM; while :; do sleep 60; done")
    pages(tmp_path, True, pid)
    assert make_sure_it_is_over(str(tmp_path)) == ([100], frozenset())
    assert not is_there(pid)


def test_a_stranger_with_a_runners_number_is_left_alone(tmp_path: Path, runner: Runner) -> None:
    pid = runner("sleep 60")
    made = pages(tmp_path, True, pid)
    made.serve(0, Server(pid, 1))
    assert make_sure_it_is_over(str(tmp_path)) == ([100], frozenset())
    assert is_there(pid)


def test_who_was_not_alone_is_believed_only_if_it_said_that_it_has_ended_all(tmp_path: Path, runner: Runner) -> None:
    made = pages(tmp_path, False, runner("exit 0"), runner("exit 0"))
    made.serve(0, NOBODY)
    assert make_sure_it_is_over(str(tmp_path)) == ([100, 101], frozenset({101}))
