"""The lease of a machine: what it may start and run, until when, and what must be frozen or killed.

A task must never run twice at once, and a machine that nobody hears cannot be told to stop. So it stops by itself: a
Duty lets it run for LEASE_MS from the moment the quoted beat was **sent**, on its own boot-time clock, which goes on
in sleep. Then the supervisor freezes what runs, within FREEZE_MS, also when the daemon hangs. The coordinator
(`grants`) gives an attempt to others only GIVE_AWAY_MS after it **received** the last beat it answered.

Why no two attempts of a task run at once, while clocks are wrong by up to a tenth:
1. A beat is received after it was sent: R >= S. What a Duty quoting it allows is frozen by S + 7.25 s of the machine's
   clock, that is by S + 8.06 s of true time (7.25 / 0.9). It is given away after R + 9 s of the coordinator's clock,
   that is not before R + 8.18 s (9 / 1.1). The factor 1.2 pays for most of the ratio of two such clocks (1.222), the
   0.3 s for its rest, for rounding and for reading a clock late.
2. A coordinator never lists what it has proposed as lost: its last Duty with the attempt quotes a beat that 1 covers.
3. An earlier coordinator's Duty left only after a quorum answered a heartbeat sent after the beat came in. One of
   those voters later elected the next coordinator: S <= R <= that answer <= election, and there the next one begins to
   count.
4. A later coordinator has applied an entry of its own term before its first Duty: it knows every loss before.
5. A Duty is for one boot, and quotes a beat that this very daemon sent. An attempt is listed to one boot only
   (`grants`), and the supervisor starts it once: an old or doubled Duty cannot bring back what has ended.
6. What moves at once has no lease left: a witness has waited for its end, or its machine has forgotten all beats it
   had sent before it said that it goes.
Not covered: a virtual machine that is paused, boot-time clock and all, and an identity that is on two machines at once
(an alarm) while coordinators change. Both are fenced, so one result counts, but they may run for a moment.

Times are boot-time milliseconds of this machine. A moment is read before a beat is handed to the network, and after a
Duty was taken from it; what is carried out later than `until_ms` must not be carried out at all.

Promises: `keep` is given back whenever something must be on disk before the Duty it came with has any effect.
Never: counts a lease from when a Duty arrived, starts what the newest Duty does not list, or forgets whom it refused.
"""

import enum
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from odyssey.commands import Fence
from odyssey.ids import AttemptId
from odyssey.messages import BeatId, BootId, Duty, Here, Listed

LEASE_MS: Final = 7_000  # several lost beats and an election fit in; longer would only delay the re-run
FREEZE_MS: Final = 250  # from the end of the lease to the last process standing still
GIVE_AWAY_MS: Final = (LEASE_MS + FREEZE_MS) * 12 // 10 + 300
FROZEN_LIMIT_MS: Final = 15 * 60_000  # then its memory is worth more than its work
FOREVER: Final = 1 << 62


