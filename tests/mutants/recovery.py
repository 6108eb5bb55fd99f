"""Mistakes in the lives of a mesh: who may begin a new one, from which log, and who follows it.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

LIFE: Final = "test_generation.py::test_"
BEGUN: Final = "test_recover.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- generations
    mesh(
        "a store moves to another branch of its mesh",
        "generation",
        "return _is_ours(held, to) and bool(to.since(held.tip))",
        "return _is_ours(held, to) and to.tip.number > held.tip.number",
        LIFE + "a_store_goes_only_down_its_own_line",
    ),
    mesh(
        "a generation that nobody signed",
        "generation",
        "    if not all(is_signed(one, verify) for one in offered.charters if one.generation.number >= held.number):\n",
        "    if False:\n",
        LIFE + "what_nobody_signed_is_foreign",
    ),
    mesh(
        "a log that lacks nothing only if it ends at the last fork",
        "generation",
        "if all(mine.end <= charter.fork for charter in ahead)",
        "if mine.end <= ahead[-1].fork",
        LIFE + "after_two_recoveries_both_forks_are_looked_at",
    ),
    mesh(
        "an old anchor keeps its store",
        "generation",
        "if all(mine.end <= charter.fork for charter in ahead) else Verdict.OLD_ANCHOR",
        "if True else Verdict.OLD_ANCHOR",
        LIFE + "a_child_is_followed_with_the_same_store_if_its_log_holds_all_that_counts_here",
    ),
    mesh(
        "of two children both win",
        "generation",
        "return Verdict.WON if held > offered.tip else Verdict.LOST",
        "return Verdict.WON",
        LIFE + "of_two_children_the_higher_id_wins_and_nobody_moves",
    ),
    mesh(
        "the signature is for a part of the charter",
        "generation",
        'wire.encode(msgspec.structs.replace(charter, signature=b""))',
        "wire.encode(charter.generation)",
        LIFE + "a_signature_is_for_all_of_the_charter_and_for_nothing_else",
    ),
    mesh(
        "entries before the fork counted in the new generation",
        "generation",
        "            if index > charter.fork.index:\n",
        "            if True:\n",
        LIFE + "an_entry_belongs_to_the_generation_it_was_written_in",
    ),
    mesh(
        "a line with a hole",
        "generation",
        "            if charter.generation.number != before.number + 1 or charter.term <= charter.fork.term:\n",
        "            if charter.term <= charter.fork.term:\n",
        LIFE + "a_line_that_does_not_hang_together_is_nobodys",
    ),
    # -- recovering
    mesh(
        "recovered while somebody hears a coordinator",
        "recover",
        "    _check_alone(answers)\n",
        "",
        BEGUN + "not_while_somebody_hears_a_coordinator",
    ),
    mesh(
        "recovered on a log that has gone back",
        "recover",
        "    _check_whole(best, logs)\n",
        "",
        BEGUN + "not_on_a_log_that_has_gone_back",
    ),
    mesh(
        "recovered in a term that was heard of",
        "recover",
        "1 + max(lineage.first_term, *(one.term for one in answers))",
        "1 + best.end.term",
        BEGUN + "its_charter_follows_from_what_it_knows",
    ),
    mesh(
        "the first terms of a line stand still",
        "generation",
        "            if charter.term <= term:\n",
        "            if charter.term < 0:\n",
        LIFE + "the_first_terms_of_a_line_grow",
    ),
    mesh(
        "moved as it was decided before the disk came to rest",
        "succession",
        "    if move is Move.FOLLOW and (ahead is None or any(end > charter.fork for charter in ahead)):\n",
        "    if False:\n",
        "test_succession.py::test_what_was_under_way_may_have_made_it_to_the_disk",
    ),
    mesh(
        "asked once where all stand",
        "succession",
        "ASKED_TIMES: Final = 6",
        "ASKED_TIMES: Final = 1",
        "test_succession.py::test_all_are_asked_until_they_have_answered_and_the_best_log_begins",
    ),
    mesh(
        "a founder that has moved on begins",
        "recover",
        "    if charter.fork != mine.end or charter.term <= mine.term:\n",
        "    if False:\n",
        BEGUN + "a_founder_that_has_moved_on_does_not",
    ),
    mesh(
        "the first entry written twice",
        "recover",
        "    if charter.founder != me or end.term >= charter.term:\n",
        "    if charter.founder != me:\n",
        BEGUN + "it_is_written_once_and_by_the_founder_only",
    ),
    mesh(
        "the first entry leaves the old voters in",
        "recover",
        "Kind.CONFIG, wire.encode(Config((me,))))",
        'Kind.START, b"")',
        BEGUN + "the_first_entry_makes_the_founder_the_only_voter_and_commits_all",
    ),
    mesh(
        "the first entry commits nothing",
        "recover",
        "HardState(charter.term, me, first.index)",
        "HardState(charter.term, me, loaded.hard.commit)",
        BEGUN + "the_first_entry_makes_the_founder_the_only_voter_and_commits_all",
    ),
    mesh(
        "gone on with another log than that of the charter",
        "recover",
        "    if end != charter.fork:\n",
        "    if False:\n",
        BEGUN + "another_log_than_that_of_the_charter_is_not_gone_on_with",
    ),
    mesh(
        "a child founded beside other voters",
        "recover",
        "if mine.voters != (mine.member,) or mine.commit != mine.end.index:",
        "if mine.commit != mine.end.index:",
        BEGUN + "only_a_lone_voter_with_everything_committed_founds_a_child",
    ),
)
