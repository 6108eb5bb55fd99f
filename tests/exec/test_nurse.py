"""When a daemon that died is started again, and when not."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from odyssey.exec.supervisor.nurse import FIRST_MS, LONGEST_MS, TRIES, WELL_MS, Nurse

TAIL = b"/usr/bin/env\0A=1\0python\0"
WORDS = (b"/usr/bin/env", b"A=1", b"python")


class Desk:
    def __init__(self) -> None:
        self.started: list[tuple[int, tuple[bytes, ...]]] = []
        self.now = 1_000
        self.nurse = Nurse(self._start)

    def _start(self, words: Sequence[bytes]) -> None:
        self.started.append((self.now, tuple(words)))

    def wait(self, ms: int) -> None:
        """As the supervisor does: awake when something is due."""
        end = self.now + ms
        while self.nurse.due_ms is not None and self.nurse.due_ms <= end:
            self.now = max(self.now, self.nurse.due_ms)
            self.nurse.tick(self.now)
        self.now = end

    def met(self, tail: bytes = TAIL) -> None:
        self.nurse.knocked()
        self.nurse.met(tail, self.now)


def test_one_that_dies_is_started_again_at_once() -> None:
    desk = Desk()
    desk.met()
    desk.nurse.lost(desk.now)
    desk.wait(0)
    assert desk.started == [(1_000, WORDS)]


def test_one_that_said_that_it_goes_is_not_wanted_back() -> None:
    desk = Desk()
    desk.met()
    desk.nurse.left()
    desk.nurse.lost(desk.now)
    desk.wait(LONGEST_MS)
    assert (desk.started, desk.nurse.due_ms) == ([], None)


def test_one_that_said_nothing_of_it_is_not_started() -> None:
    desk = Desk()
    desk.met(b"")
    desk.nurse.lost(desk.now)
    desk.wait(LONGEST_MS)
    assert desk.started == []


def test_with_nothing_to_do_nobody_is_woken() -> None:
    desk = Desk()
    assert desk.nurse.due_ms is None
    desk.met()
    assert desk.nurse.due_ms is None


def test_a_start_that_comes_to_nothing_is_tried_again_ever_later_and_not_for_ever() -> None:
    desk = Desk()
    desk.met()
    desk.nurse.lost(desk.now)
    desk.wait(100 * LONGEST_MS)
    times = [at for at, _ in desk.started]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == TRIES
    assert gaps[:3] == [FIRST_MS, 2 * FIRST_MS, 4 * FIRST_MS]
    assert gaps == sorted(gaps)
    assert max(gaps) <= LONGEST_MS


def test_one_that_says_hello_ends_the_trying() -> None:
    desk = Desk()
    desk.met()
    desk.nurse.lost(desk.now)
    desk.wait(0)
    desk.met()
    desk.wait(LONGEST_MS)
    assert len(desk.started) == 1


def test_one_that_keeps_dying_is_not_nursed_for_ever_but_one_that_lived_is() -> None:
    desk = Desk()
    for _ in range(2 * TRIES):
        desk.met()
        desk.nurse.lost(desk.now)
        desk.wait(LONGEST_MS - 1 if desk.nurse.due_ms is None else max(0, desk.nurse.due_ms - desk.now))
    assert len(desk.started) <= TRIES
    desk.met()
    desk.wait(WELL_MS)
    before = len(desk.started)
    desk.nurse.lost(desk.now)
    desk.wait(0)
    assert len(desk.started) == before + 1
