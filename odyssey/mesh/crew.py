"""What the leader has seen of each machine over time, as far as it matters for keeping the log.

`roles` and `safety` decide from one moment's view; this remembers what a moment does not show: for how long a machine
has been steady, has kept pace, or owes an acknowledgement.

Promises: what is not known counts as not yet: a new leader begins with nobody steady.
Never: decides, or asks anybody.
"""

from collections.abc import Iterable
from typing import NamedTuple

from odyssey.mesh.raft.types import Config, Member
from odyssey.mesh.roles import CAUGHT_UP, LIVE_MS, OUT_OF_STEP_MS, Candidate, View
from odyssey.messages import Going, Keeping


class Sight(NamedTuple):
    """One machine with its store, as it is seen now."""

    member: Member
    silent_ms: int
    match: int | None = None  # how much of the log it is known to hold; None: it is no member
    going: Going = Going.STAYING
    keeping: Keeping = Keeping()
    mains: bool | None = None


class _Past:
    __slots__ = ("awaited", "caught_up_ms", "owing_ms", "steady_ms")

    def __init__(self) -> None:
        self.steady_ms: int | None = None  # since then it was never silent for long
        self.caught_up_ms: int | None = None  # since then it has lacked little, and nothing for long
        self.owing_ms: int | None = None  # since then it owes `awaited`
        self.awaited = 0

    def note(self, sight: Sight, last: int, now: int) -> None:
        self.steady_ms = None if sight.silent_ms >= LIVE_MS else now if self.steady_ms is None else self.steady_ms
        self._note_debt(sight.match or 0, last, now)
        late = self.owing_ms is not None and now - self.owing_ms >= OUT_OF_STEP_MS
        if sight.match is None or last - sight.match > CAUGHT_UP or late:
            self.caught_up_ms = None
        elif self.caught_up_ms is None:
            self.caught_up_ms = now

    def _note_debt(self, match: int, last: int, now: int) -> None:
        if match >= last:
            self.owing_ms = None
        elif self.owing_ms is None or match >= self.awaited:
            self.owing_ms, self.awaited = now, last


class Crew:
    """One per term. To be told what is seen with every tick."""

    def __init__(self, elected_ms: int) -> None:
        self._elected_ms = self._changed_ms = elected_ms
        self._config: Config | None = None
        self._past: dict[Member, _Past] = {}

    def view(self, me: Member, config: Config, settled: bool, last: int, seen: Iterable[Sight], now: int) -> View:
        """`last` is the end of the leader's log."""
        if self._config is not None and config != self._config:
            self._changed_ms = now
        self._config = config
        sights = list(seen)
        self._past = {sight.member: self._past.get(sight.member) or _Past() for sight in sights}
        machines = tuple(self._candidate(sight, last, now) for sight in sights)
        return View(me, config, machines, self._elected_ms, self._changed_ms, settled)

    def _candidate(self, sight: Sight, last: int, now: int) -> Candidate:
        past = self._past[sight.member]
        past.note(sight, last, now)
        return Candidate(
            sight.member,
            silent_ms=sight.silent_ms,
            steady_ms=_since(past.steady_ms, now),
            lag=None if sight.match is None else max(0, last - sight.match),
            caught_up_ms=_since(past.caught_up_ms, now),
            owing_ms=_since(past.owing_ms, now),
            going=sight.going,
            keeper_only=sight.keeping.keeper_only,
            laptop=sight.keeping.laptop,
            mains=sight.mains,
            wired=sight.keeping.wired,
            uptime_ms=sight.keeping.uptime_ms,
            fsync_ms=sight.keeping.fsync_ms,
        )


def _since(moment: int | None, now: int) -> int:
    return 0 if moment is None else now - moment
