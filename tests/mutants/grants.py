"""Mistakes in what the coordinator grants, and in what it gives to others.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

RULES: Final = "test_lease.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- Duties
    mesh(
        "grant without quorum",
        "grants",
        "while self.pending and self.pending[0].round <= round_:",
        "while self.pending:",
        RULES + "no_duty_before_a_quorum_was_heard_after_the_beat",
    ),
    mesh(
        "grant before the own term's entry is applied",
        "grants",
        "return self._applied >= self._start and not self._doubts",
        "return not self._doubts",
        RULES + "no_duty_before_an_entry_of_the_own_term_is_applied",
    ),
    mesh(
        "grant by who has heard of a newer coordinator",
        "grants",
        "return self._applied >= self._start and not self._doubts",
        "return self._applied >= self._start",
        RULES + "who_hears_of_a_newer_coordinator_gives_nothing_out_and_nothing_away",
    ),
    mesh(
        "grant after proposed loss",
        "grants",
        "for attempts in (self._proposed.get(node), self._dead.get(node)):",
        "for attempts in (self._dead.get(node),):",
        RULES + "what_is_proposed_as_lost_is_not_listed_even_if_its_machine_is_back",
    ),
    mesh(
        "grant of what a witness saw dead",
        "grants",
        "for attempts in (self._proposed.get(node), self._dead.get(node)):",
        "for attempts in (self._proposed.get(node),):",
        RULES + "a_witness_moves_at_once_and_what_is_dead_is_not_listed",
    ),
    mesh(
        "grant that quotes an old beat",
        "grants",
        "if quoted is None or now >= quoted.received_ms + LEASE_MS:",
        "if quoted is None:",
        RULES + "a_beat_whose_lease_is_over_is_not_quoted",
    ),
    mesh(
        "grant to a machine that was removed",
        "grants",
        "if machine is None or not self.ready or node in self._removed:",
        "if machine is None or not self.ready:",
        RULES + "a_removed_machine_is_not_answered_and_moves_when_its_lease_is_over",
    ),
    mesh(
        "grant of another boot's attempt",
        "grants",
        "return attempt >= self.since or attempt in self.held",
        "return True",
        RULES + "or_is_lost_when_all_earlier_leases_are_over_as_it_may_have_been_another_boots",
    ),
    mesh(
        "a new boot is served at once",
        "grants",
        "return self.leaves_nothing or now >= self.heard_ms + GIVE_AWAY_MS",
        "return True",
        RULES + "a_new_boot_gets_nothing_and_moves_nothing_until_the_old_one_was_silent_for_a_lease",
    ),
    mesh(
        "a new boot believes its own mark",
        "grants",
        "machine = self._serve(node, beat, AttemptId(0), now)",
        "machine = self._serve(node, beat, beat.since, now)",
        RULES + "a_boot_that_comes_into_force_cannot_know_what_was_given_while_it_was_not",
    ),
    mesh(
        "the mark begins at an entry that is applied already",
        "grants",
        "machine.since = attempt_id(self.fence.generation, self._applied + 1, 0)",
        "machine.since = attempt_id(self.fence.generation, self._applied, 0)",
        RULES + "a_boot_is_told_from_where_on_attempts_are_its_own_and_the_mark_stays",
    ),
    mesh(
        "a doubled beat counts as life",
        "grants",
        "elif beat.id.order <= machine.order:",
        "elif beat.id.order < machine.order:",
        RULES + "an_old_or_doubled_beat_proves_nothing",
    ),
    mesh(
        "beats before goodbye are still answered",
        "grants",
        "            self.pending.clear()\n            self.quotable = None\n",
        "            self.pending.clear()\n",
        RULES + "who_said_it_goes_gives_up_at_once_what_it_does_not_hold",
    ),
    # -- losses
    mesh(
        "given away too early: without the factor",
        "grants",
        "return silent and now >= machine.answered_ms + GIVE_AWAY_MS + patience_ms(",
        "return silent and now >= machine.answered_ms + LEASE_MS + patience_ms(",
        RULES + "not_a_millisecond_before_its_time_and_then_at_once",
    ),
    mesh(
        "given away although it beats",
        "grants",
        "return silent and now >= machine.answered_ms + GIVE_AWAY_MS + patience_ms(",
        "return now >= machine.answered_ms + GIVE_AWAY_MS + patience_ms(",
        RULES + "what_a_witness_saw_dead_says_nothing_of_the_rest_of_a_machine_that_beats",
    ),
    mesh(
        "counted from when the Duty left",
        "grants",
        "machine.answered_ms = quoted.received_ms",
        "machine.answered_ms = now",
        RULES + "it_counts_from_the_beat_that_was_answered_and_not_from_the_answer",
    ),
    mesh(
        "no wait for the leases of earlier coordinators",
        "grants",
        "if now < self._settled_ms and (machine is None or attempt < self._first):",
        "if False:",
        RULES + "a_new_coordinator_counts_from_its_election_for_who_was_never_heard",
        RULES + "or_is_lost_when_all_earlier_leases_are_over_as_it_may_have_been_another_boots",
    ),
    mesh(
        "no wait after recover",
        "grants",
        "if not self.ready or (self._recovered and now < self._settled_ms) or self._is_well(node, machine, now):",
        "if not self.ready or self._is_well(node, machine, now):",
        RULES + "after_recover_nothing_is_given_away_for_ten_seconds",
    ),
    mesh(
        "what it holds is lost because it said that it goes",
        "grants",
        "machine.going.away and attempt not in machine.held:",
        "machine.going.away:",
        RULES + "who_said_it_goes_gives_up_at_once_what_it_does_not_hold",
    ),
    mesh(
        "a removed machine's attempts move at once",
        "grants",
        "return Cause.LEFT if machine is None or now >= machine.answered_ms + GIVE_AWAY_MS else None",
        "return Cause.LEFT",
        RULES + "a_removed_machine_is_not_answered_and_moves_when_its_lease_is_over",
    ),
    mesh(
        "a loss that was not taken stays proposed",
        "grants",
        "self._proposed.get(node, set()).difference_update(attempts)",
        "self._proposed.get(node, set()).intersection_update(attempts)",
        RULES + "a_loss_that_the_log_did_not_take_is_none",
    ),
    mesh(
        "our own stall gives others up",
        "membership",
        "self._now += min(max(0, now_ms - self._last), LONGEST_STEP_MS)",
        "self._now += max(0, now_ms - self._last)",
        RULES + "our_own_stall_gives_nobody_up",
    ),
    mesh(
        "patience without an end",
        "grants",
        "return min(max(0, run_ms) * PATIENCE_PERCENT // 100, PATIENCE_MOST_MS)",
        "return max(0, run_ms) * PATIENCE_PERCENT // 100",
        RULES + "patience_grows_with_the_work_unless_its_job_says_otherwise",
    ),
    mesh(
        "patience of the job overheard",
        "grants",
        "    if asked_ms >= 0:\n        return asked_ms\n",
        "",
        RULES + "patience_grows_with_the_work_unless_its_job_says_otherwise",
    ),
    mesh(
        "an announced restart is not waited for",
        "grants",
        "machine.held.get(work.attempt, 0), work.patience_ms, machine.going is Going.RESTART",
        "machine.held.get(work.attempt, 0), work.patience_ms",
        RULES + "a_restart_that_was_announced_is_waited_for",
    ),
    mesh(
        "a fuse that blew counts against the task",
        "grants",
        "abs(other - mine) <= MASS_MS:",
        "abs(other - mine) <= 0:",
        RULES + "two_that_fall_silent_within_half_a_minute_say_nothing_about_the_task",
    ),
    mesh(
        "a cut counts against the task",
        "grants",
        "if node in cut or (node in",
        "if False or (node in",
        RULES + "who_is_still_heard_by_another_member_is_cut_off_and_not_down",
    ),
    # -- a machine that is heard and does not hear
    mesh(
        "who does not hear is answered on and on",
        "grants",
        "        if current and machine.is_deaf:\n",
        "        if False:\n",
        RULES + "who_is_heard_and_does_not_hear_gets_no_more_and_its_work_moves_when_the_last_lease_is_over",
    ),
    mesh(
        "who does not hear keeps its work for ever",
        "grants",
        "        silent = machine.is_deaf or now >= machine.heard_ms + GONE_MS\n        return silent and",
        "        silent = now >= machine.heard_ms + GONE_MS\n        return silent and",
        RULES + "who_is_heard_and_does_not_hear_gets_no_more_and_its_work_moves_when_the_last_lease_is_over",
    ),
    mesh(
        "who was deaf once is deaf for ever",
        "grants",
        "self.revision, self.owing_ms = beat.revision, None",
        "self.revision = beat.revision",
        RULES + "who_was_deaf_and_holds_nothing_is_asked_again_and_is_served_when_it_hears",
    ),
    mesh(
        "the Duty of another coordinator proves that it hears",
        "grants",
        "if beat.fence == fence and beat.revision > self.revision:",
        "if beat.revision > self.revision:",
        RULES + "how_far_an_earlier_coordinator_had_counted_makes_nobody_deaf",
    ),
)
