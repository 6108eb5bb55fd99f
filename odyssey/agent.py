"""The driver of one machine's work: beats to the coordinator, Duties from it, and what follows for the hands.

`lease` decides what may start and run, and until when; `Hands` does it: a small process of its own that keeps what it
was told when this one is gone. In between is only this: find the coordinator, keep a note before going by a Duty, ask
what a job is to run, and start what has room.

Promises: what the lease must remember is on disk before the Duty it came with has any effect; the hands know how long
the lease lasts before they start anything under it; a report is told until it is settled.
Never: starts what does not fit beside what runs, or decides that something is lost.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

from odyssey.clock import Clock, Entropy
from odyssey.commands import Report
from odyssey.ids import AttemptId, JobId, NodeId, job_of
from odyssey.mesh.lease import Kept, Lease, Todo
from odyssey.messages import AskJobs, Beat, Duty, Elsewhere, Going, Here, Holding, JobsAre, Keeping, Listed, Telemetry
from odyssey.resources import Resources
from odyssey.spec import JobSpec

BEAT_MS: Final = 1_000
BEAT_SPREAD_PERCENT: Final = 10
SOON_MS: Final = 10  # from one beat to the next, while much ends: what ends meanwhile travels in one
SOON_ENOUGH_MS: Final = 25  # while so much is here that nothing stands idle meanwhile
PLENTY: Final = 32
MANY_REPORTS: Final = 64  # so many do not wait for others
ACT_MS: Final = 100
ASK_AGAIN_MS: Final = 1_000
LOST_MS: Final = 2_000  # without a Duty for so long, somebody else is asked who coordinates
MOST_REPORTS: Final = 256  # in one beat
ELSEWHERE_EVERY: Final = 4  # one in so many tries to find the coordinator goes to somebody who keeps no log


def _nothing() -> None:
    pass


class Hands(Protocol):
    """The supervisor, as the daemon sees it. It starts an attempt once, ever; it freezes by itself what runs when the
    lease is over; it keeps a report until it is told to forget. Asked again for one that it has forgotten (its end was
    on a log that a recovery has cut), it reports that one as lost, for it may have run."""

    def here(self) -> Mapping[AttemptId, Here]: ...

    def reports(self) -> Mapping[AttemptId, Report]:
        """Of attempts that have ended, oldest first."""
        ...

    def lease(self, until_ms: int, told: Callable[[], None] = _nothing) -> None:
        """`told` is called once they know it; also if they are gone, and with them all that ran."""
        ...

    def start(self, one: Listed, spec: JobSpec) -> None: ...

    def follow(self, one: Listed, spec: JobSpec) -> None:
        """Start it, by itself, in the place of the first one with the same needs that ends; within the lease. It is
        here until then, as one that has not started, and can still be started, refused or killed."""
        ...

    def refuse(self, one: Listed) -> None:
        """Never start it; if it was not started before, report it as rejected."""
        ...

    def stop(self, attempt: AttemptId) -> None: ...

    def freeze(self, attempt: AttemptId) -> None: ...

    def thaw(self, attempt: AttemptId) -> None: ...

    def kill(self, attempt: AttemptId) -> None: ...

    def forget(self, attempt: AttemptId) -> None: ...


class Notes(Protocol):
    """A small file. It is given the next note when the one before is on it."""

    def save(self, kept: Kept, done: Callable[[], None]) -> None: ...


class Post(Protocol):
    def ask(self, node: NodeId, message: Beat | AskJobs) -> None: ...


class Timers(Protocol):
    def call_later(self, delay: float, callback: Callable[[], None], /) -> object: ...


class Agent:
    """Call `start` once; then everything happens through `receive`, `ended` and the timers."""

    def __init__(
        self,
        lease: Lease,
        hands: Hands,
        notes: Notes,
        post: Post,
        timers: Timers,
        clock: Clock,
        entropy: Entropy,
        total: Resources,
        others: Callable[[], Sequence[NodeId]],
        health: Callable[[], tuple[Telemetry, Keeping]],
    ) -> None:
        """`others` are machines that may coordinate or know who does."""
        self.lease, self._hands, self._notes, self._post = lease, hands, notes, post
        self._timers, self._clock, self._entropy, self._total = timers, clock, entropy, total
        self._others, self._health = others, health
        self._coordinator: NodeId | None = None
        self._known: tuple[NodeId, ...] = ()  # who may know where it is, if it is there no more
        self._tries = 0
        self._served_by: NodeId | None = None
        self._served_ms = 0
        self._heard_ms = clock.monotonic_ms()  # of the coordinator
        self._specs: dict[JobId, JobSpec] = {}
        self._asked_ms: dict[JobId, int] = {}
        self._going = Going.STAYING  # what beats say
        self._leaving = Going.STAYING  # what is to come of it
        self._withdrawn = False  # the hands were told that the lease is over, for good
        self._saving: Kept | None = None  # on its way to disk: nothing happens until it is there
        self._told, self._told_ms = 0, 0  # beats, and when the last one was
        self._reported = 0  # so many of the reports that are here were in a beat
        self._running = self._soon = False
        self._paused = False  # by the owner, or on battery: what runs stands still, and nothing starts

    def start(self) -> None:
        self._running = True
        self._beat()

    def stop(self) -> None:
        """No more beats. What runs goes on in the hands until its lease is over."""
        self._running = False

    # -- who coordinates -----------------------------------------------------------------------------------------------

    def served(self) -> tuple[NodeId, int] | None:
        """Whose Duty came last, and how many ms ago."""
        if self._served_by is None:
            return None
        return self._served_by, self._clock.monotonic_ms() - self._served_ms

    def likely(self) -> tuple[NodeId, ...]:
        """Who coordinates, as far as this machine believes, then those who kept the log when it last heard of them."""
        return (*(() if self._coordinator is None else (self._coordinator,)), *self._known)

    def follow(self, coordinator: NodeId) -> None:
        """This machine has learnt who it is."""
        if coordinator != self._coordinator:
            self._coordinator = coordinator
            self._heard_ms = self._clock.monotonic_ms()
            self._beat_soon()
        if coordinator not in self._known:
            self._known = (*self._known, coordinator)

    def admitted(self) -> None:
        """It is a member from now on: until now nobody has listened."""
        self._beat_soon()

    def shown(self, coordinator: NodeId) -> None:
        """Somebody who keeps the log says who it is, and that this machine is a member."""
        served = self.served()
        if served is None or served[1] >= LOST_MS:
            self.follow(coordinator)
            self._beat_soon()

    def _find_coordinator(self, now: int) -> None:
        """Those who keep the log know it, mostly; the others may have heard of it."""
        if self._coordinator is not None and now - self._heard_ms < LOST_MS:
            return
        self._tries += 1
        others = self._others()
        some = others if others and not self._tries % ELSEWHERE_EVERY else self._known or others
        if some:
            self._coordinator = self._entropy.choose(some)

    # -- beats ---------------------------------------------------------------------------------------------------------

    def ended(self, has_freed: bool = True) -> None:
        """Something has ended here: the coordinator is told soon. If what followed has taken its room, nothing else
        changes for what is here; it is looked at with the next Duty or tick."""
        if has_freed or self._paused or self._leaving.away:
            self._act()
        if self._soon and len(self._hands.reports()) - self._reported >= MANY_REPORTS:
            self._tell()
        else:
            self._beat_soon()

    def _beat_soon(self) -> None:
        """At once where nothing else could end meanwhile: waiting for company would cost a single task its latency."""
        if self._running and not self._soon:
            self._soon = True
            since_ms = self._clock.monotonic_ms() - self._told_ms
            live = sum(not one.ended for one in self._hands.here().values())
            wait_ms = 0 if not live else SOON_MS if live < PLENTY else SOON_ENOUGH_MS
            self._timers.call_later(max(0, wait_ms - since_ms) / 1000, partial(self._tell_soon, self._told))

    def _tell_soon(self, told: int) -> None:
        if self._soon and told == self._told:  # else another beat has told it meanwhile, and it was for that one
            self._tell()

    def _beat(self) -> None:
        if self._running:
            self._timers.call_later(self._entropy.spread(BEAT_MS, BEAT_SPREAD_PERCENT) / 1000, self._beat)
            self._find_coordinator(self._clock.monotonic_ms())
            self._tell()

    def _tell(self) -> None:
        self._soon = False
        self._told += 1
        if not self._running or self._coordinator is None:
            return
        telemetry, keeping = self._health()
        here, reports = self._hands.here(), self._hands.reports()
        holds = tuple(
            Holding(attempt, one.task, one.started, one.ended, one.frozen_at_ms is not None, one.elapsed_ms)
            for attempt, one in here.items()
        )
        self._told_ms = self._clock.monotonic_ms()
        now = self._clock.boottime_ms()  # before the beat is handed to the network
        beat = Beat(
            self.lease.announce(now) if self._going.away else self.lease.send(now),
            holds,
            self._going,
            telemetry,
            keeping,
            self.lease.kept.fence,
            self.lease.revision,
            self.lease.kept.since,
            tuple(reports.values())[:MOST_REPORTS],
        )
        self._reported = len(beat.reports)
        self._post.ask(self._coordinator, beat)

    def go(self, going: Going) -> None:
        """The machine is about to go: everything ends, and then every beat says so. Or it stays after all."""
        self._going = going if going is Going.RESTART else Going.STAYING
        self._leaving = going if going.away else Going.STAYING
        self._withdrawn = False
        if going.away:
            self._leave()
        else:
            self._tell()

    def _leave(self) -> None:
        if not self._running or not self._leaving.away or self._withdrawn:
            return
        live = [attempt for attempt, one in self._hands.here().items() if not one.ended]
        for attempt in live:
            self._hands.kill(attempt)
        if live or len(self._hands.reports()) > MOST_REPORTS:  # the last beat tells all that is left
            self._timers.call_later(ACT_MS / 1000, self._leave)
        else:
            self._withdrawn = True
            self._hands.lease(0, self._announce)

    def _announce(self) -> None:
        if self._withdrawn:
            self._going = self._leaving
            self._tell()

    def allow(self, total: Resources, paused: bool) -> None:
        """What the owner of this machine gives from now on."""
        if (total, paused) != (self._total, self._paused):
            if not self._total.fits(total):
                self._refuse_followers()
            self._total, self._paused = total, paused
            self._act()
            self._beat_soon()

    def _refuse_followers(self) -> None:
        """The room that they would take over is no more."""
        for attempt, one in self._hands.here().items():
            if not one.started and not one.ended:
                self._hands.refuse(Listed(attempt, one.task))

    def set_alone(self, alone: bool, told: Callable[[], None] = _nothing) -> None:
        """Whether it is alone in its mesh; `told` is called once the hands know what follows."""
        self.lease.set_alone(alone)
        self._hands.lease(0 if self._withdrawn else self.lease.until_ms, told)

    # -- Duties --------------------------------------------------------------------------------------------------------

    def receive(self, sender: NodeId, message: Duty | JobsAre | Elsewhere) -> None:
        if not self._running:
            return
        match message:
            case Duty():
                self._on_duty(sender, message)
            case JobsAre(jobs) if sender == self._coordinator:  # else it was not asked
                self._specs.update(jobs)
                self._act()
            case Elsewhere(coordinator) if sender == self._coordinator:  # else it is an old one
                self.follow(coordinator)
            case JobsAre() | Elsewhere():
                pass

    def _on_duty(self, sender: NodeId, duty: Duty) -> None:
        used = self.lease.use(duty, self._clock.boottime_ms())  # read after the Duty was taken from the network
        if used.drop is None:
            self._coordinator = self._served_by = sender
            self._heard_ms = self._served_ms = self._clock.monotonic_ms()
            self._known = duty.keepers or self._known
            here = self._hands.reports()
            self._reported -= sum(attempt in here for attempt in duty.settled)
            for attempt in duty.settled:
                self._hands.forget(attempt)
        if used.keep is not None:
            under_way, self._saving = self._saving, used.keep
            if under_way is None:
                self._save(used.keep)
        self._act()

    def _save(self, kept: Kept) -> None:
        self._notes.save(kept, lambda: self._saved(kept))

    def _saved(self, kept: Kept) -> None:
        newest = self._saving
        if newest is not None and newest != kept:
            self._save(newest)
        else:
            self._saving = None
            self._act()

    # -- what follows --------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """To be called every ACT_MS, unless it rests."""
        here = self._hands.here()
        if here or self.lease.is_wanted:
            self._act_on(here)

    @property
    def rests(self) -> bool:
        """Nothing is here, and nothing is to come."""
        return self._saving is None and not self.lease.is_wanted and not self._hands.here()

    def _act(self) -> None:
        self._act_on(self._hands.here())

    def _act_on(self, here: Mapping[AttemptId, Here]) -> None:
        if not self._running or self._saving is not None or self._withdrawn:
            return
        todo = self.lease.todo(here, self._clock.boottime_ms())
        self._end(todo)  # first: what waits to follow must not begin under a lease that does not list it
        self._hands.lease(todo.until_ms)
        if self._paused:
            self._stand_still(here)
            return
        for attempt in todo.thaw:
            self._hands.thaw(attempt)
        if self._leaving.away:
            for one in todo.start:
                self._hands.refuse(one)  # so that it is known never to have started
        elif todo.start:
            self._start(todo.start, here)

    def _stand_still(self, here: Mapping[AttemptId, Here]) -> None:
        for attempt, one in here.items():
            if one.started and not one.ended and one.frozen_at_ms is None:
                self._hands.freeze(attempt)

    def _end(self, todo: Todo) -> None:
        for attempt in todo.freeze:
            self._hands.freeze(attempt)
        for attempt in todo.stop:
            self._hands.stop(attempt)
        for attempt in todo.kill:
            self._hands.kill(attempt)
        for one in todo.give_back:
            self._hands.refuse(one)

    def _start(self, wanted: Sequence[Listed], here: Mapping[AttemptId, Here]) -> None:
        """What came for a slot first, then the backlog in order, as long as the next one fits; and what comes then may
        follow what runs, as long as it needs the same as something there: its room is known to be enough. One with a
        terminal follows nobody, and nobody behind it goes before it."""
        self._ask({job_of(one.task) for one in wanted} | {job_of(one.task) for one in here.values()})
        left = self._room(here)
        if left is None:
            return
        needs = {self._specs[job_of(one.task)].want.need for one in here.values() if one.started and not one.ended}
        is_full, same = False, None
        for one in (*(one for one in wanted if one.slot), *(one for one in wanted if not one.slot)):
            spec = self._specs.get(job_of(one.task))
            if spec is None:
                return
            need = spec.want.need
            if not is_full and need.fits(left):
                left = left - need
                needs.add(need)
                self._hands.start(one, spec)
            elif spec.terminal == (0, 0) and (need is same or need in needs):
                same, is_full = need, True
                if one.attempt not in here:  # else it waits already
                    self._hands.follow(one, spec)
            else:
                return

    def _room(self, here: Mapping[AttemptId, Here]) -> Resources | None:
        """None: what runs here is not known yet, after a restart of this daemon."""
        left = self._total
        for one in here.values():
            if one.started and not one.ended:
                spec = self._specs.get(job_of(one.task))
                if spec is None:
                    return None
                left = left.minus_or_zero(spec.want.need)
        return left

    def _ask(self, jobs: set[JobId]) -> None:
        """What they are to run; once, unless the answer does not come."""
        if jobs == self._specs.keys():
            self._asked_ms.clear()
            return
        self._specs = {job: spec for job, spec in self._specs.items() if job in jobs}
        now = self._clock.monotonic_ms()
        unknown = sorted(jobs - self._specs.keys())
        fresh = {job: at for job, at in self._asked_ms.items() if job in unknown and now - at < ASK_AGAIN_MS}
        late = [job for job in unknown if job not in fresh]
        self._asked_ms = fresh | dict.fromkeys(late, now)
        if late and self._coordinator is not None:
            self._post.ask(self._coordinator, AskJobs(tuple(late)))
