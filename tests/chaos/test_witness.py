"""What a chaos run judges by: stories that repeat, and witnesses that notice."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos import witness
from tests.chaos.story import KINDS, story
from tests.chaos.witness import AFTER_STANDING_NS, Sign, Stood, ran_again, together

S = 1_000_000_000


def signs(attempt: int, *seconds: float, machine: str = "h1", task: int = 0) -> list[Sign]:
    words = ["begin", *["beat"] * (len(seconds) - 2), "end"][: len(seconds)]
    return [Sign(task, attempt, machine, word, int(at * S)) for word, at in zip(words, seconds, strict=True)]


def test_one_try_after_the_other_is_as_it_should_be() -> None:
    assert not list(together([*signs(1, 0, 1, 2), *signs(2, 3, 4)]))
    assert not list(together([*signs(1, 0, 9, task=0), *signs(2, 3, 4, task=1)]))


@pytest.mark.parametrize("second", [(1.5, 4), (0.5, 0.7), (2.9, 3.5)])
def test_two_tries_at_one_time_are_noticed(second: tuple[float, float]) -> None:
    (told,) = together([*signs(1, 0, 1, 2, 3), *signs(2, *second, machine="h2")])
    assert "task 0: tries" in told


def test_a_machine_that_was_let_go_may_say_a_last_word() -> None:
    both = [*signs(1, 0, 1, 20.1), *signs(2, 12, 13, 30, machine="h2")]
    assert list(together(both))
    assert not list(together(both, [Stood("h1", 20 * S)]))
    assert list(together(both, [Stood("h2", 20 * S)])), "somebody else stood still"
    assert list(together(both, [Stood("h1", 20 * S - AFTER_STANDING_NS)])), "it went on for too long"


def test_a_try_that_began_twice_is_noticed() -> None:
    assert not list(ran_again([*signs(1, 0, 1), *signs(2, 2, 3)]))
    assert list(ran_again([*signs(1, 0, 1), *signs(1, 2, 3)])) == ["task 0: try 1 began twice"]


def test_a_torn_line_is_none(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_text("0 7 h1 begin 5\n0 7 h1 be\n\n0 7 h1 end 6\n")
    assert [sign.word for sign in witness.signs(path)] == ["begin", "end"]
    assert witness.signs(tmp_path / "none") == []


def test_equal_seeds_tell_equal_stories_of_all_kinds() -> None:
    assert story(5, 5, 300) == story(5, 5, 300) != story(6, 5, 300)
    kinds = Counter(one.kind for seed in range(20) for one in story(seed, 5, 300))
    assert set(kinds) == {kind.name for kind in KINDS}


def test_no_machine_is_in_two_troubles_at_once() -> None:
    for seed in range(20):
        free = [0] * 5
        for one in story(seed, 5, 300):
            assert free[one.machine] <= one.at_ms, one
            free[one.machine] = one.until_ms
