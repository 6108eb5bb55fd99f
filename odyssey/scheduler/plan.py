"""Who gets what now: from a snapshot to a plan.

People in the order of their share, each person's jobs in the order of priority and age; for each task the best machine
that has room, else a place in a short backlog, else it waits and everyone behind it is looked at all the same. What has
waited for ten minutes and still finds no room gets a machine kept free for it.

Promises: the same snapshot gives the same plan, with or without a board from earlier plans (but a budget may end one
without sooner); the cost grows with what is placed and what has changed, not with the queue; it stops at its budget and
says that there is more.
Never: changes the state. A plan is a proposal; the door checks it again.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from odyssey.commands import AssignTasks, Batch, Command, Fence, GiveUpTasks, Held, RecallAttempts
from odyssey.ids import JobId, NodeNumber, TaskId, UserId, job_of, task_id
from odyssey.model import Job, Task
from odyssey.scheduler import decision
from odyssey.scheduler.board import Board
from odyssey.scheduler.fairshare import Turns
from odyssey.scheduler.feasible import LASTING, Code, been_there, has_room
from odyssey.scheduler.line import Cursor, Line
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.ranking import Ranking
from odyssey.scheduler.rows import Row, Wish
from odyssey.scheduler.runs import spans_of
from odyssey.scheduler.snapshot import NodeState, Snapshot
from odyssey.scheduler.tail import Tails
from odyssey.scheduler.waiting import Group

MOST: Final = 1000  # assignments of one plan: keeps an entry small and a leader responsive
NEW_RANKINGS: Final = 64  # likewise: wishes looked at for the first time
RESERVE_AT_AGE: Final = 1  # points of ageing, ten minutes each
TRY_AT_AGE: Final = 3  # a command nobody knows waits no longer than this for a faster machine's word
_FOR_ROOM: Final = frozenset({Code.FULL, Code.FASTER_SOON})  # what else is blocked has no use for a free machine
_COUNTED: Final = 20_000  # of a group's waiting tasks; more is never a tail


class Blocked(NamedTuple):
    """A group that found no room, by its oldest waiting job."""

    job: JobId
    code: Code


class Plan(NamedTuple):
    batches: tuple[Batch, ...] = ()
    whys: tuple[bytes, ...] = ()
    give_up: tuple[TaskId, ...] = ()
    recall: tuple[Held, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    more: bool = False  # the budget is used up: plan again after this one is applied

    @property
    def assigned(self) -> int:
        return sum(stop - start for batch in self.batches for start, stop in batch.spans)


def plan(
    snapshot: Snapshot,
    board: Board | None = None,
    policies: Mapping[str, Policy] = BUILT_IN,
    most: int = MOST,
) -> Plan:
    policy, weights = policy_of(snapshot, policies)
    board = Board() if board is None else board
    board.sync(snapshot, policy, weights)
    planner = _Planner(snapshot, board, policy, weights, most)
    planner.run()
    return planner.result()


def orders(plan: Plan, fence: Fence, by: NodeNumber | None = None) -> list[Command]:
    """The plan as commands for the log; `by` is the machine that made it."""
    commands: list[Command] = []
    if plan.batches:
        whys = tuple(decision.signed(why, fence.term, by) for why in plan.whys) if by else plan.whys
        commands.append(AssignTasks(fence, plan.batches, whys))
    if plan.give_up:
        commands.append(GiveUpTasks(fence, plan.give_up))
    if plan.recall:
        commands.append(RecallAttempts(fence, plan.recall))
    return commands


def policy_of(snapshot: Snapshot, policies: Mapping[str, Policy]) -> tuple[Policy, dict[str, int]]:
    """The mesh's policy with the mesh's weights. One that is not installed here gives way to the default."""
    head = snapshot.state.head
    policy = policies.get(head.policy) or BUILT_IN["weighted"]
    return policy, {**policy.weights, **dict(head.weights)}


class _Place(NamedTuple):
    job: JobId
    node: NodeNumber
    slot: bool
    why: int


class _Planner:
    """One run. Keeps what was placed, and which wishes found no room."""

    def __init__(self, snapshot: Snapshot, board: Board, policy: Policy, weights: Mapping[str, int], most: int) -> None:
        self._snapshot, self._state, self._board = snapshot, snapshot.state, board
        self._policy, self._weights, self._most, self._left = policy, weights, most, most
        self._tails = Tails(snapshot, board.rows)
        self._placed: dict[_Place, tuple[list[int], int]] = {}
        self._whys: list[bytes] = []
        self._why_of: dict[tuple[UserId, object, JobId], int] = {}
        self._blocked: dict[int, Blocked] = {}  # by group
        self._waiting_left: dict[int, int] = {}  # tasks of a group not placed yet, counted when needed
        self._give_up: list[TaskId] = []
        self._reservations = max(1, len(board.rows) // 8)
        self._more = False
        self._stay: set[tuple[object, ...]] = set()  # backlog that no other machine has room for, and its like
        self._hopeless: set[tuple[object, ...]] = set()  # tasks with a past that find no room, and their like
        self._lines: dict[UserId, Line] = {}

    # -- the walk ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        turns = Turns(self._state)
        rank = self._rank if self._policy.ranks else None
        scout = self._is_untried if self._policy.waits else None
        while turns and not self._more:
            user = turns.first()
            line = self._lines.get(user)
            if line is None:
                line = self._lines[user] = Line(self._state, user, rank, scout)
            lane = line.first()
            if lane is None:
                turns.drop_first()
                continue
            cursor = lane.first()
            assert cursor is not None
            index = cursor.take()
            if index is None:
                lane.next_job()
                continue
            if self._place(cursor, index):
                turns.charge_first(cursor.group.key.want.need.cpu_milli)
                lane.scouted()
            elif id_of(cursor.group) in self._blocked:
                lane.drop_first()

    def _is_untried(self, group: Group) -> bool:
        return self._tails.untried(group.key.want.key)

    def _rank(self, group: Group) -> int:
        return self._policy.rank(self._board.wish(self._snapshot, group.key.user, group.key.want))

    def _place(self, cursor: Cursor, index: int) -> bool:
        group, job = cursor.group, cursor.job
        task = self._state.tasks.get(task_id(job.id, index))
        ranking = self._ranking(group)
        if ranking is None:
            return False
        if task is not None and self._hopeless and _kin(group, task) in self._hopeless:
            return False
        slot = True
        found = self._best(ranking, ranking, job, task, group)
        if found is None and self._state.age(job.id) < RESERVE_AT_AGE:
            slot = False
            found = self._best(self._board.queue(ranking), ranking, job, task, group)
        if found is None:
            self._no_room(ranking, group, job, task)
            return False
        value, row = found
        self._record(ranking, job, index, row, slot, value)
        return True

    def _ranking(self, group: Group) -> Ranking | None:
        key = group.key
        if self._left <= 0 or (
            self._board.rankings_built >= NEW_RANKINGS and not self._board.known(key.user, key.want)
        ):
            self._more = True
            return None
        return self._board.ranking(self._snapshot, key.user, key.want)

    # -- choosing a machine --------------------------------------------------------------------------------------------

    def _best(
        self, among: Ranking, ranking: Ranking, job: Job, task: Task | None, group: Group
    ) -> tuple[int, Row] | None:
        accept = self._accept(ranking, task, group)
        found = among.best(self._board.rows, accept)
        if found is None or among is not ranking or not job.spec.inputs or not self._weights.get("locality"):
            return found
        return self._nearest(found, ranking, job, accept)

    def _accept(self, ranking: Ranking, task: Task | None, group: Group) -> Callable[[Row], bool] | None:
        """What this very task has against a machine that suits its group; None when there is nothing to ask."""
        if task is None and not self._policy.waits:
            return None

        def accept(row: Row) -> bool:
            if been_there(task, row) is not None or self._is_tail(ranking, task, row, group):
                return False
            return task is None or not self._elsewhere_first(ranking, task, row, group)

        return accept

    def _elsewhere_first(self, ranking: Ranking, task: Task, row: Row, group: Group) -> bool:
        """After a failure on this machine another one is tried, if any other would take it now."""
        if not task.tries or task.tries[-1].node != row.number:
            return False

        def accept(other: Row) -> bool:
            return (
                other is not row and been_there(task, other) is None and not self._is_tail(ranking, task, other, group)
            )

        return ranking.best(self._board.rows, accept) is not None

    def _is_tail(self, ranking: Ranking, task: Task | None, row: Row, group: Group) -> bool:
        if not self._policy.waits:
            return False
        if task is not None and (task.refused_by or task.memory_floor):
            return False  # the faster machines may be closed to it
        if not ranking.wish.best_ms and self._state.age(JobId(group.jobs.first())) >= TRY_AT_AGE:
            return False  # whoever is at it may never end
        placed = self._most - self._left
        return self._tails.better_wait(ranking.wish, ranking.codes, row, lambda: self._left_in(group), placed)

    def _left_in(self, group: Group) -> int:
        left = self._waiting_left.get(id_of(group))
        if left is None:
            left = 0
            for job in group.jobs:
                left += self._state.jobs[JobId(job)].counts[0]
                if left >= _COUNTED:
                    break
            left -= sum(
                len(indices)
                for place, (indices, _) in self._placed.items()
                if self._state.waiting.group_of(place.job) is group
            )
            self._waiting_left[id_of(group)] = left
        return left

    def _nearest(
        self, found: tuple[int, Row], ranking: Ranking, job: Job, accept: Callable[[Row], bool] | None
    ) -> tuple[int, Row]:
        """Machines that hold some of the inputs compete with the best of all others; the rest is equally far away."""
        inputs = {blob.digest: blob.size for blob in job.spec.inputs}
        value, best = found
        best_value = self._value(ranking.wish, best, inputs)
        for row in self._board.holding(inputs):
            if row.number in ranking.codes or row.reserved_for is not None or not has_room(ranking.wish, row):
                continue
            if accept is not None and not accept(row):
                continue
            value = self._value(ranking.wish, row, inputs)
            if (value, -row.number) > (best_value, -best.number):
                best_value, best = value, row
        return best_value, best

    def _value(self, wish: Wish, row: Row, inputs: Mapping[bytes, int]) -> int:
        return sum(self._policy.parts(self._weights, wish, row, inputs).values())

    # -- what was found ------------------------------------------------------------------------------------------------

    def _record(self, ranking: Ranking, job: Job, index: int, row: Row, slot: bool, value: int) -> None:
        inputs = {blob.digest: blob.size for blob in job.spec.inputs}
        why = self._why(ranking, job, row, inputs)
        place = _Place(job.id, row.number, slot, why)
        if place in self._placed:
            self._placed[place] = self._placed.pop(place)  # the last one given stands last
            self._placed[place][0].append(index)
        else:
            score = value if slot else self._value(ranking.wish, row, inputs)
            self._placed[place] = ([index], score)
        group = self._state.waiting.group_of(job.id)
        if group is not None and id_of(group) in self._waiting_left:
            self._waiting_left[id_of(group)] -= 1
        self._board.give(row, ranking.wish, slot)
        self._tails.given(ranking.wish, row)
        self._left -= 1

    def _why(self, ranking: Ranking, job: Job, row: Row, inputs: Mapping[bytes, int]) -> int:
        """One record for all equal tasks of this plan; jobs with inputs of their own have one each."""
        key = (ranking.wish.user, ranking.wish.want, job.id if inputs else JobId(0))
        known = self._why_of.get(key)
        if known is not None:
            return known
        top = ranking.in_order(self._board.rows, decision.TOP)
        if row not in top:
            top = [row, *top[: decision.TOP - 1]]
        weighed = [
            decision.Weighed(one.number, self._policy.parts(self._weights, ranking.wish, one, inputs)) for one in top
        ]
        weighed.sort(key=lambda one: (-sum(one.parts.values()), one.node))
        moved = sum(size for digest, size in inputs.items() if digest not in row.seen.blobs)
        self._whys.append(
            decision.encode(self._policy.name, weighed, self._excluded(ranking), ranking.wish.expected(row), moved)
        )
        self._why_of[key] = len(self._whys) - 1
        return self._why_of[key]

    def _excluded(self, ranking: Ranking) -> Counter[Code]:
        excluded = Counter(ranking.codes.values())
        full = sum(
            1
            for row in self._board.rows.values()
            if row.number not in ranking.codes and not has_room(ranking.wish, row)
        )
        if full:
            excluded[Code.FULL] = full
        return excluded

    def _no_room(self, ranking: Ranking, group: Group, job: Job, task: Task | None) -> None:
        """Nobody takes this task. Unless that is about this very task, nobody takes any of its group."""
        if task is not None and (task.refused_by or task.memory_floor) and self._nobody_left(ranking, task):
            self._give_up.append(task.id)
            return
        free = bool(ranking.in_order(self._board.rows, 1))
        marked = task is not None and bool(task.refused_by or task.memory_floor or task.tries)
        if marked and (free or self._board.queue(ranking).in_order(self._board.rows, 1)):
            self._alone(ranking, job, task)
            self._hopeless.add(_kin(group, task))
            return
        code = Code.FASTER_SOON if free else Code.FULL
        if len(ranking.codes) == len(self._board.rows):
            code = Code.TOO_SMALL if Code.TOO_SMALL in ranking.codes.values() else Code.GONE
        self._blocked[id_of(group)] = Blocked(job.id, code)
        if code is Code.FULL:
            self._reserve(ranking, job, task)

    def _alone(self, ranking: Ranking, job: Job, task: Task | None) -> None:
        """Its group finds room, but only where this very task may not go."""
        if ranking.best(self._board.rows, lambda row: been_there(task, row) is None) is None:
            self._reserve(ranking, job, task)

    def _nobody_left(self, ranking: Ranking, task: Task) -> bool:
        """Every machine that could ever take it has said: not here, or has too little memory for what it needs."""
        return all(
            been_there(task, row) is not None or ranking.codes.get(number) in LASTING
            for number, row in self._board.rows.items()
        )

    def _reserve(self, ranking: Ranking, job: Job, task: Task | None) -> None:
        """Keep the machine that needs to free least, so that what is small cannot starve what is big."""
        if not self._reservations or self._state.age(job.id) < RESERVE_AT_AGE:
            return
        wish = ranking.wish
        best: tuple[int, NodeNumber] | None = None
        for row in self._board.rows.values():
            if row.number in ranking.codes or row.reserved_for is not None or been_there(task, row) is not None:
                continue
            if row.seen.memory_free is not None and row.seen.memory_free + row.use.memory < wish.memory:
                continue  # what others use there does not end with our tasks
            missing = max(
                1000 * (wish.cpu - row.free_cpu) // row.total_cpu,
                1000 * (wish.memory - row.free_memory) // row.total_memory,
            )
            if best is None or (missing, row.number) < best:
                best = (missing, row.number)
        if best is not None:
            self._board.reserve(self._board.rows[best[1]], job.id)
            self._reservations -= 1

    # -- the plan ------------------------------------------------------------------------------------------------------

    def result(self) -> Plan:
        """In the order of the last given, slots first: the room that they take is not there for what queues."""
        batches = tuple(
            Batch(place.node, place.job, spans_of(sorted(indices)), place.slot, place.why, score)
            for place, (indices, score) in sorted(self._placed.items(), key=lambda one: not one[0].slot)
        )
        recall = () if self._more else self._recalls()
        return Plan(batches, tuple(self._whys), tuple(self._give_up), recall, tuple(self._blocked.values()), self._more)

    def _recalls(self) -> tuple[Held, ...]:
        """Backlog that would be done sooner on a machine with room that nothing waits for, or that must leave."""
        held: list[Held] = []
        wanted = len(self._board.rows) == 1 or any(one.code in _FOR_ROOM for one in self._blocked.values())
        may_be_old = len(self._state.head.age_marks) >= RESERVE_AT_AGE
        for row in self._board.rows.values():
            if wanted and row.open and not may_be_old:
                continue  # none of a long backlog could be
            for position, attempt in enumerate(row.use.backlog):
                task = self._state.tasks[self._state.held[row.number][attempt]]
                mine = next(one for one in task.attempts if one.id == attempt)
                if not mine.recalled and not mine.stopping and self._better_elsewhere(task, row, position, wanted):
                    held.append((attempt, task.id))
        return tuple(held)

    def _better_elsewhere(self, task: Task, holder: Row, position: int, wanted: bool) -> bool:
        if holder.state is not NodeState.UP:
            return False  # it cannot be asked; if it is lost, the task moves as lost
        if not holder.open or self._state.age(job_of(task.id)) >= RESERVE_AT_AGE:
            return True  # what has queued for so long is passed by smaller tasks; waiting, a machine is kept for it
        if wanted:
            return False
        kin = (job_of(task.id), holder.number, task.refused_by, task.memory_floor)
        if kin in self._stay:
            return False
        spec = self._state.jobs[job_of(task.id)].spec
        ranking = self._board.ranking(self._snapshot, spec.user, spec.want)
        found = ranking.best(self._board.rows, lambda row: row is not holder and been_there(task, row) is None)
        if found is None:
            self._stay.add(kin)
            return False
        wish, other = ranking.wish, found[1]
        slots = wish.slots(holder)
        if wish.best_ms and wish.expected(holder) * (slots + position + 1) // slots <= wish.expected(other):
            return False
        self._board.give(other, wish, slot=True)
        return True


def id_of(group: Group) -> int:
    """Groups are compared by their oldest job: it is in one group only."""
    return group.jobs.first()


def _kin(group: Group, task: Task | None) -> tuple[object, ...]:
    """What a task's past rules out: who has the same is in the same place."""
    assert task is not None
    return id_of(group), task.refused_by, task.memory_floor, task.tries[-1].node if task.tries else 0
