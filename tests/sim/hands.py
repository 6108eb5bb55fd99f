"""The supervisor of one simulated machine: runs scripts instead of processes, and is watched while it does.

A script says how long a task takes and how it ends; both follow from the task alone, so its one right result is known.
What runs goes on when the daemon dies or hangs, ends with the machine, and stands still while that sleeps.

Promises: starts an attempt once, ever; freezes by itself when the lease is over, a moment later at most; every start,
freeze, thaw and end is shown to the witness at its true time.
Never: believes the daemon that the lease is longer than it was last told.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from odyssey.clock import SeededEntropy
from odyssey.commands import Report
from odyssey.ids import AttemptId, NodeId, TaskId, show_task
from odyssey.mesh.generation import Generation
from odyssey.mesh.lease import FREEZE_MS
from odyssey.messages import Here, Listed
from odyssey.model import Outcome
from odyssey.resources import Resources
from odyssey.scheduler.retry import mixed
from odyssey.spec import JobSpec
from tests.sim.checks import Violation
from tests.sim.loop import VirtualLoop

POLITE_MS: Final = 300
KILL_MS: Final = 50


class Script(NamedTuple):
    run_ms: int
    code: int


def script(task: TaskId) -> Script:
    """Mostly short, sometimes as long as several leases; one in ten fails."""
    drawn = mixed(task)
    longest = (50, 200, 1_000, 2_000, 12_000)[drawn % 5]
    return Script(20 + drawn // 5 % longest, 7 if drawn // 7 % 10 == 0 else 0)


class Running(NamedTuple):
    generation: Generation  # whose coordinator gave it
    attempt: AttemptId


class Witness:
    """Sees every machine at its true time."""

    def __init__(self) -> None:
        self._running: dict[TaskId, dict[Running, NodeId]] = {}
        self.starts = self.freezes = 0
        self.forgives = False  # generations rival: what one lets run may run in the other too

    def runs(self, node: NodeId, run: Running, task: TaskId, overlap: bool) -> None:
        others = self._running.setdefault(task, {})
        for other, where in others.items():
            if not overlap and not (self.forgives and other.generation != run.generation):
                raise Violation(
                    f"11: task {show_task(task)} runs on {where} as {other.attempt} and on {node} as {run.attempt}"
                )
        others[run] = node

    def rests(self, run: Running, task: TaskId) -> None:
        self._running.get(task, {}).pop(run, None)

    @property
    def busy(self) -> int:
        return sum(1 for attempts in self._running.values() if attempts)


class Clocks(Protocol):
    def boottime_ms(self) -> int: ...

    def real_seconds(self, ms: int) -> float:
        """How long so many of this machine's milliseconds truly take."""
        ...


@dataclass
class _Body:
    """One attempt."""

    one: Listed
    run: Running
    overlap: bool
    left: float  # seconds that it still has to run
    need: Resources | None = None
    since: float | None = None  # it runs since then; None: it stands still
    frozen_at_ms: int | None = None
    ran: float = 0.0
    turn: int = 0  # timers of earlier turns count no more
    ending: bool = False
    report: Report | None = None


