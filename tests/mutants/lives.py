"""Mistakes in what outlives a coordinator: generations of the mesh, and its history.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

TOGETHER: Final = "test_generation_model.py::test_whatever_people_do_the_generations_come_together"
FOUND: Final = "test_archive.py::test_whatever_happens_each_job_that_ended_is_where_it_can_be_found"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- generations
    mesh(
        "a machine moves to the sibling of its generation",
        "generation",
        "return Verdict.WON if held > offered.tip else Verdict.LOST",
        "return Verdict.WON if held > offered.tip else Verdict.FOLLOW",
        TOGETHER,
    ),
    mesh(
        "the lower id wins against a child of the higher one",
        "generation",
        "if offered.tip.number < held.number:",
        "if offered.tip.number <= held.number:",
        TOGETHER,
    ),
    mesh(
        "an old anchor keeps its log",
        "generation",
        "return Verdict.FOLLOW if all(mine.end <= charter.fork for charter in ahead) else Verdict.OLD_ANCHOR",
        "return Verdict.FOLLOW",
        TOGETHER,
    ),
    # -- archive
    mesh(
        "archived before all keepers have it",
        "archive",
        "self._ordered = holding >= quorum(len(voters)) and not missing",
        "self._ordered = holding >= quorum(len(voters))",
        FOUND,
    ),
    mesh(
        "archived without a quorum of the voters",
        "archive",
        "self._ordered = holding >= quorum(len(voters)) and not missing",
        "self._ordered = not missing",
        "test_archive.py::test_a_quorum_of_the_voters_has_it_whoever_is_gone",
    ),
    mesh(
        "a late answer to an earlier offer counts",
        "archive",
        "return (have.fence, have.number, have.digest) == (offer.fence, offer.number, offer.digest)",
        "return have.digest == offer.digest",
        "test_archive.py::test_a_late_answer_to_an_earlier_offer_of_the_same_bytes_says_nothing",
    ),
    mesh(
        "an answer of another store counts",
        "archive",
        "have.store == member.store and",
        "have.store and",
        "test_archive.py::test_the_answer_to_something_else_says_nothing",
    ),
    mesh(
        "deleted before the fate of the offer is known",
        "archive",
        "fates_known = offer is not None and applied >= offer.index",
        "fates_known = offer is not None",
        FOUND,
    ),
    mesh(
        "deleted while it is on offer",
        "archive",
        "kept.add(offer.digest)",
        'kept.add(b"")',
        FOUND,
    ),
    mesh(
        "what was on offer once is never deleted",
        "archive",
        "if one not in kept and (fates_known or one in self._released)",
        "if one not in kept and one in self._released",
        FOUND,
    ),
    mesh(
        "only who offered it is asked",
        "archive",
        "return sources[tries % len(sources)] if sources else None",
        "return self._offered_by",
        "test_archive.py::test_another_source_is_asked_each_time",
    ),
)
