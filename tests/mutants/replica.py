"""Mistakes in what drives the core: what people are told, what is applied, and which letters count.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

TOLD: Final = "test_replica.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- proposals
    mesh(
        "answered before it is applied",
        "replica",
        "        self._waiting[index] = _Waiting(self.core.term, done)\n",
        "        done(Accepted(index, None))\n",
        TOLD + "a_proposal_is_answered_when_it_is_applied_and_not_before",
    ),
    mesh(
        "written before it is on disk",
        "replica",
        "        self._disk.write(write, done)\n",
        "        self._disk.write(write, lambda: None)\n        done()\n",
        TOLD + "a_proposal_is_answered_when_it_is_applied_and_not_before",
        TOLD + "who_votes_alone_waits_for_its_disk",
    ),
    mesh(
        "unknown told as not accepted",
        "replica",
        "        for done in lost:\n            done(Unknown())\n",
        "        for done in lost:\n            done(Again(BUSY_MS))\n",
        TOLD + "whose_leadership_is_lost_nobody_knows",
    ),
    mesh(
        "unknown told to others as not accepted",
        "replica",
        "            return NOT_SURE\n",
        "            return 0\n",
        TOLD + "nor_who_leads_no_more",
    ),
    mesh(
        "a copy of what was taken in is taken in again",
        "replica",
        "        if (sender, request) in self._taken_in:\n            return\n",
        "",
        TOLD + "a_copy_of_what_was_taken_in_is_for_nobody",
    ),
    mesh(
        "who does not lead says that it was not taken in",
        "replica",
        "        if not self.core.is_leader:\n            answer(Unknown())\n            return\n",
        "",
        TOLD + "who_does_not_lead_cannot_say_that_it_was_not_taken_in",
    ),
    mesh(
        "no outcome when the leader changes",
        "replica",
        "[one.done for one in self._waiting.values()] + [one.done for one in self._asked.values()]",
        "[one.done for one in self._waiting.values()]",
        TOLD + "another_leader_does_not_know_either",
    ),
    mesh(
        "two outcomes of one proposal",
        "replica",
        "        self._waiting.clear()\n        self._asked.clear()\n",
        "        self._asked.clear()\n",
        TOLD + "whose_leadership_is_lost_nobody_knows",
    ),
    mesh(
        "a forwarded wish is waited for without an end",
        "replica",
        "if asked.deadline_ms <= now]:",
        "if False]:",
        TOLD + "after_five_seconds_without_an_answer_nobody_knows",
    ),
    mesh(
        "who asks anew takes an outcome away from others",
        "replica",
        "if (asked := self._asked.pop(request, None)) is not None:  # who",
        "if (asked := self._asked.pop(request)) is not None:  # who",
        TOLD + "who_asks_anew_from_within_takes_no_outcome_away_from_others",
    ),
    mesh(
        "a forwarded wish is answered before it is applied here",
        "replica",
        "        elif index <= self.applied:\n            self._asked",
        "        elif index:\n            self._asked",
        TOLD + "a_wish_goes_to_the_leader_and_is_answered_when_it_is_applied_here",
    ),
    mesh(
        "not taken told as accepted",
        "replica",
        "        if index <= 0:\n",
        "        if index == NO_ROOM:\n",
        TOLD + "what_the_leader_did_not_take_is_to_be_asked_again",
    ),
    mesh(
        "answers to what was asked before a restart",
        "replica",
        "self._requests = entropy.bits(62)",
        "self._requests = 0",
        TOLD + "the_answer_to_what_it_asked_before_a_restart_is_for_nobody",
    ),
    mesh(
        "order of a coordinator forwarded",
        "replica",
        'elif self.core.leader is None or hasattr(command, "fence"):',
        "elif self.core.leader is None:",
        TOLD + "orders_of_a_coordinator_are_not_forwarded",
    ),
    mesh(
        "forwarded order of a coordinator accepted at the door",
        "replica",
        '        if hasattr(command, "fence"):\n            return\n',
        "",
        TOLD + "nor_taken_from_who_forwards_them",
    ),
    mesh(
        "what cannot be read stops the leader",
        "replica",
        "        except WireError:\n            return  # nobody",
        "        except ZeroDivisionError:\n            return  # nobody",
        TOLD + "what_cannot_be_read_does_not_get_onto_the_log",
    ),
    # -- what is applied
    mesh(
        "applied in the term of today",
        "letters",
        "return Entry(generation, one.term, one.index, logged.wall_ms, logged.command)",
        "return Entry(generation, 1 << 20, one.index, logged.wall_ms, logged.command)",
        TOLD + "each_entry_is_applied_in_the_term_it_was_decided_in",
    ),
    mesh(
        "goes on behind an entry of a newer version",
        "replica",
        "        while self._running and self.stopped is None:\n",
        "        while self._running:\n",
        TOLD + "it_stops_at_an_entry_of_a_newer_version_and_never_goes_on",
    ),
    mesh(
        "who stops at a newer version leads on",
        "replica",
        "        self.stopped = newer\n        self.core.step_down()\n",
        "        self.stopped = newer\n",
        TOLD + "who_stops_leads_no_more_and_leaves_nobody_waiting",
    ),
    mesh(
        "who stops leaves people waiting",
        "replica",
        "        self.core.step_down()\n        self._leader_changed()\n",
        "        self.core.step_down()\n",
        TOLD + "who_stops_leads_no_more_and_leaves_nobody_waiting",
    ),
    mesh(
        "snapshot loaded over newer entries",
        "replica",
        "and self._running and self.core.install(snapshot):",
        "and self._running and (self.core.install(snapshot) or True):",
        TOLD + "one_that_comes_too_late_takes_nothing_back",
    ),
    mesh(
        "a snapshot is loaded and not counted as applied",
        "replica",
        "        self.applied = snapshot.index\n",
        "",
        TOLD + "a_snapshot_is_fetched_once_and_loaded_when_it_is_there",
    ),
    mesh(
        "a snapshot is fetched again and again",
        "replica",
        "ready.fetch is not None and ready.fetch.digest != self._fetching and",
        "ready.fetch is not None and",
        TOLD + "a_snapshot_is_fetched_once_and_loaded_when_it_is_there",
    ),
    # -- reads
    mesh(
        "read answered without a round",
        "replica",
        "ready = [proof for proof in proofs if proof.round <= confirmed]",
        "ready = proofs",
        TOLD + "a_read_waits_for_a_round_that_a_quorum_answered",
    ),
    mesh(
        "read answered by the round before",
        "replica",
        "ready = [proof for proof in proofs if proof.round <= confirmed]",
        "ready = [proof for proof in proofs if proof.round <= confirmed + 1]",
        TOLD + "a_read_waits_for_a_round_that_a_quorum_answered",
    ),
    mesh(
        "read answered before an own entry is committed",
        "replica",
        "        if self.core.leads_safely:\n            self._prove(lambda index: self._when",
        "        if self.core.is_leader:\n            self._prove(lambda index: self._when",
        TOLD + "who_does_not_know_yet_all_that_was_committed_answers_no_read",
    ),
    mesh(
        "read of another answered before an own entry is committed",
        "replica",
        "        if self.core.leads_safely:\n            self._prove(lambda index: self._send",
        "        if self.core.is_leader:\n            self._prove(lambda index: self._send",
        TOLD + "who_does_not_know_yet_all_that_was_committed_answers_no_read",
    ),
    mesh(
        "read of another answered without a round",
        "replica",
        "self._prove(lambda index: self._send(sender, ReadAt(self.me, request, index)))",
        "self._send(sender, ReadAt(self.me, request, self.core.log.commit))",
        TOLD + "a_leader_answers_others_after_the_round_and_with_what_was_committed",
    ),
    mesh(
        "a read is waited for without an end",
        "replica",
        "if read.deadline_ms <= now]:",
        "if False]:",
        TOLD + "a_read_that_nobody_can_prove_ends_in_time",
    ),
    mesh(
        "a read is forgotten when leadership is lost",
        "replica",
        "        for request in list(self._reads):\n            self._answer_read(request, None)\n",
        "        self._reads.clear()\n",
        TOLD + "a_read_ends_without_an_answer_when_leadership_is_lost",
    ),
    mesh(
        "read answered before it is applied here",
        "replica",
        "        if index <= self.applied:\n            call()\n",
        "        if index:\n            call()\n",
        TOLD + "a_read_elsewhere_waits_until_it_is_applied_here",
    ),
    # -- sleep, letters, slow disks
    mesh(
        "who slept leads on",
        "replica",
        "        if asleep_ms - self._asleep_ms > _LATE_MS:\n",
        "        if False:\n",
        TOLD + "who_slept_leads_no_more",
    ),
    mesh(
        "letters of another mesh or generation count",
        "replica",
        "if not self._running or letter.scope != self.scope or letter.store != self.me.store:",
        "if not self._running or letter.store != self.me.store:",
        TOLD + "letters_that_are_not_for_this_store_of_this_mesh_are_nothing",
    ),
    mesh(
        "letters for the machine's old store count",
        "replica",
        "if not self._running or letter.scope != self.scope or letter.store != self.me.store:",
        "if not self._running or letter.scope != self.scope:",
        TOLD + "letters_that_are_not_for_this_store_of_this_mesh_are_nothing",
    ),
    mesh(
        "a slow leader hands over again and again",
        "replica",
        "if (slow or self.low) and now - self._handed_over_ms >= HAND_OVER_EVERY_MS and self._transfer(now):",
        "if (slow or self.low) and self._transfer(now):",
        TOLD + "a_leader_whose_disk_is_slow_hands_over_to_one_that_answers_but_not_again_and_again",
    ),
    mesh(
        "a slow leader leads on",
        "replica",
        "        self._writing_since_ms = self._clock.monotonic_ms()\n",
        "",
        TOLD + "a_leader_whose_disk_is_slow_hands_over_to_one_that_answers_but_not_again_and_again",
    ),
    mesh(
        "a leader whose disk is nearly full takes in jobs",
        "replica",
        "self.low and isinstance(command, SubmitJobs):\n            done(NoRoom())",
        "False:\n            done(NoRoom())",
        TOLD + "where_the_disk_is_nearly_full_no_jobs_are_taken_in_and_all_else_is",
    ),
    mesh(
        "a leader whose disk is nearly full takes in the jobs of others",
        "replica",
        "self.low and isinstance(command, SubmitJobs):\n            answer(NoRoom())",
        "False:\n            answer(NoRoom())",
        TOLD + "others_are_told_that_there_is_no_room",
    ),
    mesh(
        "a leader whose disk is nearly full takes in no cancels either",
        "replica",
        "self.low and isinstance(command, SubmitJobs):\n            done(NoRoom())",
        "self.low:\n            done(NoRoom())",
        TOLD + "where_the_disk_is_nearly_full_no_jobs_are_taken_in_and_all_else_is",
    ),
    mesh(
        "a leader whose disk is nearly full leads on",
        "replica",
        "if (slow or self.low) and now",
        "if slow and now",
        TOLD + "a_leader_whose_disk_is_nearly_full_hands_over",
    ),
)
