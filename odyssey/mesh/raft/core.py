"""Consensus among a few members: elections, replication, changes of members, snapshots, reads.

The shape is that of etcd's raft: `step`, `tick`, `propose` change the core in memory; `ready` says what to write, send
and apply. One write is under way at a time; a message that promises something (a vote, an acknowledgement) leaves only
after the write that makes the promise true. Heartbeats and appends of a leader promise nothing new and leave at once.

Elections ask first (PreVote), a member that hears its leader refuses (stickiness), and a leader that does not hear a
quorum steps down (CheckQuorum). Members change one at a time, and only after an entry of the own term is committed.

Promises: at most one leader per term; what is committed stays; a reply of another term, store or message is no answer.
Never: knows what an entry means, or how long a tick is.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.mesh.raft.log import CutsCommitted, Log
from odyssey.mesh.raft.peers import Flow, Peer
from odyssey.mesh.raft.types import (
    AnyMessage,
    Append,
    AppendReply,
    Busy,
    Config,
    ConfigRefused,
    HardState,
    Heartbeat,
    HeartbeatReply,
    Install,
    Kind,
    LogEntry,
    Member,
    NotLeader,
    Outgoing,
    Ready,
    Role,
    Snapshot,
    TakeOver,
    VoteReply,
    VoteRequest,
    Write,
)

HEARTBEAT_TICKS: Final = 3
ELECTION_TICKS: Final = 15  # up to twice as many, drawn anew each time
FLUSH_TICKS: Final = 10
MAX_PROPOSALS: Final = 4096
MAX_PROPOSED_BYTES: Final = 16 << 20
APPEND_ENTRIES: Final = 1024
APPEND_BYTES: Final = 512 << 10
APPLY_AT_ONCE: Final = 1024


class Core:
    def __init__(self, me: Member, hard: HardState, log: Log, entropy: Entropy) -> None:
        self.me, self.log, self._entropy = me, log, entropy
        self.term, self.vote = hard.term, hard.vote
        self.role = Role.FOLLOWER
        self.leader: Member | None = None
        self.rewound: Member | None = None  # a leader that asked us to cut what is committed
        self.in_step: frozenset[Member] = frozenset()  # standbys that must hold an entry too, where one votes alone
        self.peers: dict[Member, Peer] = {}
        self.transferring: Member | None = None
        self._votes: dict[Member, bool] = {}
        self._saved = hard
        self._outbox: list[Outgoing] = []
        self._gated: list[tuple[int, Outgoing]] = []  # leaves once the write of this number is done
        self._writes = 0  # number of the newest write handed out
        self._writing: Write | None = None
        self._ticks = 0
        self._flush = False  # time to write down how far is committed, if nothing else is written
        self._self_vote_at = 0  # the write that makes one's own vote count
        self._fetch: Snapshot | None = None
        self._installing: Snapshot | None = None
        self._round = 0
        self._proposed: deque[tuple[int, int]] = deque()  # index and bytes of proposals not committed yet
        self._proposed_bytes = 0
        self._become_follower(hard.term, None)

    # -- asked by the driver -------------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        return self.log.config

    @property
    def is_leader(self) -> bool:
        return self.role is Role.LEADER

    @property
    def leads_safely(self) -> bool:
        """Leads, and has committed an entry of this term: only now it knows all that was ever committed."""
        return self.is_leader and self.log.term(self.log.commit) == self.term

    @property
    def confirmed_round(self) -> int:
        """The newest heartbeat round that a quorum has answered."""
        if not self.is_leader:
            return 0
        rounds = [self._round if voter == self.me else self._peer_round(voter) for voter in self.config.voters]
        return quorum_value(rounds)

    def _peer_round(self, member: Member) -> int:
        peer = self.peers.get(member)
        return peer.round if peer is not None else 0

    def confirm(self) -> int:
        """Ask everyone now; leadership at this moment is proven once `confirmed_round` reaches the returned round."""
        self._need_leader()
        self._heartbeat()
        return self._round

    def propose(self, data: bytes, kind: Kind = Kind.COMMAND, urgent: bool = False) -> int:
        """The index the entry gets; whether it is ever committed shows later."""
        self._need_leader()
        full = len(self._proposed) >= MAX_PROPOSALS or self._proposed_bytes + len(data) > MAX_PROPOSED_BYTES
        if (full and not urgent) or self.transferring is not None:
            raise Busy(f"{len(self._proposed)} proposals are outstanding")
        index = self._append(kind, data)
        self._proposed.append((index, len(data)))
        self._proposed_bytes += len(data)
        return index

    def propose_config(self, config: Config) -> int:
        """One voter more or less at a time; new members learn first."""
        self._need_leader()
        reason = self._unsafe(config)
        if reason:
            raise ConfigRefused(reason)
        index = self._append(Kind.CONFIG, wire.encode(config))
        self._follow_config()
        return index

    def _unsafe(self, config: Config) -> str:
        now = self.config
        if self.log.config_index > self.log.commit:
            return "another change is not committed yet"
        if not self.leads_safely:
            return "no entry of this term is committed yet"
        if not config.voters or set(config.voters) & set(config.learners) or has_doubles(config):
            return "a member must be either a voter or a learner, and somebody must vote"
        changed = set(now.voters) ^ set(config.voters)
        if len(changed) > 1:
            return "more than one voter changes"
        for member in set(config.voters) - set(now.voters):
            if member not in now.learners:
                return f"{member.node} has not learnt the log yet"
        return ""

    def transfer(self, to: Member) -> None:
        """Hand leadership over as soon as `to` holds everything."""
        self._need_leader()
        if to == self.me or to not in self.config.voters:
            raise ConfigRefused(f"{to.node} does not vote")
        self.transferring = to
        self._elapsed = 0
        self._hand_over()

    def step_down(self) -> None:
        """Lead no more and start no election for a while; for a member that slept, or whose disk is full."""
        self._become_follower(self.term, None)

    def compact(self, snapshot: Snapshot) -> None:
        """The driver has saved a snapshot of what was applied."""
        self.log.compact(snapshot)

    def install(self, snapshot: Snapshot) -> None:
        """The driver holds the bytes of a snapshot it was asked to fetch."""
        if snapshot.index <= self.log.commit or self._fetch is None:
            self._fetch = None
            return
        self._fetch = None
        self.log.install(snapshot)
        self._installing = snapshot
        if self.leader is not None:
            self._promise(self.leader, AppendReply(self.term, self.me, True, match=snapshot.index))

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        self._elapsed += 1
        self._ticks += 1
        self._flush = self._flush or self._ticks % FLUSH_TICKS == 0
        if self.is_leader:
            self._tick_leader()
        elif self._elapsed >= self._timeout and self.me in self.config.voters:
            self._campaign(pre=True)

    def _tick_leader(self) -> None:
        self._beat += 1
        if self._beat >= HEARTBEAT_TICKS:
            self._heartbeat()
        if self._elapsed >= ELECTION_TICKS:
            self._elapsed = 0
            self.transferring = None
            self._check_quorum()

    def _check_quorum(self) -> None:
        active = sum(1 for voter in self.config.voters if voter == self.me or self._take_active(voter))
        if active * 2 <= len(self.config.voters):
            self._become_follower(self.term, None)

    def _take_active(self, member: Member) -> bool:
        peer = self.peers.get(member)
        if peer is None:
            return False
        active, peer.active = peer.active, False
        if peer.flow is Flow.SNAPSHOT and active:
            peer.restart()
        return active

    # -- roles ---------------------------------------------------------------------------------------------------------

    def _become_follower(self, term: int, leader: Member | None) -> None:
        if term > self.term:
            self.term, self.vote = term, None
        self.role, self.leader = Role.FOLLOWER, leader
        self.transferring = None
        self.peers = {}
        self.in_step = frozenset()
        self._proposed.clear()
        self._proposed_bytes = 0
        self._reset_timer()

    def _reset_timer(self) -> None:
        self._elapsed = 0
        self._beat = 0
        self._timeout = ELECTION_TICKS + self._entropy.below(ELECTION_TICKS + 1)

    def _campaign(self, pre: bool, forced: bool = False) -> None:
        if self.me not in self.config.voters:
            return
        self._reset_timer()
        self.leader = None
        self._votes = {}
        self.role = Role.PRE_CANDIDATE if pre else Role.CANDIDATE
        term = self.term + 1
        if pre:
            self._votes[self.me] = True
        else:
            self.term, self.vote = term, self.me
            self._self_vote_at = self._next_write()
        request = VoteRequest(term, self.me, self.log.last, self.log.last_term, pre, forced)
        for voter in self.config.voters:
            if voter != self.me:
                if pre:
                    self._send(voter, request)
                else:
                    self._promise(voter, request)
        self._count_votes()

    def _count_votes(self) -> None:
        voters = self.config.voters
        granted = sum(1 for voter in voters if self._votes.get(voter) is True)
        refused = sum(1 for voter in voters if self._votes.get(voter) is False)
        if granted * 2 > len(voters):
            if self.role is Role.PRE_CANDIDATE:
                self._campaign(pre=False)
            else:
                self._become_leader()
        elif refused * 2 >= len(voters):
            self._become_follower(self.term, None)

    def _become_leader(self) -> None:
        self.role, self.leader = Role.LEADER, self.me
        self.peers = {}
        self._reset_timer()
        self._follow_config()
        self._append(Kind.START, b"")
        self._heartbeat()

    def _follow_config(self) -> None:
        """Known members keep their progress, new ones begin at the end of the log."""
        self.peers = {
            member: self.peers.get(member) or Peer(self.log.last + 1)
            for member in self.config.members
            if member != self.me
        }

    # -- messages ------------------------------------------------------------------------------------------------------

    def step(self, message: AnyMessage) -> None:
        if message.term > self.term and not self._newer_term(message):
            return
        if message.term < self.term:
            self._older_term(message)
            return
        match message:
            case VoteRequest():
                self._on_vote_request(message)
            case VoteReply():
                self._on_vote_reply(message)
            case Append():
                self._follow(message.sender)
                self._on_append(message)
            case Heartbeat():
                self._follow(message.sender)
                self._advance_commit(min(message.commit, self.log.last))
                self._answer(message.sender, HeartbeatReply(self.term, self.me, message.round))
            case Install():
                self._follow(message.sender)
                self._on_install(message)
            case AppendReply():
                self._on_append_reply(message)
            case HeartbeatReply():
                self._on_heartbeat_reply(message)
            case TakeOver():
                if self.me in self.config.voters and message.sender == self.leader:
                    self._campaign(pre=False, forced=True)

    def _newer_term(self, message: AnyMessage) -> bool:
        """Whether to go on with the message after taking its term over, where it proves one."""
        if isinstance(message, VoteRequest):
            if self._sticks(message):
                return False
            if message.pre:
                self._on_vote_request(message)
                return False
            self._become_follower(message.term, None)
            return True
        if isinstance(message, VoteReply) and message.pre and message.granted:
            self._on_vote_reply(message)  # granted for the term we would stand in
            return False
        follows = isinstance(message, Append | Heartbeat | Install)
        self._become_follower(message.term, message.sender if follows else None)
        return True

    def _sticks(self, message: VoteRequest) -> bool:
        """A member that hears its leader does not help to depose it, unless the leader itself wants that."""
        if message.forced:
            return False
        return self.is_leader or (self.leader is not None and self._elapsed < ELECTION_TICKS)

    def _older_term(self, message: AnyMessage) -> None:
        """Tell a leader or candidate of an old term that it is one. A reply of an old term is nobody's answer."""
        if isinstance(message, Append | Heartbeat | Install):
            self._promise(message.sender, AppendReply(self.term, self.me, False))
        elif isinstance(message, VoteRequest):
            self._promise(message.sender, VoteReply(self.term, self.me, False, message.pre))

    def _follow(self, leader: Member) -> None:
        if self.role is not Role.FOLLOWER or self.leader != leader:
            self._become_follower(self.term, leader)
        self._elapsed = 0

    # -- votes ---------------------------------------------------------------------------------------------------------

    def _on_vote_request(self, request: VoteRequest) -> None:
        up_to_date = (request.last_term, request.last_index) >= (self.log.last_term, self.log.last)
        if request.pre:
            granted = up_to_date and request.term > self.term
            self._send(request.sender, VoteReply(request.term if granted else self.term, self.me, granted, True))
            return
        free = self.vote is None or self.vote == request.sender
        granted = up_to_date and free and self.role is Role.FOLLOWER
        if granted:
            self.vote = request.sender
            self._elapsed = 0
        self._promise(request.sender, VoteReply(self.term, self.me, granted))

    def _on_vote_reply(self, reply: VoteReply) -> None:
        wanted = Role.PRE_CANDIDATE if reply.pre else Role.CANDIDATE
        if self.role is not wanted or reply.sender not in self.config.voters:
            return
        if reply.pre and reply.granted and reply.term != self.term + 1:
            return
        self._votes.setdefault(reply.sender, reply.granted)
        self._count_votes()

    # -- following -----------------------------------------------------------------------------------------------------

    def _on_append(self, append: Append) -> None:
        term = self.log.term(append.prev_index)
        if append.prev_index < self.log.snapshot.index:
            self._promise(append.sender, AppendReply(self.term, self.me, True, match=self.log.commit))
            return
        if term != append.prev_term:
            hint = self._hint(append)
            self._promise(append.sender, AppendReply(self.term, self.me, False, 0, append.prev_index, hint))
            return
        try:
            self.log.merge(append.entries)
        except CutsCommitted:
            self.rewound = append.sender
            reply = AppendReply(self.term, self.me, False, 0, append.prev_index, self.log.commit, rewound=True)
            self._promise(append.sender, reply)
            return
        match = append.prev_index + len(append.entries)
        self._advance_commit(min(append.commit, match))
        self._promise(append.sender, AppendReply(self.term, self.me, True, match=match))

    def _hint(self, append: Append) -> int:
        """The end of our log, or the last entry that is not younger than what was asked about."""
        hint = min(append.prev_index - 1, self.log.last)
        while hint > self.log.commit and (self.log.term(hint) or 0) > append.prev_term:
            hint -= 1
        return max(hint, 0)

    def _on_install(self, message: Install) -> None:
        snapshot = message.snapshot
        if snapshot.index <= self.log.commit:
            self._promise(message.sender, AppendReply(self.term, self.me, True, match=self.log.commit))
        elif self.log.term(snapshot.index) == snapshot.term:
            self._advance_commit(snapshot.index)
            self._promise(message.sender, AppendReply(self.term, self.me, True, match=snapshot.index))
        else:
            self._fetch = snapshot

    def _advance_commit(self, index: int) -> None:
        if index > self.log.commit:
            self.log.commit = index

    # -- leading -------------------------------------------------------------------------------------------------------

    def _need_leader(self) -> None:
        if not self.is_leader:
            raise NotLeader(self.leader)

    def _append(self, kind: Kind, data: bytes) -> int:
        index = self.log.last + 1
        self.log.append(LogEntry(index, self.term, kind, data))
        return index

    def _replicate(self) -> None:
        for member, peer in self.peers.items():
            while peer.may_send and peer.next <= self.log.last:
                if not self._send_append(member, peer):
                    break

    def _send_append(self, member: Member, peer: Peer) -> bool:
        prev_index = peer.next - 1
        prev_term = self.log.term(prev_index)
        if prev_term is None:
            peer.needs_snapshot()
            self._send(member, Install(self.term, self.me, self.log.snapshot))
            return False
        entries = self.log.since(peer.next, APPEND_ENTRIES, APPEND_BYTES)
        self._send(member, Append(self.term, self.me, prev_index, prev_term, entries, self.log.commit))
        peer.sent(prev_index + len(entries))
        return True

    def _heartbeat(self) -> None:
        self._beat = 0
        self._round += 1
        for member, peer in self.peers.items():
            self._send(member, Heartbeat(self.term, self.me, min(peer.match, self.log.commit), self._round))

    def _on_append_reply(self, reply: AppendReply) -> None:
        peer = self.peers.get(reply.sender) if self.is_leader else None
        if peer is None:
            return
        peer.active = True
        if reply.rewound:
            self._become_follower(self.term, None)  # our own log has gone back: lead no more
            return
        if reply.ok:
            if peer.accepted(reply.match):
                self._commit_what_a_quorum_holds()
            self._hand_over()
        else:
            peer.refused(reply.prev_index, reply.hint)
        self._probe(reply.sender, peer)

    def _probe(self, member: Member, peer: Peer) -> None:
        if peer.flow is Flow.PROBE and peer.may_send:
            self._send_append(member, peer)

    def _on_heartbeat_reply(self, reply: HeartbeatReply) -> None:
        peer = self.peers.get(reply.sender) if self.is_leader else None
        if peer is None:
            return
        peer.active = True
        peer.round = max(peer.round, reply.round)
        peer.alive()
        if peer.match < self.log.last and peer.may_send:
            self._send_append(reply.sender, peer)

    def _commit_what_a_quorum_holds(self) -> None:
        if not self.is_leader:
            return
        index = quorum_value([self._held_by(voter) for voter in self.config.voters])
        if len(self.config.voters) == 1:
            index = min([index, *(self._held_by(member) for member in self.in_step)])
        if index <= self.log.commit or self.log.term(index) != self.term:
            return
        self._advance_commit(index)
        while self._proposed and self._proposed[0][0] <= index:
            self._proposed_bytes -= self._proposed.popleft()[1]
        for member, peer in self.peers.items():  # so that followers apply without waiting for the next heartbeat
            if peer.match == self.log.last:
                self._send(member, Heartbeat(self.term, self.me, min(peer.match, index), self._round))
        if self.me not in self.config.voters and self.log.config_index <= index:
            self._become_follower(self.term, None)

    def _held_by(self, member: Member) -> int:
        if member == self.me:
            return self.log.stable
        peer = self.peers.get(member)
        return peer.match if peer is not None else 0

    def _hand_over(self) -> None:
        peer = self.peers.get(self.transferring) if self.transferring is not None else None
        if self.transferring is not None and peer is not None and peer.match == self.log.last:
            self._send(self.transferring, TakeOver(self.term, self.me))

    # -- what is to be done --------------------------------------------------------------------------------------------

    def _send(self, to: Member, message: AnyMessage) -> None:
        self._outbox.append(Outgoing(to, message))

    def _promise(self, to: Member, message: AnyMessage) -> None:
        """Leaves when all that is in memory now is on disk."""
        number = self._next_write() if self._is_dirty() else self._writes
        if self._writing is None and number == self._writes:
            self._outbox.append(Outgoing(to, message))
        else:
            self._gated.append((number, Outgoing(to, message)))

    def _answer(self, to: Member, message: AnyMessage) -> None:
        """Promises the term only, so a slow write of entries does not hold it up."""
        if self._saved.term == self.term:
            self._send(to, message)
        else:
            self._promise(to, message)

    def _next_write(self) -> int:
        return self._writes + 1

    def _hard(self) -> HardState:
        return HardState(self.term, self.vote, self.log.commit)

    def _is_dirty(self) -> bool:
        """Something is in memory that no write, done or under way, holds. How far is committed can wait for another."""
        write = self._writing
        hard = write.hard if write is not None else self._saved
        if (self.term, self.vote) != (hard.term, hard.vote) or self._installing is not None:
            return True
        if write is None or not write.entries:
            return self.log.stable < self.log.last
        return (write.entries[-1].index, write.entries[-1].term) != (self.log.last, self.log.last_term)

    def ready(self) -> Ready:
        """What to do now. Call again after `written`, and after anything that changed the core."""
        write = None
        if self._writing is None and (self._is_dirty() or (self._flush and self._hard() != self._saved)):
            self._flush = False
            self._writes += 1
            write = Write(self._writes, self._hard(), self.log.unstable(), self._installing)
            self._writing, self._installing = write, None
        if self.is_leader:
            self._replicate()  # only here, so that what was proposed together travels together
        messages, self._outbox = tuple(self._outbox), []
        return Ready(write, messages, self.log.hand_out(APPLY_AT_ONCE), self._fetch)

    def written(self, number: int) -> None:
        """The write of this number is on disk."""
        write = self._writing
        if write is None or write.number != number:
            return
        self._writing, self._saved = None, write.hard
        if write.entries:
            self.log.written(write.entries[-1])
        self._outbox += [outgoing for gate, outgoing in self._gated if gate <= number]
        self._gated = [(gate, outgoing) for gate, outgoing in self._gated if gate > number]
        if self.role is Role.CANDIDATE and self._self_vote_at <= number and self.vote == self.me:
            self._votes[self.me] = True
            self._count_votes()
        self._commit_what_a_quorum_holds()


def quorum_value(values: Iterable[int]) -> int:
    """The highest value that a majority has reached."""
    ordered = sorted(values, reverse=True)
    return ordered[len(ordered) // 2] if ordered else 0


def has_doubles(config: Config) -> bool:
    return len(set(config.members)) != len(config.members)