@dataclass
class SimHands:
    """Of one boot."""

    node: NodeId
    loop: VirtualLoop
    clocks: Clocks
    entropy: SeededEntropy
    witness: Witness
    on_end: Callable[[bool], None]
    generation: Callable[[], Generation]
    bodies: dict[AttemptId, _Body] = field(default_factory=dict)
    journal: set[AttemptId] = field(default_factory=set)
    followers: dict[AttemptId, tuple[Listed, JobSpec, Running]] = field(default_factory=dict)
    until_ms: int = 0
    asleep: bool = False
    dead: bool = False
    _watch: int = 0

    # -- the port ------------------------------------------------------------------------------------------------------

    def here(self) -> Mapping[AttemptId, Here]:
        waiting = {attempt: Here(one.task, started=False) for attempt, (one, *_) in self.followers.items()}
        return waiting | {attempt: self._shown(body) for attempt, body in self.bodies.items()}

    def _shown(self, body: _Body) -> Here:
        ran = body.ran if body.since is None else body.ran + (self.loop.time() - body.since)
        return Here(body.one.task, True, body.frozen_at_ms, body.report is not None, round(ran * 1000))

    def reports(self) -> Mapping[AttemptId, Report]:
        return {attempt: body.report for attempt, body in self.bodies.items() if body.report is not None}

    def lease(self, until_ms: int, told: Callable[[], None] = lambda: None) -> None:
        if until_ms != self.until_ms:
            self.until_ms = until_ms
            self._watch += 1
            left = self.clocks.real_seconds(max(0, until_ms - self.clocks.boottime_ms()))
            self.loop.call_later(left + self.entropy.below(FREEZE_MS) / 1000, self._lease_over, self._watch)
        told()

    def start(self, one: Listed, spec: JobSpec, run: Running | None = None) -> None:
        """`run`: by whose word, if that was given before."""
        if one.attempt in self.journal:
            self._tell_forgotten(one)
            return
        if self.clocks.boottime_ms() >= self.until_ms or self.dead:
            return
        self.followers.pop(one.attempt, None)
        self.journal.add(one.attempt)
        self.witness.starts += 1
        run_s = script(one.task).run_ms / 1000
        body = self.bodies[one.attempt] = _Body(one, run or self._run(one), spec.overlap, run_s, need=spec.want.need)
        self._go_on(body)

    def follow(self, one: Listed, spec: JobSpec) -> None:
        if one.attempt in self.journal:
            self._tell_forgotten(one)
        elif not self.dead:
            self.followers.setdefault(one.attempt, (one, spec, self._run(one)))

    def _follow(self, need: Resources) -> bool:
        """The room of one that has ended goes to the next; True if there is one."""
        for one, spec, run in self.followers.values():
            if spec.want.need == need:
                self.start(one, spec, run)
                return one.attempt in self.bodies
        return False

    def refuse(self, one: Listed) -> None:
        self.followers.pop(one.attempt, None)
        if one.attempt in self.journal:
            self._tell_forgotten(one)
            return
        self.journal.add(one.attempt)
        self._tell(one, Outcome.REJECTED)

    def _tell_forgotten(self, one: Listed) -> None:
        if one.attempt not in self.bodies:
            self._tell(one, Outcome.LOST)

    def _tell(self, one: Listed, outcome: Outcome) -> None:
        report = Report(one.attempt, one.task, outcome)
        self.bodies[one.attempt] = _Body(one, self._run(one), True, 0.0, report=report)
        self.on_end(True)

    def stop(self, attempt: AttemptId) -> None:
        self._end_soon(attempt, POLITE_MS, Outcome.CANCELLED, 15)

    def kill(self, attempt: AttemptId) -> None:
        if attempt in self.followers:
            self.refuse(self.followers[attempt][0])
            return
        self._end_soon(attempt, KILL_MS, Outcome.EVICTED, 0)

    def freeze(self, attempt: AttemptId) -> None:
        body = self.bodies.get(attempt)
        if body is not None and body.report is None and body.frozen_at_ms is None:
            self.witness.freezes += 1
            body.frozen_at_ms = self.clocks.boottime_ms()
            self._stand_still(body)

    def thaw(self, attempt: AttemptId) -> None:
        body = self.bodies.get(attempt)
        if body is None or body.frozen_at_ms is None or self.clocks.boottime_ms() >= self.until_ms:
            return
        body.frozen_at_ms = None
        body.run = self._run(body.one)  # it is this generation that lets it run now
        self._go_on(body)

    def forget(self, attempt: AttemptId) -> None:
        body = self.bodies.get(attempt)
        if body is not None and body.report is not None:
            del self.bodies[attempt]

    # -- what befalls the machine --------------------------------------------------------------------------------------

    def die(self) -> None:
        self.dead = True
        for body in self.bodies.values():
            self._stand_still(body)

    def sleep(self) -> None:
        self.asleep = True
        for body in self.bodies.values():
            self._stand_still(body)

    def wake(self) -> None:
        """The clock that went on is looked at before anything else runs."""
        self.asleep = False
        if self.clocks.boottime_ms() >= self.until_ms:
            self._freeze_all()
        for body in self.bodies.values():
            if body.report is None and body.frozen_at_ms is None:
                self._go_on(body)

    def _run(self, one: Listed) -> Running:
        return Running(self.generation(), one.attempt)

    # -- running -------------------------------------------------------------------------------------------------------

    def _lease_over(self, watch: int) -> None:
        if watch == self._watch and not self.dead and not self.asleep:
            self._freeze_all()

    def _freeze_all(self) -> None:
        for attempt in list(self.bodies):
            self.freeze(attempt)

    def _go_on(self, body: _Body) -> None:
        if self.dead or self.asleep or body.since is not None:
            return
        body.since = self.loop.time()
        body.turn += 1
        self.witness.runs(self.node, body.run, body.one.task, body.overlap)
        code = script(body.one.task).code
        self.loop.call_later(body.left, self._end, body, body.turn, Outcome.EXITED, code)

    def _stand_still(self, body: _Body) -> None:
        if body.since is None:
            return
        passed = self.loop.time() - body.since
        body.since, body.ran, body.left = None, body.ran + passed, max(0.0, body.left - passed)
        body.turn += 1
        self.witness.rests(body.run, body.one.task)

    def _end_soon(self, attempt: AttemptId, most_ms: int, outcome: Outcome, code: int) -> None:
        body = self.bodies.get(attempt)
        if body is not None and body.report is None and not body.ending:
            body.ending = True
            self.loop.call_later(self.entropy.below(most_ms) / 1000, self._end, body, 0, outcome, code)

    def _end(self, body: _Body, turn: int, outcome: Outcome, code: int) -> None:
        """A turn of 0 is a signal, which ends what runs and what is frozen."""
        if self.dead or body.report is not None or (turn and turn != body.turn):
            return
        if self.asleep:
            self.loop.call_later(0.1, self._end, body, turn, outcome, code)
            return
        self._stand_still(body)
        body.frozen_at_ms = None
        run_ms = round(body.ran * 1000)
        body.report = Report(body.one.attempt, body.one.task, outcome, code, run_ms=run_ms, cpu_ms=run_ms)
        is_taken = body.need is not None and self._follow(body.need)
        self.on_end(not is_taken)
