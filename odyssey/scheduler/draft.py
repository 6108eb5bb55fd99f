"""One entry's changes, collected beside the state and then written all at once.

A transition reads and writes through a Draft: it sees its own changes, the state does not. When the transition raises,
the draft is dropped and nothing has happened. All that can go wrong (a lifecycle step, resources below zero) goes wrong
here; `commit` only moves finished records in and brings the indexes along.

Promises: a task's change, its job's counts and its machine's use are one step; indexes follow from the old and the new
record, so they cannot drift.
Never: decides what should happen.
"""

from collections.abc import Iterable

import msgspec

from odyssey.errors import ImpossibleStep, NegativeResources
from odyssey.ids import (
    AttemptId,
    ClientId,
    JobId,
    NodeId,
    NodeNumber,
    TaskId,
    UserId,
    index_of,
    job_of,
    show_task,
    task_id,
)
from odyssey.model import TASK_STEPS, Attempt, Health, Invite, Job, Learned, Member, Node, Segment, Task, TaskState, Use
from odyssey.resources import Resources
from odyssey.scheduler.runs import first_waiting
from odyssey.scheduler.state import MAX_CLIENTS, MAX_LEARNED, Head, LearnedKey, State, Submitted, queue_key

replace = msgspec.structs.replace
WAITING = TaskState.WAITING
NO_USE = Use()


