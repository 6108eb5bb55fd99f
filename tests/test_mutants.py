"""The tables of mutants fit the code: each row can be put back, and the tests it names are there.

Whether they notice is asked by `make mutants`, which takes longer.
"""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.mutants.__main__ import ROOT, chosen, mutated
from tests.mutants.all import MUTANTS
from tests.mutants.table import Mutant


@cache
def functions(file: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_a_mutant_is_one_change_that_still_can_be_read(mutant: Mutant) -> None:
    source = (ROOT / "odyssey" / mutant.file).read_text()
    changed = mutated(source, mutant)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_it_names_tests_that_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests:
        file, _, function = test.partition("::")
        assert (ROOT / "tests" / file).is_file()
        assert not function or function.partition("[")[0] in functions(ROOT / "tests" / file)


def test_no_two_have_one_name() -> None:
    assert [name for name, count in Counter(mutant.name for mutant in MUTANTS).items() if count > 1] == []


def test_words_choose_by_name() -> None:
    assert chosen(["vote"], None, 0) == [mutant for mutant in MUTANTS if "vote" in mutant.name]


def test_a_seed_draws_the_same_ones_again_and_another_one_others() -> None:
    drawn = [chosen([], 25, seed) for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert [len(set(some)) for some in drawn] == [25] * 3
    assert set(chosen(["vote"], 10_000, 7)) == set(chosen(["vote"], None, 7))
