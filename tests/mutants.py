"""Known mistakes, put back one by one: each must be noticed by the tests that are there for it.

`make mutants` copies the package and the tests, changes one place, and runs the named tests on the copy. A mutant that
lives means that a test has gone blind; then the test is repaired, not the mutant. A new one is a row in the table:
what the mistake is, the file, the old text (there exactly once), the new text, and the tests that must notice it.

    python -m tests.mutants            all of them
    python -m tests.mutants vote       those with this word in their name

Promises: nothing outside a temporary folder is changed; the untouched copy passes all named tests first.
Never: takes a text that is not found, or found twice, for a mutant.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
LIMIT_SECONDS: Final = 300


class Mutant(NamedTuple):
    name: str
    file: str  # in the package
    old: str
    new: str
    tests: tuple[str, ...]  # in the folder of the tests; the first that fails is its end


def raft(name: str, file: str, old: str, new: str, *tests: str) -> Mutant:
    return Mutant(name, f"mesh/raft/{file}.py", old, new, tuple(f"mesh/raft/{test}" for test in tests))


def story(name: str) -> str:
    return f"test_scenarios.py::test_scenario[{name}]"


RANDOM: Final = "test_random.py"

MUTANTS: Final[tuple[Mutant, ...]] = (
    # -- elections
    raft(
        "vote not durable",
        "core",
        "(self._promise if granted else self._answer)(request.sender, reply)",
        "self._send(request.sender, reply)",
        story("vote_not_durable"),
    ),
    raft(
        "vote without log check",
        "core",
        "granted = theirs >= ours and free",
        "granted = free",
        "test_election.py::test_a_vote_goes_only_to_a_log_that_is_as_good",
    ),
    raft(
        "log compared by length alone",
        "core",
        "theirs, ours = (request.last_term, request.last_index), (self.log.last_term, self.log.last)",
        "theirs, ours = (request.last_index, 0), (self.log.last, 0)",
        "test_election.py::test_a_vote_goes_only_to_a_log_that_is_as_good",
    ),
    raft(
        "two votes in a term",
        "core",
        "free = self.vote == request.sender or (self.vote is None and self.leader is None)",
        "free = self.leader is None",
        "test_election.py::test_one_vote_a_term",
    ),
    raft(
        "duplicate vote counted",
        "members",
        "answers = [votes[voter] for voter in voters if voter in votes]",
        "answers = [*votes.values(), *votes.values()][: len(voters)]",
        story("duplicate_votes"),
    ),
    raft(
        "vote of another store counted",
        "core",
        "self._votes.setdefault(reply.sender, reply.granted)",
        "self._votes.update({one: reply.granted for one in self.config.voters if one.node == reply.sender.node})",
        story("vote_of_another_store"),
    ),
    raft(
        "vote for the machine's old store counted",
        "core",
        "if self.role is not wanted or reply.candidate != self.me:",
        "if self.role is not wanted:",
        "test_election.py::test_what_is_not_a_vote",
    ),
    raft(
        "own vote counted before it is on disk",
        "core",
        "            self._own_vote_at = self._outbox.covering(self.term, self.vote)",
        "            self._votes[self.me] = True",
        "test_election.py::test_one_alone_elects_itself_but_not_before_its_vote_is_on_disk",
    ),
    raft(
        "request before the own vote is on disk",
        "core",
        "(self._send if pre else self._promise)(voter, request)",
        "self._send(voter, request)",
        "test_election.py::test_a_candidate_asks_when_its_own_vote_is_on_disk",
    ),
    raft(
        "no stickiness",
        "core",
        "if self._sticks(message):",
        "if False:",
        story("pre_vote_with_check_quorum"),
    ),
    raft(
        "no CheckQuorum",
        "core",
        "if self._elapsed % ELECTION_TICKS == 0 and not self._hears_quorum():",
        "if self._elapsed < 0:",
        story("cut_off_leader"),
    ),
    raft(
        "a new leader is thought to be heard",
        "peers",
        "        self._active = False  #",
        "        self._active = True  #",
        "test_election.py::test_a_leader_that_hears_no_quorum_steps_down_after_an_election_timeout",
    ),
    raft(
        "who asks beforehand does not vote",
        "core",
        "granted = theirs >= ours and free",
        "granted = theirs >= ours and free and self.role is Role.FOLLOWER",
        "test_election.py::test_who_only_asks_beforehand_gives_way_to_who_stands",
    ),
    raft(
        "requests are not repeated",
        "core",
        "self._ask_for_votes()  # a request may be lost",
        "pass  # a request may be lost",
        story("requests_are_repeated"),
    ),
    raft(
        "two who ask at once vote each for itself",
        "core",
        "yields = self.role is not Role.PRE_CANDIDATE or theirs != ours or request.sender < self.me",
        "yields = True",
        "test_election.py::test_of_two_who_ask_at_once_one_gives_way",
    ),
    # -- replication and commit
    raft(
        "truncate without conflict",
        "log",
        "if entry.index < self.snapshot.index or self.term(entry.index) == entry.term:",
        "if entry.index <= self.commit:",
        story("truncate_without_conflict"),
    ),
    raft(
        "cut below what is committed",
        "log",
        '            raise CutsCommitted(f"entry {index} is committed up to {self.commit}")',
        "            pass",
        "test_log.py::test_what_is_committed_is_never_cut",
    ),
    raft(
        "another term at a committed place refused only",
        "log",
        "if prev_index <= self.commit:",
        "if prev_index < 0:",
        "test_replication.py::test_a_leader_that_would_cut_what_is_committed_has_lost_something",
    ),
    raft(
        "append taken without the place before it",
        "log",
        "if prev_index >= self.snapshot.index and self.term(prev_index) != prev_term:",
        "if prev_index > self.last:",
        "test_replication.py",
    ),
    raft(
        "commit past the last new entry",
        "core",
        "self.log.commit_to(min(append.commit, match))",
        "self.log.commit_to(min(append.commit, self.log.last))",
        story("commit_past_the_last_new_entry"),
    ),
    raft(
        "heartbeat commits what was not compared",
        "core",
        "if self.log.term(heartbeat.commit) == heartbeat.commit_term:",
        "if heartbeat.commit <= self.log.last:",
        "test_commit.py::test_a_heartbeat_meant_for_another_store_of_the_machine_says_nothing_wrong",
    ),
    raft(
        "old-term commit",
        "core",
        "if index <= self.log.commit or self.log.term(index) != self.term:",
        "if index <= self.log.commit:",
        story("figure_8"),
    ),
    raft(
        "stale reply",
        "core",
        "        if message.term < self.term:\n            self._older_term(message)\n            return\n",
        "        if message.term < self.term:\n            self._older_term(message)\n",
        story("stale_append_reply"),
    ),
    raft(
        "ack before fsync",
        "core",
        "self._promise(append.sender, AppendReply(self.term, self.me, True, match=match))",
        "self._send(append.sender, AppendReply(self.term, self.me, True, match=match))",
        story("ack_before_fsync"),
    ),
    raft(
        "ack after the write before",
        "outbox",
        "return self._number + 1 if self._is_dirty(term, vote) else self._number",
        "return self._number if self._under_way or not self._is_dirty(term, vote) else self._number + 1",
        "test_durability.py::test_an_acknowledgement_waits_for_the_write_that_holds_it_and_not_for_the_one_before",
    ),
    raft(
        "promise of an older term kept",
        "outbox",
        " if gate <= number and out.message.term == term]",
        " if gate <= number]",
        "test_durability.py::test_a_promise_of_an_older_term_is_not_sent_any_more",
    ),
    raft(
        "heartbeats wait for entries",
        "core",
        "if self._outbox.saved.term == self.term:",
        "if self._outbox.saved.term < 0:",
        story("ack_before_fsync"),
    ),
    raft(
        "written entries count although they were cut",
        "log",
        "if self.term(last.index) == last.term:",
        "if last.index <= self.last:",
        story("aba_append"),
    ),
    raft(
        "a cut forgets what is on disk",
        "log",
        "self.stable = min(self.stable, index - 1)",
        "pass",
        "test_durability.py::test_what_is_cut_while_it_is_written_is_written_again",
        "test_log.py",
    ),
    raft(
        "leader counts itself before its disk",
        "core",
        "held = {self.me: self.log.stable}",
        "held = {self.me: self.log.last}",
        "test_commit.py::test_a_leader_counts_itself_when_its_own_disk_has_it",
    ),
    raft(
        "applied before it is on the own disk",
        "log",
        "stop = min(self.commit, self.stable) + 1",
        "stop = self.commit + 1",
        "test_commit.py::test_a_follower_hands_out_only_what_is_on_its_disk",
    ),
    raft(
        "committed without the standby",
        "core",
        "if len(self.config.voters) == 1:",
        "if len(self.config.voters) == 0:",
        story("sole_voter_with_standby"),
    ),
    raft(
        "waits for a standby that is no member",
        "core",
        "*(held[member] for member in self.in_step if member in held)",
        "*(held.get(member, 0) for member in self.in_step)",
        story("sole_voter_with_standby"),
    ),
    raft(
        "a long tail entry by entry",
        "log",
        "while hint > self.commit and ((term := self.term(hint) or 0) > prev_term or term == other):",
        "while hint > self.commit and (self.term(hint) or 0) > prev_term + 0 * (other or 0):",
        "test_replication.py::test_a_long_tail_of_another_term_costs_a_few_rounds_only",
    ),
    raft(
        "a full window for ever",
        "peers",
        "        del self._sent[:1]\n",
        "",
        "test_peers.py::test_an_answered_heartbeat_lets_one_more_through",
    ),
    raft(
        "lost append at the tail",
        "core",
        "if peer.match < self.log.last and peer.may_send:",
        "if peer.next <= self.log.last and peer.may_send:",
        story("lost_append_at_the_tail"),
    ),
    raft(
        "a leader follows another of its term",
        "core",
        "if not self.is_leader:  # nobody else leads this term",
        "if True:",
        "test_election.py::test_nobody_else_leads_the_term_of_a_leader",
    ),
    raft(
        "rewound leader leads on",
        "core",
        "if reply.rewound or reply.match > self.log.last:",
        "if False:",
        story("rewound_leader"),
        "test_replication.py",
    ),
    raft(
        "back-pressure outlives the leadership",
        "core",
        "        self._proposed.clear()\n        self._proposed_bytes = 0\n",
        "",
        "test_durability.py::test_a_new_leadership_begins_with_room",
    ),
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
        "return self.me in {*self.config.voters, *self.log.config_at(self.log.commit).voters}",
        "return self.me in self.config.voters",
        story("removed_leader_is_needed"),
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
        "index = quorum_value(held.get(voter, 0) for voter in self.config.voters)",
        "index = quorum_value(held.get(voter, 0) for voter in {*self.config.voters, self.me})",
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
        "return quorum_value(answered.get(voter, 0) for voter in self.config.voters)",
        "return quorum_value(answered.get(voter, 0) for voter in self.config.members)",
        "test_reads.py::test_a_quorum_of_voters_proves_it",
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
        "and not (even_commit and hard != self.saved):",
        "and not (even_commit and False):",
        "test_restart.py::test_or_alone_within_a_second",
    ),
)


# -- running them ------------------------------------------------------------------------------------------------------


def copied(folder: Path) -> None:
    for name in ("odyssey", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)


def mutated(folder: Path, mutant: Mutant) -> None:
    path = folder / "odyssey" / mutant.file
    source = path.read_text()
    if source.count(mutant.old) != 1:
        raise SystemExit(
            f"error: {mutant.name}: found {source.count(mutant.old)} times in {mutant.file}:\n{mutant.old}"
        )
    path.write_text(source.replace(mutant.old, mutant.new))


def first_failure(folder: Path, tests: Iterable[str]) -> str:
    """The test that fails, or nothing. A run that does not end has noticed it too."""
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "--tb=no", *(f"tests/{test}" for test in tests)]
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": "1"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, timeout=LIMIT_SECONDS, check=False, capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return "never ends"
    if done.returncode == 0:
        return ""
    found = re.search(r"^(?:FAILED|ERROR) tests/(.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode != 1 or found is None:
        raise SystemExit(f"error: the tests did not run:\n{done.stdout}{done.stderr}")
    return found[1]


def killer(mutant: Mutant) -> str:
    with TemporaryDirectory() as name:
        copied(Path(name))
        mutated(Path(name), mutant)
        return first_failure(Path(name), mutant.tests)


def untouched(mutants: Iterable[Mutant]) -> str:
    with TemporaryDirectory() as name:
        copied(Path(name))
        return first_failure(Path(name), sorted({test for mutant in mutants for test in mutant.tests}))


def main(words: list[str]) -> int:
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    if broken := untouched(chosen):
        print(f"error: {broken} fails without any mutant")
        return 1
    lived = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for mutant, end in zip(chosen, pool.map(killer, chosen), strict=True):
            lived += not end
            print(f"{mutant.name:55} {end or 'LIVES'}", flush=True)
    print(f"{len(chosen)} mutants, {lived} live")
    return 1 if lived or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
