"""Mistakes with terminals of jobs: what is typed, who types, and how a person's own terminal is left.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

HANDS: Final = "exec/test_terminals.py::test_"
COUNTER: Final = "api/test_terminals.py::test_"
FACE: Final = "cli/test_terminal.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    Mutant(
        "a key that is said again is typed again",
        "exec/supervisor/terminal.py",
        "            new = data[self._taken - offset :][: MOST",
        "            new = data[: MOST",
        (HANDS + "what_is_said_again_is_typed_once",),
    ),
    Mutant(
        "keys over a gap",
        "exec/supervisor/terminal.py",
        "        if offset <= self._taken:  # else",
        "        if True:  # else",
        (HANDS + "what_is_said_again_is_typed_once",),
    ),
    Mutant(
        "keys without a bound",
        "exec/supervisor/terminal.py",
        "[: MOST - len(self._ahead)]",
        "",
        (HANDS + "what_nobody_reads_is_bounded_and_goes_on_when_somebody_does",),
    ),
    Mutant(
        "a terminal is read as fast as it can be",
        "exec/supervisor/terminal.py",
        "        return -self._room / RATE if self._room < 0 else 0.0\n",
        "        return 0.0\n",
        (HANDS + "a_terminal_is_read_as_fast_as_somebody_may_look_and_no_faster",),
    ),
    Mutant(
        "a terminal in a slot that has none",
        "exec/supervisor/crew.py",
        "idle = None if has_terminal else self._idle.get(memory)",
        "idle = self._idle.get(memory)",
        (HANDS + "a_runner_with_a_terminal_serves_nobody_else",),
    ),
    Mutant(
        "nobody says that a terminal shows more",
        "exec/supervisor/runner.py",
        "                    self._say_so()\n",
        "                    pass\n",
        (HANDS + "who_types_is_told_at_once_that_there_is_more_to_read",),
    ),
    Mutant(
        "a shell that is asked to end does not",
        "exec/supervisor/crew.py",
        "            tree.signal_all(pid, signal.SIGHUP)",
        "            pass",
        (HANDS + "a_shell_that_is_asked_to_end_does_so",),
    ),
    Mutant(
        "a terminal follows in the slot of another job",
        "exec/hands.py",
        "        if one.attempt not in self._all and spec.terminal == NO_TERMINAL:",
        "        if one.attempt not in self._all:",
        (HANDS + "nothing_waits_behind_it_and_it_behind_nobody",),
    ),
    Mutant(
        "one with a terminal is overtaken without end",
        "agent.py",
        "            elif spec.terminal == (0, 0) and (need is same or need in needs):\n",
        "            elif need is same or need in needs:\n",
        ("test_agent.py::test_one_with_a_terminal_follows_nobody_and_is_not_overtaken",),
    ),
    Mutant(
        "two type at once",
        "api/terminals.py",
        "here.writer != writer and not _has_gone(here) and not takes:\n",
        "here.writer != writer and False:\n",
        (COUNTER + "one_types_and_others_do_not_until_it_has_gone",),
    ),
    Mutant(
        "nobody can take a terminal",
        "api/terminals.py",
        " and not takes:",
        ":",
        (COUNTER + "who_takes_it_has_it_and_may_lose_it_the_same_way",),
    ),
    Mutant(
        "two take a terminal from each other without end",
        "cli/typist.py",
        "        self.takes = False  # once: the other one may take it back\n",
        "",
        (FACE + "a_terminal_is_taken_once",),
    ),
    Mutant(
        "who has gone keeps the terminal",
        "api/terminals.py",
        "    return sitting.visit is not None and sitting.visit.done()\n",
        "    return False\n",
        (COUNTER + "one_types_and_others_do_not_until_it_has_gone",),
    ),
    Mutant(
        "anybody types",
        "api/terminals.py",
        "        rights.check(self._counter, job, Right.CHANGE)\n",
        "",
        (COUNTER + "only_whose_job_it_is_types_there",),
    ),
    Mutant(
        "keys for one job go to another",
        "api/terminals.py",
        "            if one.id == attempt and node is not None:\n",
        "            if node is not None:\n",
        (COUNTER + "an_attempt_of_another_job_is_not_typed_to",),
    ),
    Mutant(
        "who comes back is shown all of it again",
        "api/following.py",
        "        asked, marks = self._request, tuple(self._marks.values())\n",
        "        asked, marks = self._request, self._request.marks[:0]\n",
        (COUNTER + "who_began_in_the_middle_goes_on_there_after_a_break",),
    ),
    Mutant(
        "the way out within a line",
        "cli/escapes.py",
        "elif self._is_at_start and key",
        "elif key",
        (FACE + "the_way_out_is_at_the_beginning_of_a_line",),
    ),
    Mutant(
        "an error leaves the terminal raw",
        "cli/sitting.py",
        "            finally:\n                self._get_up()\n",
        "            finally:\n                pass\n",
        (FACE + "the_terminal_is_given_back_whatever_happens",),
    ),
    Mutant(
        "what may have been typed is typed again",
        "cli/typist.py",
        "        self._ahead.clear()\n",
        "",
        (FACE + "when_somebody_else_typed_meanwhile_nothing_is_typed_twice",),
    ),
    Mutant(
        "no way out when nobody takes keys",
        "cli/typist.py",
        "                self._changed.wait_for(self._has_room, STUCK_SECONDS)\n",
        "                self._changed.wait_for(self._has_room)\n",
        (FACE + "keys_that_nobody_takes_are_bounded_and_the_way_out_still_works",),
    ),
)
