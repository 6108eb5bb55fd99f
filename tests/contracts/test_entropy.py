"""What every source of chance promises, and what only a seeded one does.

The bounds on shares are more than ten standard deviations wide: a fair source does not fail them in a lifetime.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from odyssey.clock import Entropy, SeededEntropy, SystemEntropy

ROOT = Path(__file__).resolve().parents[2]
DRAWS = 20_000


@pytest.fixture(params=["system", "seeded"])
def entropy(request: pytest.FixtureRequest) -> Entropy:
    return SystemEntropy() if request.param == "system" else SeededEntropy(7)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 63, 64, 65, 128, 200])
def test_bits_fill_their_width_and_no_more(entropy: Entropy, n: int) -> None:
    ones = zeros = 0
    for _ in range(200):
        drawn = entropy.bits(n)
        assert 0 <= drawn < 1 << n
        ones |= drawn
        zeros |= ~drawn & ((1 << n) - 1)
    assert ones == zeros == (1 << n) - 1


@pytest.mark.parametrize("n", [0, 1, 16, 33])
def test_a_token_has_the_length_asked_for(entropy: Entropy, n: int) -> None:
    assert len(entropy.token(n)) == n


def test_tokens_do_not_repeat(entropy: Entropy) -> None:
    assert len({entropy.token(16) for _ in range(2000)}) == 2000


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 100])
def test_below_gives_every_number_equally_often(entropy: Entropy, n: int) -> None:
    counts = Counter(entropy.below(n) for _ in range(DRAWS))
    assert set(counts) == set(range(n))
    fair = DRAWS / n
    assert all(abs(count - fair) < 12 * fair**0.5 for count in counts.values())


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 1 << 32, (1 << 63) + 1, (1 << 64) - 1, 1 << 64, 1 << 70])
def test_the_seeded_source_draws_below_as_any_source_does(n: int) -> None:
    short, long = SeededEntropy(5), SeededEntropy(5)
    assert [short.below(n) for _ in range(200)] == [Entropy.below(long, n) for _ in range(200)]


@pytest.mark.parametrize("n", [0, -1])
def test_below_nothing_there_is_nothing(entropy: Entropy, n: int) -> None:
    with pytest.raises(ValueError, match="no number"):
        entropy.below(n)


@pytest.mark.parametrize("per_mille", [0, 10, 250, 999, 1000])
def test_chance_comes_true_as_often_as_it_says(entropy: Entropy, per_mille: int) -> None:
    true = sum(entropy.chance(per_mille) for _ in range(DRAWS))
    expected = DRAWS * per_mille / 1000
    spread = (expected * (1 - per_mille / 1000)) ** 0.5
    assert abs(true - expected) <= 12 * spread


def test_choose_takes_each_in_turn(entropy: Entropy) -> None:
    assert {entropy.choose("abc") for _ in range(500)} == set("abc")


def test_there_is_no_choice_among_nothing(entropy: Entropy) -> None:
    with pytest.raises(ValueError, match="no number"):
        entropy.choose("")


@pytest.mark.parametrize(("value", "percent", "reach"), [(1000, 20, 200), (7, 50, 3), (3, 20, 0), (0, 50, 0)])
def test_spread_reaches_both_ends_and_not_further(entropy: Entropy, value: int, percent: int, reach: int) -> None:
    drawn = [entropy.spread(value, percent) for _ in range(DRAWS)]
    assert (min(drawn), max(drawn)) == (value - reach, value + reach)


def draws(entropy: Entropy) -> list[int]:
    return [entropy.bits(64) for _ in range(50)]


def test_a_seeded_source_is_splitmix64() -> None:
    """The numbers are those of other implementations, so every machine and version agrees with them or fails."""
    entropy = SeededEntropy(1234567)
    assert [entropy.bits(64) for _ in range(4)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
    ]


def test_another_process_draws_the_same() -> None:
    ask = "from odyssey.clock import SeededEntropy as S; print(S(9).fork('net').token(32).hex())"
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    there = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == SeededEntropy(9).fork("net").token(32).hex()


def test_other_seeds_draw_otherwise() -> None:
    firsts = {SeededEntropy(seed).bits(64) for seed in (*range(-500, 500), 1 << 63)}
    assert len(firsts) == 1001


def test_a_fork_does_not_care_what_its_parent_drew() -> None:
    fresh, used = SeededEntropy(3), SeededEntropy(3)
    draws(used)
    assert draws(fresh.fork("net")) == draws(used.fork("net"))


def test_forking_takes_nothing_from_the_parent() -> None:
    forked, left_alone = SeededEntropy(3), SeededEntropy(3)
    forked.fork("net")
    assert draws(forked) == draws(left_alone)


@pytest.mark.parametrize("seed", [0, 3])
def test_forks_share_no_draw_with_each_other_or_their_parent(seed: int) -> None:
    parent = SeededEntropy(seed)
    labels = ["", "\0", "a", "b", "ab", "ba", "net", "disk", "ñ"]
    streams = [parent.fork(label) for label in labels]
    nested = [parent.fork("a").fork("b"), parent.fork("b").fork("a")]
    drawn = [number for source in (*streams, *nested, parent) for number in draws(source)]
    assert len(set(drawn)) == len(drawn)
