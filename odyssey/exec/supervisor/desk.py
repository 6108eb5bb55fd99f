"""What the supervisor knows of each attempt, and what follows from what it is told, from ends, and from time.

Everything it decides is here; what is to be done it asks of the crew, and what is to be said it leaves in `records`
(for the journal) and `answers` (for the daemon). `starts` is done by `begin`, after the records are written.

Promises: an attempt begins once, ever, and never while the lease is over; what runs when it is over is frozen at once;
each attempt that was taken on ends with one report, which is told until it is to be forgotten.
Never: waits, reads a clock, or believes that something ended which nobody has waited for.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final, Protocol

from odyssey.exec.supervisor.frames import (
    CANCELLED,
    EVICTED,
    EXITED,
    GONE,
    LOST,
    OOM,
    REJECTED,
    TERMINAL,
    TIMEOUT,
    UNKNOWN_MS,
    Ended,
    Follow,
    Forget,
    Freeze,
    Frozen,
    Grew,
    Held,
    Keys,
    Kill,
    Lease,
    Message,
    Ready,
    Refuse,
    Start,
    Stop,
    Thaw,
    Told,
    Typed,
    numbers,
)
from odyssey.exec.supervisor.orders import Done
from odyssey.exec.supervisor.spans import Spans

AHEAD: Final = 8  # attempts that wait in the socket of a runner; Linux lets no more than ten messages wait in one
POLITE_MS: Final = 10_000  # between asking an attempt to end and making it end


class Crew(Protocol):
    def begin(self, attempt: int, order: bytes, memory: int, has_terminal: bool) -> int: ...

    def queue(self, slot: int, attempt: int, order: bytes) -> None: ...

    def take_back(self, slot: int) -> list[int]: ...

    def hear(self, slot: int) -> tuple[Done, bytes] | None: ...

    def began_ms(self, slot: int, attempt: int) -> int | None:
        """None: its runner has not come to it yet."""
        ...

    def term(self, slot: int) -> None: ...

    def kill(self, slot: int) -> None: ...

    def freeze(self, slot: int) -> None: ...

    def thaw(self, slot: int) -> None: ...

    def poke(self) -> None: ...

    def type(self, slot: int, keys: Keys) -> int: ...


@dataclass(slots=True)
class Attempt:
    """One that was taken on and has not ended."""

    start: Start | Follow
    slot: int = -1  # -1: it has not begun
    began_ms: int = 0
    is_ahead: bool = False  # its order waits behind the one that runs in the slot
    frozen_at_ms: int = UNKNOWN_MS
    stood_ms: int = 0  # frozen before
    verdict: int = EXITED  # why it was made to end; EXITED: it was not
    is_killed: bool = False

    @property
    def runs(self) -> bool:
        return self.slot >= 0 and not self.is_ahead

    def elapsed_ms(self, now_ms: int) -> int:
        if not self.runs:
            return 0
        until = now_ms if self.frozen_at_ms == UNKNOWN_MS else self.frozen_at_ms
        return max(0, until - self.began_ms - self.stood_ms)


class Desk:
    def __init__(self, crew: Crew, wall_ms: int = 0) -> None:
        self._crew = crew
        self.attempts: dict[int, Attempt] = {}
        self.ended: dict[int, Ended] = {}
        self.past = Spans()
        self.forgotten = Spans()  # since it was written down
        self.until_ms = 0
        self.records: list[Message] = []
        self.answers: list[Message] = []
        self.notes: list[tuple[int, bytes]] = []  # on ends that no runner has told
        self._starts: list[Attempt] = []
        self._queues: list[Attempt] = []  # to wait behind what runs in their slot
        self._ahead: dict[int, deque[Attempt]] = {}  # by slot: who waits there
        self._slots: dict[int, dict[int, None]] = {}  # by room: in which slots such run
        self._lines: dict[int, deque[Attempt]] = {}  # by room: who follows whom
        self._dues: list[tuple[int, int]] = []  # (when, attempt): a time limit, or the end of patience
        self.wall_ms = wall_ms

    # -- the daemon ----------------------------------------------------------------------------------------------------

    def greet(self, now_ms: int) -> None:
        """Everything, to a daemon that has just come."""
        self.answers.clear()
        for attempt, one in self.attempts.items():
            self.answers.append(Held(attempt, one.start.task, one.runs, one.frozen_at_ms, one.elapsed_ms(now_ms)))
        self.answers += self.ended.values()
        self.answers.append(Ready())

    def take(self, message: Message, now_ms: int) -> None:
        match message:
            case Start() | Follow():
                self._start(message, now_ms)
            case Forget(tail):
                for attempt in numbers(tail):
                    self._forget(attempt)
            case Lease(until_ms, number):
                self._lease(until_ms, now_ms)
                self.answers.append(Told(number))
            case Refuse():
                self._refuse(message)
            case Stop(attempt):
                self._stop(attempt, CANCELLED, now_ms)
            case Kill(attempt):
                self._kill(attempt, EVICTED, now_ms)
            case Freeze(attempt):
                self._freeze(attempt, now_ms)
            case Thaw(attempt):
                self._thaw(attempt, now_ms)
            case Grew():
                self._crew.poke()
            case Keys():
                self._type(message)

    def _start(self, start: Start | Follow, now_ms: int) -> None:
        attempt = start.attempt
        if attempt in self.ended:
            return
        one = self.attempts.get(attempt)
        if one is not None:
            self._promote(one, start, now_ms)
            return
        if attempt in self.past:
            self._end(Ended(attempt, start.task, LOST, 0, 0, 0, 0, 0, 0, 0))
            return
        one = Attempt(start)
        if isinstance(start, Follow):
            self.attempts[attempt] = one
            self._lines.setdefault(start.room, deque()).append(one)
            self._fill_some(start.room, now_ms)
        elif now_ms < self.until_ms:
            self.attempts[attempt] = one
            self._intend(one)

    def _promote(self, one: Attempt, start: Start | Follow, now_ms: int) -> None:
        """It was to follow another, and may now start anyway."""
        line = self._lines.get(one.start.room)
        if isinstance(start, Start) and now_ms < self.until_ms and line is not None and one in line:
            line.remove(one)
            self._intend(one)

    def _intend(self, one: Attempt) -> None:
        self._starts.append(one)
        self.records.append(Held(one.start.attempt, one.start.task, 1, 0, 0))

    def _refuse(self, refuse: Refuse) -> None:
        attempt = refuse.attempt
        one = self.attempts.get(attempt)
        if one is None and attempt in self.ended:
            return
        if one is None and attempt in self.past:
            self._end(Ended(attempt, refuse.task, LOST, 0, 0, 0, 0, 0, 0, 0))
            return
        if one is not None and not self._withdraw(one):
            return
        self._end(
            Ended(attempt, refuse.task, refuse.outcome, 0, self.wall_ms, self.wall_ms, 0, 0, 0, 0, 0, refuse.tail)
        )

    def _withdraw(self, one: Attempt) -> bool:
        """It has not begun, and now never will."""
        if one in self._starts:
            self._starts.remove(one)
        elif one.is_ahead:
            self._take_back(one.slot)
        if one.slot >= 0:
            return False
        line = self._lines.get(one.start.room)
        if line is not None and one in line:
            line.remove(one)
        return True

    def _take_back(self, slot: int) -> None:
        """What waits there and has not begun stands in line again, first."""
        self._take_back_unsent(slot)
        ahead = self._ahead.get(slot)
        if ahead:
            back = set(self._crew.take_back(slot))
            self._stand_in_line_again([one for one in ahead if one.start.attempt in back])

    def _take_back_unsent(self, slot: int) -> None:
        unsent = [one for one in self._queues if one.slot == slot]
        if unsent:
            self._queues = [one for one in self._queues if one.slot != slot]
            self._stand_in_line_again(unsent)

    def _stand_in_line_again(self, some: list[Attempt]) -> None:
        for one in reversed(some):
            self._ahead[one.slot].remove(one)
            self._stand_in_line(one)

    def _stand_in_line(self, one: Attempt) -> None:
        one.slot, one.is_ahead = -1, False
        self._lines.setdefault(one.start.room, deque()).appendleft(one)

    def _type(self, keys: Keys) -> None:
        one = self.attempts.get(keys.attempt)
        taken = self._crew.type(one.slot, keys) if one is not None and one.runs else GONE
        self.answers.append(Typed(keys.attempt, keys.writer, taken))

    def _forget(self, attempt: int) -> None:
        if self.ended.pop(attempt, None) is not None:
            self.past.add(attempt)
            self.forgotten.add(attempt)

    # -- beginning -----------------------------------------------------------------------------------------------------

    def begin(self, now_ms: int, is_written: bool) -> None:
        """What was found to be started, once the journal has it; or not at all, if it cannot."""
        starts, self._starts = self._starts, []
        queues, self._queues = self._queues, []  # before `_begin` adds to them, which is not written yet
        for one in starts:
            if not is_written:
                self._reject(one, "this machine's disk takes no note of what it starts")
            else:
                self._begin(one, now_ms)
        for one in queues:
            if is_written:
                self._crew.queue(one.slot, one.start.attempt, one.start.tail)
            else:
                self._ahead[one.slot].remove(one)
                self._reject(one, "this machine's disk takes no note of what it starts")

    def _begin(self, one: Attempt, now_ms: int) -> None:
        start = one.start
        try:
            one.slot = self._crew.begin(start.attempt, start.tail, start.memory, start.room == TERMINAL)
        except OSError as error:
            self._reject(one, f"this machine can start no process now: {error.strerror or error}")
            return
        self._has_begun(one, now_ms)

    def _has_begun(self, one: Attempt, now_ms: int) -> None:
        one.began_ms, one.is_ahead = now_ms, False
        self._slots.setdefault(one.start.room, {})[one.slot] = None
        if one.start.timeout_ms:
            heappush(self._dues, (now_ms + one.start.timeout_ms, one.start.attempt))
        self._fill(one.slot, one.start.room, now_ms)

    def _reject(self, one: Attempt, why: str, follower: int = 0) -> None:
        attempt, task = one.start.attempt, one.start.task
        wall = self.wall_ms
        self._end(Ended(attempt, task, REJECTED, 0, wall, wall, 0, 0, 0, 0, follower, why.encode()))

    # -- the lease -----------------------------------------------------------------------------------------------------

    def _lease(self, until_ms: int, now_ms: int) -> None:
        self.until_ms = until_ms
        self._check_lease(now_ms)

    def _check_lease(self, now_ms: int) -> None:
        if now_ms < self.until_ms:
            return
        for _ in range(2):  # what is found to have begun behind another is frozen too
            for attempt in list(self.attempts):
                self._freeze(attempt, now_ms)

    def _freeze(self, attempt: int, now_ms: int) -> None:
        one = self.attempts.get(attempt)
        if one is None or not one.runs or one.frozen_at_ms != UNKNOWN_MS or one.is_killed:
            return
        if self._still_runs(one, now_ms):
            self._crew.freeze(one.slot)
            one.frozen_at_ms = now_ms
            self.answers.append(Frozen(attempt, now_ms))

    def _still_runs(self, one: Attempt, now_ms: int) -> bool:
        """Before force is used on its slot: the next one must not begin there, and may have begun already."""
        self._take_back(one.slot)
        while (told := self._crew.hear(one.slot)) is not None:
            self.done(*told, now_ms)
        return one.start.attempt in self.attempts

    def _thaw(self, attempt: int, now_ms: int) -> None:
        one = self.attempts.get(attempt)
        if one is None or one.frozen_at_ms == UNKNOWN_MS or now_ms >= self.until_ms:
            return
        self._wake(one, now_ms)
        self.answers.append(Frozen(attempt, UNKNOWN_MS))

    def _wake(self, one: Attempt, now_ms: int) -> None:
        stood = now_ms - one.frozen_at_ms
        one.stood_ms += stood
        one.frozen_at_ms = UNKNOWN_MS
        self._crew.thaw(one.slot)
        if one.start.timeout_ms:
            left = one.start.timeout_ms - one.elapsed_ms(now_ms)
            heappush(self._dues, (now_ms + max(0, left), one.start.attempt))

    # -- ending --------------------------------------------------------------------------------------------------------

    def _stop(self, attempt: int, verdict: int, now_ms: int) -> None:
        one = self.attempts.get(attempt)
        if one is None or one.verdict != EXITED:
            return
        if not one.runs:
            if self._withdraw(one):
                self._end(Ended(attempt, one.start.task, REJECTED, 0, self.wall_ms, self.wall_ms, 0, 0, 0, 0))
            return
        if not self._still_runs(one, now_ms):
            return
        one.verdict = verdict
        if one.frozen_at_ms != UNKNOWN_MS and now_ms >= self.until_ms:
            self._kill(attempt, verdict, now_ms)  # it may not run, so it cannot end by itself
            return
        if one.frozen_at_ms != UNKNOWN_MS:
            self._wake(one, now_ms)
        self._crew.term(one.slot)
        heappush(self._dues, (now_ms + POLITE_MS, attempt))

    def _kill(self, attempt: int, verdict: int, now_ms: int) -> None:
        one = self.attempts.get(attempt)
        if one is None or one.is_killed:
            return
        if not one.runs:
            if self._withdraw(one):
                self._end(Ended(attempt, one.start.task, REJECTED, 0, self.wall_ms, self.wall_ms, 0, 0, 0, 0))
            return
        if not self._still_runs(one, now_ms):
            return
        one.is_killed = True
        one.verdict = verdict if one.verdict == EXITED else one.verdict
        self._crew.kill(one.slot)

    def done(self, done: Done, note: bytes, now_ms: int) -> None:
        """A runner says that it ended."""
        one = self.attempts[done.attempt]
        stood = one.stood_ms + (0 if one.frozen_at_ms == UNKNOWN_MS else now_ms - one.frozen_at_ms)
        outcome = done.outcome
        if one.verdict != EXITED and outcome != OOM and (outcome != EXITED or done.code):
            outcome = one.verdict
        rest = done[6:]
        times = (done.started_ms, done.ended_ms, max(0, done.run_ms - stood))
        follower = self._follow(one, now_ms)
        self._end(Ended(done.attempt, one.start.task, outcome, done.code, *times, *rest, follower, note), is_noted=True)

    def gone(self, slot: int, ran: int | None, not_begun: Iterable[int], oom: bool, leaked: bool, now_ms: int) -> None:
        """A runner has been waited for."""
        for one in reversed(self._ahead.pop(slot, ())):
            if one.start.attempt != ran:
                self._stand_in_line(one)
        self._queues = [one for one in self._queues if one.slot != slot]
        for attempt in not_begun:
            one = self.attempts[attempt]
            if one.slot == slot:  # it was the first thing this runner was to do
                self._reject(one, "the process that was to run it died", self._follow(one, now_ms))
                break
        if ran is None:
            return
        one = self.attempts[ran]
        outcome = one.verdict
        if outcome == EXITED:
            outcome = OOM if oom else LOST
        run_ms = one.elapsed_ms(now_ms)
        began = self.wall_ms - (now_ms - one.began_ms)
        follower = self._follow(one, now_ms)
        self._end(Ended(ran, one.start.task, outcome, 0, began, self.wall_ms, run_ms, 0, 0, int(leaked), follower))

    def _end(self, ended: Ended, is_noted: bool = False) -> None:
        if ended.tail and not is_noted:
            self.notes.append((ended.attempt, ended.tail))
        self.attempts.pop(ended.attempt, None)
        self.ended[ended.attempt] = ended
        self.records.append(ended)
        self.answers.append(ended)

    # -- who follows ---------------------------------------------------------------------------------------------------

    def _follow(self, before: Attempt, now_ms: int) -> int:
        """Its room goes to the next: to who waits in its slot, and has begun already, or to the first in line."""
        self._take_back_unsent(before.slot)
        ahead = self._ahead.get(before.slot)
        if ahead:
            one = ahead.popleft()
            self._has_begun(one, now_ms)
            return one.start.attempt
        room = before.start.room
        self._slots.get(room, {}).pop(before.slot, None)
        line = self._lines.get(room) or self._taken_from_others(room)
        if not line or now_ms >= self.until_ms:
            return 0
        one = line.popleft()
        self._intend(one)
        return one.start.attempt

    def _taken_from_others(self, room: int) -> "deque[Attempt] | None":
        """Nobody waits behind one that runs long while there is room elsewhere."""
        for slot in self._slots.get(room, ()):
            if self._ahead.get(slot):
                self._take_back(slot)
                if self._lines.get(room):
                    break
        return self._lines.get(room)

    def _fill_some(self, room: int, now_ms: int) -> None:
        """Somebody new stands in line."""
        for slot in self._slots.get(room, ()):
            if len(self._ahead.get(slot, ())) < AHEAD:
                self._fill(slot, room, now_ms)
                return

    def _fill(self, slot: int, room: int, now_ms: int) -> None:
        """So that its runner finds the next one without waiting for us."""
        line = self._lines.get(room)
        if not line or now_ms >= self.until_ms:
            return
        ahead = self._ahead.setdefault(slot, deque())
        while line and len(ahead) < AHEAD:
            one = line.popleft()
            one.slot, one.is_ahead = slot, True
            ahead.append(one)
            self._queues.append(one)
            self.records.append(Held(one.start.attempt, one.start.task, 1, 0, 0))

    # -- time ----------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> int | None:
        """What is due is done; answers when to come again."""
        self._check_lease(now_ms)
        while self._dues and self._dues[0][0] <= now_ms:
            attempt = heappop(self._dues)[1]
            one = self.attempts.get(attempt)
            if one is None or not one.runs:
                continue
            if one.verdict != EXITED:
                self._kill(attempt, one.verdict, now_ms)
            elif one.frozen_at_ms == UNKNOWN_MS:
                self._check_time(one, now_ms)
        return self._dues[0][0] if self._dues else None

    def _check_time(self, one: Attempt, now_ms: int) -> None:
        """Its time counts from when its runner began it, which may be later than when that was told to."""
        attempt = one.start.attempt
        one.began_ms = self._crew.began_ms(one.slot, attempt) or now_ms
        left = one.start.timeout_ms - one.elapsed_ms(now_ms)
        if left > 0:
            heappush(self._dues, (now_ms + left, attempt))
        else:
            self._stop(attempt, TIMEOUT, now_ms)

    @property
    def is_provided(self) -> bool:
        """Every runner that works has enough before it for a moment."""
        slots = [slot for slots in self._slots.values() for slot in slots]
        return bool(slots) and all(len(self._ahead.get(slot, ())) >= AHEAD // 2 for slot in slots)

    @property
    def runs_any(self) -> bool:
        return any(one.runs and one.frozen_at_ms == UNKNOWN_MS for one in self.attempts.values())
