"""Mistakes in the hands: in what the supervisor decides, in its runners, in the daemon's mirror of it.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

RUNS: Final = "exec/test_hands.py::test_"
FOLLOWS: Final = "exec/test_followers.py::test_"
NASTY: Final = "exec/test_nasty.py::test_"
KINDS: Final = "exec/test_machines.py::test_"


def desk(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "exec/supervisor/desk.py", old, new, tests)


def crew(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "exec/supervisor/crew.py", old, new, tests)


def runner(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "exec/supervisor/runner.py", old, new, tests)


MUTANTS: Final[tuple[Mutant, ...]] = (
    desk(
        "what was forgotten runs again",
        "        if attempt in self.past:\n            self._end(Ended(attempt, start.task, LOST",
        "        if False:\n            self._end(Ended(attempt, start.task, LOST",
        RUNS + "what_was_forgotten_and_is_asked_for_again_is_lost_not_run_again",
    ),
    desk(
        "started without a lease",
        "        elif now_ms < self.until_ms:\n            self.attempts[attempt] = one\n",
        "        else:\n            self.attempts[attempt] = one\n",
        RUNS + "without_a_lease_nothing_starts",
    ),
    desk(
        "nothing is frozen when the lease is over",
        "        if now_ms < self.until_ms:\n            return\n        for _ in range(2)",
        "        if True:\n            return\n        for _ in range(2)",
        RUNS + "when_it_is_over_all_stand_still_without_being_told",
    ),
    desk(
        "thawed without a lease",
        "one.frozen_at_ms == UNKNOWN_MS or now_ms >= self.until_ms:\n            return\n        self._wake",
        "one.frozen_at_ms == UNKNOWN_MS:\n            return\n        self._wake",
        "contracts/test_hands.py::test_when_the_lease_is_over_all_is_frozen_and_nothing_starts_or_thaws[real]",
    ),
    desk(
        "force on one hits the next",
        "        self._take_back(one.slot)\n        while (told := self._crew.hear(one.slot)) is not None:\n"
        "            self.done(*told, now_ms)\n        return one.start.attempt in self.attempts",
        "        return True",
        FOLLOWS + "force_on_one_never_hits_the_next",
    ),
    desk(
        "orders wait behind one that runs long",
        "self._lines.get(room) or self._taken_from_others(room)",
        "self._lines.get(room)",
        FOLLOWS + "nobody_waits_behind_one_that_runs_long_while_there_is_room",
    ),
    desk(
        "a time limit that counts frozen time",
        "        return max(0, until - self.began_ms - self.stood_ms)",
        "        return max(0, now_ms - self.began_ms)",
        RUNS + "frozen_it_stands_still_and_then_goes_on",
    ),
    crew(
        "an order is taken back that its new runner has not come to",
        "            if attempt == hand.attempts[0]:\n",
        "            if False:\n",
        FOLLOWS + "the_first_order_of_a_new_runner_stays_with_it",
    ),
    crew(
        "the frozen are killed and stay frozen",
        "            tree.signal_all(hand.pid, signal.SIGKILL)\n        self._groups.freeze(slot, False)",
        "            tree.signal_all(hand.pid, signal.SIGKILL)\n        self._groups.freeze(slot, self.is_alone)",
        KINDS + "frozen_it_stands_still_and_can_be_killed_then",
    ),
    crew(
        "runners outlive the supervisor",
        "                libc.die_with_parent(signal.SIGKILL if self.is_alone else signal.SIGTERM)",
        "                pass",
        RUNS + "the_supervisor_dies_and_nothing_survives_it",
    ),
    crew(
        "what was in the pipes of a killed runner is lost",
        "                while data := os.read(end, CHUNK):\n                    outlet.write(stream, data)\n",
        "                pass\n",
        RUNS + "what_it_wrote_before_it_was_killed_is_kept",
    ),
    runner(
        "leftovers go on",
        "        leaked = self._clear()\n",
        "        leaked = False\n",
        RUNS + "what_is_left_behind_ends_with_it",
    ),
    runner(
        "output that came last is lost",
        "        self._drain()\n",
        "",
        RUNS + "much_output",
    ),
    runner(
        "a pipe stays as a job has left it",
        "            os.set_blocking(end, True)  # a job may have changed it\n",
        "            pass\n",
        NASTY + "it_leaves_its_pipe_without_blocking",
    ),
    Mutant(
        "beyond the limit all is kept",
        "exec/supervisor/outlet.py",
        "            data = data[:room]\n",
        "            pass\n",
        (RUNS + "beyond_its_limit_a_stream_is_cut_and_the_job_goes_on",),
    ),
    Mutant(
        "the hands believe in an end because nobody answers",
        "exec/hands.py",
        "        end, self._socket, self._telling = self._socket, None, None\n",
        "        end, self._socket, self._telling = self._socket, None, None\n        self._all.clear()\n",
        (RUNS + "what_runs_is_here_while_nobody_answers",),
    ),
)
