"""Mistakes in how members know each other: who is told what, and who is put out.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant


def meeting(name: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"mesh/test_acquainting.py::test_{test}" for test in tests)
    return Mutant(name, "mesh/acquainting.py", old, new, named)


def company(name: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"mesh/test_company.py::test_{test}" for test in tests)
    return Mutant(name, "mesh/company.py", old, new, named)


MUTANTS: Final[tuple[Mutant, ...]] = (
    meeting(
        "page behind a lost one taken",
        "        if message.since[0] > upto[0] or message.since[1] > upto[1]:\n            return",
        "        if False:\n            return",
        "a_page_behind_a_lost_one_is_not_taken",
    ),
    meeting(
        "list taken that nobody asked for",
        "        if message.run == 0 or asked_ms is None or",
        "        if message.run == 0 or asked_ms is not None and",
        "a_list_that_was_not_asked_for_is_not_taken",
    ),
    meeting(
        "statement not handed on",
        "        if trust.size > before:\n            self.hand_on(",
        "        if trust.size < before:\n            self.hand_on(",
        "a_statement_reaches_all_whoever_hears_it_first",
    ),
    meeting(
        "who is put out hears no last word",
        "            if node != but and node != self._company.me:",
        "            if self._company.roster.entry(node) is not None and node not in (but, self._company.me):",
        "a_statement_reaches_all_whoever_hears_it_first",
    ),
    meeting(
        "everything told again and again",
        "        self._listeners[node] = listener\n\n    def _pages",
        "        self._listeners[node] = self._listeners[node]\n\n    def _pages",
        "what_is_new_is_told_at_once_and_alone",
    ),
    meeting(
        "coordinator calls nobody",
        "        if coordinator == me:\n            self._call(now)",
        "        if coordinator == me:\n            pass",
        "the_coordinator_calls_whom_it_does_not_hear",
    ),
    company(
        "anybody says where this machine is",
        "            if certificate is not None and certificate.node != self.me:",
        "            if certificate is not None:",
        "nobody_tells_a_machine_where_it_is_itself",
    ),
    company(
        "loopback told to others",
        "    return not (ip.is_loopback or ip.is_unspecified",
        "    return not (ip.is_unspecified",
        "some_addresses_mean_nothing_elsewhere",
    ),
)
