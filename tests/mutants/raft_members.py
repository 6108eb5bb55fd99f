"""Mistakes in consensus: changes of members, snapshots, transfers, reads, restarts.

Promises: each row is one mistake, at a text that is in the file exactly once, with the tests that must notice it.
Never: changes a row because it lives: then the tests have gone blind.
"""

from __future__ import annotations

from typing import Final

from tests.mutants.table import Mutant, raft, story

RANDOM: Final = "test_random.py"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- members
    raft(
        "unsafe config change",
        "members",
        "if len(set(now.voters) ^ set(wanted.voters)) > 1:",
        "if len(set(now.voters) ^ set(wanted.voters)) > 9:",
        story("unsafe_config_change"),
    ),
    raft(
        "config change before an own entry is committed",
        "core",
        "if not self.leads_safely:  #",
        "if False:  #",
        story("unsafe_config_change"),
    ),
    raft(
        "two config changes at once",
        "core",
        "if self.log.config_index > self.log.commit:",
        "if False:",
        story("unsafe_config_change"),
    ),
    raft(
        "voter that has not learnt",
        "members",
        "for member in set(wanted.voters) - {*now.voters, *now.learners}:",
        "for member in set(wanted.voters) - {*now.voters, *wanted.voters}:",
        story("unsafe_config_change"),
    ),
    raft(
        "two stores of a machine",
        "members",
        "machines = [member.node for member in wanted.members]",
        "machines = [member for member in wanted.members]",
        story("unsafe_config_change"),
    ),
    raft(
        "config not taken back",
        "log",
        "        self._configs = [known for known in self._configs if known[0] < index]\n",
        "",
        story("config_change_is_taken_back"),
    ),
    raft(
        "only who is a voter by its own log votes",
        "core",
        "granted = theirs >= ours and free",
        "granted = theirs >= ours and free and self.me in self.config.voters",
        story("config_change_during_election"),
    ),
    raft(
        "who was taken off does not stand",
        "core",
        "voters = {*self.config.voters, *self.log.config_at(self.log.commit).voters}",
        "voters = set(self.config.voters)",
        story("removed_leader_is_needed"),
    ),
    raft(
        "voters of the generation before elect in the new one",
        "core",
        " and self.log.last_term >= self._first_term",
        "",
        "../test_recover.py::test_old_voters_do_not_elect_anybody_before_they_know_who_votes",
    ),
    raft(
        "who was taken off leads on",
        "core",
        "if self.me not in self.config.voters and self.log.config_index <= index:",
        "if False:",
        story("removed_leader"),
    ),
    raft(
        "who was taken off counts itself",
        "core",
        "peers[voter].match for voter in voters]",
        "peers[voter].match for voter in {*voters, self.me}]",
        story("removed_leader"),
    ),
    raft(
        "config change while leadership is handed over",
        "core",
        '            raise ConfigRefused(f"leadership is being handed to {self.transferring.node}")',
        "            pass",
        story("transfer"),
    ),
    raft(
        "a new learner waits for a heartbeat",
        "core",
        "self.peers.get(member) or Peer(self.log.last) for",
        "self.peers.get(member) or Peer(self.log.last + 1) for",
        "test_members.py::test_a_learner_gets_the_log_at_once",
    ),
    # -- snapshots
    raft(
        "snapshot rewinds a newer log",
        "core",
        "wanted = self._fetch is not None and self.role is Role.FOLLOWER and snapshot.index > self.log.commit",
        "wanted = True",
        story("snapshot_must_not_rewind"),
    ),
    raft(
        "a leader installs over its own log",
        "core",
        "wanted = self._fetch is not None and self.role is Role.FOLLOWER and snapshot.index > self.log.commit",
        "wanted = snapshot.index > self.log.commit",
        "test_snapshots.py::test_who_has_become_leader_meanwhile_keeps_its_own_log",
    ),
    raft(
        "another branch left after a snapshot",
        "outbox",
        "entries = self._log.unstable() if self.installed is None else self._log.all()",
        "entries = self._log.unstable()",
        "test_snapshots.py",
        RANDOM,
    ),
    raft(
        "what follows a snapshot kept although it is another branch",
        "log",
        "if self.term(snapshot.index) != snapshot.term:",
        "if self.term(snapshot.index) is None:",
        "test_snapshots.py::test_entries_of_another_branch_that_go_further_are_dropped",
    ),
    raft(
        "snapshot offered once",
        "peers",
        "if active and self.flow is Flow.SNAPSHOT:",
        "if active and self.flow is None:",
        story("learner_misses_the_offer"),
    ),
    raft(
        "snapshot with the newest config",
        "log",
        "if (snapshot.term, snapshot.config) != (self.term(snapshot.index), self.config_at(snapshot.index)):",
        "if snapshot.term != self.term(snapshot.index):",
        "test_snapshots.py::test_it_must_carry_the_term_and_the_config_of_its_place_and_not_the_newest",
    ),
    raft(
        "compacted before it was applied",
        "log",
        "if not self.snapshot.index < snapshot.index <= self.handed:",
        "if not self.snapshot.index < snapshot.index <= self.last:",
        "test_snapshots.py::test_only_what_was_applied",
    ),
    raft(
        "kept entries written again",
        "log",
        "return tuple(self._entries[self.snapshot.index + 1 - self._first :])",
        "return tuple(self._entries)",
        "test_snapshots.py::test_some_of_what_it_covers_may_be_kept_for_members_that_lag",
    ),
    # -- transfers, reads, restarts
    raft(
        "transfer that never ends",
        "core",
        "if self._ticks >= self._transfer_until:",
        "if False:",
        story("transfer"),
    ),
    raft(
        "old leader still believed after a transfer",
        "core",
        "        if message.forced:\n            return False\n",
        "",
        story("transfer"),
    ),
    raft(
        "take over for anybody",
        "core",
        "if message.sender == self.leader and self._may_stand():",
        "if self._may_stand():",
        "test_transfer.py::test_only_its_leader_may_say_so",
    ),
    raft(
        "an older answer proves a newer round",
        "core",
        "peer.beat_answered(reply.round)",
        "peer.beat_answered(self._round)",
        "test_reads.py::test_an_older_answer_proves_nothing_for_a_newer_question",
    ),
    raft(
        "learners prove leadership",
        "core",
        "peers[voter].round for voter in self.config.voters]",
        "peers[voter].round for voter in self.config.members]",
        "test_reads.py::test_a_quorum_of_voters_proves_it",
    ),
    raft(
        "leadership proven to voters of before",
        "core",
        "for member in others}\n        self._count_answers()\n",
        "for member in others}\n",
        "test_reads.py::test_by_the_newest_config",
    ),
    raft(
        "leadership proven in an earlier term",
        "core",
        "        self.confirmed_round = 0\n        self.in_step",
        "        self.in_step",
        "test_reads.py::test_a_new_leadership_begins_without_proof",
    ),
    raft(
        "start without what was committed",
        "log",
        "if self.commit > self.last:",
        "if False:",
        "test_restart.py::test_a_log_that_lacks_what_was_committed_is_no_start",
    ),
    raft(
        "commit never written alone",
        "outbox",
        "and not (even_commit and commit != self.saved.commit):",
        "and not (even_commit and False):",
        "test_restart.py::test_or_alone_within_a_second",
    ),
)
