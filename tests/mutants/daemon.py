"""Mistakes in what drives the brain while a machine leads, and in what keeps its store.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

KEPT: Final = "test_keeper.py::test_"
DUE: Final = "test_compaction.py::test_"


def coordinator(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "coordinator.py", old, new, tuple(f"test_coordinator.py::test_{test}" for test in tests))


MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- the coordinator
    coordinator(
        "ordered before an own entry is applied",
        "        if not self._grants.ready:\n            return\n        if not self._begun:\n",
        "        if not self._begun:\n",
        "nothing_is_ordered_before_its_own_entry_is_applied",
    ),
    coordinator(
        "two plans under way",
        "        if self._dirty and not self._planning and",
        "        if self._dirty and",
        "one_plan_is_under_way_at_a_time",
    ),
    coordinator(
        "memory that others have taken is never looked at again",
        " or (Code.FULL in codes and self._is_memory_taken())",
        "",
        "memory_that_others_have_taken_is_looked_at_again_when_they_may_have_gone",
    ),
    coordinator(
        "a report settled before it is on the log",
        "dict.fromkeys((one.attempt for one in new), False)",
        "dict.fromkeys((one.attempt for one in new), True)",
        "nor_is_that_settled_before_it_is_on_the_log",
    ),
    coordinator(
        "a report settled that the log did not take",
        "            if isinstance(outcome, Accepted):\n                reported",
        "            if True:\n                reported",
        "a_report_that_the_log_did_not_take_is_proposed_again",
    ),
    coordinator(
        "a report settled that could not be applied",
        "in told.items() if applied and attempt not in held)",
        "in told.items() if applied)",
        "a_report_that_could_not_be_applied_is_not_settled",
    ),
    coordinator(
        "each beat proposes its reports again",
        "if one.attempt not in known)",
        "if one.attempt)",
        "a_report_is_proposed_once_however_often_it_is_told",
    ),
    coordinator(
        "a loss that the log did not take is forgotten",
        "lambda: self._grants.withdraw(node, ids))",
        "lambda: None)",
        "a_loss_that_the_log_did_not_take_is_proposed_again",
    ),
    coordinator(
        "a beat is answered with the round before it",
        "        round_ = self._replica.core.next_round\n",
        "        round_ = self._replica.core.next_round - 1\n",
        "what_a_quorum_answers_that_was_asked_before_the_beat_proves_nothing",
    ),
    coordinator(
        "what a removed machine held never moves",
        "        self._grants.removed(gone)\n",
        "",
        "a_removed_machine_that_is_switched_off_excuses_nobody",
        "what_a_removed_machine_held_moves_when_its_lease_is_over",
    ),
    coordinator(
        "backoffs of earlier coordinators never end",
        "        for task in self._state.backoffs:\n            self._backoffs[task] =",
        "        for task in ():\n            self._backoffs[task] =",
        "a_new_coordinator_starts_it_afresh",
    ),
    coordinator(
        "who lost the race is not told",
        "                self._tell_holders((event.task,))  # of",
        "                pass  # of",
        "who_lost_the_race_is_told_at_once_to_stop",
    ),
    coordinator(
        "a backoff that the log did not end never ends",
        "lambda: self._backoffs.update(dict.fromkeys(due, now)))",
        "lambda: None)",
        "a_backoff_that_the_log_did_not_end_ends_later",
    ),
    coordinator(
        "nobody waits for the standby",
        "        core.in_step = safety.in_step(view, core.in_step)\n",
        "",
        "a_second_machine_stands_by_and_is_waited_for_once_it_keeps_step",
    ),
    # -- the store's keeper
    mesh(
        "an error of the disk is tried again",
        "keeper",
        "    def _stop(self) -> None:\n        self._stopped = True\n",
        "    def _stop(self) -> None:\n",
        KEPT + "the_first_error_ends_everything_and_nothing_is_tried_again",
    ),
    mesh(
        "rot that is met later is only an answer",
        "keeper",
        "or isinstance(found, _HARMLESS):",
        "or isinstance(found, StoreError):",
        KEPT + "rot_that_is_met_later_ends_everything",
    ),
    mesh(
        "half a snapshot of before gets into the next",
        "keeper",
        "        self._run(_forget, go_on)\n",
        "        go_on(True)\n",
        KEPT + "half_a_snapshot_of_before_gets_into_no_other",
    ),
    mesh(
        "two snapshots at once",
        "keeper",
        "        if self._saving or self._stopped:\n",
        "        if self._stopped:\n",
        KEPT + "two_snapshots_at_once_do_not_mix",
    ),
    mesh(
        "one's own snapshot over a leader's newer one",
        "keeper",
        "            if self._base >= head.index:\n",
        "            if False:\n",
        KEPT + "a_leaders_newer_snapshot_overtakes_ones_own",
    ),
    mesh(
        "a fetch takes the room of what is about to be installed",
        "keeper",
        "frozenset({OWN, self._handed})",
        "frozenset({OWN})",
        KEPT + "what_a_write_is_about_to_install_is_left_alone",
    ),
    mesh(
        "a doubted snapshot is served unverified",
        "keeper",
        "    if doubted:\n",
        "    if False:\n",
        KEPT + "a_doubt_finds_the_rot_where_it_is",
    ),
    mesh(
        "the log is never cut",
        "compaction",
        "return room.tail > max(TAIL, room.snapshot) or (",
        "return False or (",
        DUE + "it_is_due_when_the_log_outweighs_the_last_one",
    ),
    mesh(
        "what the slowest lacks is dropped",
        "compaction",
        "min(lacking, default=index + 1)",
        "max(lacking, default=index + 1)",
        DUE + "what_the_slowest_lacks_is_kept",
    ),
    # -- opening
    Mutant(
        "who voted alone begins anew",
        "mesh/opening.py",
        "    if others is not None:\n",
        "    if True:\n",
        ("contracts/test_opening.py::test_who_voted_alone_or_may_have_does_not_start_and_touches_nothing",),
    ),
    Mutant(
        "what is damaged is opened once more",
        "mesh/opening.py",
        "        return Opened(home.create(), (aside,))\n",
        "        return Opened(home.open(), (aside,))\n",
        ("contracts/test_opening.py::test_where_others_vote_it_begins_anew_and_keeps_what_it_found",),
    ),
)
