"""An old mesh with many live tasks, and the entries that come next in its log.

Promises: entries are made without applying any: the numbers of jobs and attempts follow from the log alone.
Never: is measured itself.
"""

from typing import Final

from bench.builders import FENCE, GIB, WHY, Mesh, client, entry, report, spec, want
from odyssey.commands import (
    ArchiveJobs,
    AssignTasks,
    Batch,
    CancelTasks,
    Command,
    Entry,
    ReportAttempts,
    SubmitJobs,
)
from odyssey.ids import JobId, NodeNumber, attempt_id, task_id

LIVE: Final = 100_000
MACHINES: Final = 1000
BATCH: Final = 100
SPEC: Final = spec(0, want(0.25, GIB // 4, key="render"))


def live_mesh(live: int) -> Mesh:
    """Half in single jobs, half in arrays; two on each machine, the rest waiting. The mesh is an old one: as many
    submits were answered as are remembered, and those jobs are archived."""
    mesh = Mesh()
    mesh.machines(MACHINES, cpus=(64,))
    for _ in range(live):
        mesh.do(CancelTasks(mesh.submit(SPEC)))
    mesh.do(ArchiveJobs(FENCE, bytes(32), 1, ((1, live + 1),), mesh.state.head.index))
    first = mesh.submit(spec(1, want(key="encode"), count=live // 4))
    mesh.submit(spec(2, want(key="train"), count=live // 4))
    for _ in range(live // 2 // 500):
        mesh.submit(*(SPEC for _ in range(500)))
    for number in range(MACHINES):
        mesh.assign(first, 2 * number, 2 * number + 2, number + 1)
    return mesh


class Writer:
    """Entries for jobs that are yet to come: numbers follow from the log, so all can be made beforehand."""

    def __init__(self, mesh: Mesh) -> None:
        self.entries: list[Entry] = []
        self._index = mesh.state.head.index
        self._job = mesh.state.head.last_job

    def write(self, command: Command) -> int:
        self._index += 1
        self.entries.append(entry(self._index, command))
        return self._index

    def submit(self, count: int) -> list[JobId]:
        self.write(SubmitJobs(client(self._index), self._index, (SPEC,) * count))
        self._job = JobId(self._job + count)
        return [JobId(self._job - count + 1 + at) for at in range(count)]

    def assign(self, jobs: list[JobId], node: int) -> int:
        batches = tuple(Batch(NodeNumber(node), job, ((0, 1),), score=90_000) for job in jobs)
        return self.write(AssignTasks(FENCE, batches, (WHY,)))

    def report(self, jobs: list[JobId], node: int, at: int) -> None:
        told = (report(attempt_id(1, at, position), task_id(job, 0)) for position, job in enumerate(jobs))
        self.write(ReportAttempts(NodeNumber(node), tuple(told)))

    def phases(self, count: int, each: int) -> dict[str, list[Entry]]:
        """`count` jobs: all submitted, all assigned, all reported, `each` in one entry."""
        groups = [self.submit(each) for _ in range(count // each)]
        nodes = [1 + at % MACHINES for at in range(len(groups))]
        ats = [self.assign(jobs, node) for jobs, node in zip(groups, nodes, strict=True)]
        for jobs, node, at in zip(groups, nodes, ats, strict=True):
            self.report(jobs, node, at)
        size = len(groups)
        return {
            kind: self.entries[at * size : (at + 1) * size] for at, kind in enumerate(("submit", "assign", "report"))
        }

    def mix(self, count: int) -> list[Entry]:
        """As they come: a job waits a while and runs a while, and others come and go meanwhile."""
        waiting: list[list[JobId]] = []
        running: list[tuple[list[JobId], int, int]] = []
        for turn in range(count // 3):
            waiting.append(self.submit(1))
            if len(waiting) > 20:
                jobs, node = waiting.pop(0), 1 + turn * 7 % MACHINES
                running.append((jobs, node, self.assign(jobs, node)))
            if len(running) > 200:
                self.report(*running.pop(turn % 200))
        return self.entries
