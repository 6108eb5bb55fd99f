"""Consensus among a few members: elections, replication, changes of members, snapshots, reads.

The shape is that of etcd's raft: `step`, `tick`, `propose` change the core in memory; `ready` says what to write, send
and apply. A message that promises something (a vote, an acknowledgement) leaves after the write that makes it true.
Heartbeats and appends of a leader promise nothing new and leave at once.

Elections ask first (PreVote), a member that hears its leader refuses (stickiness), and a leader that does not hear a
quorum steps down (CheckQuorum). Members change one at a time, and only after an entry of the own term is committed.

Any member votes, also one that by its own log is a learner or nobody: the candidate may know of a promotion that has
not come here yet, and may need this vote. Who counts is decided by the candidate alone, by its own config, and there a
voter is a machine with its store: the vote of an emptied machine counts for nobody.

Promises: at most one leader per term; what is committed stays; a reply of another term, store or message is no answer.
Never: knows what an entry means, or how long a tick is.
"""

from collections import deque
from typing import Final

from odyssey import wire
from odyssey.clock import Entropy
from odyssey.mesh.raft.log import CutsCommitted, Log
from odyssey.mesh.raft.members import is_majority, quorum_value, verdict, why_unsafe
from odyssey.mesh.raft.outbox import Outbox
from odyssey.mesh.raft.peers import Peer
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
    Ready,
    Role,
    Snapshot,
    TakeOver,
    VoteReply,
    VoteRequest,
)

HEARTBEAT_TICKS: Final = 3
ELECTION_TICKS: Final = 15  # up to twice as many, drawn anew each time
FLUSH_TICKS: Final = 10
MAX_PROPOSALS: Final = 4096
MAX_PROPOSED_BYTES: Final = 16 << 20
APPEND_ENTRIES: Final = 1024
APPEND_BYTES: Final = 512 << 10
APPLY_AT_ONCE: Final = 1024
NOTHING: Final = Ready()


