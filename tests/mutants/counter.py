"""Mistakes at the counter: in what is told, to whom, and what is believed.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

TOLD: Final = "test_teller.py::test_"
DOOR: Final = "test_door.py::test_"
DOES: Final = "test_operations.py::test_"
WALK: Final = "test_walk.py::test_"
CALLS: Final = "test_program.py::test_"


def api(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"api/{file}.py", old, new, tuple(f"api/{test}" for test in tests))


PASS: Final = "relay/test_passing.py::test_"
CHOOSE: Final = "relay/test_choosing.py::test_"
COST: Final = "test_cost.py::test_"
MAY: Final = "test_rights.py::test_"
WINDOW: Final = "relay/test_window.py::test_"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- what a question costs
    api(
        "a page that looks at all of a job",
        "taskpage",
        "if looked == MOST_LOOKED and",
        "if False and",
        COST + "a_page_looks_at_no_more_than_it_shows_or_a_bound",
    ),
    api(
        "a page that goes on behind what it has not looked at",
        "taskpage",
        "                yield index + 1, None\n",
        "                yield stop, None\n",
        COST + "pages_show_every_fitting_task_once",
    ),
    api(
        "all jobs counted for every status",
        "census",
        "if state is not self._state:\n            self._count(state)",
        "if True:\n            self._count(state)",
        COST + "a_question_about_the_mesh_looks_at_few_of_its_jobs",
    ),
    api(
        "a job that is tried again counted twice",
        "census",
        "if isinstance(event, e.TasksRetried | e.JobsArchived):",
        "if isinstance(event, e.JobsArchived):",
        COST + "numbers_of_jobs_are_kept_from_what_happens",
    ),
    # -- who may
    api(
        "others read output as it is written",
        "follow",
        "            rights.check(self._counter, found.job, rights.Right.READ)\n",
        "",
        MAY + "who_may_and_who_may_not[follow-other]",
    ),
    api(
        "others read logs",
        "logs",
        "        rights.check(self._counter, found.job, rights.Right.READ)\n",
        "",
        MAY + "who_may_and_who_may_not[logs-other]",
    ),
    api(
        "others change jobs",
        "jobs",
        "        rights.check(self._counter, self._counter.state.jobs[meant.job], Right.CHANGE)\n",
        "",
        MAY + "who_may_and_who_may_not[hold-other]",
    ),
    api(
        "others see commands in lists",
        "jobs",
        "tuple(self._shown(view) for view in self._reasons.told(views)), more",
        "tuple(self._reasons.told(views)), more",
        MAY + "who_may_and_who_may_not[jobs-other]",
    ),
    api(
        "others see commands in pictures",
        "watch",
        "                jobs = {job: self._masked(view) for job, view in jobs.items()}\n",
        "",
        MAY + "who_may_and_who_may_not[watch-other]",
    ),
    api(
        "others see environments",
        "rights",
        "env=()",
        "env=view.env",
        MAY + "who_may_and_who_may_not[job-other]",
    ),
    api(
        "everybody sets the policy",
        "machines",
        "            rights.check_rules(self._counter)\n",
        "",
        MAY + "who_may_and_who_may_not[policy-owner]",
    ),
    api(
        "another machine ends this daemon",
        "relay/guests",
        "        if row.right is Right.HERE:\n",
        "        if False:\n",
        MAY + "who_may_and_who_may_not[down-admin]",
    ),
    api(
        "a submit of another machine is its host's",
        "submit",
        "user=who.user, origin=who.node",
        "user=self._counter.host.user, origin=self._counter.host.node",
        MAY + "what_another_machine_submits_is_its_owners_and_from_there",
    ),
    # -- what is asked of another machine
    api(
        "what was refused there is asked here",
        "relay/choosing",
        "            except Unreachable:\n                if has_begun",
        "            except Exception:\n                if has_begun",
        CHOOSE + "what_was_refused_there_is_not_asked_here[events]",
    ),
    api(
        "what has begun there begins again here",
        "relay/choosing",
        "                if has_begun or not self._place.keeps:\n",
        "                if not self._place.keeps:\n",
        CHOOSE + "what_has_begun_there_does_not_begin_again_here",
    ),
    api(
        "a late copy of a question is carried out again",
        "relay/guests",
        "            case _ if known is not None and guest is None:\n",
        "            case _ if False:\n",
        PASS + "a_copy_that_comes_late_is_not_carried_out",
    ),
    api(
        "what somebody asked who has gone goes on",
        "relay/guests",
        "            if guest.task is not None:\n",
        "            if guest.task is None:\n",
        PASS + "a_machine_that_says_nothing_more_has_gone",
    ),
    api(
        "a question that came twice is carried out twice",
        "relay/guests",
        "            case AskKeeper() if guest is None:\n",
        "            case AskKeeper():\n",
        PASS + "a_question_that_comes_twice_is_carried_out_once[0]",
    ),
    api(
        "an answer without bounds",
        "relay/guests",
        "                    await guest.room.wait()\n",
        "                    await asyncio.sleep(0)\n",
        PASS + "while_nobody_takes_what_there_is_nothing_more_is_made",
    ),
    api(
        "a retry asked of two machines",
        "relay/passing",
        'ONCE: Final = frozenset({"retry", "approve", "stepdown", "invite"})',
        "ONCE: Final[frozenset[str]] = frozenset()",
        PASS + "what_would_happen_twice_is_not_asked_elsewhere",
    ),
    api(
        "an answer begun again elsewhere",
        "relay/passing",
        "if has_begun or not tries_left or self._keeps()",
        "if not tries_left or self._keeps()",
        PASS + "an_answer_that_has_begun_is_not_begun_again_elsewhere",
    ),
    api(
        "an answer from a machine that was not asked",
        "relay/questions",
        "        if sender != question.keeper:\n            return\n",
        "",
        PASS + "only_who_was_asked_answers",
    ),
    api(
        "parts taken behind a gap",
        "relay/window",
        "        if first > self.taken:\n            return ()\n",
        "",
        WINDOW + "behind_a_gap_nothing_is_taken",
    ),
    # -- what is told of a job
    api(
        "an event as old as the daemon",
        "chronicle",
        "at = self._counter.when_ms(event.index) or at",
        "at = self._counter.clock.wall_ms()",
        DOES + "an_event_is_as_old_as_the_log_says_and_not_as_the_daemon",
    ),
    api(
        "why a job waits is told once and never again",
        "watch",
        "        if now >= seen.explain_ms:\n",
        "        if not seen.explain_ms:\n",
        DOES + "who_watches_hears_why_a_job_waits_when_that_changes",
    ),
    api(
        "lists that do not say why",
        "jobs",
        "for view in self._reasons.told(views))",
        "for view in views)",
        DOES + "lists_give_the_same_reason_as_explain",
    ),
    api(
        "a filter that takes any term for enough",
        "filter",
        "return all(test(job, asked)",
        "return any(test(job, asked)",
        "test_filter.py::test_what_does_not_fit[fit !nova]",
    ),
    api(
        "a chain by jobs and not by time",
        "dag",
        "before[0] + (length(job) or 0), before[1] + 1",
        "0, before[1] + 1",
        "test_dag.py::test_the_longest_chain_goes_by_time_and_then_by_the_number_of_jobs",
    ),
    api(
        "programs that are asked for are not looked for",
        "labels",
        "    found = {counter.me: counter.look_for(names)}\n",
        "    found = {counter.me: frozenset[str]()}\n",
        "test_showing.py::test_a_submit_may_ask_for_any_program_on_the_path",
    ),
    api(
        "labels of another machine set on this one",
        "showing",
        "        if node.id != self._counter.me:\n",
        "        if node.id == b'':\n",
        "test_showing.py::test_labels_are_set_on_the_machine_itself",
    ),
    Mutant(
        "whose decision it was is kept without its term",
        "scheduler/plan.py",
        "decision.signed(why, fence.term, by)",
        "decision.signed(why, 0, by)",
        ("scheduler/test_plan_bounds.py",),
    ),
    api(
        "what the log tells again is told again",
        "chronicle",
        "        if mark in self._marks:\n            return None\n",
        "",
        DOES + "events_outlive_the_daemon_with_their_times_and_without_doubles",
    ),
    api(
        "events that end with the daemon",
        "chronicle",
        "            self._writing.cancel()\n        self._write()\n",
        "            self._writing.cancel()\n",
        DOES + "what_the_last_daemon_did_not_write_down_the_log_tells_again",
    ),
    api(
        "a torn line takes the next one with it",
        "storybook",
        "            if not _ends_well(self._newer):\n",
        "            if self._newer == self._older:\n",
        DOES + "what_the_last_daemon_did_not_write_down_the_log_tells_again",
    ),
    api(
        "history of an earlier life beside what goes on here",
        "past",
        "        return key in self._own or key in here()\n",
        "        return key in self._own\n",
        DOES + "a_job_of_an_earlier_life_that_goes_on_here_is_shown_once",
    ),
    api(
        "output told twice",
        "teller",
        "                thread.offsets[stream] += len(data)\n",
        "",
        TOLD + "at_a_time_only_so_much_is_told",
    ),
    api(
        "an end told before its last bytes",
        "teller",
        "        if all(extent.is_complete for _, extent in extents):\n",
        "        if True:\n",
        TOLD + "the_last_bytes_of_an_ended_try_are_waited_for_but_not_for_ever",
    ),
    api(
        "the last bytes waited for for ever",
        "teller",
        "        return now_ms - thread.ended_ms >= COMPLETE_MS\n",
        "        return False\n",
        TOLD + "the_last_bytes_of_an_ended_try_are_waited_for_but_not_for_ever",
    ),
    api(
        "void output told in groups",
        "teller",
        "        return self._is_quiet or one.outcome is Outcome.REJECTED\n",
        "        return one.outcome is Outcome.REJECTED\n",
        TOLD + "what_nobody_heard_begin_and_was_moved_is_not_told_in_groups",
    ),
    api(
        "a cut that nobody is told of",
        "teller",
        "if extent.cut_bytes and stream not in thread.cut:",
        "if False:",
        TOLD + "a_stream_that_was_cut_says_so_once",
    ),
    api(
        "who comes back hears an end again",
        "following",
        "                self._told.append((item.index, item.index + 1))\n",
        "",
        TOLD + "who_comes_back_gets_the_rest",
    ),
    api(
        "who comes back begins at the start",
        "teller",
        "{v.STDOUT: mark.stdout if mark else 0,",
        "{v.STDOUT: 0,",
        TOLD + "who_comes_back_gets_the_rest",
    ),
    api(
        "a failed task is not remembered",
        "tally",
        "                self._kept(job).failed(min(start for start, _ in spans))\n",
        "                pass\n",
        TOLD + "a_tally_that_is_kept_is_one_that_is_counted",
    ),
    api(
        "a name that fits several jobs means the newest",
        "names",
        "    if not exact and len(names) > 1:\n",
        "    if False:\n",
        TOLD + "what_means_no_job_or_several_is_refused",
    ),
    # -- the door
    api(
        "anybody may come in",
        "door",
        "    return peer_uid(visitor) in (os.getuid(), 0)\n",
        "    return True\n",
        DOOR + "strangers_are_not_let_in",
    ),
    api(
        "no hello is asked for",
        "door",
        "            case _ if not self._greeted:\n",
        "            case _ if False:\n",
        DOOR + "bad_manners_end_the_conversation_with_a_word",
    ),
    api(
        "a frame of any length is waited for",
        "frames",
        "    if size > FRAME.bytes:\n",
        "    if False:\n",
        DOOR + "bad_manners_end_the_conversation_with_a_word",
    ),
    api(
        "all is made for who does not read",
        "door",
        "                await self._room.wait()\n        self._send(Done(number))\n",
        "        self._send(Done(number))\n",
        DOOR + "a_slow_reader_stops_only_what_is_made_for_him",
    ),
    api(
        "what a visitor asked for goes on without him",
        "door",
        "        for task in self._tasks.values():\n            task.cancel()\n        if not",
        "        if not",
        DOOR + "a_slow_reader_stops_only_what_is_made_for_him",
    ),
    api(
        "a connection for every job",
        "client",
        "                        if isinstance(item, v.Over):\n",
        "                        if False:\n",
        WALK + "one_connection_is_enough_for_one_question_after_the_other",
        WALK + "a_job_from_submit_to_its_end",
    ),
    # -- changes
    api(
        "a script goes where nothing runs it",
        "submit",
        "        needs = with_interpreter(needs, interpreter_of(head))\n",
        "",
        "test_matching.py::test_a_script_goes_where_its_interpreter_is[-has:perl]",
    ),
    api(
        "a specification says whose it is",
        "submit",
        "user=who.user, origin=who.node, want=want",
        "origin=who.node, want=want",
        WALK + "a_job_from_submit_to_its_end",
    ),
    api(
        "an unknown fate is an answer",
        "committing",
        "                case _:\n                    pause_ms = _UNKNOWN_MS\n",
        "                case _:\n                    return ()\n",
        DOES + "a_change_is_proposed_until_its_fate_is_known",
    ),
    api(
        "what is impossible waits",
        "submit",
        "            self._reasons.check_possible(spec)\n",
        "            pass\n",
        DOES + "what_no_machine_could_ever_take_is_refused_with_the_closest",
    ),
    api(
        "a job without the words of its tasks",
        "submit",
        "        self._spool.check_blobs(specs)\n",
        "",
        DOES + "the_words_of_tasks_must_be_here_before_the_submit",
    ),
    api(
        "a standard input with a gap",
        "spool",
        "                if offset > here:\n                    return here, False\n",
        "",
        DOES + "a_standard_input_comes_in_pieces_once",
    ),
    mesh(
        "other bytes get the name",
        "blobs",
        "        if found.hex() != path.name:\n",
        "        if False:\n",
        "test_blobs.py::test_other_bytes_never_get_the_name",
    ),
    mesh(
        "a sweep takes what is named",
        "blobs",
        "if path.name not in named and",
        "if",
        "test_blobs.py::test_a_sweep_takes_only_what_nobody_names_and_is_old",
    ),
    # -- calls of functions
    api(
        "what a function prints is its result",
        "called",
        "    os.dup2(2, 1)\n",
        "",
        CALLS + "nothing_that_a_function_prints_is_taken_for_its_result",
    ),
    api(
        "half a result is one",
        "called",
        " or len(data) != HEAD.size + size:",
        ":",
        CALLS + "a_result_that_is_not_whole_is_none",
    ),
    api(
        "any Python opens what another has packed",
        "called",
        "    if there != here:\n",
        "    if False:\n",
        CALLS + "another_python_is_refused_where_it_is_seen_first",
    ),
)
