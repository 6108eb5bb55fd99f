"""When not to use a free machine: what a slow one would hold up is left to a faster one.

With many tasks left, every machine helps. With few left, a slow machine that takes one of them may hold the whole job
up, though a faster machine, busy now, would have done it earlier. The rule counts how many of these tasks the faster
machines can finish before the slow one would finish its single one; are there no more left than that, they wait.

While nobody knows how long a command takes, it does not start on a machine less than half as fast as one that is at it:
even if the faster one first has to end a whole run of it, it is done with the next before the slow one would be. The
planner asks this only for the first half hour of a job: what is at it may be something that never ends.

Promises: never makes a task wait for a machine whose tasks overrun without end: what overruns counts as longer and
longer, until the slow machine is the better choice.
Never: applies to jobs without a command's name: nothing can be learned of them.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from heapq import heapify, heapreplace
from typing import Final, NamedTuple

from odyssey.ids import AttemptId, NodeNumber, TaskId, job_of
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.snapshot import Snapshot
from odyssey.scheduler.state import ANY_NODE

HALF: Final = 2  # times as fast
_NEVER: Final = 1 << 62


class Tails:
    """The rule for one plan: counts are kept, since many tasks of one wish ask the same."""

    def __init__(self, snapshot: Snapshot, rows: Mapping[NodeNumber, Row]) -> None:
        self._snapshot, self._rows = snapshot, rows
        self._most: dict[tuple[Wish, int], int] = {}
        self._ends: dict[NodeNumber, Ends] = {}
        self._at: dict[str, dict[NodeNumber, Row]] = {}  # machines at each command, once somebody asks
        self._looked = False
        self._fastest: dict[Wish, tuple[int, int]] = {}  # speed, and of how many machines at it that was the highest
        self._exact: dict[tuple[Wish, int], tuple[int, int]] = {}  # count, and after how many placements it was made

    def better_wait(
        self, wish: Wish, closed: Container[NodeNumber], slow: Row, count_left: Callable[[], int], placed: int
    ) -> bool:
        """Whether all tasks of this wish that are left are done elsewhere before `slow` would finish one of them."""
        limit = wish.expected(slow)
        if not limit:
            return self._speed_at_it(wish, closed) > HALF * slow.node.speed
        if limit <= wish.best_ms:
            return False
        most = self._most.get((wish, limit))
        if most is None:
            most = self._most[wish, limit] = sum(
                wish.slots(row) * (limit // wish.expected(row)) for row in self._faster(wish, closed, limit)
            )
        left = count_left()
        if left > most:
            return False
        known = self._exact.get((wish, limit))
        if known is None or known[0] - (placed - known[1]) < left <= known[0]:  # what was placed since may matter
            known = self._exact[wish, limit] = (self._done(wish, closed, limit), placed)
        return left <= known[0]

    # -- commands that nobody has run yet ------------------------------------------------------------------------------

    def untried(self, key: str) -> bool:
        """Nothing is known of it, and nobody is at it."""
        return bool(key) and (key, ANY_NODE) not in self._snapshot.state.learned and not self._at_it(key)

    def given(self, wish: Wish, row: Row) -> None:
        """The plan has given a task to a machine."""
        self._at.setdefault(wish.want.key, {})[row.number] = row

    def _speed_at_it(self, wish: Wish, closed: Container[NodeNumber]) -> int:
        """Of the fastest machine that is at this command now and open to this wish; 0 if none is."""
        rows = self._at_it(wish.want.key)
        known = self._fastest.get(wish)
        if known is None or known[1] != len(rows):
            speeds = (row.node.speed for number, row in rows.items() if number not in closed)
            known = self._fastest[wish] = (max(speeds, default=0), len(rows))
        return known[0]

    def _at_it(self, key: str) -> Mapping[NodeNumber, Row]:
        if not key:
            return {}
        if not self._looked:
            self._looked = True
            jobs, held = self._snapshot.state.jobs, self._snapshot.state.held
            for row in self._rows.values():
                for task in held.get(row.number, {}).values():
                    self._at.setdefault(jobs[job_of(task)].spec.want.key, {})[row.number] = row
        return self._at.get(key, {})

    # -- commands with known run times ---------------------------------------------------------------------------------

    def _faster(self, wish: Wish, closed: Container[NodeNumber], limit: int) -> Iterator[Row]:
        rows = self._rows
        for number, needed in wish.times.items():
            if needed < limit and number not in closed and (row := rows[number]).reserved_for is None:
                yield row

    def _done(self, wish: Wish, closed: Container[NodeNumber], limit: int) -> int:
        """How many of these tasks faster machines finish before `limit` ms have passed."""
        count = 0
        for row in self._faster(wish, closed, limit):
            needed = wish.expected(row)
            for free_at in slots_free_at(wish, row, self._ends_on(row)):
                if free_at is not None and free_at < limit:
                    count += (limit - free_at) // needed
        return count

    def _ends_on(self, row: Row) -> "Ends":
        ends = self._ends.get(row.number)
        if ends is None:
            ends = self._ends[row.number] = ends_on(self._snapshot, row)
        return ends


class Ends(NamedTuple):
    """How long what a machine holds will still take, in the order it was given; None where nobody knows."""

    running: tuple[int | None, ...]
    queued: tuple[int | None, ...]


def ends_on(snapshot: Snapshot, row: Row) -> Ends:
    running: list[int | None] = []
    queued: list[int | None] = []
    for attempt, task in sorted(snapshot.state.held.get(row.number, {}).items()):
        (queued if attempt in row.use.backlog else running).append(remaining_ms(snapshot, row, attempt, task))
    return Ends(tuple(running), tuple(queued))


def slots_free_at(wish: Wish, row: Row, ends: Ends) -> list[int | None]:
    """For each slot that this wish could use on the machine: in how many ms it is free; None when nobody knows. What
    this plan has given to the machine counts as if it were like this, and what queues there goes first."""
    free, most = min(row.free_cpu // max(1, wish.cpu), row.free_memory // max(1, wish.memory)), wish.slots(row)
    running = (*ends.running, *[wish.expected(row)] * row.given)
    queued = (*ends.queued, *[wish.expected(row)] * (row.backlog - len(row.use.backlog)))
    slots = [0] * max(0, min(free, most))
    slots += [_NEVER if left is None else left for left in running[: most - len(slots)]]
    if queued and slots:
        heapify(slots)
        for needed in queued:
            heapreplace(slots, _NEVER if needed is None else min(_NEVER, slots[0] + needed))
    return [at if at < _NEVER else None for at in sorted(slots)]


def remaining_ms(snapshot: Snapshot, row: Row, attempt: AttemptId, task: TaskId) -> int | None:
    """How long an attempt will still run, as far as its command is known."""
    want = snapshot.state.jobs[job_of(task)].spec.want
    learned = snapshot.state.learned
    known = learned.get((want.key, row.number)) if want.key else None
    if known is not None:
        expected = known.mean_ms
    else:
        anywhere = learned.get((want.key, ANY_NODE)) if want.key else None
        if anywhere is None:
            return None
        expected = anywhere.mean_ms * 1000 // row.node.speed
    elapsed = row.seen.elapsed_ms.get(attempt, 0)
    return expected - elapsed if elapsed < expected else elapsed // 2 + 1
