"""A small world in which leases are put to the test: machines and coordinators with clocks of their own, real `Lease`
and `Grants` on both sides, and between them everything that can go wrong, drawn from a seed.

Consensus is its contract only: one log; what a coordinator proposes is committed later, if nobody else was elected by
then; a heartbeat round counts if a quorum answered it before that; a new coordinator may find proposals of the one
before in its log, and commits them with its own first entry. A deposed coordinator does not know it and goes on.

Messages come late, twice, or never; daemons and coordinators stall; machines reboot, sleep and lose their daemon; an
identity is copied. A supervisor freezes within 250 ms of its own clock and starts an attempt once.

Promises: the same seed is the same run. `wrong` is the first moment in which a task ran twice at once, or an attempt
was started a second time.
Never: looks into what it tests.
"""

import heapq
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

import msgspec

from odyssey.commands import Fence
from odyssey.ids import AttemptId, NodeNumber, TaskId, attempt_id
from odyssey.mesh.grants import Grants, Work
from odyssey.mesh.lease import FREEZE_MS, Kept, Lease, Todo
from odyssey.messages import Beat, BootId, Duty, Going, Here, Holding, Listed

END_MS: Final = 17_500  # faults begin early enough: a machine is given up ten seconds later at the latest
CLOCK_RATES: Final = (900, 900, 900, 1000, 1100, 1100, 1100)  # per mille
GENERATION: Final = 1
TASKS: Final = (TaskId(1), TaskId(2))


class Faults(NamedTuple):
    """How often what goes wrong: per mille of the occasions. Drawn anew for each run, because mild weather finds other
    faults than a storm, and what never happens hides nothing."""

    lost: int
    doubled: int
    late: int
    slow_commit: int
    hesitation: int  # of a daemon, between the thought and the deed
    cut: int
    stall: int
    coordinator_stall: int
    daemon_restart: int
    reboot: int
    sleep: int
    end: int
    election: int
    unaware: int  # of machines that do not hear of an election at once
    copied: int


def drawn(draw: Random) -> Faults:
    def rate(*rates: int) -> int:
        return draw.choice(rates) if draw.random() < 0.45 else 0

    copied = 1000 if draw.random() < 0.08 else 0
    return Faults(
        lost=rate(30, 300),
        doubled=rate(100, 300),
        late=rate(50, 300, 600),
        slow_commit=rate(300, 800),
        hesitation=rate(100, 500),
        cut=rate(500, 800),
        stall=rate(300, 600),
        coordinator_stall=rate(500),
        daemon_restart=rate(300, 600),
        reboot=rate(300, 700),
        sleep=rate(300, 600),
        end=rate(300, 900),
        election=0 if copied else rate(600, 900),
        unaware=draw.choice((0, 500)),
        copied=copied,
    )


class Wrong(NamedTuple):
    at_ms: int
    what: str
    where: tuple[str, ...]


