"""Mistakes with jobs of other machines: bytes lost or doubled, too much at once, waiting for what cannot come, rights.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

HERE: Final = "api/test_elsewhere.py::test_"


def api(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"api/{file}.py", old, new, tuple(HERE + test for test in tests))


MUTANTS: Final[tuple[Mutant, ...]] = (
    api(
        "bytes behind a gap are taken",
        "distant",
        "        if not told.at <= self.end < told.at + len(told.data):",
        "        if self.end >= told.at + len(told.data):",
        "doubled_late_and_torn_answers_make_the_same_bytes",
    ),
    api(
        "bytes that came before are taken again",
        "distant",
        "        new = told.data[self.end - told.at :]",
        "        new = told.data",
        "doubled_late_and_torn_answers_make_the_same_bytes",
    ),
    api(
        "all of it is asked for however slowly it is read",
        "distant",
        "        return self._held[node] < ROOM",
        "        return True",
        "who_reads_slowly_is_not_sent_more_than_fits",
    ),
    api(
        "what others have taken keeps the room from who is told",
        "distant",
        "one is None or one.node != node or one.held >= ROOM",
        "True",
        "one_that_all_others_wait_for_does_not_wait_for_their_room",
    ),
    api(
        "complete is taken for all here",
        "distant",
        "        if not one.has_all:\n            return\n",
        "",
        "much_of_it_comes_whole_through_a_bounded_room",
    ),
    api(
        "a machine that stays away looks like one that has told all",
        "distant",
        "            one.is_done = one.is_missing = True",
        "            one.is_done = True",
        "what_a_machine_had_that_stays_away_is_said_to_be_missing",
    ),
    api(
        "a lost try is waited for",
        "teller",
        "            return not is_last and self._distant.is_silent(attempt)",
        "            return False",
        "a_try_that_was_lost_with_its_machine_is_not_waited_for",
    ),
    api(
        "the output of tasks is mixed",
        "teller",
        "                    self._focus = index\n",
        "                    self._focus = None\n",
        "many_tasks_here_and_there",
    ),
    api(
        "every machine may ask for output",
        "relay/guests",
        "        if not self._is_one(node, row.who):",
        "        if not self._is_one:",
        "machines_may_ask_what_their_certificate_says",
    ),
    api(
        "logs say nothing of what they lack",
        "afar",
        "            self._silent[node] = error\n",
        "",
        "logs_name_the_machine_that_is_not_there",
    ),
)