class Core:
    def __init__(self, me: Member, hard: HardState, log: Log, entropy: Entropy, first_term: int = 0) -> None:
        """Before its log has reached `first_term`, a generation's first, its members are those of another one."""
        self.me, self.log, self._entropy, self._first_term = me, log, entropy, first_term
        self.term, self.vote = hard.term, hard.vote
        self.transferring: Member | None = None
        self.peers: dict[Member, Peer] = {}
        self.rewound: Member | None = None  # who leads or led without what is committed: its log has gone back
        self.in_step: frozenset[Member] = frozenset()  # standbys that must hold an entry too, where one votes alone
        self._outbox = Outbox(log, hard)
        self.started = 0  # the first entry of the term this member leads or last led
        self._ticks = self._elapsed = 0
        self._flush = False  # time to write down how far is committed, if nothing else is written
        self._transfer_until = 0
        self._round = 0
        # The newest heartbeat round that a quorum has answered. Of this term: what was asked in another is void.
        self.confirmed_round = 0
        self._fetch: Snapshot | None = None
        self._votes: dict[Member, bool] = {}
        self._own_vote_at = 0  # the write that makes one's own vote count
        self._forced = False
        self._proposed: deque[tuple[int, int]] = deque()  # index and bytes of proposals not committed yet
        self._become_follower(hard.term, None)
        if self.config.voters == (me,):
            self._timeout = 1  # nobody else could lead

    # -- asked by the driver -------------------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        return self.log.config

    @property
    def silent_ticks(self) -> int:
        """For so long it has not heard its leader."""
        return 0 if self.is_leader else self._elapsed

    @property
    def leads_safely(self) -> bool:
        """Leads, and has committed an entry of this term: only now it knows all that was ever committed."""
        return self.is_leader and self.log.term(self.log.commit) == self.term

    @property
    def next_round(self) -> int:
        """What is heard before this round leaves was heard before its answers."""
        return self._round + 1

    def confirm(self) -> int:
        """Ask everyone now; leadership at this moment is proven once `confirmed_round` reaches the returned round."""
        self._need_leader()
        self._heartbeat()
        return self._round

    def propose(self, data: bytes, urgent: bool = False) -> int:
        """The index the entry gets; whether it is ever committed shows later. What is urgent always finds room."""
        self._need_leader()
        if self.transferring is not None:
            raise Busy(f"leadership is being handed to {self.transferring.node}")
        full = len(self._proposed) >= MAX_PROPOSALS or self._proposed_bytes + len(data) > MAX_PROPOSED_BYTES
        if full and not urgent:
            raise Busy(f"{len(self._proposed)} proposals are outstanding")
        index = self._append(Kind.COMMAND, data)
        self._proposed.append((index, len(data)))
        self._proposed_bytes += len(data)
        return index

    def propose_config(self, config: Config) -> int:
        """One voter more or less at a time; new members learn first. It counts from now on, committed or not."""
        self._need_leader()
        if self.log.config_index > self.log.commit:
            raise ConfigRefused("another change is not committed yet")
        if not self.leads_safely:  # else a change of an older term could still come back: two quorums without overlap
            raise ConfigRefused("no entry of this term is committed yet")
        if self.transferring is not None:
            raise ConfigRefused(f"leadership is being handed to {self.transferring.node}")
        if reason := why_unsafe(self.config, config):
            raise ConfigRefused(reason)
        index = self._append(Kind.CONFIG, wire.encode(config))
        self._follow_config()
        return index

    def transfer(self, to: Member) -> None:
        """Hand leadership over as soon as `to` holds everything; given up after an election timeout."""
        self._need_leader()
        if to == self.me or to not in self.config.voters:
            raise ConfigRefused(f"{to.node} is no other voter")
        self.transferring = to
        self._transfer_until = self._ticks + ELECTION_TICKS
        self._hand_over()

    def step_down(self) -> None:
        """Lead no more and start no election for a while; for a member that slept, or whose disk is full."""
        self._become_follower(self.term, None)

    def compact(self, snapshot: Snapshot, keep_from: int | None = None) -> None:
        """The driver has saved a snapshot of what was applied, with the term and the config of its index. Entries from
        `keep_from` on stay, for members that lag."""
        self.log.compact(snapshot, keep_from)

    def install(self, snapshot: Snapshot) -> bool:
        """The driver holds the bytes it was asked to fetch. True: they are the state now. False: no longer wanted."""
        wanted = self._fetch is not None and self.role is Role.FOLLOWER and snapshot.index > self.log.commit
        self._fetch = None
        if not wanted:
            return False
        self.log.install(snapshot)
        self._outbox.installed = snapshot
        if self.leader is not None:
            self._promise(self.leader, AppendReply(self.term, self.me, True, match=snapshot.index))
        return True

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        self._ticks += 1
        self._elapsed += 1
        self._flush = self._flush or self._ticks % FLUSH_TICKS == 0
        if self.is_leader:
            self._tick_leader()
        elif self._elapsed >= self._timeout:
            if self._may_stand():
                self._campaign(pre=True)
        elif self.role is not Role.FOLLOWER and self._elapsed % HEARTBEAT_TICKS == 0:
            self._ask_for_votes()  # a request may be lost, or have come too early for a member that heard its leader

    def _tick_leader(self) -> None:
        if self._ticks >= self._transfer_until:
            self.transferring = None
        if self._elapsed % ELECTION_TICKS == 0 and not self._hears_quorum():
            self._become_follower(self.term, None)
        elif self._elapsed % HEARTBEAT_TICKS == 0 or not self.peers:  # who has nobody to ask need not wait for it
            self._heartbeat()
            self._hand_over()  # the order to take over may be lost

    def _hears_quorum(self) -> bool:
        heard = {member for member, peer in self.peers.items() if peer.take_active()} | {self.me}
        return is_majority(len(heard & set(self.config.voters)), len(self.config.voters))

    # -- roles ---------------------------------------------------------------------------------------------------------

    def _become_follower(self, term: int, leader: Member | None) -> None:
        if term > self.term:
            self.term, self.vote = term, None
        self.role, self.leader, self.is_leader = Role.FOLLOWER, leader, False
        self.peers = {}
        self.confirmed_round = 0
        self.in_step = frozenset()
        self.transferring = None
        self._proposed.clear()
        self._proposed_bytes = 0
        self._reset_timer()

    def _reset_timer(self) -> None:
        self._elapsed = 0
        self._timeout = ELECTION_TICKS + self._entropy.below(ELECTION_TICKS + 1)

    def _may_stand(self) -> bool:
        """Also who was just taken off the voters: until that is committed nobody else may have a log as good. It then
        needs the votes of the others; its own does not count."""
        voters = {*self.config.voters, *self.log.config_at(self.log.commit).voters}
        return self.me in voters and self.log.last_term >= self._first_term

    def _campaign(self, pre: bool, forced: bool = False) -> None:
        self._reset_timer()
        self.leader, self._forced, self._votes = None, forced, {}
        if pre:
            self.role = Role.PRE_CANDIDATE
            self._votes[self.me] = True
        else:
            self.role = Role.CANDIDATE
            self.term, self.vote = self.term + 1, self.me
            self._own_vote_at = self._outbox.covering(self.term, self.vote)
        self._ask_for_votes()
        self._count_votes()

    def _ask_for_votes(self) -> None:
        """A real request says that one's own vote is given, so it waits for that; the question before says nothing."""
        pre = self.role is Role.PRE_CANDIDATE
        term = self.term + 1 if pre else self.term
        request = VoteRequest(term, self.me, self.log.last, self.log.last_term, pre, self._forced)
        for voter in self.config.voters:
            if voter != self.me and voter not in self._votes:
                (self._send if pre else self._promise)(voter, request)

    def _count_votes(self) -> None:
        won = verdict(self._votes, self.config.voters)
        if won is False:
            self._become_follower(self.term, None)
        elif won and self.role is Role.PRE_CANDIDATE:
            self._campaign(pre=False)
        elif won:
            self._become_leader()

    def _become_leader(self) -> None:
        self.role, self.leader, self.is_leader = Role.LEADER, self.me, True
        self._fetch = None
        self._reset_timer()
        self.started = self._append(Kind.START, b"")
        self._follow_config()

    def _follow_config(self) -> None:
        """Known members keep their progress, new ones are asked about the end of the log."""
        others = [member for member in self.config.members if member != self.me]
        self.peers = {member: self.peers.get(member) or Peer(self.log.last) for member in others}
        self._count_answers()

    # -- messages ------------------------------------------------------------------------------------------------------

    def step(self, message: AnyMessage) -> None:
        if message.term > self.term and not self._newer_term(message):
            return
        if message.term < self.term:
            self._older_term(message)
            return
        match message:
            case Append() | Heartbeat() | Install():
                if not self.is_leader:  # nobody else leads this term
                    self._on_leader(message)
            case AppendReply():
                self._on_append_reply(message)
            case HeartbeatReply():
                self._on_heartbeat_reply(message)
            case VoteRequest():
                self._on_vote_request(message)
            case VoteReply():
                self._on_vote_reply(message)
            case TakeOver():
                if message.sender == self.leader and self._may_stand():
                    self._campaign(pre=False, forced=True)

    def _newer_term(self, message: AnyMessage) -> bool:
        """Whether to go on with the message after taking its term over, where it proves one."""
        if isinstance(message, VoteRequest):
            if self._sticks(message):
                return False
            if message.pre:
                self._on_vote_request(message)
                return False
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
            self._answer(message.sender, AppendReply(self.term, self.me, False))
        elif isinstance(message, VoteRequest):
            self._answer(message.sender, VoteReply(self.term, self.me, message.sender, False, message.pre))

    def _on_leader(self, message: Append | Heartbeat | Install) -> None:
        if self.leader != message.sender:
            self._become_follower(self.term, message.sender)
        self._elapsed = 0
        match message:
            case Append():
                self._on_append(message)
            case Heartbeat():
                self._on_heartbeat(message)
            case Install():
                self._on_install(message.snapshot, message.sender)

    # -- votes ---------------------------------------------------------------------------------------------------------

    def _on_vote_request(self, request: VoteRequest) -> None:
        theirs, ours = (request.last_term, request.last_index), (self.log.last_term, self.log.last)
        if request.pre:
            # Of two with equal logs who ask at once one gives way. Else each votes for itself, and both wait again.
            yields = self.role is not Role.PRE_CANDIDATE or theirs != ours or request.sender < self.me
            granted = theirs >= ours and request.term > self.term and yields
            term = request.term if granted else self.term
            self._send(request.sender, VoteReply(term, self.me, request.sender, granted, pre=True))
            return
        free = self.vote == request.sender or (self.vote is None and self.leader is None)
        granted = theirs >= ours and free
        if granted:
            self.vote = request.sender
            self._elapsed = 0
            if self.role is Role.PRE_CANDIDATE:
                self._become_follower(self.term, None)
        reply = VoteReply(self.term, self.me, request.sender, granted)
        (self._promise if granted else self._answer)(request.sender, reply)

    def _on_vote_reply(self, reply: VoteReply) -> None:
        wanted = Role.PRE_CANDIDATE if reply.pre else Role.CANDIDATE
        if self.role is not wanted or reply.candidate != self.me:
            return
        if reply.pre and reply.granted and reply.term != self.term + 1:
            return
        self._votes.setdefault(reply.sender, reply.granted)
        self._count_votes()

    # -- following -----------------------------------------------------------------------------------------------------

    def _on_append(self, append: Append) -> None:
        prev_index, prev_term = append.prev_index, append.prev_term
        try:
            match = self.log.merge(prev_index, prev_term, append.entries)
        except CutsCommitted:
            self.rewound = append.sender
            self._answer(append.sender, AppendReply(self.term, self.me, False, prev_index=prev_index, rewound=True))
            return
        if match is None:
            hint = self.log.hint(prev_index, prev_term)
            self._answer(append.sender, AppendReply(self.term, self.me, False, prev_index=prev_index, hint=hint))
            return
        self.log.commit_to(min(append.commit, match))
        self._promise(append.sender, AppendReply(self.term, self.me, True, match=match))

    def _on_heartbeat(self, heartbeat: Heartbeat) -> None:
        if self.log.term(heartbeat.commit) == heartbeat.commit_term:
            self.log.commit_to(heartbeat.commit)
        self._answer(heartbeat.sender, HeartbeatReply(self.term, self.me, heartbeat.round))

    def _on_install(self, snapshot: Snapshot, leader: Member) -> None:
        if self.log.term(snapshot.index) == snapshot.term:
            self.log.commit_to(snapshot.index)
        if snapshot.index <= self.log.commit:
            self._promise(leader, AppendReply(self.term, self.me, True, match=self.log.commit))
        else:
            self._fetch = snapshot

    # -- leading -------------------------------------------------------------------------------------------------------

    def _need_leader(self) -> None:
        if not self.is_leader:
            raise NotLeader(self.leader)

    def _append(self, kind: Kind, data: bytes) -> int:
        index = self.log.last + 1
        self.log.append(LogEntry(index, self.term, kind, data))
        return index

    def _replicate(self) -> None:
        last, commit = self.log.last, self.log.commit
        for member, peer in self.peers.items():
            while peer.lacks(last, commit) and peer.may_send:
                self._send_append(member, peer)

    def _send_append(self, member: Member, peer: Peer) -> None:
        prev_index = peer.next - 1
        prev_term = self.log.term(prev_index)
        if prev_term is None:
            peer.needs_snapshot()
            self._send(member, Install(self.term, self.me, self.log.snapshot))
            return
        entries = self.log.since(peer.next, APPEND_ENTRIES, APPEND_BYTES)
        self._send(member, Append(self.term, self.me, prev_index, prev_term, entries, self.log.commit))
        peer.sent(prev_index + len(entries))
        peer.told = self.log.commit

    def _heartbeat(self) -> None:
        self._round += 1
        commit, term = self.log.commit, self.log.term(self.log.commit) or 0
        for member in self.peers:
            self._send(member, Heartbeat(self.term, self.me, commit, term, self._round))
        self._count_answers()

    def _on_append_reply(self, reply: AppendReply) -> None:
        peer = self.peers.get(reply.sender)
        if peer is None:
            return
        peer.heard()
        if reply.rewound or reply.match > self.log.last:
            self.rewound = self.me  # our own log has gone back: lead no more
            self._become_follower(self.term, None)
        elif reply.ok:
            peer.accepted(reply.match)
            self._hand_over()
        else:
            peer.refused(reply.prev_index, reply.hint)

    def _on_heartbeat_reply(self, reply: HeartbeatReply) -> None:
        peer = self.peers.get(reply.sender)
        if peer is None:
            return
        peer.heard()
        peer.beat_answered(reply.round)
        self._count_answers()
        if peer.match < self.log.last and peer.may_send:
            self._send_append(reply.sender, peer)  # also an empty one: its answer shows what was lost

    def _count_answers(self) -> None:
        mine, peers = self._round, self.peers
        rounds = [mine if voter == self.me else peers[voter].round for voter in self.config.voters]
        self.confirmed_round = quorum_value(rounds)

    def _commit_what_a_quorum_holds(self) -> None:
        """Only an entry of this term is committed by counting; those before it are with it."""
        if self.log.commit == self.log.last:
            return
        peers, voters = self.peers, self.config.voters
        mine = self.log.stable
        index = quorum_value([mine if voter == self.me else peers[voter].match for voter in voters])
        if len(voters) == 1:
            index = min([index, *(peers[member].match for member in self.in_step if member in peers)])
        if index <= self.log.commit or self.log.term(index) != self.term:
            return
        self.log.commit_to(index)
        while self._proposed and self._proposed[0][0] <= index:
            self._proposed_bytes -= self._proposed.popleft()[1]
        if self.me not in self.config.voters and self.log.config_index <= index:
            self._heartbeat()  # the others should know that we were let go
            self._become_follower(self.term, None)

    def _hand_over(self) -> None:
        to = self.transferring
        if to is not None and to in self.peers and self.peers[to].match == self.log.last:
            self._send(to, TakeOver(self.term, self.me))

    # -- what is to be done --------------------------------------------------------------------------------------------

    def _send(self, to: Member, message: AnyMessage) -> None:
        self._outbox.send(to, message)

    def _promise(self, to: Member, message: AnyMessage) -> None:
        """Leaves when all that is in memory now is on disk."""
        self._outbox.send_after(self._outbox.covering(self.term, self.vote), to, message)

    def _answer(self, to: Member, message: AnyMessage) -> None:
        """Promises the term only, so a slow write of entries does not hold it up."""
        if self._outbox.saved.term == self.term:
            self._send(to, message)
        else:
            self._promise(to, message)

    def ready(self) -> Ready:
        """What to do now. Call again after `written`, after anything that changed the core, and after each Ready that
        had something to apply."""
        if self.is_leader:
            self._commit_what_a_quorum_holds()
        write = self._outbox.next_write(self.term, self.vote, self._flush)
        if write is not None:
            self._flush = False
        if self.is_leader:
            self._replicate()  # only here, so that what was proposed together travels together
        if self._fetch is not None and self._fetch.index <= self.log.commit:
            self._fetch = None
        messages, committed = self._outbox.take(), self.log.hand_out(APPLY_AT_ONCE)
        if write is None and not messages and not committed and self._fetch is None:
            return NOTHING
        return Ready(write, messages, committed, self._fetch)

    def written(self, number: int) -> None:
        """The write of this number is on disk."""
        done = self._outbox.done(number, self.term)
        if done and self.role is Role.CANDIDATE and number >= self._own_vote_at:
            self._votes[self.me] = True
            self._count_votes()
