"""Machines that lose sight of each other, and people who recover the mesh too often: what becomes of the generations.

The real `judge`, `recovery`, `why_not`, `first_write` and `step_to_child` over a small model of consensus: elections
and replication happen in one step among those that reach each other, by the rules of Raft. What they tell each other
about generations is lost, doubled and late. At the end the cuts heal, nobody recovers any more, and what is left must
come together.

Promises: the same seed gives the same run; each broken rule is told by its name.
Never: decides what the real code decides.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from odyssey import wire
from odyssey.clock import Entropy, SeededEntropy
from odyssey.commands import Fence
from odyssey.ids import NodeId
from odyssey.mesh.generation import Charter, Fork, Generation, Lineage, Stand, Verdict, is_signed, judge, signed
from odyssey.mesh.raft.types import Config, HardState, Kind, LogEntry, Member, Snapshot, StoreId
from odyssey.mesh.recover import CannotRecover, Keeps, Standing, child, first_write, recovery, step_to_child, why_not
from odyssey.mesh.store import Loaded

MESH = b"m" * 16
ROOT = Lineage(MESH, Generation(1, b"r" * 16))


class Broken(AssertionError):
    """A rule that must always hold."""


# -- keys: the port for signatures, as a shared secret for each machine ------------------------------------------------


def sign_as(node: NodeId) -> Callable[[bytes], bytes]:
    return lambda data: hmac.digest(f"key of {node}".encode(), data, sha256)


def verify(node: NodeId, data: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(sign_as(node)(data), signature)


# -- one machine -------------------------------------------------------------------------------------------------------


@dataclass
class Machine:
    node: NodeId
    member: Member
    lineage: Lineage = ROOT
    log: list[LogEntry] = field(default_factory=list)
    hard: HardState = field(default_factory=HardState)
    followed: list[Generation] = field(default_factory=lambda: [ROOT.root])
    fence: Fence = field(default_factory=lambda: Fence(0, 0))
    leads: bool = False
    hears: NodeId | None = None
    rivals: set[Generation] = field(default_factory=set)  # of the same number, which give way
    tails: list[list[LogEntry]] = field(default_factory=list)  # of stores that were set aside
    alarms: int = 0

    @property
    def loaded(self) -> Loaded:
        return Loaded(self.hard, Snapshot(), self.log, 1)

    @property
    def end(self) -> Fork:
        return Fork(self.log[-1].term, len(self.log)) if self.log else Fork()

    @property
    def config(self) -> Config:
        found = [entry for entry in self.log if entry.kind is Kind.CONFIG]
        return wire.decode(found[-1].data, Config) if found else Config()

    @property
    def is_settled(self) -> bool:
        return self.leads and self.hard.commit == len(self.log) and self.end.term == self.hard.term

    @property
    def standing(self) -> Standing:
        keeps = Keeps.NOTHING
        if self.log:
            keeps = Keeps.VOTER if self.member in self.config.voters else Keeps.STANDBY
        voters = self.config.voters
        return Standing(
            self.member, self.lineage, keeps, self.end, self.hard.term, self.hard.commit, voters, self.hears, 0
        )

    def rest(self) -> None:
        self.leads, self.hears = False, None

    def adopt(self, lineage: Lineage) -> None:
        """The new generation is durable first; then the founder writes."""
        self.rest()
        self.lineage = lineage
        self.followed.append(lineage.tip)
        self.rivals.clear()

    def begin(self) -> None:
        write = first_write(self.lineage.charters[-1], self.member, self.loaded) if self.lineage.charters else None
        if write is not None:
            self.log += write.entries
            self.hard = write.hard

    def set_aside(self, store: StoreId) -> None:
        self.tails.append(self.log)
        self.log, self.hard, self.member = [], HardState(), Member(self.node, store)

    def hear_leader(self, leader: Machine) -> None:
        heard = Fence(leader.lineage.tip.number, leader.hard.term)
        if heard < self.fence:
            raise Broken(f"{self.node}: after the coordinator {self.fence} came {heard}")
        self.fence, self.hears = heard, leader.node
        self.leads = self is leader

    def meet_term(self, term: int) -> None:
        if term > self.hard.term:
            self.hard = HardState(term, None, self.hard.commit)
            self.rest()


@dataclass(frozen=True)
class Note:
    """What travels: somebody's line, or a charter that its founder is asked to begin."""

    to: NodeId
    sender: NodeId
    lineage: Lineage
    charter: Charter | None = None


# -- the mesh ----------------------------------------------------------------------------------------------------------