class Kept(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the machine must find again after a crash of the daemon or of itself."""

    fence: Fence = Fence(0, 0)
    boot: BootId = BootId(b"")
    since: AttemptId = AttemptId(0)  # of this boot


NOTHING_KEPT: Final = Kept()


class Drop(enum.Enum):
    """Why a Duty has no effect."""

    OLD_FENCE = "an older coordinator"
    OTHER_BOOT = "another boot's"
    UNKNOWN_BEAT = "quotes no beat of this daemon that still counts"
    OLD_BEAT = "quotes an older beat than the Duty in force"
    OLD_REVISION = "older than the Duty in force, or the same"
    TOO_LATE = "its lease is over"


class Used(NamedTuple):
    drop: Drop | None = None
    keep: Kept | None = None  # to disk, before anything else


class Todo(msgspec.Struct, frozen=True, gc=False):
    """What is right now. `start` is what may start, in the Duty's order, where there is room."""

    until_ms: int  # nothing is started, thawed or left running at or after this
    start: tuple[Listed, ...] = ()
    give_back: tuple[Listed, ...] = ()  # recalled or to be stopped, and never started: it now never will be
    stop: tuple[AttemptId, ...] = ()  # politely
    freeze: tuple[AttemptId, ...] = ()
    thaw: tuple[AttemptId, ...] = ()
    kill: tuple[AttemptId, ...] = ()


class Lease:
    """One daemon's. `until_ms` is what the supervisor remembers of the daemon before, in the same boot."""

    def __init__(self, boot: BootId, run: int, kept: Kept = NOTHING_KEPT, until_ms: int = 0) -> None:
        self.kept = kept if kept.boot == boot else Kept(kept.fence, boot)
        self.boot, self.run = boot, run
        self._number = 0
        self._oldest = 1  # of the beats that a Duty may quote; none before it is looked at again
        self._sent: dict[int, int] = {}  # those beats, and when they were sent
        self._until_ms = until_ms if until_ms < FOREVER else 0  # whether it is still alone must be said anew
        self._alone = False
        self._fence = Fence(0, 0)  # of the Duty in force
        self._revision = 0
        self._beat = 0  # the number it quotes
        self._listed: dict[AttemptId, Listed] | None = None  # None: no Duty yet, so nothing is known to be unwanted

    @property
    def until_ms(self) -> int:
        return FOREVER if self._alone else self._until_ms

    @property
    def is_wanted(self) -> bool:
        """The newest Duty lists something."""
        return bool(self._listed)

    @property
    def revision(self) -> int:
        return self._revision

    # -- beats ---------------------------------------------------------------------------------------------------------

    def send(self, now_ms: int) -> BeatId:
        """The id for a beat that leaves now."""
        while self._oldest <= self._number and now_ms >= self._sent[self._oldest] + LEASE_MS:
            del self._sent[self._oldest]
            self._oldest += 1
        beat = self._next()
        self._sent[beat.number] = now_ms
        return beat

    def announce(self, now_ms: int) -> BeatId:
        """The id for the beat that says the machine goes. From here on no Duty that is under way has any effect. All
        attempts have ended, and the supervisor must know the new `until_ms` before the beat leaves."""
        self._sent.clear()
        self._until_ms = min(self._until_ms, now_ms)
        self._listed = {}
        self._oldest = self._number + 2  # nor may this one be quoted
        return self._next()

    def _next(self) -> BeatId:
        self._number += 1
        return BeatId(self.boot, self.run, self._number)

    def set_alone(self, alone: bool) -> None:
        """A machine alone in its mesh needs no lease: there is nobody to give its work to. The supervisor must know the
        lease again before the admission of a second machine is proposed."""
        self._alone = alone

    # -- Duties --------------------------------------------------------------------------------------------------------

    def use(self, duty: Duty, now_ms: int) -> Used:
        """Go by this Duty from now on, or say why not."""
        if duty.fence < self.kept.fence:
            return Used(Drop.OLD_FENCE)
        before = self.kept
        self.kept = msgspec.structs.replace(before, fence=duty.fence)
        drop = self._refusal(duty, now_ms)
        if drop is None:
            self._take(duty)
        return Used(drop, self.kept if self.kept != before else None)

    def _refusal(self, duty: Duty, now_ms: int) -> Drop | None:
        if duty.beat.boot != self.boot:
            return Drop.OTHER_BOOT
        sent_ms = self._sent.get(duty.beat.number)
        if duty.beat.run != self.run or sent_ms is None:
            return Drop.UNKNOWN_BEAT
        if duty.beat.number < self._beat:
            return Drop.OLD_BEAT
        if (duty.fence, duty.revision) <= (self._fence, self._revision):
            return Drop.OLD_REVISION
        if now_ms >= sent_ms + LEASE_MS:
            return Drop.TOO_LATE
        return None

    def _take(self, duty: Duty) -> None:
        self._until_ms = self._sent[duty.beat.number] + LEASE_MS
        self._fence, self._revision, self._beat = duty.fence, duty.revision, duty.beat.number
        self._listed = {one.attempt: one for one in duty.holds}
        self.kept = msgspec.structs.replace(self.kept, since=duty.since)

    # -- what follows --------------------------------------------------------------------------------------------------

    def todo(self, here: Mapping[AttemptId, Here], now_ms: int) -> Todo:
        """Given all that is here. Told again and again, until it is so."""
        live = {attempt: one for attempt, one in here.items() if not one.ended}
        unwanted = self._unwanted(live, now_ms) if live else ()
        if now_ms >= self.until_ms:
            running = (attempt for attempt, one in live.items() if one.started and one.frozen_at_ms is None)
            return Todo(self.until_ms, freeze=tuple(running), kill=unwanted)
        listed = self._listed
        if not listed:
            return Todo(self.until_ms, kill=unwanted)
        fresh = [one for one in listed.values() if one.attempt not in here or self._is_waiting(here[one.attempt])]
        wanted = live.keys() - unwanted if unwanted else live
        started = [one for one in listed.values() if one.attempt in wanted and live[one.attempt].started]
        return Todo(
            self.until_ms,
            start=self._startable(fresh, live) if fresh else (),
            give_back=tuple([one for one in fresh if one.stop or one.recall]),
            stop=tuple([one.attempt for one in started if one.stop]),
            thaw=tuple([one.attempt for one in started if live[one.attempt].frozen_at_ms is not None]),
            kill=unwanted,
        )

    def _is_waiting(self, one: Here) -> bool:
        return not one.started and not one.ended

    def _unwanted(self, live: Mapping[AttemptId, Here], now_ms: int) -> tuple[AttemptId, ...]:
        """What the newest Duty does not list, and what has been frozen for too long."""
        listed = self._listed
        return tuple(
            [
                attempt
                for attempt, one in live.items()
                if (listed is not None and attempt not in listed)
                or (one.frozen_at_ms is not None and now_ms - one.frozen_at_ms >= FROZEN_LIMIT_MS)
            ]
        )

    def _startable(self, fresh: list[Listed], live: Mapping[AttemptId, Here]) -> tuple[Listed, ...]:
        """Not while another attempt of the task is still dying here, and not once a newer coordinator was heard of."""
        if self._fence < self.kept.fence:
            return ()
        busy = {one.task for one in live.values() if one.started}
        return tuple(one for one in fresh if not one.stop and not one.recall and one.task not in busy)
