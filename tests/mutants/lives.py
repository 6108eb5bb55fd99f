"""Mistakes in what outlives a coordinator: generations of the mesh, and its history.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh, state

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
    # -- the tail of an old coordinator
    state(
        "jobs of two sides are compared by their numbers",
        "salvage",
        "        if not left.is_new:\n            return left.job.id",
        "        if True:\n            return left.job.id",
        "test_salvage.py::test_one_number_may_mean_two_jobs",
    ),
    state(
        "jobs from before the fork are offered",
        "salvage",
        "return job.id > self.last_job",
        "return True",
        "test_salvage.py::test_a_submit_from_before_the_fork_is_known_here_however_long_ago",
    ),
    state(
        "what the old coordinator archived is forgotten",
        "salvage",
        "tuple(digest for digest in base.segments if digest not in before.segments)",
        "()",
        "test_salvage.py::test_what_the_old_coordinator_archived_is_in_it_too",
    ),
    state(
        "a task that must not run twice is offered like any other",
        "salvage",
        "any(left.job.spec.once and",
        "any(not left.job.spec.once and",
        "test_salvage.py::test_what_may_have_run_and_must_not_twice_needs_somebodys_word",
    ),
    state(
        "a snapshot behind the fork is taken for the state at the fork",
        "salvage",
        "if state.head.index > fork:",
        "if False:",
        "test_salvage.py::test_wherever_its_snapshot_is_the_same_comes_of_it",
    ),
    state(
        "of a submit only the first job is found again",
        "salvage",
        "JobId(first + left.position)",
        "JobId(first)",
        "test_salvage.py::test_each_job_of_a_submit_is_found_at_its_place",
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
        "applied >= offer.index > self._begun",
        "offer.index > self._begun",
        "test_archive.py::test_what_never_came_to_be_is_deleted_when_the_fate_of_its_offer_is_known",
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
