"""The queue, as an index over jobs that could start: by person, by priority, by what they want.

Tasks of one person, priority and want are interchangeable when placed, so they stand in one group: when one of them
finds no room, none of its group does, and the planner looks past 100,000 of them at once. In a lane (one person, one
priority) groups are ordered by the oldest job in them.

Promises: derived from the records alone and independent of the order they came in; every update costs the same at any
length, as long as jobs come and go in order.
Never: holds a fact that the records do not.
"""

from collections.abc import Iterator
from typing import NamedTuple

from odyssey.ids import JobId, TaskIndex, UserId
from odyssey.scheduler.ordered import SortedIds
from odyssey.spec import Want


class GroupKey(NamedTuple):
    user: UserId
    priority: int
    want: Want


class Group:
    """Jobs that want the same, oldest first."""

    __slots__ = ("jobs", "key")

    def __init__(self, key: GroupKey) -> None:
        self.key = key
        self.jobs = SortedIds()


class Lane:
    """The groups of one person and priority, by their oldest job."""

    __slots__ = ("groups", "heads")

    def __init__(self) -> None:
        self.heads = SortedIds()
        self.groups: dict[int, Group] = {}  # by the oldest job's id

    def __iter__(self) -> Iterator[tuple[int, Group]]:
        for head in self.heads:
            yield head, self.groups[head]


class Waiting:
    __slots__ = ("_group_of", "_groups", "lanes", "ready")

    def __init__(self) -> None:
        self._groups: dict[GroupKey, Group] = {}
        self._group_of: dict[JobId, Group] = {}
        self.lanes: dict[UserId, dict[int, Lane]] = {}
        self.ready: dict[JobId, SortedIds] = {}  # indices of waiting tasks that have a record and no backoff

    def __contains__(self, job: JobId) -> bool:
        return job in self._group_of

    def __len__(self) -> int:
        return len(self._group_of)

    def group_of(self, job: JobId) -> Group | None:
        return self._group_of.get(job)

    def jobs(self) -> Iterator[JobId]:
        return iter(self._group_of)

    def mark(self, job: JobId, index: TaskIndex, ready: bool) -> None:
        """A task with a record became ready to be placed, or stopped being so."""
        if ready:
            self.ready.setdefault(job, SortedIds()).add(index)
        elif (indices := self.ready.get(job)) is not None:
            indices.discard(index)
            if not len(indices):
                del self.ready[job]

    def put(self, job: JobId, key: GroupKey) -> None:
        group = self._group_of.get(job)
        if group is not None:
            if group.key == key:
                return
            self.drop(job)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(key)
        self._group_of[job] = group
        self._reorder(group, job, add=True)

    def drop(self, job: JobId) -> None:
        group = self._group_of.pop(job, None)
        if group is not None:
            self._reorder(group, job, add=False)

    def branched(self, user: UserId) -> "Waiting":
        """A copy in which this person's jobs can be put and dropped without moving them here; the rest is shared."""
        copy = Waiting()
        copy.ready = self.ready
        copy.lanes = {other: lanes for other, lanes in self.lanes.items() if other != user}
        copy._groups = {key: group for key, group in self._groups.items() if key.user != user}
        copy._group_of = {job: group for job, group in self._group_of.items() if group.key.user != user}
        for lane in self.lanes.get(user, {}).values():
            for _, group in lane:
                for job in group.jobs:
                    copy.put(JobId(job), group.key)
        return copy

    def layout(self) -> dict[str, object]:
        """The whole index as plain data, to compare two of them."""
        lanes = {
            (user, priority): [(head, group.key, list(group.jobs)) for head, group in lane]
            for user, of_user in self.lanes.items()
            for priority, lane in of_user.items()
        }
        return {"lanes": lanes, "ready": {job: list(indices) for job, indices in self.ready.items()}}

    def _reorder(self, group: Group, job: JobId, add: bool) -> None:
        before = group.jobs.first() if len(group.jobs) else None
        (group.jobs.add if add else group.jobs.discard)(job)
        after = group.jobs.first() if len(group.jobs) else None
        if before == after:
            return
        lane = self._lane(group.key)
        if before is not None:
            lane.heads.discard(before)
            del lane.groups[before]
        if after is not None:
            lane.heads.add(after)
            lane.groups[after] = group
        else:
            self._forget(group, lane)

    def _lane(self, key: GroupKey) -> Lane:
        lanes = self.lanes.setdefault(key.user, {})
        lane = lanes.get(key.priority)
        if lane is None:
            lane = lanes[key.priority] = Lane()
        return lane

    def _forget(self, group: Group, lane: Lane) -> None:
        del self._groups[group.key]
        if not len(lane.heads):
            lanes = self.lanes[group.key.user]
            del lanes[group.key.priority]
            if not lanes:
                del self.lanes[group.key.user]