class World:
    def __init__(self, seed: int, judging: Callable[..., Verdict] = judge, knows_voters: bool = True) -> None:
        self.draw: Entropy = SeededEntropy(seed)
        self.judging, self.knows_voters = judging, knows_voters
        count = 2 + self.draw.below(4)
        nodes = [NodeId(f"n{number}") for number in range(count)]
        self.machines = {node: Machine(node, Member(node, self.store_id())) for node in nodes}
        self.side = dict.fromkeys(nodes, 0)
        self.notes: list[Note] = []
        self.acknowledged: list[bytes] = []
        self.words = self.recoveries = 0
        self._found([machine.member for machine in self.machines.values()])

    def _found(self, members: list[Member]) -> None:
        voters = tuple(members[: 1 + 2 * self.draw.below((len(members) + 1) // 2)])
        first = LogEntry(1, 1, Kind.CONFIG, wire.encode(Config(voters)))
        for machine in self.machines.values():
            machine.log, machine.hard = [first], HardState(1, None, 1)

    def store_id(self) -> StoreId:
        return StoreId(self.draw.token(8))

    def reached_by(self, machine: Machine) -> list[Machine]:
        return [other for other in self.machines.values() if self.side[other.node] == self.side[machine.node]]

    def kin(self, machine: Machine) -> list[Machine]:
        """Those in reach that follow the same generation, the machine itself among them."""
        return [other for other in self.reached_by(machine) if other.lineage.tip == machine.lineage.tip]

    # -- the run -------------------------------------------------------------------------------------------------------

    def run(self, steps: int = 120) -> World:
        acts = [self.elect] * 3 + [self.work] * 5 + [self.gossip] * 4 + [self.deliver] * 6
        acts += [self.cut] * (1 + self.draw.below(3)) + [self.recover] * (1 + self.draw.below(4))
        acts += [self.heal, self.crash, self.resize, self.resize]
        for _ in range(steps):
            self.draw.choose(acts)()
            self.check()
        self.calm()
        return self

    def any(self) -> Machine:
        return self.draw.choose(list(self.machines.values()))

    def cut(self) -> None:
        self.side = {node: self.draw.below(2) for node in self.machines}
        for machine in self.machines.values():
            if machine.hears is not None and self.side[machine.hears] != self.side[machine.node]:
                machine.hears = None if self.draw.chance(700) else machine.hears

    def heal(self) -> None:
        self.side = dict.fromkeys(self.machines, 0)

    def crash(self) -> None:
        machine = self.any()
        machine.rest()
        machine.begin()  # what was interrupted goes on at the start

    # -- consensus in one step -----------------------------------------------------------------------------------------

    def elect(self) -> None:
        self.stand(self.any())

    def stand(self, machine: Machine) -> None:
        """If enough voters of its own log, of its generation and with logs no better than its own, are in reach."""
        kin, voters = self.kin(machine), machine.config.voters
        willing = [one for one in kin if one.end <= machine.end]
        if self.knows_voters and machine.end.term < machine.lineage.first_term:
            return
        if machine.member not in voters or 2 * sum(one.member in voters for one in willing) <= len(voters):
            return
        term = 1 + max(one.hard.term for one in kin)
        for one in kin:
            one.meet_term(term)
        machine.leads, machine.hears = True, machine.node
        self.append(machine, Kind.START, b"", kin)

    def work(self) -> None:
        leaders = [machine for machine in self.machines.values() if machine.leads]
        if leaders:
            leader = self.draw.choose(leaders)
            self.words += 1
            word = b"%d" % self.words
            to = [one for one in self.kin(leader) if one is leader or self.draw.chance(700)]
            if self.append(leader, Kind.COMMAND, word, to):
                self.acknowledged.append(word)

    def resize(self) -> None:
        leaders = [machine for machine in self.machines.values() if machine.leads]
        if leaders:
            leader = self.draw.choose(leaders)
            self.resize_to(leader, [one.member for one in self.kin(leader)])

    def resize_to(self, leader: Machine, members: list[Member]) -> None:
        """One voter more or less, if the change before is committed, and something of this term."""
        if not leader.is_settled:
            return
        voters = list(leader.config.voters)
        gone = [one for one in voters if one not in members]
        new = [one for one in members if one not in voters]
        if gone:
            voters.remove(gone[0])
        elif new:
            voters.append(new[0])
        self.append(leader, Kind.CONFIG, wire.encode(Config(tuple(voters))), self.kin(leader))

    def append(self, leader: Machine, kind: Kind, data: bytes, to: Iterable[Machine]) -> bool:
        """Whether it is committed at once."""
        followers = [one for one in to if one.lineage.tip == leader.lineage.tip]
        if any(one.hard.term > leader.hard.term for one in followers):
            leader.rest()
            return False
        leader.log.append(LogEntry(len(leader.log) + 1, leader.hard.term, kind, data))
        for one in followers:
            one.meet_term(leader.hard.term)
            one.hear_leader(leader)
            self.replicate(leader, one)
        voters = leader.config.voters
        if leader.member not in voters and kind is Kind.CONFIG:
            raise AssertionError("the model never takes the leader itself off the voters")
        if 2 * sum(one.member in voters for one in {id(one): one for one in (*followers, leader)}.values()) <= len(
            voters
        ):
            return False
        for one in (*followers, leader):
            one.hard = HardState(one.hard.term, one.hard.vote, len(leader.log))
        return True

    def replicate(self, leader: Machine, follower: Machine) -> None:
        if follower is leader:
            return
        same = [mine == theirs for mine, theirs in zip(follower.log, leader.log, strict=False)]
        equal = same.index(False) if False in same else min(len(follower.log), len(leader.log))
        if equal < follower.hard.commit:
            raise Broken(f"{follower.node} was to cut entry {equal + 1}, but {follower.hard.commit} are committed")
        follower.log[equal:] = leader.log[equal:]

    # -- generations ---------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Somebody who does not know better types it here."""
        door = self.any()
        answers = [one.standing for one in self.reached_by(door)]
        try:
            found = recovery(answers, door.node, self.draw)
        except CannotRecover:
            return
        self.recoveries += 1
        charter = signed(found.charter, sign_as(door.node))
        self.send(Note(found.founder.node, door.node, found.lineage, charter))

    def gossip(self) -> None:
        sender, to = self.any(), self.any()
        if sender is not to:
            self.send(Note(to.node, sender.node, sender.lineage))

    def send(self, note: Note) -> None:
        self.notes += [note] * (1 + self.draw.chance(150))

    def deliver(self) -> None:
        """Some note, not the oldest; now and then it is lost. A cut that is over does not hold it back."""
        if self.notes:
            note = self.notes.pop(self.draw.below(len(self.notes)))
            if not self.draw.chance(150):
                self.take(note)

    def take(self, note: Note) -> None:
        machine = self.machines[note.to]
        if note.charter is not None:
            if is_signed(note.charter, verify) and not why_not(note.charter, machine.standing):
                self.found(machine, note.charter)
            return
        verdict = self.judging(Stand(machine.lineage, machine.end), note.lineage, verify)
        machine.alarms += verdict.is_alarm
        if verdict is Verdict.OLDER or verdict is Verdict.LOST:
            self.send(Note(note.sender, machine.node, machine.lineage))
        elif verdict is Verdict.WON:
            machine.rivals.add(note.lineage.tip)
            self.on_the_way_to_a_child(machine)
        elif verdict.moves:
            self.move(machine, note.lineage, verdict)
        elif verdict is Verdict.FOREIGN:
            raise Broken(f"{machine.node} takes {note.lineage.tip} for foreign")

    def move(self, machine: Machine, lineage: Lineage, verdict: Verdict) -> None:
        if verdict is not Verdict.FOLLOW:
            machine.set_aside(self.store_id())
        machine.adopt(lineage)

    def found(self, machine: Machine, charter: Charter) -> None:
        machine.adopt(machine.lineage.with_child(charter))
        if not self.draw.chance(100):  # else the machine goes down between the two
            machine.begin()

    def on_the_way_to_a_child(self, machine: Machine) -> None:
        if not machine.leads or not machine.rivals:
            return
        live = [one.member for one in self.kin(machine)]
        while machine.is_settled:
            config = step_to_child(machine.config, machine.member, live)
            if config is None:
                break
            self.append(machine, Kind.CONFIG, wire.encode(config), self.kin(machine))
        if machine.is_settled and machine.config.voters == (machine.member,):
            self.found(machine, signed(child(machine.standing, self.draw), sign_as(machine.node)))

    # -- what must be true ---------------------------------------------------------------------------------------------

    def check(self) -> None:
        for machine in self.machines.values():
            numbers = [generation.number for generation in machine.followed]
            if numbers != sorted(set(numbers)):
                raise Broken(f"{machine.node} has followed {machine.followed}")
            if machine.lineage.tip != machine.followed[-1]:
                raise Broken(f"{machine.node} is not where it went")

    def calm(self) -> None:
        """Nobody recovers any more, and everybody reaches everybody."""
        self.heal()
        self.notes = [note for note in self.notes if note.charter is None]
        for _ in range(40):
            for machine in self.machines.values():
                machine.begin()
                if not any(one.leads for one in self.kin(machine)):
                    self.stand(machine)
                if machine.leads:
                    self.append(machine, Kind.COMMAND, b"", self.kin(machine))
                self.on_the_way_to_a_child(machine)
                self.notes += [Note(to, machine.node, machine.lineage) for to in self.machines]
            for _ in range(200):
                if self.notes:
                    self.take(self.notes.pop(self.draw.below(len(self.notes))))
                    self.check()
        self.account()

    def account(self) -> None:
        tips = {machine.lineage.tip for machine in self.machines.values()}
        if len(tips) != 1:
            raise Broken(f"they have not come together: {sorted(tips)}")
        leaders = [machine for machine in self.machines.values() if machine.leads]
        if len(leaders) != 1:
            raise Broken(f"there are {len(leaders)} coordinators")
        self.append(leaders[0], Kind.COMMAND, b"last", self.machines.values())
        kept = {entry.data for machine in self.machines.values() for tail in machine.tails for entry in tail}
        kept |= {entry.data for entry in leaders[0].log}
        lost = [word for word in self.acknowledged if word not in kept]
        if lost:
            raise Broken(f"acknowledged, and neither on the log nor in anybody's tail: {lost}")


__all__ = ["ROOT", "Broken", "Machine", "World", "sign_as", "verify"]