class Draft:
    __slots__ = (
        "clients",
        "dropped_invites",
        "dropped_members",
        "dropped_nodes",
        "dropped_segments",
        "gone_jobs",
        "head",
        "health",
        "invites",
        "issuers",
        "jobs",
        "learned",
        "members",
        "nodes",
        "revoked",
        "segments",
        "state",
        "tasks",
        "usage",
        "uses",
    )

    def __init__(self, state: State, head: Head) -> None:
        self.state = state
        self.head = head
        self.jobs: dict[JobId, Job] = {}
        self.tasks: dict[TaskId, Task] = {}
        self.nodes: dict[NodeNumber, Node] = {}
        self.uses: dict[NodeNumber, Use] = {}
        self.health: dict[NodeNumber, Health] = {}
        self.learned: dict[LearnedKey, Learned] = {}
        self.usage: dict[UserId, int] = {}
        self.clients: dict[ClientId, Submitted] = {}
        self.segments: dict[bytes, Segment] = {}
        self.invites: dict[bytes, Invite] = {}
        self.members: dict[NodeId, Member] = {}
        self.issuers: dict[bytes, bytes] = {}
        self.revoked: dict[NodeId, bytes] = {}
        self.gone_jobs: list[JobId] = []
        self.dropped_nodes: list[NodeNumber] = []
        self.dropped_segments: list[bytes] = []
        self.dropped_invites: list[bytes] = []
        self.dropped_members: list[NodeId] = []

    # -- reading -------------------------------------------------------------------------------------------------------

    def job(self, job: JobId) -> Job | None:
        return self.jobs.get(job) or self.state.jobs.get(job)

    def task(self, task: TaskId) -> Task | None:
        return self.tasks.get(task) or self.state.tasks.get(task)

    def node(self, node: NodeNumber) -> Node | None:
        return self.nodes.get(node) or self.state.nodes.get(node)

    def use(self, node: NodeNumber) -> Use:
        return self.uses.get(node) or self.state.uses.get(node) or NO_USE

    # -- writing -------------------------------------------------------------------------------------------------------

    def change(self, old: Task, new: Task) -> None:
        """Replace a task's record; its job's counts and its machines' use follow."""
        job = self.jobs.get(job_of(old.id)) or self.state.jobs[job_of(old.id)]
        if old.state is not new.state:
            check_step(old, new)
            counts = list(job.counts)
            counts[old.state] -= 1
            counts[new.state] += 1
            job = replace(job, counts=tuple(counts), attempts=job.attempts + len(new.attempts) - len(old.attempts))
            self.jobs[job.id] = job
        elif len(old.attempts) != len(new.attempts):
            job = replace(job, attempts=job.attempts + len(new.attempts) - len(old.attempts))
            self.jobs[job.id] = job
        if old.attempts is not new.attempts:
            self._account(old.attempts, new.attempts, job.spec.want.need)
        self.tasks[new.id] = new

    def _account(self, old: tuple[Attempt, ...], new: tuple[Attempt, ...], need: Resources) -> None:
        for attempt in old:
            if attempt not in new:
                self.uses[attempt.node] = without(self.use(attempt.node), attempt, need)
        for attempt in new:
            if attempt not in old:
                self.uses[attempt.node] = with_(self.use(attempt.node), attempt, need)

    def forget_client(self) -> None:
        """Keep the newest answers only; whoever is older than the oldest kept must not submit blindly again."""
        over = len(self.state.clients) + len(self.clients) - MAX_CLIENTS
        if over > 0:
            oldest = next(iter(self.state.clients))
            self.head = replace(self.head, client_floor=self.state.clients[oldest].index + 1)

    # -- committing ----------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        state = self.state
        touched = self._commit_tasks(state) if self.tasks else None
        if self.jobs or touched:
            self._commit_jobs(state, touched or ())
        state.uses.update(self.uses)
        if self.learned:
            self._commit_learned(state)
        if self.clients:
            self._commit_clients(state)
        state.health.update(self.health)
        state.usage.update(self.usage)
        state.nodes.update(self.nodes)
        state.segments.update(self.segments)
        for job in self.gone_jobs:
            self._remove_job(state, job)
        for node in self.dropped_nodes:
            for table in (state.nodes, state.uses, state.health, state.held):
                table.pop(node, None)
        for digest in self.dropped_segments:
            state.segments.pop(digest, None)
        self._commit_members(state)
        state.head = self.head

    def _commit_members(self, state: State) -> None:
        state.invites.update(self.invites)
        state.members.update(self.members)
        state.issuers.update(self.issuers)
        state.revoked.update(self.revoked)
        for invite in self.dropped_invites:
            state.invites.pop(invite, None)
        for member in self.dropped_members:
            state.members.pop(member, None)

    def _commit_tasks(self, state: State) -> dict[JobId, None]:
        touched: dict[JobId, None] = {}
        tasks, backoffs, waiting = state.tasks, state.backoffs, state.waiting
        for id_, new in self.tasks.items():
            old = tasks.get(id_)
            tasks[id_] = new
            was_ready = old is not None and old.state is WAITING and not old.backoff_ms
            is_ready = new.state is WAITING and not new.backoff_ms
            if was_ready != is_ready:
                job = job_of(id_)
                waiting.mark(job, index_of(id_), is_ready)
                touched[job] = None
            if new.backoff_ms and new.state is WAITING:
                backoffs[id_] = None
            elif old is not None and old.backoff_ms:
                backoffs.pop(id_, None)
            old_attempts = old.attempts if old is not None else ()
            if old_attempts is not new.attempts:
                self._commit_attempts(state, new, old_attempts)
        return touched

    def _commit_attempts(self, state: State, task: Task, old: tuple[Attempt, ...]) -> None:
        job = self.jobs.get(job_of(task.id)) or state.jobs[job_of(task.id)]
        user, cpu = job.spec.user, job.spec.want.need.cpu_milli
        change = 0
        for attempt in old:
            if attempt not in task.attempts:
                state.held[attempt.node].pop(attempt.id, None)
                change -= cpu if attempt.slot else 0
        for attempt in task.attempts:
            if attempt not in old:
                state.held.setdefault(attempt.node, {})[attempt.id] = task.id
                change += cpu if attempt.slot else 0
        if change:
            left = state.reserved.get(user, 0) + change
            if left:
                state.reserved[user] = left
            else:
                state.reserved.pop(user, None)

    def _commit_jobs(self, state: State, touched: Iterable[JobId]) -> None:
        for job_id, new in self.jobs.items():
            old = state.jobs.get(job_id)
            state.jobs[job_id] = new
            if new.ended_index:
                state.ended[job_id] = None
            elif old is not None and old.ended_index:
                state.ended.pop(job_id, None)
            if new.blockers is not (old.blockers if old is not None else ()):
                index_blockers(state.children, job_id, old.blockers if old is not None else (), new.blockers)
            requeue(state, new)
        for job_id in touched:
            if job_id not in self.jobs:
                requeue(state, state.jobs[job_id])

    def _commit_learned(self, state: State) -> None:
        for key, learned in self.learned.items():
            state.learned[key] = learned
            state.learned.move_to_end(key)  # the least recently changed stands first
        while len(state.learned) > MAX_LEARNED:
            state.learned.popitem(last=False)

    def _commit_clients(self, state: State) -> None:
        state.clients.update(self.clients)
        while len(state.clients) > MAX_CLIENTS:
            state.clients.popitem(last=False)

    def _remove_job(self, state: State, job_id: JobId) -> None:
        job = state.jobs.pop(job_id)
        for index in range(job.spec.count):
            state.tasks.pop(task_id(job_id, index), None)
        state.ended.pop(job_id, None)
        state.waiting.drop(job_id)