class Skewed:
    """A clock that is wrong by up to a tenth."""

    __slots__ = ("offset", "rate")

    def __init__(self, draw: Random, now: int) -> None:
        self.rate = draw.choice(CLOCK_RATES)
        self.offset = draw.randrange(1 << 20)

    def at(self, t: int) -> int:
        return self.offset + t * self.rate // 1000

    def when(self, reading: int) -> int:
        """The first moment at which it shows so much."""
        return -((self.offset - reading) * 1000 // self.rate)


class Machine:
    """A supervisor and its daemon."""

    def __init__(self, world: "World", node: int, name: str) -> None:
        self.world, self.node, self.name = world, NodeNumber(node), name
        self.boots = 0
        self.kept = Kept()  # on disk
        self.quiet_until = 0  # the daemon does nothing before
        self.cut_until = [0, 0]  # nothing goes out, nothing comes in
        self.aware_at = 0  # of the newest coordinator
        self.boot()
        self.tick()

    def __str__(self) -> str:
        return f"{self.name}.{self.boots}"

    def boot(self) -> None:
        self.boots += 1
        self.boot_id = BootId(str(self).encode())
        self.clock = Skewed(self.world.draw, self.world.now)
        self.here: dict[AttemptId, Here] = {}
        self.journal: set[AttemptId] = set()
        self.until_ms = 0
        self.start_daemon()

    def start_daemon(self) -> None:
        world = self.world
        self.epoch = world.number()  # what an earlier daemon had in mind is not done
        self.lease = world.make_lease(self.boot_id, self.clock.at(world.now), self.kept, self.until_ms)

    # -- the daemon ----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        world = self.world
        if world.now < self.quiet_until:
            world.at(self.quiet_until, self.tick)
            return
        self.act()
        world.to_coordinators(self, self.beat(Going.STAYING))
        world.at(world.now + (900 + world.draw.randrange(200)) * 1000 // self.clock.rate, self.tick)

    def beat(self, going: Going) -> Beat:
        now = self.clock.at(self.world.now)
        name = self.lease.announce(now) if going.away else self.lease.send(now)
        holds = tuple(
            Holding(attempt, one.task, one.started, one.ended, one.frozen_at_ms is not None)
            for attempt, one in self.here.items()
        )
        kept = self.lease.kept
        return Beat(name, holds, going, fence=kept.fence, since=kept.since)

    def receive(self, duty: Duty) -> None:
        world = self.world
        if world.now < self.quiet_until:
            world.at(self.quiet_until, self.receive, duty)
            return
        used = self.lease.use(duty, self.clock.at(world.now))
        if used.keep is not None:
            self.kept = used.keep
        if used.drop is None:
            self.act()

    def act(self) -> None:
        world, todo = self.world, self.lease.todo(self.here, self.clock.at(self.world.now))
        if todo.until_ms != self.until_ms:
            self.until_ms = todo.until_ms
            latest = FREEZE_MS if world.draw.random() < 0.5 else world.draw.randrange(FREEZE_MS)
            world.at(self.clock.when(todo.until_ms + latest), self.freeze, todo.until_ms, self.boots)
        for attempt in todo.kill:
            world.at(world.now + world.draw.randrange(100), self.end, attempt, self.boots)
        for attempt in todo.thaw:
            self.thaw(attempt, todo.until_ms)
        for one in todo.start:
            hesitates = world.hits(world.faults.hesitation)
            world.at(world.now + (world.draw.randrange(9_000) if hesitates else 0), self.start, one, todo, self.epoch)

    def sleep(self) -> None:
        """What runs is killed, then it is said, and nothing that was meant before is done after."""
        for attempt in self.here:
            self.end(attempt, self.boots)
        self.epoch = self.world.number()
        beat = self.beat(Going.SLEEP)
        self.until_ms = self.lease.until_ms
        self.world.to_coordinators(self, beat)
        self.quiet_until = self.world.now + self.world.draw.randrange(300, 9_000)

    def restart(self) -> None:
        self.quiet_until = self.world.now + self.world.draw.randrange(2_000)
        self.start_daemon()

    def reboot(self) -> None:
        for attempt, one in self.here.items():
            self._stop(attempt, one)
        self.quiet_until = self.world.now + self.world.draw.randrange(4_000)
        self.boot()

    # -- the supervisor ------------------------------------------------------------------------------------------------

    def start(self, one: Listed, todo: Todo, epoch: int) -> None:
        late = self.clock.at(self.world.now) >= min(todo.until_ms, self.until_ms)
        if epoch != self.epoch or late or one.attempt in self.journal:
            return
        self.journal.add(one.attempt)
        self.here[one.attempt] = Here(one.task)
        self.world.starts(self, one.attempt)
        self.world.runs(self, one.attempt, one.task)
        if self.world.hits(self.world.faults.end):
            self.world.at(self.world.now + self.world.draw.randrange(9_000), self.exit, one.attempt, self.boots)

    def thaw(self, attempt: AttemptId, until_ms: int) -> None:
        one = self.here[attempt]
        if self.clock.at(self.world.now) < until_ms:
            self.here[attempt] = msgspec.structs.replace(one, frozen_at_ms=None)
            self.world.runs(self, attempt, one.task)
            self.world.thawed += 1

    def freeze(self, until_ms: int, boots: int) -> None:
        if boots != self.boots or until_ms != self.until_ms:
            return  # the lease was renewed, or this boot is over
        now = self.clock.at(self.world.now)
        for attempt, one in self.here.items():
            if one.frozen_at_ms is None:
                self._stop(attempt, one)
                self.here[attempt] = msgspec.structs.replace(one, frozen_at_ms=now)

    def end(self, attempt: AttemptId, boots: int) -> None:
        one = self.here.get(attempt)
        if boots == self.boots and one is not None and not one.ended:
            self._stop(attempt, one)
            self.here[attempt] = msgspec.structs.replace(one, ended=True)

    def exit(self, attempt: AttemptId, boots: int) -> None:
        """It ends by itself; who leads is told, by a report or by a witness."""
        one = self.here.get(attempt)
        if boots == self.boots and one is not None and not one.ended and one.frozen_at_ms is None:
            self.end(attempt, boots)
            self.world.at(self.world.now + self.world.draw.randrange(300), self.world.tell_end, self, attempt, one.task)

    def _stop(self, attempt: AttemptId, one: Here) -> None:
        if one.frozen_at_ms is None and not one.ended:
            self.world.running[one.task].remove((self, attempt))


class Coordinator:
    """`log` holds what is committed; `own` what this one has in its log behind that."""

    def __init__(self, world: "World", term: int, found: list[tuple[Any, ...]]) -> None:
        self.world, self.term = world, term
        self.clock = Skewed(world.draw, world.now)
        self.deposed_at = self.gone_at = 1 << 60
        self.quiet_until = 0
        self.round = 0
        self.last_commit = world.now
        self.own = found
        self.asked: set[TaskId] = set()
        self.where: dict[TaskId, tuple[AttemptId, NodeNumber]] = {}
        self.applied = 0
        self.catch_up(world.draw.randrange(len(world.log) + 1))
        self.heard: dict[NodeNumber, int] = dict.fromkeys(world.nodes, world.now - 3_000)
        start = len(world.log) + len(found) + 1
        self.grants = world.make_grants(Fence(GENERATION, term), start, self.clock.at(world.now))
        self.propose("start")
        self.tick()

    # -- the log -------------------------------------------------------------------------------------------------------

    def propose(self, *entry: Any) -> None:
        world = self.world
        self.own.append(entry)
        slow = world.draw.randrange(3_000) if world.hits(world.faults.slow_commit) else world.draw.randrange(2, 20)
        self.last_commit = max(self.last_commit, world.now + slow)
        world.at(self.last_commit, self.commit, entry)

    def commit(self, entry: tuple[Any, ...]) -> None:
        if self.world.now >= self.deposed_at:
            return
        place = next(place for place, one in enumerate(self.own) if one is entry) + 1
        self.world.log += self.own[:place]
        del self.own[:place]
        self.catch_up(len(self.world.log))
        self.grants.applied(self.applied)
        self.plan()
        for node in self.world.nodes:
            self.answer(node)

    def catch_up(self, upto: int) -> None:
        for index in range(self.applied, upto):
            self.apply(index + 1, *self.world.log[index])
        self.applied = upto

    def apply(self, index: int, kind: str, *rest: Any) -> None:
        if kind == "assign":
            task, node = rest
            self.asked.discard(task)
            if task not in self.where:
                self.where[task] = (attempt_id(GENERATION, index, 0), node)
        elif kind == "over":
            task, attempt = rest
            if task in self.where and self.where[task][0] == attempt:
                del self.where[task]

    # -- beats and Duties ----------------------------------------------------------------------------------------------

    def hear(self, machine: Machine, beat: Beat) -> None:
        world = self.world
        if world.now < self.quiet_until:
            world.at(self.quiet_until, self.hear, machine, beat)
            return
        self.round += 1
        if self.grants.beat(machine.node, beat, self.round, self.clock.at(world.now)):
            self.heard[machine.node] = world.now if not beat.going.away else -5_000
            answered = world.now + world.draw.choice((1, world.draw.randrange(300)))
            late = world.draw.randrange(4_000) if world.hits(world.faults.late) else world.draw.randrange(20)
            world.at(answered + late, self.confirmed, machine.node, self.round, answered)

    def confirmed(self, node: NodeNumber, round_: int, answered: int) -> None:
        if answered < self.deposed_at:  # else a voter of that quorum had voted for another by then
            self.grants.confirmed(round_)
        self.answer(node)

    def answer(self, node: NodeNumber) -> None:
        world = self.world
        if not self.quiet_until <= world.now < self.gone_at:
            return
        current = [Listed(attempt, task) for task, (attempt, where) in self.where.items() if where == node]
        duty = self.grants.duty(node, current, self.clock.at(world.now))
        if duty is not None:
            for machine in world.machines:
                if machine.node == node and self.is_known_to(machine):
                    world.send(machine, 1, machine.receive, duty)

    def is_known_to(self, machine: Machine) -> bool:
        return self.world.now < self.gone_at and (self.deposed_at < 1 << 60 or self.world.now >= machine.aware_at)

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        world = self.world
        if world.now >= self.gone_at:
            return
        if world.now >= self.quiet_until:
            self.give_away()
            self.plan()
        close = any(6_200 < world.now - at < 10_200 for at in self.heard.values())  # somebody may be given up soon
        world.at(max(world.now + (90 if close else 600), self.quiet_until), self.tick)

    def give_away(self) -> None:
        now = self.clock.at(self.world.now)
        for node in self.world.nodes:
            work = [Work(attempt, task) for task, (attempt, where) in self.where.items() if where == node]
            for lost in self.grants.give_away(node, work, now).values():
                for attempt, task in lost:
                    self.world.moved += 1
                    self.propose("over", task, attempt)

    def plan(self) -> None:
        there = [node for node, at in self.heard.items() if self.world.now - at < 3_000]
        for task in TASKS:
            if self.grants.ready and there and task not in self.where and task not in self.asked:
                self.asked.add(task)
                self.propose("assign", task, self.world.draw.choice(there))


class World:
    def __init__(
        self, seed: int, make_lease: Callable[..., Lease] = Lease, make_grants: Callable[..., Grants] = Grants
    ) -> None:
        self.draw = Random(seed)
        self.make_lease, self.make_grants = make_lease, make_grants
        self.faults = drawn(self.draw)
        self.now = 1_000
        self.moved = self.thawed = 0
        self.started: dict[AttemptId, str] = {}  # and where
        self.wrong: Wrong | None = None
        self.log: list[tuple[Any, ...]] = []
        self.running: dict[TaskId, list[tuple[Machine, AttemptId]]] = {task: [] for task in TASKS}
        self._queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = 0
        self.nodes = (NodeNumber(1), NodeNumber(2))
        self.coordinators: list[Coordinator] = []
        self.machines = [Machine(self, node, f"m{node}") for node in self.nodes]
        self.coordinators.append(Coordinator(self, 1, []))
        self._plan_faults()

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def hits(self, per_mille: int) -> bool:
        return per_mille > 0 and self.draw.random() * 1000 < per_mille

    def at(self, t: int, what: Callable[..., None], *args: Any) -> None:
        self._numbers += 1
        heapq.heappush(self._queue, (t, self._numbers, what, args))

    def run(self) -> Wrong | None:
        queue = self._queue
        while queue and self.wrong is None:
            self.now, _, what, args = heapq.heappop(queue)
            if self.now > END_MS:
                break
            what(*args)
        return self.wrong

    # -- what goes wrong -----------------------------------------------------------------------------------------------

    def _plan_faults(self) -> None:
        faults, draw = self.faults, self.draw
        for machine in self.machines:
            for rate, what in (
                (faults.cut, self._cut),
                (faults.stall, self._stall),
                (faults.daemon_restart, Machine.restart),
                (faults.reboot, Machine.reboot),
                (faults.sleep, Machine.sleep),
            ):
                if self.hits(rate):
                    self.at(draw.randrange(1_500, 7_500), what, machine)
        for _ in range(2):
            if self.hits(faults.election):
                self.at(draw.randrange(1_500, 7_500), self._elect)
        if self.hits(faults.coordinator_stall):
            self.at(draw.randrange(1_500, 7_500), self._stall_coordinator)
        if self.hits(faults.copied):
            self.at(draw.randrange(1_500, 7_500), self._copy)

    def _cut(self, machine: Machine) -> None:
        until = self.now + self.draw.choice((self.draw.randrange(500, 14_000), self.draw.randrange(8_000, 10_500)))
        for way in self.draw.choice(((0,), (1,), (0, 1), (0, 1))):
            machine.cut_until[way] = until

    def _stall(self, machine: Machine) -> None:
        machine.quiet_until = self.now + self.draw.randrange(500, 12_000)

    def _stall_coordinator(self) -> None:
        self.coordinators[-1].quiet_until = self.now + self.draw.randrange(500, 12_000)

    def _elect(self) -> None:
        """Somebody else, who may have a part of what the former has proposed. That one finds out later."""
        former = self.coordinators[-1]
        former.deposed_at = self.now
        former.gone_at = self.now + self.draw.randrange(9_000)
        found = former.own[: self.draw.randrange(len(former.own) + 1)]
        for machine in self.machines:
            machine.aware_at = self.now + (self.draw.randrange(12_000) if self.hits(self.faults.unaware) else 0)
        self.coordinators.append(Coordinator(self, former.term + 1, found))

    def _copy(self) -> None:
        self.machines.append(Machine(self, 1, "copy"))

    # -- messages ------------------------------------------------------------------------------------------------------

    def send(self, machine: Machine, way: int, what: Callable[..., None], *args: Any) -> None:
        if self.now < machine.cut_until[way] or self.hits(self.faults.lost):
            return
        for _ in range(2 if self.hits(self.faults.doubled) else 1):
            late = self.draw.choice((500, 7_000, 12_000)) if self.hits(self.faults.late) else 20
            self.at(self.now + self.draw.randrange(late), what, *args)

    def to_coordinators(self, machine: Machine, beat: Beat) -> None:
        """To every one that still thinks it is one: a machine need not know better."""
        for coordinator in self.coordinators:
            if coordinator.is_known_to(machine):
                self.send(machine, 0, coordinator.hear, machine, beat)

    def tell_end(self, machine: Machine, attempt: AttemptId, task: TaskId) -> None:
        leader = self.coordinators[-1]
        if self.draw.random() < 0.5:
            leader.grants.dead(machine.node, [attempt])
        else:
            leader.propose("over", task, attempt)

    # -- what is watched -----------------------------------------------------------------------------------------------

    def starts(self, machine: Machine, attempt: AttemptId) -> None:
        before = self.started.setdefault(attempt, str(machine))
        if before != str(machine):
            self.wrong = Wrong(self.now, f"attempt {attempt} started twice", (before, str(machine)))

    def runs(self, machine: Machine, attempt: AttemptId, task: TaskId) -> None:
        running = self.running[task]
        running.append((machine, attempt))
        if len(running) > 1:
            self.wrong = Wrong(self.now, f"task {task} runs twice", tuple(str(one) for one, _ in running))
