"""History under the eyes of the simulation: which jobs have left the state, by the events of the log, and whether what
is on the disks says the same.

Promises: a job is in the state or in one segment, never in both; every keeper has what its state names, and what is
written there of a job is how it ended.
Never: trusts a state for what an event has said, or an event for what is on a disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from odyssey.events import Event, JobsArchived, SegmentAdopted, SegmentsDropped
from odyssey.ids import ClientId, JobId, TaskId, show_task, task_id
from odyssey.mesh.roles import quorum
from odyssey.model import TaskState
from odyssey.scheduler.segments import Kept, contents
from odyssey.scheduler.state import State
from tests.sim.checks import Violation
from tests.sim.results import Results

if TYPE_CHECKING:
    from tests.sim.node import SimNode


class Left(NamedTuple):
    jobs: frozenset[JobId]
    at: int  # by which entry


class Departed:
    """What the log says has left."""

    def __init__(self) -> None:
        self.archived: dict[bytes, Left] = {}
        self.dropped: dict[bytes, int] = {}
        self.adopted: dict[ClientId, int] = {}  # whose jobs came as history of another generation
        self._seen = 0

    def fork(self, index: int) -> Departed:
        new = Departed()
        new.archived = {digest: left for digest, left in self.archived.items() if left.at <= index}
        new.dropped = {digest: at for digest, at in self.dropped.items() if at <= index}
        new.adopted = {client: at for client, at in self.adopted.items() if at <= index}
        new._seen = min(self._seen, index)
        return new

    def saw(self, index: int, events: Iterable[Event], node: SimNode) -> None:
        if index <= self._seen:
            return
        self._seen = index
        for event in events:
            match event:
                case JobsArchived(digest=digest, jobs=spans):
                    jobs = frozenset(JobId(job) for start, stop in spans for job in range(start, stop))
                    self.archived[digest] = Left(jobs, index)
                    _is_kept(digest, node)
                case SegmentAdopted(digest=digest):
                    _is_kept(digest, node)
                    clients = (one.job.client for one in contents(_sound_copy(digest, _holders(digest, node))).jobs)
                    self.adopted.update((client, index) for client in clients if client not in self.adopted)
                case SegmentsDropped(digests=digests):
                    self.dropped.update(dict.fromkeys(digests, index))
                case _:
                    pass

    def let_go(self) -> frozenset[JobId]:
        """By retention, and so from all disks."""
        return frozenset[JobId]().union(*(self.archived[one].jobs for one in self.dropped if one in self.archived))


def _holders(digest: bytes, node: SimNode) -> list[SimNode]:
    return [one for one in node.all.values() if digest in segments_of(one)]


def _is_kept(digest: bytes, node: SimNode) -> None:
    """The order is only just applied: a quorum has the segment, but for stores that were lost since."""
    assert node.replica is not None
    voters = node.replica.core.config.voters
    having = 0
    for voter in voters:
        machine = node.all.get(voter.node)
        having += machine is None or machine.member != voter or machine.spoilt or digest in segments_of(machine)
    if having < quorum(len(voters)):
        raise Violation(f"9: segment {digest.hex()[:12]} is ordered, and {having} of {len(voters)} voters have it")


# -- on the disks ------------------------------------------------------------------------------------------------------


def segments_of(node: SimNode) -> dict[bytes, bytes]:
    """By digest, also what has rotted since."""
    cells = node.disk.cells.cells
    return {key[1]: data for key, data in cells.items() if key[0] == "segment" and isinstance(key[1], bytes)}


def lacks(node: SimNode) -> list[bytes]:
    """What its state names and its disk has not."""
    return [digest for digest in node.book.state.segments if digest not in segments_of(node)] if node.book else []


def account(state: State, keepers: Iterable[SimNode], results: Results) -> frozenset[JobId]:
    """The jobs in the segments of the state, all of them as they ended."""
    found: dict[JobId, bytes] = {}
    keepers = list(keepers)
    for digest, known in state.segments.items():
        _is_everywhere(digest, keepers)
        origin, jobs, _ = contents(_sound_copy(digest, keepers))
        if len(jobs) != known.jobs:
            raise Violation(f"9: segment {digest.hex()[:12]} has {len(jobs)} jobs, the state says {known.jobs}")
        for kept in jobs if not origin else ():
            number = kept.job.id
            if number in state.jobs or number in found:
                raise Violation(f"9: job {number} is in segment {digest.hex()[:12]} and once more elsewhere")
            found[number] = digest
            _ended_so(kept, results.ended)
    return frozenset(found)


def _is_everywhere(digest: bytes, keepers: Iterable[SimNode]) -> None:
    for node in keepers:
        if digest in lacks(node):
            raise Violation(f"9: {node.id} does not have segment {digest.hex()[:12]}, which its state names")


def _sound_copy(digest: bytes, holders: Iterable[SimNode]) -> bytes:
    for data in [segments_of(node)[digest] for node in holders]:
        if sha256(data).digest() == digest:
            return data
    raise Violation(f"9: nobody has a sound copy of segment {digest.hex()[:12]}")


def _ended_so(kept: Kept, ended: Mapping[TaskId, tuple[TaskState, int]]) -> None:
    written = dict(_states(kept))
    for index in range(kept.job.spec.count):
        task = task_id(kept.job.id, index)
        told = ended[task][0] if task in ended else None
        if written.get(task) is not told:
            raise Violation(f"9: task {show_task(task)} ended as {told!r}, its segment says {written.get(task)!r}")


def _states(kept: Kept) -> Iterator[tuple[TaskId, TaskState]]:
    for run in kept.job.runs:
        for index in range(run.start, run.stop):
            yield task_id(kept.job.id, index), run.state
    for task in kept.tasks:
        yield task.id, task.state
