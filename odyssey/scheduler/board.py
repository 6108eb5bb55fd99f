"""Machines and wishes as the planner sees them, kept from one plan to the next.

A `Row` is a machine with its free room, a `Wish` what jobs of one group ask for, a `Ranking` the machines in the order
in which a wish prefers them. A row that changes is written into a log of touched rows; each ranking reads on from where
it stopped. So a plan costs what changed since the last one, not what there is.

Promises: a memo only: a plan made with an old board equals one made with a new board.
Never: changes the state; a reservation lives in rows until the state says it better.
"""

from collections.abc import Callable, Iterator, Mapping
from heapq import heapify, heappop, heappush
from typing import Final

from odyssey.ids import JobId, NodeNumber, UserId
from odyssey.model import Health, Node, Use
from odyssey.scheduler import score
from odyssey.scheduler.feasible import Code, has_room, is_open, why_closed
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.snapshot import NodeState, OwnerState, Seen, Snapshot
from odyssey.scheduler.state import ANY_NODE, State
from odyssey.spec import Want

NO_USE: Final = Use()
NO_HEALTH: Final = Health()
GONE: Final = Seen(state=NodeState.GONE)
NOTHING: Final[frozenset[bytes]] = frozenset()
_FINE_BITS: Final = 4  # learned times count in steps of about 6 %: less is noise and not worth a new order
_A_ROUND: Final = 1 << 20


class Row:
    """One machine. `free_*` is what may be given, `booked_memory` what the books alone would give, `soft_cpu` what is
    really idle there."""

    __slots__ = (
        "backlog",
        "booked_memory",
        "fixed",
        "free_cpu",
        "free_disk",
        "free_gpus",
        "free_memory",
        "given",
        "health",
        "labels",
        "looks",
        "node",
        "number",
        "open",
        "owner_present",
        "planned",
        "reliability",
        "reserved_for",
        "seen",
        "soft_cpu",
        "stamp",
        "state",
        "total_cpu",
        "total_disk",
        "total_gpus",
        "total_memory",
        "turn",
        "use",
    )

    def __init__(self, number: NodeNumber) -> None:
        self.number = number
        self.stamp = 0  # grows with every change, so that older opinions of it are recognised
        self.planned = False  # holds reservations of a plan: its room must be counted anew
        self.reserved_for: JobId | None = None
        self.turn = 0
        self.fixed = 0  # its own share of every score on it

        self.looks: tuple[object, ...] = ()  # what rankings were told of it last

    def load(self, node: Node, use: Use, seen: Seen, health: Health) -> None:
        if not self.stamp or node is not self.node:
            self._load_facts(node)
        self.use, self.seen, self.health = use, seen, health
        self.state = seen.state
        self.open = is_open(node.removed, node.draining, seen.state, seen.owner)
        self.owner_present = seen.owner is OwnerState.IN_USE
        self.reliability = health.reliability
        self.recount()

    def _load_facts(self, node: Node) -> None:
        self.node = node
        self.labels = dict(node.labels)
        self.total_cpu, self.total_memory = max(1, node.total.cpu_milli), max(1, node.total.memory)
        self.total_gpus, self.total_disk = node.total.gpus, node.total.disk

    def recount(self) -> None:
        use, seen = self.use, self.seen
        self.free_cpu = self.total_cpu - use.cpu_milli
        self.free_memory = self.booked_memory = self.total_memory - use.memory
        if seen.memory_free is not None and seen.memory_free < self.free_memory:
            self.free_memory = seen.memory_free
        self.free_gpus = self.total_gpus - use.gpus
        self.free_disk = self.total_disk - use.disk
        self.soft_cpu = self.free_cpu
        if seen.cpu_free_milli is not None and seen.cpu_free_milli < self.free_cpu:
            self.soft_cpu = seen.cpu_free_milli
        self.backlog = len(use.backlog)
        self.given = 0
        self.planned = False

    def look(self) -> tuple[object, ...]:
        """All that a ranking's opinion of the machine hangs on, besides its facts."""
        return (
            self.fixed,
            self.free_cpu,
            self.free_memory,
            self.booked_memory,
            self.free_gpus,
            self.free_disk,
            self.soft_cpu,
            self.backlog,
            self.open,
            self.state,
            self.owner_present,
            self.reserved_for,
        )

    def give(self, wish: "Wish", slot: bool) -> None:
        if slot:
            self.free_cpu -= wish.cpu
            self.soft_cpu -= wish.cpu
            self.free_memory -= wish.memory
            self.booked_memory -= wish.memory
            self.free_gpus -= wish.gpus
            self.free_disk -= wish.disk
            self.given += 1
        else:
            self.backlog += 1
        self.planned = True


