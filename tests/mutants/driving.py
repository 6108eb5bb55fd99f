"""Mistakes in what drives the brain and the hands: coordinator, agent, node, and what they remember.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant

ORDERS: Final = "test_coordinator.py::test_"
WORKS: Final = "test_agent.py::test_"
MEETS: Final = "test_node.py::test_"
EDGES: Final = "mesh/test_replica_edges.py::test_"
SEES: Final = "mesh/test_crew.py::test_"


def coordinator(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "coordinator.py", old, new, tuple(ORDERS + test for test in tests))


def agent(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "agent.py", old, new, tuple(WORKS + test for test in tests))


def node(name: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, "node.py", old, new, tuple(MEETS + test for test in tests))


MUTANTS: Final[tuple[Mutant, ...]] = (
    agent(
        "each beat of a second makes one more beat for ever",
        "        if self._soon and told == self._told:",
        "        if self._soon:",
        "the_beats_of_every_second_do_not_make_the_others_more",
    ),
    agent(
        "who is served goes wherever somebody sends it",
        "        if served is None or served[1] >= LOST_MS:\n",
        "        if True:\n",
        "who_is_served_is_not_sent_elsewhere_by_what_somebody_says",
    ),
    # -- after a recovery, and between generations
    coordinator(
        "given while what another generation gave may run",
        "not self._planning and self._grants.may_give(self._clock.monotonic_ms())",
        "not self._planning",
        "after_a_recovery_nothing_is_given_until_all_leases_of_before_are_over",
    ),
    Mutant(
        "nobody remembers that a generation has given anything",
        "scheduler/transitions/orders.py",
        "last_given=batch.node, gave=entry.generation",
        "last_given=batch.node",
        ("scheduler/test_assign.py::test_the_last_machine_given_something_is_remembered",),
    ),
    Mutant(
        "indexes taken for entries behind a snapshot",
        "mesh/generation.py",
        "max(0, end - NOT_AGREED)",
        "end",
        ("mesh/test_generation.py::test_behind_a_snapshot_only_the_indexes_tell",),
    ),
    agent(
        "a longer lease before what it does not list is gone",
        "        self._end(todo)  # first",
        "        self._hands.lease(todo.until_ms)\n        self._end(todo)  # first",
        "what_is_not_wanted_goes_before_the_lease_is_longer",
    ),
    coordinator(
        "every try is the first",
        "task.tries_total + place)",
        "place)",
        "a_machine_is_told_which_try_it_is",
    ),
    # -- how little is enough
    coordinator(
        "a Duty for what is settled and another for what follows from it",
        "and self._stirred and not (self._planning and self._may_wait)",
        "and self._stirred",
        "what_is_settled_goes_along_with_the_orders_that_follow_from_it",
    ),
    coordinator(
        "what is settled waits for orders that do not come",
        "and self._stirred and not (self._planning and self._may_wait)",
        "and self._stirred and not self._may_wait",
        "and_waits_for_none_where_none_follow",
    ),
    coordinator(
        "planned again although only that has happened which was planned",
        "            if not isinstance(event, e.TasksAssigned):\n                self._dirty = True\n",
        "            self._dirty = True\n",
        "what_was_planned_and_has_come_true_is_planned_again_with_a_tick_and_then_no_more",
    ),
    coordinator(
        "never planned again",
        "            self._plan_again(0)\n\n    def _note",
        "            pass\n\n    def _note",
        "what_was_planned_and_has_come_true_is_planned_again_with_a_tick_and_then_no_more",
    ),
    agent(
        "who follows runs while all stands still",
        "if has_freed or self._paused or",
        "if has_freed or",
        "but_while_all_stands_still_so_does_who_follows",
    ),
    # -- rest
    node(
        "who rests although others are to be watched",
        "return self._alone and self.agent.rests",
        "return self.agent.rests",
        "who_has_company_keeps_watch",
    ),
    node(
        "who rests while something is here",
        "return self._alone and self.agent.rests and",
        "return self._alone and",
        "and_while_something_is_here_that_the_log_does_not_know",
    ),
    Mutant(
        "a rest that nothing ends",
        "mesh/replica.py",
        "            self._rests = False\n            self._next_tick(TICK_MS)\n",
        "            self._rests = False\n",
        (MEETS + "whatever_is_asked_of_it_ends_its_rest",),
    ),
    # -- how soon
    agent(
        "a single task waits for company",
        "wait_ms = 0 if not live else SOON_MS if live < PLENTY else SOON_ENOUGH_MS",
        "wait_ms = SOON_MS if live < PLENTY else SOON_ENOUGH_MS",
        "the_last_that_runs_here_waits_for_no_company",
    ),
    agent(
        "nobody waits for company",
        "wait_ms = 0 if not live else SOON_MS if live < PLENTY else SOON_ENOUGH_MS",
        "wait_ms = 0",
        "what_ends_shortly_after_a_beat_is_told_together_while_others_run",
    ),
    agent(
        "much that is here changes nothing",
        "SOON_MS if live < PLENTY else SOON_ENOUGH_MS",
        "SOON_MS",
        "while_much_is_here_more_travels_together",
    ),
    agent(
        "a full beat waits for more",
        "- self._reported >= MANY_REPORTS",
        "- self._reported > MOST_REPORTS",
        "many_ends_do_not_wait_for_more",
    ),
    agent(
        "what was told already counts as new",
        "len(self._hands.reports()) - self._reported >=",
        "len(self._hands.reports()) >=",
        "nor_are_many_that_were_told_already_told_with_each_that_ends",
    ),
    agent(
        "what was settled hides what is new",
        "self._reported -= sum(attempt in here for attempt in duty.settled)",
        "pass",
        "what_was_settled_meanwhile_is_not_taken_for_new",
    ),
    coordinator(
        "a first Duty waits for a heartbeat",
        "            if self._grants.waits(node):",
        "            if False:",
        "the_first_duty_of_a_machine_waits_for_no_heartbeat",
    ),
    Mutant(
        "every machine that is heard asks for a round of its own",
        "mesh/replica.py",
        "self.core.is_leader and self.core.confirmed_round + 1 == self.core.next_round",
        "self.core.is_leader",
        (ORDERS + "machines_that_are_heard_together_share_a_round",),
    ),
    node(
        "whoever is admitted waits for its next beat",
        "            self.agent.admitted()\n",
        "            pass\n",
        "whoever_is_admitted_is_served_at_once_and_not_with_its_next_beat",
    ),
    # -- found by the simulation, or on the way to it
    coordinator(
        "who has not answered since the election taken for gone",
        "self._elected_ms - roles.LIVE_MS",
        "now - _NEVER",
        "a_new_leader_gives_members_that_have_not_answered_their_minute",
    ),
    Mutant(
        "a late failure says nothing of its backoff",
        "scheduler/transitions/base.py",
        "    if following.state is T.WAITING:  #",
        "    if following.state is T.WAITING and task.state is not T.WAITING:  #",
        ("scheduler/test_late_reports.py::test_a_late_failure_says_that_a_backoff_begins",),
    ),
    Mutant(
        "a wish to a replica that has stopped is kept",
        "mesh/replica.py",
        "        if not self._running:\n            done(Again(BUSY_MS))\n        elif self.core",
        "        if self.core",
        ("mesh/test_replica.py::test_who_has_stopped_takes_nothing_and_says_so",),
    ),
    # -- the coordinator: more of it in `daemon`
    coordinator(
        "a refused plan made again at once",
        "isinstance(outcome, Accepted):\n            self._plan_again(0)\n",
        "isinstance(outcome, Accepted):\n            self._dirty = True\n",
        "a_plan_that_the_log_does_not_take_is_made_again_later_and_not_at_once",
    ),
    coordinator(
        "a refused plan forgotten",
        "isinstance(outcome, Accepted):\n            self._plan_again(0)\n",
        "isinstance(outcome, Accepted):\n            pass\n",
        "a_plan_that_the_log_does_not_take_is_made_again_later_and_not_at_once",
    ),
    coordinator(
        "each beat answered with the one before",
        "            self._owed.setdefault(node, round_)  # an answer now would quote the beat before\n",
        "            self._tell[node] = self._stirred = True\n",
        "each_beat_is_answered_by_itself_and_not_with_the_next_one",
    ),
    coordinator(
        "the newest beat awaited for ever",
        "            self._owed.setdefault(node, round_)  # an answer now would quote the beat before\n",
        "            self._owed[node] = round_\n",
        "many_beats_of_one_machine_do_not_hold_up_the_answer_to_the_first",
    ),
    Mutant(
        "the beat that is proven next pushed out by newer ones",
        "mesh/grants.py",
        "            self.pending.pop()\n",
        "            self.pending.popleft()\n",
        (ORDERS + "many_beats_of_one_machine_do_not_hold_up_the_answer_to_the_first",),
    ),
    coordinator(
        "a recall not told",
        "            case e.AttemptsRecalled():\n",
        "            case e.AttemptsRecalled() if not self._begun:\n",
        "a_place_in_a_backlog_is_taken_back_at_once",
    ),
    coordinator(
        "a refused report forgotten",
        "                self._refused[node] = None\n",
        "                pass\n",
        "a_report_that_the_log_did_not_take_is_proposed_again",
        "whose_report_is_on_its_way_onto_the_log_has_not_left_it_behind",
    ),
    coordinator(
        "a loss before the report that was told first",
        "            self._report_again()\n            self._give_away(now)\n",
        "            self._give_away(now)\n            self._report_again()\n",
        "whose_report_is_on_its_way_onto_the_log_has_not_left_it_behind",
    ),
    coordinator(
        "backoffs go on where the last coordinator was",
        "            self._backoffs[task] = now + self._state.tasks[task].backoff_ms\n",
        "            self._backoffs[task] = now\n",
        "a_new_coordinator_starts_it_afresh",
    ),
    coordinator(
        "all backoffs of an array in one entry",
        "if end <= now][:AT_ONCE]\n",
        "if end <= now]\n",
        "backoffs_of_a_huge_array_end_in_orders_that_fit_into_an_entry",
    ),
    coordinator(
        "refused ageing ten minutes later",
        "        self._age_ms = 0\n",
        "        pass\n",
        "what_the_log_did_not_take_of_that_comes_soon_and_not_ten_minutes_later",
    ),
    coordinator(
        "a removed machine still an excuse",
        "        self._grants.removed(gone)\n",
        "        pass\n",
        "a_removed_machine_that_is_switched_off_excuses_nobody",
    ),
    coordinator(
        "deaf machines planned for",
        "        if state is NodeState.UP and self._grants.is_deaf(number):\n",
        "        if False:\n",
        "a_deaf_machine_gets_nothing_and_loses_what_it_has",
    ),
    Mutant(
        "a standby that owes an answer waited for again and again",
        "mesh/crew.py",
        "        if sight.match is None or last - sight.match > CAUGHT_UP or late:\n",
        "        if sight.match is None or last - sight.match > CAUGHT_UP:\n",
        (ORDERS + "a_second_machine_stands_by_and_is_waited_for_once_it_keeps_step",),
    ),
    coordinator(
        "beats before its own entry not counted",
        "            if (beat := self._membership.last(node)) is not None:  # it came before\n",
        "            if (beat := self._membership.last(node)) is not None and not self._begun:\n",
        "beats_that_come_before_its_own_entry_is_applied_are_answered_then",
    ),
    coordinator(
        "removed in an earlier term and still a keeper",
        "        return unknown or keeper.node in self._removed\n",
        "        return keeper.node in self._removed\n",
        "nor_if_it_was_removed_in_an_earlier_term",
    ),
    coordinator(
        "founders taken for removed machines",
        "not in self._numbers and now - self._elected_ms >= roles.GONE_MS\n",
        "not in self._numbers\n",
        "nor_if_it_was_removed_in_an_earlier_term",
    ),
    coordinator(
        "removed just now and still a keeper",
        "        return unknown or keeper.node in self._removed\n",
        "        return unknown and keeper.node in self._removed\n",
        "who_was_removed_keeps_the_log_no_more_even_if_it_still_answers",
    ),
    # -- the agent
    agent(
        "acts before the note is on disk",
        "        if not self._running or self._saving is not None or self._withdrawn:\n",
        "        if not self._running or self._withdrawn:\n",
        "nothing_follows_from_a_duty_before_the_note_is_on_disk",
    ),
    agent(
        "two notes under way",
        "            if under_way is None:\n",
        "            if True:\n",
        "an_older_note_never_takes_the_place_of_a_newer_one",
    ),
    agent(
        "acts on an older note",
        "        if newest is not None and newest != kept:\n",
        "        if False:\n",
        "an_older_note_never_takes_the_place_of_a_newer_one",
    ),
    agent(
        "the hands start before they know the lease",
        "        self._hands.lease(todo.until_ms)\n        if self._paused",
        "        if self._paused",
        "the_hands_know_the_lease_before_they_start_anything",
    ),
    agent(
        "a beat dated when it has left",
        "        self._post.ask(self._coordinator, beat)\n",
        "        self._post.ask(self._coordinator, beat)\n"
        "        if beat.id.number in self.lease._sent:\n"
        "            self.lease._sent[beat.id.number] = self._clock.boottime_ms()\n",
        "a_lease_counts_from_before_the_beat_was_handed_to_the_network",
    ),
    agent(
        "the last beat leaves reports out",
        "        if live or len(self._hands.reports()) > MOST_REPORTS:  # the",
        "        if live:  # the",
        "who_leaves_says_so_when_one_beat_can_tell_all_that_is_left",
    ),
    agent(
        "settled by a Duty without effect",
        "            for attempt in duty.settled:\n                self._hands.forget(attempt)\n",
        "        for attempt in duty.settled:\n            self._hands.forget(attempt)\n",
        "a_duty_that_has_no_effect_settles_nothing",
    ),
    agent(
        "what does not fit is overtaken",
        "            else:\n                return\n\n",
        "\n",
        "only_what_has_room_starts_and_nothing_overtakes_what_does_not_fit",
    ),
    agent(
        "follows what needs something else",
        "            elif spec.terminal == (0, 0) and (need is same or need in needs):\n",
        "            elif spec.terminal == (0, 0) and needs:\n",
        "who_needs_the_same_as_what_runs_may_follow_it",
    ),
    agent(
        "starts beside those that follow",
        "            if not is_full and need.fits(left):\n",
        "            if need.fits(left):\n",
        "what_is_told_to_follow_is_not_overtaken",
    ),
    agent(
        "followers go on where less is given",
        "            if not self._total.fits(total):\n",
        "            if False:\n",
        "where_less_is_given_nobody_follows",
    ),
    agent(
        "the backlog goes before slots",
        "        for one in (*(one for one in wanted if one.slot), *(one for one in wanted if not one.slot)):\n",
        "        for one in wanted:\n",
        "slots_go_before_the_backlog_and_the_backlog_keeps_its_order",
    ),
    agent(
        "starts beside what it does not know",
        "                if spec is None:\n                    return None\n",
        "                if spec is None:\n                    continue\n",
        "after_a_restart_nothing_starts_until_it_is_known_what_runs",
    ),
    agent(
        "starts while it leaves",
        "        if self._leaving.away:\n",
        "        if False:\n",
        "while_it_ends_what_runs_it_starts_nothing_and_says_so",
    ),
    agent(
        "says that it goes before the hands know",
        "            self._hands.lease(0, self._announce)\n",
        "            self._hands.lease(0)\n            self._announce()\n",
        "it_says_that_it_goes_when_all_has_ended_and_the_hands_know",
    ),
    agent(
        "says that it goes while something runs",
        "        if live or len(self._hands.reports()) > MOST_REPORTS:  # the",
        "        if len(self._hands.reports()) > MOST_REPORTS:  # the",
        "it_says_that_it_goes_when_all_has_ended_and_the_hands_know",
    ),
    agent(
        "goes although it stays after all",
        "        self._leaving = going if going.away else Going.STAYING\n",
        "        self._leaving = going if going.away else self._leaving\n",
        "who_stays_after_all_works_on",
    ),
    agent(
        "sent elsewhere by anybody",
        "            case Elsewhere(coordinator) if sender == self._coordinator:  # else it is an old one\n",
        "            case Elsewhere(coordinator) if sender:\n",
        "an_answer_of_somebody_it_does_not_ask_any_more_sends_it_nowhere",
    ),
    agent(
        "counts as served by whom it only heard of",
        "        return self._served_by, self._clock",
        "        return self._coordinator or self._served_by, self._clock",
        "it_knows_who_served_it_last_and_does_not_count_whom_it_only_heard_of",
    ),
    node(
        "a rumour that never dies",
        "        return served[0] if served is not None and served[1] < LOST_MS else self._leader\n",
        "        return served[0] if served is not None else self._leader\n",
        "who_keeps_no_log_tells_of_the_coordinator_that_serves_it",
    ),
    agent(
        "a lease for who goes",
        "        self._hands.lease(0 if self._withdrawn else self.lease.until_ms, told)\n",
        "        self._hands.lease(self.lease.until_ms, told)\n",
        "who_goes_gets_no_lease_from_being_alone",
    ),
    # -- the node
    node(
        "leads without a coordinator of the new term",
        "        elif self.coordinator is None or self.coordinator.term != core.term:\n",
        "        elif self.coordinator is None:\n",
        "a_term_that_follows_at_once_has_a_coordinator_of_its_own",
    ),
    node(
        "a coordinator that leads no more",
        "        if not core.is_leader:\n            self.coordinator = self.archiving = self.receiving = None\n",
        "        if not core.is_leader:\n            pass\n",
        "there_is_a_coordinator_exactly_while_it_leads_and_another_one_per_term",
    ),
    node(
        "falls back on a leader of long ago",
        "        if leader != self._leader:\n            self._leader = leader\n",
        "        if True:\n            self._leader = leader\n",
        "and_does_not_fall_back_on_a_leader_of_long_ago",
    ),
    node(
        "letters of another generation",
        "            case _ if letter.scope != self.scope:\n",
        "            case _ if False:\n",
        "letters_of_another_log_are_for_nobody",
    ),
    node(
        "another admitted before the hands know the lease",
        "        self.agent.set_alone(False, told)\n",
        "        self.agent.set_alone(False)\n        told()\n",
        "another_machine_is_admitted_when_the_hands_know_the_lease_and_not_before",
        "a_second_admission_waits_too",
    ),
    node(
        "alone while an admission is on its way",
        "(self._alone or core.log.last == self.replica.applied)\n",
        "True\n",
        "it_is_not_alone_again_while_an_admission_is_on_its_way_onto_the_log",
    ),
    node(
        "alone while an admission waits",
        "leads and not self._admitting and",
        "leads and",
        "another_machine_is_admitted_when_the_hands_know_the_lease_and_not_before",
    ),
    node(
        "alone among voters",
        "        leads = core.leads_safely and core.config.members == (core.me,)\n",
        "        leads = core.leads_safely\n",
        "who_votes_with_others_is_not_alone",
    ),
    node(
        "alone without leading",
        "        leads = core.leads_safely and core.config.members == (core.me,)\n",
        "        leads = core.config.members == (core.me,)\n",
        "who_does_not_lead_any_more_is_not_alone",
    ),
    Mutant(
        "a forwarded admission does not wait",
        "mesh/replica.py",
        "            self._propose_prepared(command, data, answer)\n",
        "            self._propose_here(data, answer)\n",
        (MEETS + "another_machine_is_admitted_when_the_hands_know_the_lease_and_not_before",),
    ),
    # -- the replica, where things meet
    Mutant(
        "who waits for what a snapshot covers not told",
        "mesh/replica.py",
        "        self._deliver({})\n",
        "",
        (EDGES + "who_waits_for_what_the_snapshot_covers_is_told_when_it_is_loaded",),
    ),
    Mutant(
        "a snapshot of a newer version written all the same",
        "mesh/replica.py",
        "            self._stand_down(newer)\n            return\n        self.applied = snapshot.index\n",
        "            pass\n        self.applied = snapshot.index\n",
        (EDGES + "it_stands_down_at_a_snapshot_of_a_newer_version",),
    ),
    Mutant(
        "who stood down gathers answers",
        "mesh/replica.py",
        "        if self.stopped is not None:\n            return  # what would be answered",
        "        if self.stopped is not None and self.core.is_leader:\n            return  # what would be answered",
        (EDGES + "who_stood_down_gathers_nothing_for_days",),
    ),
    Mutant(
        "a debt that is never forgiven",
        "mesh/crew.py",
        "        elif self.owing_ms is None or match >= self.awaited:\n",
        "        elif self.owing_ms is None:\n",
        (SEES + "a_debt_grows_until_it_is_paid_however_much_is_added_meanwhile",),
    ),
    Mutant(
        "steady although it was silent",
        "mesh/crew.py",
        "None if sight.silent_ms >= LIVE_MS else",
        "None if sight.silent_ms >= 2 * LIVE_MS else",
        (SEES + "who_was_silent_for_a_second_begins_anew_to_be_steady",),
    ),
)
