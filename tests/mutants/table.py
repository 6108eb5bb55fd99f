"""What a mutant is, and the short ways to write one.

Promises: a row can be read as one sentence: this mistake, here, is noticed by these tests.
Never: runs anything.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    name: str
    file: str  # in the package
    old: str
    new: str
    tests: tuple[str, ...]  # in the folder of the tests; the first that fails is its end


def raft(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"mesh/raft/{file}.py", old, new, tuple(f"mesh/raft/{test}" for test in tests))


def mesh(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"mesh/{file}.py", old, new, tuple(f"mesh/{test}" for test in tests))


def store(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"mesh/{file}.py", old, new, tests)


def state(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"scheduler/{file}.py", old, new, tuple(f"scheduler/{test}" for test in tests))


def story(name: str) -> str:
    return f"test_scenarios.py::test_scenario[{name}]"
