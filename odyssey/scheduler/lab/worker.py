"""One virtual machine at work: what was given to it, what runs, what waits, and how long things take there.

It does what the agent of a real machine does: what came for a slot starts as soon as it fits (at once, unless a backlog
task took the room a moment ago), then the backlog starts in order, as long as the next one fits. A task takes the time
its affinity and the machine's speed give it, up to `crowd` percent longer on a full machine, and a little chance. Files
that are not there are fetched first, at the speed of the machine's link.

Promises: never runs more than the machine has.
Never: asks the books: it knows what it was told, when it was told.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

from odyssey.ids import AttemptId, NodeNumber, TaskId
from odyssey.scheduler.lab.machines import Machine, What
from odyssey.scheduler.retry import mixed
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen
from odyssey.spec import JobSpec

NOISE_PERCENT: Final = 5
BEAT_MS: Final = 1_000
_STAY_STEP_MS: Final = 300_000  # nobody knows better than that when they will leave
_MIB: Final = 1 << 20


class Held(NamedTuple):
    """An attempt as the machine was told of it."""

    attempt: AttemptId
    task: TaskId
    spec: JobSpec
    run_ms: int  # on this machine, empty


class Running(NamedTuple):
    held: Held
    started_ms: int
    compute_ms: int  # without the fetching of files
    ends_ms: int


class Worker:
    def __init__(self, number: NodeNumber, machine: Machine) -> None:
        self.number, self.machine = number, machine
        self.up, self.owner_in = True, False
        self.running: dict[AttemptId, Running] = {}
        self.slots: deque[Held] = deque()
        self.backlog: deque[Held] = deque()
        self.there_at: dict[bytes, int] = {}  # when which file is there
        self.state = NodeState.UP  # as beats, or their absence, let others see it
        self._cpu = machine.cpus * 1000
        self._memory = machine.memory
        self._seen = Seen()
        self._beat = -1

    # -- work ----------------------------------------------------------------------------------------------------------

    def admits(self, spec: JobSpec) -> bool:
        return self.up and (not self.owner_in or spec.user == self.machine.owner)

    def start_what_fits(self, now: int) -> list[Running]:
        """All that can start now, in order; whoever does not fit keeps the place in front."""
        started: list[Running] = []
        while self.slots and self._fits(self.slots[0]):
            started.append(self._start(self.slots.popleft(), now))
        while self.backlog and not self.slots and self._fits(self.backlog[0]):
            started.append(self._start(self.backlog.popleft(), now))
        return started

    def _fits(self, held: Held) -> bool:
        need = held.spec.want.need
        return need.cpu_milli <= self._cpu and need.memory <= self._memory

    def _start(self, held: Held, now: int) -> Running:
        need = held.spec.want.need
        self._cpu -= need.cpu_milli
        self._memory -= need.memory
        total = self.machine.cpus * 1000
        crowd = self.machine.crowd * (total - self._cpu) // total
        chance = mixed(held.task << 16 | self.number) % (2 * NOISE_PERCENT + 1) - NOISE_PERCENT
        compute = max(1, held.run_ms * (100 + crowd) * (100 + chance) // 10_000)
        running = Running(held, now, compute, self._files_at(held.spec, now) + compute)
        self.running[held.attempt] = running
        return running

    def _files_at(self, spec: JobSpec, now: int) -> int:
        """When the last input is there; files are fetched once, one after the other."""
        for blob in spec.inputs:
            if blob.digest not in self.there_at:
                self.there_at[blob.digest] = now + blob.size * 1000 // (self.machine.link * _MIB)
        return max((self.there_at[blob.digest] for blob in spec.inputs), default=now)

    def end(self, attempt: AttemptId) -> Running | None:
        """Free its room; None when it is not running here any more."""
        running = self.running.pop(attempt, None)
        if running is not None:
            need = running.held.spec.want.need
            self._cpu += need.cpu_milli
            self._memory += need.memory
        return running

    def withdraw(self, attempt: AttemptId) -> Held | None:
        """Out of the backlog, if it has not started."""
        for held in self.backlog:
            if held.attempt == attempt:
                self.backlog.remove(held)
                return held
        return None

    def hand_back(self) -> list[Held]:
        """What has not started and may not any more."""
        back = [held for held in (*self.slots, *self.backlog) if not self.admits(held.spec)]
        self.slots = deque(held for held in self.slots if held not in back)
        self.backlog = deque(held for held in self.backlog if held not in back)
        return back

    # -- the machine itself --------------------------------------------------------------------------------------------

    def change(self, what: What) -> None:
        self._beat = -1
        if what in (What.VANISH, What.RETURN):
            self.up = what is What.RETURN
        else:
            self.owner_in = what is What.OWNER_IN

    def show(self, state: NodeState) -> None:
        self.state, self._beat = state, -1

    # -- what it tells -------------------------------------------------------------------------------------------------

    def seen(self, now: int) -> Seen:
        """As its last beat told; what runs is told anew with every beat."""
        beat = now // BEAT_MS
        if self._beat >= 0 and (beat == self._beat or (not self.running and not self.machine.tells_stay)):
            return self._seen
        if self._beat < 0 or self.running or self._seen.stay_ms != self._stay(now):
            self._seen = self._look(beat * BEAT_MS)
        self._beat = beat
        return self._seen

    def _look(self, now: int) -> Seen:
        elapsed: Mapping[AttemptId, int] = {
            attempt: now - running.started_ms for attempt, running in self.running.items() if running.started_ms <= now
        }
        owner = OwnerState.IN_USE if self.owner_in else OwnerState.FREE
        files = frozenset(digest for digest, at in self.there_at.items() if at <= now)
        return Seen(
            self.state,
            owner=owner,
            mains=self.machine.mains,
            stay_ms=self._stay(now),
            blobs=files if files != self._seen.blobs else self._seen.blobs,
            elapsed_ms=elapsed,
        )

    def _stay(self, now: int) -> int | None:
        """How long until it vanishes or its owner is back, in steps; None for those that do not know."""
        if not self.machine.tells_stay:
            return None
        leaving = (change.at_ms for change in self.machine.changes if change.what in (What.VANISH, What.OWNER_IN))
        left = min((at - now for at in leaving if at >= now), default=1 << 40)
        return left // _STAY_STEP_MS * _STAY_STEP_MS
