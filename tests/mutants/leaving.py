"""Mistakes in how a machine leaves a mesh, or comes out of its own one.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def mistake(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(name, f"daemon/{file}.py", old, new, (f"daemon/test_parting.py::test_{test}",))


_JOINING: Final = "a_joining_that_is_interrupted_is_whole_or_has_not_been"

MUTANTS: Final[tuple[Mutant, ...]] = (
    mistake(
        "what was given is not taken at the next start",
        "entering",
        "        given.take(self._home, before)\n",
        "        pass\n",
        _JOINING,
    ),
    mistake(
        "given by another mesh than the note names",
        "given",
        "belonging.joined and standing.is_of(coming, belonging.anchor)",
        "standing.is_of(coming, belonging.anchor) is not None",
        "what_was_given_counts_when_the_note_says_so",
    ),
    mistake(
        "an older leaving is written over",
        "parting",
        "    while (home.old / name).exists():",
        "    while False:",
        "who_leaves_a_mesh_twice_keeps_what_was_set_aside_before",
    ),
    mistake(
        "the end of leaving is noted before the keys are gone",
        "parting",
        "        founding.forget(home)\n        sync_names(home.path)\n        home.leaving.unlink(missing_ok=True)",
        "        home.leaving.unlink(missing_ok=True)\n        sync_names(home.path)\n        founding.forget(home)",
        "whoever_is_interrupted_goes_on_where_it_was",
    ),
    mistake(
        "all that is in the folder goes",
        "clearing",
        "            if any(fnmatchcase(name, pattern) or fnmatchcase(",
        "            if any(True or fnmatchcase(",
        "a_clean_leaves_nothing_of_ours_and_everything_else",
    ),
    mistake(
        "who alone keeps the jobs may go",
        "leaving",
        "    if company.is_only_keeper:",
        "    if False:",
        "who_has_what_nobody_else_has_stays",
    ),
)
