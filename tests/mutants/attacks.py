"""Mistakes in what members of a mesh may do to each other.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def mutant(name: str, file: str, old: str, new: str, test: str) -> Mutant:
    return Mutant(name, file, old, new, (test,))


SPEAKING: Final = "mesh/test_speaking.py::test_"
ASKING: Final = "api/relay/test_passing.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    mutant(
        "a member speaks in the name of another one",
        "mesh/speaking.py",
        "    if named is not None and named != sender:",
        "    if False:",
        SPEAKING + "nobody_speaks_in_anothers_name",
    ),
    mutant(
        "whoever may not keep the log orders others about",
        "mesh/speaking.py",
        "(*_OF_THE_LOG, *_OF_THE_COORDINATOR, *_OF_KEEPERS)",
        "(*_OF_THE_LOG, *_OF_KEEPERS)",
        SPEAKING + "who_may_not_keep_the_log_says_nothing_about_it_and_orders_nobody",
    ),
    mutant(
        "whoever may not keep the log writes onto it",
        "mesh/speaking.py",
        "(*_OF_THE_LOG, *_OF_THE_COORDINATOR, *_OF_KEEPERS)",
        "(*_OF_THE_COORDINATOR, *_OF_KEEPERS)",
        SPEAKING + "who_may_not_keep_the_log_says_nothing_about_it_and_orders_nobody",
    ),
    mutant(
        "whoever may not keep the log begins another generation of it",
        "mesh/company.py",
        "        if entry is None or not entry.certificate.may(Grant.VOTE):",
        "        if entry is None:",
        "mesh/test_company.py::test_the_signature_of_a_machine_that_may_not_keep_the_log_begins_no_generation_of_it",
    ),
    mutant(
        "whoever says that it has a store keeps the log",
        "coordinator.py",
        "        if not self._may_keep(node.id):\n            return None\n",
        "",
        "test_coordinator.py::test_who_may_not_keep_the_log_does_not_whatever_it_says",
    ),
    mutant(
        "somebody says what a job is to run",
        "agent.py",
        "            case JobsAre(jobs) if sender == self._coordinator:",
        "            case JobsAre(jobs):",
        "test_agent.py::test_what_a_job_is_to_run_says_whoever_was_asked",
    ),
    mutant(
        "strangers have as many handshakes as they like",
        "mesh/links/doorman.py",
        "        if not self._comers.may_come(place.address, now):",
        "        if False:",
        "mesh/links/test_wires.py::test_who_comes_too_often_is_sent_off_at_once_and_others_are_not",
    ),
    mutant(
        "one machine's word stops the coordinator for good",
        "mesh/grants.py",
        "                del self._doubts[node]\n",
        "                pass\n",
        "mesh/test_lease.py::test_who_says_that_there_is_a_newer_coordinator_is_believed_until_a_quorum_knows_better",
    ),
    mutant(
        "whoever was wrong stops the coordinator again and again",
        "mesh/grants.py",
        " and node not in self._disproved:",
        ":",
        "mesh/test_lease.py::test_who_says_that_there_is_a_newer_coordinator_is_believed_until_a_quorum_knows_better",
    ),
    mutant(
        "one machine asks without end",
        "api/relay/guests.py",
        "        if len(machine.guests) >= MOST_ASKED:",
        "        if False:",
        ASKING + "who_asks_without_end_costs_a_bounded_amount_and_no_time",
    ),
    mutant(
        "questions that are over fill the memory",
        "api/relay/guests.py",
        "        if len(self.past) > MOST_GONE:",
        "        if False:",
        ASKING + "only_so_many_questions_that_are_over_are_remembered",
    ),
    mutant(
        "who may not ask ends the daemon",
        "api/relay/guests.py",
        "        try:\n            async for part in self._made(name[0], ask):\n",
        "        self._welcome(name[0])\n        try:\n            async for part in self._made(name[0], ask):\n",
        ASKING + "who_may_not_ask_is_told_so",
    ),
)
