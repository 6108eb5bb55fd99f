"""Machines that keep the log and its history: they come and go, their messages are lost and doubled, leaders change.

The real `Archivist` and `Holder` over a log that is simply there: an entry is committed, or, when its leader is deposed
at the wrong moment, it never was. Each machine applies it in its own time. Jobs are numbers, a segment is some of them.

Promises: the same seed gives the same run; after every step each job that has ended is where it can be found.
Never: decides what the real code decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from odyssey.clock import Entropy, SeededEntropy
from odyssey.commands import Fence
from odyssey.ids import JobId, NodeId
from odyssey.mesh.archive import Archivist, Fetch, Holder, Keeper, Retention
from odyssey.mesh.raft.types import Member, StoreId
from odyssey.mesh.roles import GONE_MS, quorum
from odyssey.messages import HaveSegment, OfferSegment
from odyssey.model import Segment

KEEP = Retention(segments=6)


class Broken(AssertionError):
    """A rule that must always hold."""


# -- the log -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    job: int


@dataclass(frozen=True)
class Archive:
    digest: bytes
    data: bytes
    required: frozenset[Member]  # for the account only


@dataclass(frozen=True)
class Drop:
    digests: tuple[bytes, ...]


@dataclass(frozen=True)
class Start:
    pass


Command = Ended | Archive | Drop | Start


def digest_of(data: bytes) -> bytes:
    return sha256(data).digest()


def jobs_in(data: bytes) -> list[int]:
    return [int(word) for word in data.split()]


@dataclass
class State:
    index: int = 0
    ended: dict[int, int] = field(default_factory=dict)  # job -> index
    segments: dict[bytes, bytes] = field(default_factory=dict)

    def apply(self, command: Command) -> tuple[bytes, ...]:
        """What was dropped by it."""
        self.index += 1
        match command:
            case Ended(job):
                self.ended[job] = self.index
            case Archive(digest, data) if all(job in self.ended for job in jobs_in(data)):
                self.segments[digest] = data
                for job in jobs_in(data):
                    del self.ended[job]
            case Drop(digests):
                return tuple(digest for digest in digests if self.segments.pop(digest, None) is not None)
            case _:
                pass
        return ()

    def copy(self) -> State:
        return State(self.index, dict(self.ended), dict(self.segments))


@dataclass
class Machine:
    member: Member
    holder: Holder
    disk: dict[bytes, bytes] = field(default_factory=dict)
    state: State = field(default_factory=State)
    up: bool = True
    silent_since: int = 0
    owes: set[bytes] = field(default_factory=set)  # what it must still have: it was there when it was archived


@dataclass
class Leader:
    machine: Machine
    fence: Fence
    archivist: Archivist
    data: bytes = b""
    ordered_at: int = 0  # index of the order on the log
    order: Archive | None = None


class World:
    def __init__(self, seed: int) -> None:
        self.draw: Entropy = SeededEntropy(seed)
        self.now = 1_000_000
        self.log: list[Command] = []
        self.whole = State()  # all that is committed
        self.machines = [self.machine(number) for number in range(2 + self.draw.below(4))]
        self.voters = 1 + 2 * self.draw.below((len(self.machines) + 1) // 2)
        self.loss = self.draw.below(400)
        self.letters: list[tuple[Machine, Machine, OfferSegment | HaveSegment]] = []
        self.fetches: list[tuple[Machine, Fetch]] = []
        self.jobs = self.term = self.archived = 0
        self.leader: Leader | None = None
        self.calm = False

    def machine(self, number: int) -> Machine:
        member = Member(NodeId(f"n{number}"), StoreId(self.draw.token(4)))
        return Machine(member, Holder(member, 0))

    @property
    def electorate(self) -> list[Machine]:
        return self.machines[: self.voters]

    def keepers(self) -> list[Keeper]:
        assert self.leader is not None
        return [
            Keeper(one.member, one in self.electorate, 0 if one is self.leader.machine else self.silence(one))
            for one in self.machines
        ]

    def silence(self, machine: Machine) -> int:
        return 0 if machine.up else self.now - machine.silent_since

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self, steps: int = 400) -> World:
        acts: list[Callable[[], None]] = [self.end_a_job] * 6 + [self.deliver] * 8 + [self.apply_some] * 6
        acts += (
            [self.lead] * 6 + [self.hold] * 8 + [self.fetch] * 4 + [self.elect, self.crash, self.restart, self.restart]
        )
        acts += [self.re_image, self.swap_voters]
        for _ in range(steps):
            self.now += self.draw.below(self.draw.choose((50, 2_000, 40_000)))
            self.draw.choose(acts)()
            self.check()
        self.settle()
        return self

    def any(self) -> Machine:
        return self.draw.choose(self.machines)

    def commit(self, command: Command) -> int:
        self.log.append(command)
        self.whole.apply(command)
        return len(self.log)

    def end_a_job(self) -> None:
        self.jobs += 1
        self.commit(Ended(self.jobs))

    def apply_some(self) -> None:
        machine = self.any()
        if machine.up:
            self.apply_to(machine, min(len(self.log), machine.state.index + 1 + self.draw.below(6)))

    def apply_to(self, machine: Machine, index: int) -> None:
        while machine.state.index < index:
            dropped = machine.state.apply(self.log[machine.state.index])
            machine.holder.released(dropped)
            machine.owes -= {*dropped}

    def elect(self) -> None:
        """Whoever leads has applied all that was committed before."""
        live = [one for one in self.electorate if one.up]
        if 2 * len(live) > self.voters:
            machine = self.draw.choose(live)
            self.term += 1
            self.commit(Start())
            self.apply_to(machine, len(self.log))
            fence = Fence(1, self.term)
            self.leader = Leader(machine, fence, Archivist(fence, len(self.log), self.now))

    def crash(self) -> None:
        """At times just so many that a quorum is left; at others the last one."""
        machine = self.any()
        if machine.up:
            machine.up, machine.silent_since = False, self.now
            if self.leader is not None and self.leader.machine is machine:
                self.leader = None
            machine.holder = Holder(machine.member, machine.state.index)

    def restart(self) -> None:
        machine = self.any()
        if not machine.up:
            machine.up = True
            machine.state = self.from_snapshot(machine)

    def from_snapshot(self, machine: Machine) -> State:
        """It begins somewhere before where it was, or is sent a newer state than it had."""
        if self.draw.chance(300):
            return self.whole.copy()
        state = State()
        for command in self.log[: self.draw.below(machine.state.index + 1)]:
            state.apply(command)
        return state

    def re_image(self) -> None:
        """A machine with an empty disk is another keeper. Not while anything exists in too few places without it."""
        machine = self.any()
        others = [one for one in self.machines if one is not machine]
        safe = all(sum(digest in one.disk for one in others) >= quorum(self.voters) for digest in self.whole.segments)
        if self.leader is None and len(others) >= 2 and safe and self.draw.chance(300):
            new = self.machine(int(machine.member.node[1:]))
            new.state = self.whole.copy()
            self.machines[self.machines.index(machine)] = new
            self.letters = [letter for letter in self.letters if machine not in letter[:2]]
            self.fetches = [fetch for fetch in self.fetches if fetch[0] is not machine]

    def swap_voters(self) -> None:
        """A standby takes a voter's place, as roles would have it: it lacks nothing."""
        old, new = self.draw.below(len(self.machines)), self.draw.below(len(self.machines))
        standby, some = self.machines[new], self.machines
        if old < self.voters <= new and standby.up and self.whole.segments.keys() <= standby.disk.keys():
            some[old], some[new] = some[new], some[old]
            if self.leader is not None and self.leader.machine is some[new]:
                self.leader = None

    # -- the coordinator -----------------------------------------------------------------------------------------------

    def lead(self) -> None:
        leader = self.leader
        if leader is None:
            return
        self.apply_to(leader.machine, len(self.log))
        state, archivist = leader.machine.state, leader.archivist
        oldest = min(state.ended.values(), default=0)
        if leader.order is not None:
            leader.order = None
            archivist.settled()
        elif archivist.is_due(len(state.ended), oldest, state.index, self.now):
            leader.data = b" ".join(b"%d" % job for job in sorted(state.ended)[:20])
            offer = archivist.offer(digest_of(leader.data), len(leader.data), state.index)
            leader.machine.holder.hear(leader.machine.member, offer)
            leader.machine.disk[offer.digest] = leader.data
        elif archivist.take_order(self.keepers()):
            self.order(leader)
        else:
            for to, offer in archivist.to_offer(self.keepers(), self.now):
                self.send(leader.machine, self.of(to), offer)
            self.retain(leader)

    def order(self, leader: Leader) -> None:
        required = frozenset(one.member for one in self.keepers() if one.silent_ms < GONE_MS)
        order = Archive(digest_of(leader.data), leader.data, required)
        fate = 9 if self.calm else self.draw.below(10)
        if fate == 0:  # deposed before it is committed: it never will be
            self.leader = None
        elif fate == 1:  # not taken
            leader.archivist.again()
        else:
            self.account(order)
            leader.ordered_at, leader.order = self.commit(order), order
            self.archived += 1
            if fate == 2:  # deposed, but committed all the same
                self.leader = None

    def account(self, order: Archive) -> None:
        holding = [one for one in self.electorate if order.digest in one.disk]
        if len(holding) < quorum(self.voters):
            raise Broken("a segment is archived that no quorum of the voters has")
        for machine in self.machines:
            if machine.member in order.required:
                if machine.disk.get(order.digest) != order.data:
                    raise Broken(f"a segment is archived that {machine.member.node} has not")
                machine.owes.add(order.digest)

    def retain(self, leader: Leader) -> None:
        held = [
            Segment(digest, JobId(1), JobId(1), 1, len(data)) for digest, data in leader.machine.state.segments.items()
        ]
        gone = leader.archivist.expired(held, KEEP, self.now)
        if gone:
            self.commit(Drop(gone))

    # -- keepers -------------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        self.hold_at(self.any())

    def hold_at(self, machine: Machine) -> None:
        if not machine.up:
            return
        wanted, holder = machine.state.segments, machine.holder
        for digest in holder.surplus(wanted, machine.disk, machine.state.index):
            del machine.disk[digest]
        answer = holder.answer(machine.disk, machine.state.index)
        if answer is not None:
            self.send(machine, self.of(answer[0]), answer[1])
        sources = [one.member for one in self.machines if one is not machine and one.up]
        fetch = holder.next_fetch(wanted, machine.disk, sources, self.now)
        if fetch is not None:
            self.fetches.append((machine, fetch))

    def fetch(self) -> None:
        """The bulk lane brings something, or breaks off, or is forgotten."""
        if not self.fetches:
            return
        machine, fetch = self.fetches.pop(self.draw.below(len(self.fetches)))
        source = self.of(fetch.source)
        if not machine.up or (not self.calm and self.draw.chance(200)):
            return
        data = source.disk.get(fetch.digest) if source is not None and source.up else None
        if data is None:
            machine.holder.failed(fetch.digest)
        else:
            machine.disk[fetch.digest] = data

    def of(self, member: Member) -> Machine | None:
        return next((one for one in self.machines if one.member == member), None)

    # -- messages ------------------------------------------------------------------------------------------------------

    def send(self, sender: Machine, to: Machine | None, message: OfferSegment | HaveSegment) -> None:
        if to is None or (not self.calm and to is not sender and self.draw.below(1000) < self.loss):
            return
        self.letters += [(sender, to, message)] * (1 + (not self.calm and self.draw.chance(150)))

    def deliver(self) -> None:
        if not self.letters:
            return
        sender, to, message = self.letters.pop(self.draw.below(len(self.letters)))
        if not to.up:
            return
        if isinstance(message, OfferSegment):
            to.holder.hear(sender.member, message)
        elif self.leader is not None and self.leader.machine is to:
            self.leader.archivist.hear(sender.member, message)

    # -- what must be true ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        for machine in self.machines:
            lost = machine.owes - machine.disk.keys()
            if lost:
                raise Broken(f"{machine.member.node} has deleted what it said it has")
            if not machine.up:
                continue
            for digest in machine.state.segments.keys() - machine.disk.keys():
                if not any(digest in one.disk for one in self.machines):
                    raise Broken(f"{machine.member.node} lacks a segment that nobody has any more")
        found = {*self.whole.ended, *(job for data in self.whole.segments.values() for job in jobs_in(data))}
        dropped = self.jobs - len(found)
        if dropped and not any(isinstance(command, Drop) for command in self.log):
            raise Broken(f"{dropped} jobs that ended are nowhere")

    def settle(self) -> None:
        """All come back, nothing is lost any more: everybody gets all history, and nothing else."""
        self.calm = True
        for machine in self.machines:
            if not machine.up:
                machine.up, machine.state = True, self.whole.copy()
        self.elect()
        self.end_a_job()  # so that there is one more offer, which clears up what never came to be
        for _ in range(300):
            self.now += 3_000
            self.lead()
            for machine in self.machines:
                self.apply_to(machine, len(self.log))
                self.hold_at(machine)
            for _ in range(len(self.letters)):
                self.deliver()
            for _ in range(len(self.fetches)):
                self.fetch()
            self.check()
        for machine in self.machines:
            lacks, surplus = self.whole.segments.keys() - machine.disk.keys(), machine.disk.keys() - self.whole.segments
            if lacks or surplus:
                raise Broken(f"{machine.member.node} lacks {len(lacks)} segments and has {len(surplus)} too many")
        if self.whole.ended:
            raise Broken(f"{len(self.whole.ended)} jobs were never archived")
