"""Mistakes in how the tail of an old coordinator comes home, and in what whoever recovers is told.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh, state, store

TAIL: Final = "test_salvage.py::test_"
PARTED: Final = "test_generation.py::test_"
TOLD: Final = "test_succession.py::test_"
KEPT: Final = "contracts/test_tails.py::test_"
HISTORY: Final = "test_archiving.py::test_"
ALL: Final = "everything_behind_the_fork_is_submitted_or_history_or_listed"


def driver(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "salvaging.py", old, new, tuple(f"test_salvaging.py::test_{test}" for test in tests))


MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- what is in it
    state(
        "what ended before the fork becomes history once more",
        "salvage",
        "(one for one in read.jobs if one.job.ended_index > tail.fork)",
        "iter(read.jobs)",
        TAIL + "what_ended_before_the_fork_and_was_archived_behind_it_is_known_to_both",
    ),
    state(
        "adopted history gets another origin",
        "salvage",
        "    if read.origin:",
        "    if False:",
        TAIL + "history_that_was_adopted_behind_the_fork_is_adopted_as_it_is",
    ),
    state(
        "waits for what is history here",
        "salvage",
        "tuple(one for one in parents if one in state.jobs)",
        "tuple(parents)",
        TAIL + "what_a_job_waited_for_and_is_history_here_is_waited_for_no_more",
    ),
    mesh(
        "only the first fork is looked at",
        "generation",
        "(*one.charters[same:], *other.charters[same:])",
        "(*one.charters[same:], *other.charters[same:])[:1]",
        PARTED + "a_line_parts_from_its_descendants_where_each_of_them_forked",
    ),
    mesh(
        "an entry of a later term passes for shared",
        "generation",
        "at.index <= fork.index and at.term <= fork.term",
        "at.index <= fork.index",
        PARTED + "an_entry_of_a_later_term_is_behind_the_fork_wherever_it_stands",
    ),
    # -- the store it is in
    store(
        "the word that a tail is there is not kept",
        "home",
        "        note_tail(self.path)\n",
        "",
        KEPT + "it_is_read_as_it_was_and_stays_so_while_a_new_one_is_used",
    ),
    store(
        "a tail is handed in again and again",
        "sidefiles",
        "beside(aside, _TAIL).unlink(missing_ok=True)",
        "beside(aside, _ACCOUNT).exists()",
        KEPT + "what_is_handed_in_is_handed_in_once_and_the_oldest_is_first",
    ),
    # -- on its way
    driver(
        "a letter that is lost is never said again",
        "elif self._letter is not None and now >= self._say_ms:",
        "elif False:",
        "letters_and_answers_that_are_lost_cost_time_only",
    ),
    driver(
        "an answer to another letter counts",
        "if asked == digest:",
        "if True:",
        "an_answer_to_another_letter_changes_nothing",
    ),
    driver(
        "answered before all is on the log",
        "        if not all(self._is_settled(one.client) for one in letter.submits):",
        "        if False:",
        "what_the_log_does_not_take_now_is_taken_later",
    ),
    driver(
        "what may have run is submitted again",
        "        open_ = [offer for offer in open_ if not offer.needs_word]\n",
        "",
        ALL,
    ),
    driver(
        "what must not run twice is listed although it goes on here",
        "open_ = [offer for offer in offers if not numbers.knows(offer.client)]",
        "open_ = list(offers)",
        "what_somebody_sent_again_meanwhile_goes_on_and_is_not_listed",
    ),
    driver(
        "what was cancelled there is forgotten",
        "            if job in live:\n",
        "            if False:\n",
        ALL,
    ),
    driver(
        "cancels are listed of what is over",
        "if job in state.jobs and state.jobs[job].live",
        "if job in state.jobs",
        "a_cancel_of_what_is_over_here_is_not_listed",
    ),
    driver(
        "what was refused is asked for until the end of time",
        "                self._refused.add(client)\n",
        "                pass\n",
        "what_the_mesh_refuses_is_listed",
    ),
    driver(
        "archived history stays behind",
        "                yield from self._bring(history_again(data, found.tail), segments)",
        "                segments.append(digest.hex())",
        "what_was_archived_behind_the_fork_comes_too_and_what_is_lacking_is_named",
    ),
    driver(
        "who keeps no log keeps all the history it brought",
        "if self._replica.me not in self._replica",
        "if self._replica.me in self._replica",
        ALL,
    ),
    driver(
        "a stranger hands in",
        "if not any(one.id == sender and not one.removed for one in state.nodes.values()):",
        "if False:",
        "only_who_leads_answers_and_only_machines_of_the_mesh",
    ),
    driver(
        "who has not applied all before its term answers",
        " or self._replica.applied < core.started:",
        ":",
        "only_who_leads_answers_and_only_machines_of_the_mesh",
    ),
    driver(
        "a disk that does not work just now is the end of a tail",
        "(str(name), OdysseyError() as error) if isinstance(error, _GONE):",
        "(str(name), OdysseyError() as error):",
        "a_disk_that_does_not_work_just_now_is_tried_again",
    ),
    # -- its history
    Mutant(
        "a foreign segment is offered before it is here",
        "archiving.py",
        "            if is_here and self._leads and",
        "            if self._leads and",
        (HISTORY + "a_fetch_that_breaks_off_is_begun_anew_when_it_is_handed_in_again",),
    ),
    Mutant(
        "a fetch of which nothing comes holds up all others",
        "archiving.py",
        "is_fetching = self._until_ms is not None and now < self._until_ms",
        "is_fetching = self._until_ms is not None",
        (HISTORY + "a_fetch_of_which_nothing_comes_any_more_is_given_up",),
    ),
    Mutant(
        "deleted while an old log is still to be read",
        "archiving.py",
        "        if not self._hoards():\n",
        "        if True:\n",
        (HISTORY + "nothing_is_deleted_while_an_old_log_is_still_to_be_read",),
    ),
    # -- what whoever recovers is told
    mesh(
        "a founder that declines is silent",
        "succession",
        "        self._post.say(sender, Founds(charter.generation, reason))\n",
        "",
        TOLD + "a_founder_says_what_came_of_it_also_when_it_is_asked_once_more",
    ),
    mesh(
        "a founder that has begun declines when it is asked again",
        "succession",
        'reason = "" if charter in self.lineage.charters else self._why_not(charter)',
        "reason = self._why_not(charter)",
        TOLD + "a_founder_says_what_came_of_it_also_when_it_is_asked_once_more",
    ),
    mesh(
        "an answer about another generation counts",
        "succession",
        "bid is not None and (bid.charter.generation, bid.charter.founder.node) == (generation, sender):",
        "bid is not None and bid.charter.founder.node == sender:",
        TOLD + "who_recovers_hears_why_the_founder_does_not_begin",
    ),
    mesh(
        "nobody is told that nobody knows",
        "succession",
        "            bid.done(unknown(bid.charter))\n",
        "",
        TOLD + "who_recovers_hears_that_nobody_knows_when_the_founder_is_silent",
    ),
    mesh(
        "who moves while it asks is silent",
        "succession",
        "            self._asks_for(moved(self._replica.me.node))\n",
        "",
        TOLD + "who_moves_while_it_asks_has_begun_nothing_and_says_so",
    ),
    mesh(
        "a second recovery takes the place of the first",
        "succession",
        "if self._asks_for is not None or self._bid is not None:",
        "if False:",
        TOLD + "a_second_person_is_told_that_it_is_being_done",
    ),
)