def check_step(old: Task, new: Task) -> None:
    if new.state not in TASK_STEPS[old.state]:
        raise ImpossibleStep(f"task {show_task(old.id)} cannot go from {old.state.name} to {new.state.name}")


def requeue(state: State, job: Job) -> None:
    """Give the job its place in the queue, or take it out."""
    key = queue_key(job)
    if key is not None and (job.id in state.waiting.ready or first_waiting(job.runs) is not None):
        state.waiting.put(job.id, key)
    else:
        state.waiting.drop(job.id)


def index_blockers(
    children: dict[JobId, dict[JobId, None]], job: JobId, old: tuple[JobId, ...], new: tuple[JobId, ...]
) -> None:
    """Each step costs the same, however many wait for one parent or one waits for."""
    before, after = frozenset(old), frozenset(new)
    for parent in old:
        if parent not in after and parent in children:
            children[parent].pop(job, None)
            if not children[parent]:
                del children[parent]
    for parent in new:
        if parent not in before:
            children.setdefault(parent, {})[job] = None


def with_(use: Use, attempt: Attempt, need: Resources) -> Use:
    if not attempt.slot:
        backlog = (*use.backlog, attempt.id)
        return Use(use.cpu_milli, use.memory, use.gpus, use.disk, use.slots, _in_order(backlog))
    return Use(
        use.cpu_milli + need.cpu_milli,
        use.memory + need.memory,
        use.gpus + need.gpus,
        use.disk + need.disk,
        use.slots + 1,
        use.backlog,
    )


def without(use: Use, attempt: Attempt, need: Resources) -> Use:
    if not attempt.slot:
        at = use.backlog.index(attempt.id)  # mostly the first, of perhaps a hundred
        backlog = use.backlog[:at] + use.backlog[at + 1 :]
        return Use(use.cpu_milli, use.memory, use.gpus, use.disk, use.slots, backlog)
    new = Use(
        use.cpu_milli - need.cpu_milli,
        use.memory - need.memory,
        use.gpus - need.gpus,
        use.disk - need.disk,
        use.slots - 1,
        use.backlog,
    )
    if new.cpu_milli < 0 or new.memory < 0 or new.gpus < 0 or new.disk < 0 or new.slots < 0:
        raise NegativeResources(f"machine {attempt.node} would hold less than nothing: {new}")
    return new


def has_room(use: Use, need: Resources, total: Resources) -> bool:
    return (
        use.cpu_milli + need.cpu_milli <= total.cpu_milli
        and use.memory + need.memory <= total.memory
        and use.gpus + need.gpus <= total.gpus
        and use.disk + need.disk <= total.disk
    )


def _in_order(backlog: tuple[AttemptId, ...]) -> tuple[AttemptId, ...]:
    return backlog if len(backlog) < 2 or backlog[-2] < backlog[-1] else tuple(sorted(backlog))
