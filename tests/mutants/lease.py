"""Mistakes in what a machine does with its lease.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

RULES: Final = "test_lease.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    mesh(
        "lease counted from receipt on the worker",
        "lease",
        "            self._take(duty)\n",
        "            self._take(duty)\n            self._until_ms = now_ms + LEASE_MS\n",
        RULES + "a_lease_counts_from_when_the_beat_was_sent",
    ),
    mesh(
        "lease counted from the newest beat instead of the quoted one",
        "lease",
        "self._until_ms = self._sent[duty.beat.number] + LEASE_MS",
        "self._until_ms = max(self._sent.values()) + LEASE_MS",
        RULES + "a_lease_counts_from_the_beat_that_is_quoted_and_not_from_a_later_one",
    ),
    mesh(
        "Duty of an old boot starts something",
        "lease",
        "if duty.beat.boot != self.boot:",
        "if False:",
        RULES + "a_duty_without_effect_neither_starts_nor_kills_nor_lengthens",
    ),
    mesh(
        "Duty of an old beat starts something",
        "lease",
        "if duty.beat.number < self._beat:",
        "if False:",
        RULES + "a_duty_without_effect_neither_starts_nor_kills_nor_lengthens",
    ),
    mesh(
        "Duty for the daemon before starts something",
        "lease",
        "if duty.beat.run != self.run or sent_ms is None:",
        "if sent_ms is None:",
        RULES + "the_answer_to_the_daemon_before_is_not_mine",
    ),
    mesh(
        "the same Duty once more",
        "lease",
        "if (duty.fence, duty.revision) <= (self._fence, self._revision):",
        "if (duty.fence, duty.revision) < (self._fence, self._revision):",
        RULES + "the_same_duty_twice_is_once",
    ),
    mesh(
        "revisions compared without their term",
        "lease",
        "if (duty.fence, duty.revision) <= (self._fence, self._revision):",
        "if duty.revision <= self._revision:",
        RULES + "a_later_coordinator_may_count_its_revisions_from_one",
    ),
    mesh(
        "Duty that comes when its lease is over",
        "lease",
        "if now_ms >= sent_ms + LEASE_MS:",
        "if False:",
        RULES + "a_duty_without_effect_neither_starts_nor_kills_nor_lengthens",
    ),
    mesh(
        "Duty of a deposed coordinator obeyed",
        "lease",
        "if duty.fence < self.kept.fence:",
        "if False:",
        RULES + "whom_it_refused_once_it_refuses_after_a_crash",
    ),
    mesh(
        "whom it refused is forgotten",
        "lease",
        "return Used(drop, self.kept if self.kept != before else None)",
        "return Used(drop, self.kept if self.kept != before and drop is None else None)",
        RULES + "what_must_be_remembered_is_given_back_with_the_duty_that_says_so_and_only_then",
    ),
    mesh(
        "whom it refused is forgotten with a reboot",
        "lease",
        "self.kept = kept if kept.boot == boot else Kept(kept.fence, boot)",
        "self.kept = kept if kept.boot == boot else Kept(boot=boot)",
        RULES + "whom_it_refused_once_it_refuses_after_a_crash",
    ),
    mesh(
        "the mark of a boot kept for the next one",
        "lease",
        "self.kept = kept if kept.boot == boot else Kept(kept.fence, boot)",
        "self.kept = Kept(kept.fence, boot, kept.since)",
        RULES + "whom_it_refused_once_it_refuses_after_a_crash",
    ),
    mesh(
        "answers under way still count after saying goodbye",
        "lease",
        "        self._sent.clear()\n",
        "",
        RULES + "who_has_said_that_it_goes_starts_nothing_until_it_beats_again_and_is_answered",
    ),
    mesh(
        "the lease goes on after saying goodbye",
        "lease",
        "        self._until_ms = min(self._until_ms, now_ms)\n",
        "",
        RULES + "who_has_said_that_it_goes_starts_nothing_until_it_beats_again_and_is_answered",
    ),
    mesh(
        "alone once, alone for ever",
        "lease",
        "self._until_ms = until_ms if until_ms < FOREVER else 0",
        "self._until_ms = until_ms",
        RULES + "a_machine_alone_needs_no_lease_but_still_a_duty",
    ),
    mesh(
        "not frozen at the end of the lease",
        "lease",
        "return Todo(self.until_ms, freeze=tuple(running), kill=unwanted)",
        "return Todo(self.until_ms, kill=unwanted)",
        RULES + "what_runs_is_frozen_at_the_end_and_thawed_by_a_newer_duty_that_lists_it",
    ),
    mesh(
        "what is not listed any more runs on",
        "lease",
        "if (listed is not None and attempt not in listed)",
        "if (listed is None)",
        RULES + "what_the_newest_duty_does_not_list_is_killed_frozen_or_not",
    ),
    mesh(
        "killed before the first Duty",
        "lease",
        "self._listed: dict[AttemptId, Listed] | None = None",
        "self._listed: dict[AttemptId, Listed] | None = {}",
        RULES + "a_new_daemon_lets_run_what_runs_and_starts_and_kills_nothing_before_its_first_duty",
    ),
    mesh(
        "frozen for ever",
        "lease",
        "or (one.frozen_at_ms is not None and now_ms - one.frozen_at_ms >= FROZEN_LIMIT_MS)",
        "or False",
        RULES + "a_quarter_of_an_hour_frozen_is_enough",
    ),
    mesh(
        "what has ended is started again",
        "lease",
        "if one.attempt not in here or self._is_waiting(here[one.attempt])]",
        "if one.attempt not in live or self._is_waiting(here[one.attempt])]",
        RULES + "what_has_ended_is_not_started_again",
    ),
    mesh(
        "the next attempt starts beside one that is dying",
        "lease",
        "if not one.stop and not one.recall and one.task not in busy)",
        "if not one.stop and not one.recall)",
        RULES + "an_attempt_waits_while_another_of_its_task_still_dies_here",
    ),
    mesh(
        "what is to be given back starts",
        "lease",
        "if not one.stop and not one.recall and one.task not in busy)",
        "if not one.stop and one.task not in busy)",
        RULES + "what_is_to_be_stopped_or_given_back_is_never_started",
    ),
    mesh(
        "starts by the Duty of a coordinator that is not the newest",
        "lease",
        "if self._fence < self.kept.fence:",
        "if False:",
        RULES + "once_a_newer_coordinator_was_heard_of_the_former_ones_duty_starts_nothing_more",
    ),
    mesh(
        "given away without time to freeze",
        "lease",
        "GIVE_AWAY_MS: Final = (LEASE_MS + FREEZE_MS) * 12 // 10 + 300",
        "GIVE_AWAY_MS: Final = LEASE_MS * 12 // 10 + 300",
        RULES + "the_formula_pays_for_clocks_that_are_wrong_by_a_tenth",
    ),
)
