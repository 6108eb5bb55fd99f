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


def copied(name: str, old: str, new: str, *tests: str) -> Mutant:
    named = tuple(f"mesh/links/test_switchboard.py::test_{test}" for test in tests)
    return Mutant(name, "mesh/links/channel.py", old, new, named)


def renewing(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, file, old, new, tuple(f"daemon/test_renewing.py::test_{test}" for test in tests))


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
    copied(
        "who begins anew takes a living machine's place",
        "                    if talk.is_asked_for:\n                        self._keep_out",
        "                    if False:\n                        self._keep_out",
        "of_two_machines_with_one_key_the_first_stays_and_both_hear_of_it",
    ),
    copied(
        "copy let in when it comes again",
        "        if is_copy and self._is_there(now):",
        "        if not is_copy and self._is_there(now):",
        "it_stays_so_when_the_copy_comes_again",
    ),
    copied(
        "copy never let in",
        "        return self.line is not None or now - self._known_ms < TWIN_MS",
        "        return True",
        "when_the_first_is_gone_for_good_the_other_is_let_in",
    ),
    renewing(
        "asked again and again",
        "daemon/renewing.py",
        "        self._again_ms = world.clock.monotonic_ms() + AGAIN_MS",
        "        self._again_ms = 0",
        "nobody_is_asked_again_at_once",
    ),
    renewing(
        "statement of one's own end thrown away",
        "daemon/renewing.py",
        "                world.company.hear((), (error.statement,))\n                world.papers.keep_trust()",
        "                world.papers.keep_trust()",
        "who_was_put_out_learns_it_and_does_not_believe_less",
    ),
    renewing(
        "certificate of the future counts as newer",
        "mesh/trust/roster.py",
        "    return certificate.not_before <= now + SKEW_MS, certificate.not_before",
        "    return True, certificate.not_before",
        "what_a_clock_far_ahead_has_made_is_not_newer",
    ),
    renewing(
        "issuers that are gone renewed for ever",
        "mesh/trust/inviting.py",
        "for one in trust.known_issuers() if one.node in here]",
        "for one in trust.known_issuers()]",
        "who_is_gone_or_was_put_out_is_not_made_an_issuer_again",
    ),
    Mutant(
        "bytes of the log for everybody",
        "mesh/links/answers.py",
        "        if self._may():\n            self._source.serve_segment(",
        "        if True:\n            self._source.serve_segment(",
        ("mesh/links/test_answers.py::test_who_may_not_have_them_gets_none",),
    ),
    Mutant(
        "any keeper may put what it likes onto the log",
        "mesh/replica.py",
        "        if not self._vouched(command):",
        "        if False:",
        ("mesh/test_replica.py::test_nor_what_nobody_vouches_for",),
    ),
    Mutant(
        "certificate of another machine put onto the log",
        "mesh/vouching.py",
        "            return (certificate.node, certificate.expiry) == (node, until)",
        "            return certificate.expiry == until",
        ("mesh/test_vouching.py::test_what_nobody_would_believe_is_not",),
    ),
    Mutant(
        "machines listed as somebody else's",
        "mesh/vouching.py",
        "            return entry.certificate.owner == command.owner",
        "            return True",
        ("mesh/test_vouching.py::test_what_nobody_would_believe_is_not",),
    ),
)
