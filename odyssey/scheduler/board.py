"""All machines and the rankings needed so far, kept from one plan to the next.

The board brings rows up to date, writes those that changed into the log of touched rows, and makes a ranking when a
wish is met for the first time. So a plan costs what changed since the last one, not what there is.

Promises: a memo only: a plan made with an old board equals one made with a new board.
Never: changes the state; a reservation lives in rows until the state says it better.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from odyssey.ids import JobId, NodeNumber, UserId
from odyssey.model import Health, Node, Use
from odyssey.scheduler import score
from odyssey.scheduler.feasible import has_room
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.ranking import Ranking, may_queue, soonest
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.snapshot import NodeState, Seen, Snapshot
from odyssey.scheduler.state import ANY_NODE, State
from odyssey.spec import Want

NO_USE: Final = Use()
NO_HEALTH: Final = Health()
GONE: Final = Seen(state=NodeState.GONE)
NOTHING: Final[frozenset[bytes]] = frozenset()
_A_ROUND: Final = 1 << 20


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
            queue = self._queues[key] = Ranking(ranking.wish, self.rows, self.log, soonest, may_queue)
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