class Wish:
    """What jobs of one user and want ask for, with what is known of their run times."""

    __slots__ = (
        "anywhere_ms",
        "best_ms",
        "best_speed",
        "cpu",
        "disk",
        "gpus",
        "memory",
        "picky",
        "times",
        "user",
        "want",
    )

    def __init__(self, user: UserId, want: Want, best_speed: int) -> None:
        need = want.need
        self.user, self.want = user, want
        self.cpu, self.memory, self.gpus, self.disk = need.cpu_milli, need.memory, need.gpus, need.disk
        self.picky = bool(want.on or want.avoid or want.needs or want.os or want.arch or want.gpu_memory)
        self.best_speed = best_speed
        self.times: dict[NodeNumber, int] = {}  # on every machine, once anything is known
        self.anywhere_ms = 0  # on the reference machine; 0 while nothing is known
        self.best_ms = 0  # the shortest expected anywhere

    def learn(self, state: State, rows: Mapping[NodeNumber, Row]) -> bool:
        """Take in what is known now; True if it is worth a new order of the machines."""
        key, learned = self.want.key, state.learned
        anywhere = learned.get((key, ANY_NODE)) if key else None
        if anywhere is None:
            anywhere_ms, times = 0, {}
        else:
            anywhere_ms = coarse(anywhere.mean_ms)
            times = {
                number: coarse(known.mean_ms)
                if (known := learned.get((key, number)))
                else max(1, anywhere_ms * 1000 // row.node.speed)
                for number, row in rows.items()
            }
        if anywhere_ms == self.anywhere_ms and times == self.times:
            return False
        self.anywhere_ms, self.times = anywhere_ms, times
        self.best_ms = min(times.values(), default=0)
        return True

    def expected(self, row: Row) -> int:
        """Run time on this machine in ms, 0 while nothing is known of the command anywhere."""
        return self.times[row.number] if self.anywhere_ms else 0

    def slots(self, row: Row) -> int:
        """How many of these the machine takes side by side when it is empty."""
        return max(1, min(row.total_cpu // max(1, self.cpu), row.total_memory // max(1, self.memory)))


def coarse(ms: int) -> int:
    """Rounded down to a few leading bits, never to 0."""
    shift = max(0, ms.bit_length() - _FINE_BITS - 1)
    return max(1, ms >> shift << shift)


class Ranking:
    """The machines that admit a wish, best first."""

    __slots__ = ("_admits", "_heap", "_log", "_read", "_value", "codes", "wish")

    def __init__(
        self,
        wish: Wish,
        rows: Mapping[NodeNumber, Row],
        log: list[Row],
        value: Callable[[Wish, Row], int],
        admits: Callable[[Wish, Row], bool],
    ) -> None:
        self.wish, self._log, self._value, self._admits = wish, log, value, admits
        self.codes: dict[NodeNumber, Code] = {}  # machines that are closed to this wish, and why
        self._heap: list[tuple[int, NodeNumber, int]] = []
        self.renew(rows)

    def renew(self, rows: Mapping[NodeNumber, Row]) -> None:
        wish, value, admits, codes = self.wish, self._value, self._admits, self.codes
        heap = []
        codes.clear()
        for number, row in rows.items():
            code = why_closed(wish, row)
            if code is not None:
                codes[number] = code
            elif admits(wish, row):
                heap.append((-value(wish, row), number, row.stamp))
        heapify(heap)
        self._heap, self._read = heap, len(self._log)

    def catch_up(self) -> None:
        """Look again at the machines that changed since the last time."""
        log, read = self._log, self._read
        if read == len(log):
            return
        for row in dict.fromkeys(log[read:]):
            code = why_closed(self.wish, row)
            if code is not None:
                self.codes[row.number] = code
                continue
            self.codes.pop(row.number, None)
            if row.reserved_for is None and self._admits(self.wish, row):
                heappush(self._heap, (-self._value(self.wish, row), row.number, row.stamp))
        self._read = len(log)

    def skip(self, cut: int) -> bool:
        """The log lost so many from its front; False if some of them were not read."""
        self._read -= cut
        return self._read >= 0

    def best(self, rows: Mapping[NodeNumber, Row], accept: Callable[[Row], bool] | None) -> tuple[int, Row] | None:
        """The best machine that is acceptable to this very task, with its value."""
        heap, aside, found = self._heap, [], None
        while heap:
            negative, number, stamp = heap[0]
            row = rows.get(number)
            if row is None or row.stamp != stamp or row.reserved_for is not None:
                heappop(heap)  # an old opinion: the new one, if any, is further down
                continue
            if accept is None or accept(row):
                found = (-negative, row)
                break
            aside.append(heappop(heap))
        for entry in aside:
            heappush(heap, entry)
        return found

    def in_order(self, rows: Mapping[NodeNumber, Row], most: int) -> list[Row]:
        """The first few, for the record."""
        taken: list[tuple[int, NodeNumber, int]] = []
        result: list[Row] = []
        while self._heap and len(result) < most:
            entry = heappop(self._heap)
            row = rows.get(entry[1])
            if row is not None and row.stamp == entry[2] and row.reserved_for is None:
                taken.append(entry)
                result.append(row)
        for entry in taken:
            heappush(self._heap, entry)
        return result


class Board:
    """All rows, and the rankings that were needed so far."""

    def __init__(self) -> None:
        self.rows: dict[NodeNumber, Row] = {}
        self.log: list[Row] = []
        self.holders: dict[bytes, set[NodeNumber]] = {}
        self.best_speed = 1
        self.rankings_built = 0
        self._facts_changed = False
        self._rankings: dict[tuple[UserId, Want], Ranking] = {}
        self._queues: dict[tuple[UserId, Want], Ranking] = {}
        self._learned_at: dict[tuple[UserId, Want], object] = {}
        self._policy: object = None
        self._weights: Mapping[str, int] = {}
        self._total: Callable[[Wish, Row], int] = score.total_of({})
        self._fixed: Callable[[Row], int] = score.fixed_of({})

    # -- machines ------------------------------------------------------------------------------------------------------

    def sync(self, snapshot: Snapshot, policy: Policy, weights: Mapping[str, int]) -> None:
        """Bring rows up to date; those that changed are logged as touched."""
        self.rankings_built = 0
        self._follow(policy, weights)
        state, seen = snapshot.state, snapshot.seen
        if len(self.rows) != len(state.nodes) or any(number not in state.nodes for number in self.rows):
            self._match(state)
        for number, node in state.nodes.items():
            row = self.rows[number]
            use = state.uses.get(number, NO_USE)
            told = seen.get(number, GONE)
            health = state.health.get(number, NO_HEALTH)
            if (
                row.stamp
                and row.node is node
                and row.use is use
                and row.seen is told
                and row.health is health
                and not row.planned
                and row.reserved_for is None
            ):
                continue
            self._refresh(row, node, use, told, health)
        if "turn" in weights:
            self._take_turns(state)
        if self._facts_changed:
            self._facts_changed = False
            self.forget()
        if len(self.log) > 8 * len(self.rows) + 1000:
            self._trim()

    def _follow(self, policy: Policy, weights: Mapping[str, int]) -> None:
        if policy is not self._policy or weights != self._weights:
            self._policy, self._weights = policy, weights
            self._total, self._fixed = policy.total(weights), score.fixed_of(weights)
            self.rows.clear()
            self.holders.clear()

    def _match(self, state: State) -> None:
        """Machines came or went: rows in the order of their numbers, so that the order of arrival leaves no trace."""
        for number in [number for number in self.rows if number not in state.nodes]:
            self._hold(number, self.rows[number].seen.blobs, frozenset())
        self.rows = {number: self.rows.get(number) or Row(number) for number in sorted(state.nodes)}
        self._facts_changed = True

    def _refresh(self, row: Row, node: Node, use: Use, seen: Seen, health: Health) -> None:
        before = row.seen.blobs if row.stamp else NOTHING
        if seen.blobs is not before:
            self._hold(row.number, before, seen.blobs)
        self._facts_changed |= bool(row.stamp) and row.node is not node
        row.load(node, use, seen, health)
        row.fixed = self._fixed(row)
        row.reserved_for = None
        looks = row.look()
        if looks != row.looks:
            row.looks = looks
            self.touch(row)

    def _hold(self, number: NodeNumber, before: frozenset[bytes], after: frozenset[bytes]) -> None:
        for digest in before - after:
            self.holders[digest].discard(number)
        for digest in after - before:
            self.holders.setdefault(digest, set()).add(number)

    def _take_turns(self, state: State) -> None:
        """Whose turn it is, counted from the machine that was given something last."""
        order = sorted(self.rows)
        last = state.head.last_given
        turns = [number for number in order if number > last] + [number for number in order if number <= last]
        for position, number in enumerate(turns):
            row = self.rows[number]
            if row.turn != position:
                row.turn = position
                row.fixed = self._fixed(row)
                self._touch_for_now(row)

    def touch(self, row: Row) -> None:
        row.stamp += 1
        self.log.append(row)

    def _touch_for_now(self, row: Row) -> None:
        """What a plan does to a machine; the next plan looks at it anew, whatever it finds."""
        row.looks = ()
        self.touch(row)

    def _trim(self) -> None:
        """Shorten the log by half; rankings that have not read that far are those nobody asked for lately."""
        cut = len(self.log) // 2
        del self.log[:cut]
        for key in [key for key, queue in self._queues.items() if not queue.skip(cut)]:
            del self._queues[key]
        for key in [key for key, ranking in self._rankings.items() if not ranking.skip(cut)]:
            del self._rankings[key]
            del self._learned_at[key]
            self._queues.pop(key, None)

    def forget(self) -> None:
        self.best_speed = max((row.node.speed for row in self.rows.values()), default=1)
        self.log.clear()
        self._rankings.clear()
        self._queues.clear()
        self._learned_at.clear()

    # -- wishes --------------------------------------------------------------------------------------------------------

    def wish(self, snapshot: Snapshot, user: UserId, want: Want) -> Wish:
        """A wish alone, without a ranking; what is known of its run times is as in the state."""
        known = self._rankings.get((user, want))
        if known is not None:
            self._learn(snapshot, known)
            return known.wish
        wish = Wish(user, want, self.best_speed)
        wish.learn(snapshot.state, self.rows)
        return wish

    def known(self, user: UserId, want: Want) -> bool:
        return (user, want) in self._rankings

    def ranking(self, snapshot: Snapshot, user: UserId, want: Want) -> Ranking:
        key = (user, want)
        ranking = self._rankings.get(key)
        if ranking is None:
            wish = Wish(user, want, self.best_speed)
            wish.learn(snapshot.state, self.rows)
            ranking = self._rankings[key] = Ranking(wish, self.rows, self.log, self._total, has_room)
            self._learned_at[key] = snapshot.state.learned.get((want.key, ANY_NODE))
            self.rankings_built += 1
            return ranking
        self._learn(snapshot, ranking)
        ranking.catch_up()
        return ranking

    def _learn(self, snapshot: Snapshot, ranking: Ranking) -> None:
        """All scores of the wish hang on the best time, so if times moved all are made anew."""
        key = (ranking.wish.user, ranking.wish.want)
        learned = snapshot.state.learned.get((ranking.wish.want.key, ANY_NODE))
        if learned is self._learned_at.get(key):
            return
        self._learned_at[key] = learned
        if not ranking.wish.learn(snapshot.state, self.rows):
            return
        ranking.renew(self.rows)
        queue = self._queues.get(key)
        if queue is not None:
            queue.renew(self.rows)

    def queue(self, ranking: Ranking) -> Ranking:
        """Where a task would be done first if it had to queue at a machine."""
        key = (ranking.wish.user, ranking.wish.want)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = Ranking(ranking.wish, self.rows, self.log, _soonest, _may_queue)
        else:
            queue.catch_up()
        return queue

    def give(self, row: Row, wish: Wish, slot: bool) -> None:
        row.give(wish, slot)
        if "turn" in self._weights:
            row.turn += _A_ROUND
            row.fixed = self._fixed(row)
        self._touch_for_now(row)

    def reserve(self, row: Row, job: JobId) -> None:
        row.reserved_for = job
        self._touch_for_now(row)

    def holding(self, inputs: Mapping[bytes, int]) -> Iterator[Row]:
        numbers = sorted({number for digest in inputs for number in self.holders.get(digest, ())})
        return (self.rows[number] for number in numbers)


# -- backlog -----------------------------------------------------------------------------------------------------------

SHORT_MS: Final = 1_000  # two wait per slot
MEDIUM_MS: Final = 10_000  # one waits per slot; anything longer is better placed when it can start


def depth(expected_ms: int) -> int:
    """How many tasks may wait per slot on a machine: enough to hide the way to the coordinator, never a long wait."""
    if not expected_ms or expected_ms > MEDIUM_MS:
        return 0
    return 2 if expected_ms <= SHORT_MS else 1


def _may_queue(wish: Wish, row: Row) -> bool:
    """Only where something has to end first: what fits by the books is started as soon as it is there."""
    if row.backlog >= depth(wish.expected(row)) * wish.slots(row):
        return False
    return (
        wish.cpu > row.free_cpu
        or wish.memory > row.booked_memory
        or wish.gpus > row.free_gpus
        or wish.disk > row.free_disk
    )


def _soonest(wish: Wish, row: Row) -> int:
    """Higher is sooner: the end of a task that queues here, as if what is ahead were like it."""
    slots = wish.slots(row)
    return -(wish.expected(row) * (slots + row.backlog + 1) // slots)
