"""Mistakes in who is here, who votes, and how safe that is.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, mesh

HERE: Final = "test_membership.py::test_"
ROLES: Final = "test_roles.py::test_"
SAFE: Final = ROLES + "no_change_leaves_less_than_a_quorum_of_the_new_voters_answering"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- who is here
    mesh(
        "an old beat is a sign of life",
        "membership",
        "elif before is not None and beat.id.order <= before.id.order:",
        "elif False:",
        HERE + "an_old_or_doubled_beat_is_no_sign_of_life",
    ),
    mesh(
        "boot in force replaced at once",
        "membership",
        "if not before.leaves_nothing and now < machine.heard_ms + GIVE_AWAY_MS:",
        "if False:",
        HERE + "a_new_boot_waits_until_the_old_one_was_silent_for_a_lease",
    ),
    mesh(
        "boot in force replaced although it still holds something",
        "membership",
        "if not before.leaves_nothing and now < machine.heard_ms + GIVE_AWAY_MS:",
        "if not before.going.away and now < machine.heard_ms + GIVE_AWAY_MS:",
        HERE + "but_for_one_that_said_so_and_still_holds_something",
    ),
    mesh(
        "one late beat of the boot before is an alarm",
        "membership",
        "PROOF_BEATS: Final = 2",
        "PROOF_BEATS: Final = 1",
        HERE + "one_late_beat_of_a_boot_before_is_no_alarm",
    ),
    mesh(
        "the alarm again with every beat",
        "membership",
        "        self.told = True\n",
        "",
        HERE + "two_boots_that_both_keep_beating_are_a_copied_home_and_an_alarm_once",
    ),
    mesh(
        "sleep shown as gone",
        "membership",
        "return NodeState.ASLEEP if beat.going is Going.SLEEP else NodeState.GONE",
        "return NodeState.GONE",
        HERE + "sleep_is_shown_as_sleep_and_lasts_until_it_beats_again",
    ),
    mesh(
        "a stranger's beat is believed",
        "membership",
        "        if machine is None:\n            return []\n",
        "        if machine is None:\n            machine = self._machines[node] = _Machine(now)\n",
        HERE + "a_stranger_is_nobody",
    ),
    mesh(
        "never heard and up",
        "membership",
        "return NodeState.SILENT if beat is None or silent_ms >= SILENT_MS else NodeState.UP",
        "return NodeState.SILENT if silent_ms >= SILENT_MS else NodeState.UP",
        HERE + "who_was_never_heard_is_silent_first_then_gone_since_we_listen",
    ),
    mesh(
        "heard anew by being admitted again",
        "membership",
        "self._machines.setdefault(node, _Machine(self._clock.at(now_ms)))",
        "self._machines[node] = _Machine(self._clock.at(now_ms))",
        HERE + "who_is_admitted_again_is_still_known",
    ),
    # -- who votes
    mesh(
        "a change that leaves live voters below a quorum",
        "roles",
        "return live >= quorum(len(voters)) and",
        "return live >= len(voters) // 2 and",
        SAFE,
    ),
    mesh(
        "two entered while one of them has not just answered",
        "roles",
        "(len(voters) != 2 or all(one.is_fresh for one in voters))",
        "True",
        ROLES + "two_are_entered_only_while_both_have_just_answered",
    ),
    mesh(
        "demote before promote",
        "roles",
        "if standby is not None and len(self.voters) % 2 == 1 and left < wanted:",
        "if False:",
        ROLES + "a_silent_voter_is_replaced_after_a_minute_and_the_standby_is_promoted_first",
    ),
    mesh(
        "votes before it has caught up",
        "roles",
        "return self.is_steady and self.can_take_over and self.caught_up_ms >= STEADY_MS",
        "return self.is_steady and self.is_fresh and self.lag is not None",
        ROLES + "nobody_votes_who_has_not_stood_by_in_step",
    ),
    mesh(
        "votes before it is steady",
        "roles",
        "return self.is_live and not self.going.away and self.steady_ms >= STEADY_MS",
        "return self.is_live and not self.going.away",
        ROLES + "nobody_votes_who_has_not_stood_by_in_step",
    ),
    mesh(
        "changed before the last change is settled",
        "roles",
        "if not view.settled or view.me not in view.config.voters:",
        "if view.me not in view.config.voters:",
        ROLES + "nothing_while_a_change_is_not_settled_and_nothing_by_who_does_not_vote",
    ),
    mesh(
        "changed by who does not vote",
        "roles",
        "if not view.settled or view.me not in view.config.voters:",
        "if not view.settled:",
        ROLES + "nothing_while_a_change_is_not_settled_and_nothing_by_who_does_not_vote",
    ),
    mesh(
        "a leader of two waits for its silent partner",
        "roles",
        "if self.lost or not partner.is_live:",
        "if self.lost:",
        ROLES + "a_leader_of_two_drops_a_partner_that_is_silent_for_a_second",
    ),
    mesh(
        "rests at two voters",
        "roles",
        "        elif partner.is_fresh:\n            yield from self._without_least(Why.SHRINK)\n",
        "",
        ROLES + "two_become_one_when_there_is_no_third",
    ),
    mesh(
        "the new store joins while its old one is a member",
        "roles",
        "self.spares = [one for one in here if one.member.node not in taken]",
        "self.spares = [one for one in here if one.member not in view.config.members]",
        ROLES + "a_new_store_waits_while_the_old_one_was_heard_a_moment_ago",
    ),
    mesh(
        "an emptied store is waited for",
        "roles",
        "return one.silent_ms >= GONE_MS or one.going.away or self._has_new_store(one)",
        "return one.silent_ms >= GONE_MS or one.going.away",
        ROLES + "a_machine_with_a_new_store_joins_only_after_its_old_store_left",
    ),
    mesh(
        "a dead store stays as a standby",
        "roles",
        "stays = one.going is not Going.LEAVE and why is not Why.NEW_STORE",
        "stays = one.going is not Going.LEAVE",
        ROLES + "a_machine_with_a_new_store_joins_only_after_its_old_store_left",
    ),
    mesh(
        "an even number of voters without need",
        "roles",
        "if len(self.voters) < self.target and len(self.ready) >= 2:",
        "if len(self.voters) < self.target and self.ready:",
        ROLES + "a_third_makes_three_voters_through_two_in_one_breath",
    ),
    mesh(
        "no rest between changes that are merely better",
        "roles",
        "and now_ms - view.changed_ms >= HYSTERESIS_MS",
        "and True",
        ROLES + "a_better_standby_takes_the_place_of_a_voter_after_ten_calm_minutes",
    ),
    mesh(
        "a laptop is as good as a machine on the wire",
        "roles",
        "return int(one.keeper_only), _yes(_not(one.laptop)), _yes(one.mains), _yes(one.wired)",
        "return int(one.keeper_only), _yes(one.mains), _yes(one.wired)",
        ROLES + "the_order_of_preference",
    ),
    mesh(
        "leadership handed to one that lags",
        "roles",
        "return self.is_fresh and not self.going.away and self.lag is not None and self.lag <= CAUGHT_UP",
        "return self.is_fresh and not self.going.away and self.lag is not None",
        ROLES + "a_leader_that_goes_hands_over_to_the_best_voter_there",
    ),
    # -- how safe
    mesh(
        "a machine that goes is counted on",
        "safety",
        "return one is not None and one.is_live and not one.going.away",
        "return one is not None and one.is_live",
        ROLES + "any_so_many_machines_may_vanish_and_commits_go_on_but_not_any_one_more",
    ),
    mesh(
        "all voters' disks are copies",
        "safety",
        "copies = need if len(voters) > 1 else len(voters) + len(in_step)",
        "copies = len(voters) + len(in_step)",
        ROLES + "copies_are_the_disks_that_surely_hold_a_job",
    ),
    mesh(
        "a standby is in step at once",
        "safety",
        "one.is_fresh and one.caught_up_ms >= STEADY_MS]",
        "one.is_fresh]",
        ROLES + "a_standby_is_taken_in_after_half_a_minute_in_step",
    ),
    mesh(
        "a slow standby holds up every job",
        "safety",
        "max(one.silent_ms, one.owing_ms) < OUT_OF_STEP_MS]",
        "one.silent_ms < OUT_OF_STEP_MS]",
        ROLES + "and_is_out_after_two_seconds_without_an_answer_or_an_acknowledgement",
    ),
)
