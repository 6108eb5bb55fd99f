"""All virtual machines of a mesh, and the way between them and the coordinator.

What the coordinator sends is there a few milliseconds later, and so is a report on its way back. A machine that
vanishes takes what it runs with it; an owner who comes back ends what belongs to others. What can be seen of a machine
follows its beats: silent after 3 s without one, gone after 5; after 9 its tasks may be given away.

Promises: every attempt that started here has one span, whatever became of it.
Never: decides what runs where, or changes the books.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple

from odyssey.commands import Report, ReportAttempts
from odyssey.ids import AttemptId, NodeNumber, TaskId
from odyssey.model import Outcome
from odyssey.scheduler.lab.machines import Machine, What
from odyssey.scheduler.lab.timeline import Timeline
from odyssey.scheduler.lab.worker import Held, Running, Worker
from odyssey.scheduler.snapshot import NodeState, Seen
from odyssey.spec import Blob

LATENCY_MS: Final = 20  # from the log to a machine that starts, and from an end to the log
SILENT_MS, GONE_MS, LOST_MS = 3_000, 5_000, 9_000
MASS_MS: Final = 30_000  # machines that vanish this close together say nothing about their tasks


class Span(NamedTuple):
    """One attempt on one machine, from its start to its end."""

    node: NodeNumber
    task: TaskId
    start_ms: int
    end_ms: int
    outcome: Outcome


class Coordinator(NamedTuple):
    """Whom the machines tell what."""

    report: Callable[[ReportAttempts], None]
    lose: Callable[[NodeNumber, bool], None]  # and whether others vanished with it
    look: Callable[[], None]  # something is to be seen


class Floor:
    def __init__(self, timeline: Timeline, machines: Iterable[Machine], coordinator: Coordinator) -> None:
        self._timeline, self._coordinator = timeline, coordinator
        self.workers = {NodeNumber(at): Worker(NodeNumber(at), machine) for at, machine in enumerate(machines, 1)}
        self.spans: list[Span] = []
        self.first_start: dict[TaskId, int] = {}
        self._vanished: dict[NodeNumber, int] = {}
        for worker in self.workers.values():
            for change in worker.machine.changes:
                timeline.at(change.at_ms, partial(self._change, worker, change.what))

    def seen(self) -> Mapping[NodeNumber, Seen]:
        return {number: worker.seen(self._timeline.now) for number, worker in self.workers.items()}

    def stop_all(self) -> None:
        """The curtain falls: what still runs has a span up to here."""
        for worker in self.workers.values():
            for running in list(worker.running.values()):
                self._stop(worker, running, Outcome.CANCELLED)

    # -- from the coordinator ------------------------------------------------------------------------------------------

    def send(self, node: NodeNumber, helds: list[Held], slot: bool) -> None:
        self._timeline.after(LATENCY_MS, partial(self._receive, self.workers[node], helds, slot))

    def recall(self, node: NodeNumber, attempt: AttemptId) -> None:
        self._timeline.after(LATENCY_MS, partial(self._withdraw, self.workers[node], attempt))

    def place(self, node: NodeNumber, inputs: Iterable[Blob]) -> None:
        """Files that are there from the start, because a person has them there."""
        self.workers[node].there_at.update({blob.digest: 0 for blob in inputs})

    def _receive(self, worker: Worker, helds: list[Held], slot: bool) -> None:
        if not worker.up:
            return
        refused = [held for held in helds if not worker.admits(held.spec)]
        (worker.slots if slot else worker.backlog).extend(held for held in helds if held not in refused)
        self._report(worker, [(held, Outcome.REJECTED, 0) for held in refused])
        self._start(worker)

    def _withdraw(self, worker: Worker, attempt: AttemptId) -> None:
        held = worker.withdraw(attempt)
        if held is not None:
            self._report(worker, [(held, Outcome.REJECTED, 0)])

    # -- work ----------------------------------------------------------------------------------------------------------

    def _start(self, worker: Worker) -> None:
        for running in worker.start_what_fits(self._timeline.now):
            self.first_start.setdefault(running.held.task, self._timeline.now)
            self._timeline.at(running.ends_ms, partial(self._finish, worker, running))

    def _finish(self, worker: Worker, running: Running) -> None:
        if worker.running.get(running.held.attempt) is not running:
            return
        self._stop(worker, running, Outcome.EXITED)
        self._report(worker, [(running.held, Outcome.EXITED, running.compute_ms)])
        self._start(worker)

    def _stop(self, worker: Worker, running: Running, outcome: Outcome) -> None:
        worker.end(running.held.attempt)
        self.spans.append(Span(worker.number, running.held.task, running.started_ms, self._timeline.now, outcome))

    def _report(self, worker: Worker, ended: Iterable[tuple[Held, Outcome, int]]) -> None:
        now = self._timeline.now
        reports = tuple(
            Report(held.attempt, held.task, outcome, 0, now - run_ms, now, run_ms, run_ms)
            for held, outcome, run_ms in ended
        )
        if reports:
            command = ReportAttempts(worker.number, reports)
            self._timeline.after(LATENCY_MS, partial(self._coordinator.report, command))

    # -- machines come and go ------------------------------------------------------------------------------------------

    def _change(self, worker: Worker, what: What) -> None:
        worker.change(what)
        match what:
            case What.VANISH:
                self._vanish(worker)
            case What.RETURN:
                worker.show(NodeState.UP)
            case What.OWNER_IN:
                self._make_way(worker)
        self._coordinator.look()

    def _vanish(self, worker: Worker) -> None:
        for running in list(worker.running.values()):
            self._stop(worker, running, Outcome.LOST)
        worker.slots.clear()
        worker.backlog.clear()
        self._vanished[worker.number] = self._timeline.now
        self._timeline.after(SILENT_MS, partial(self._show, worker, NodeState.SILENT))
        self._timeline.after(GONE_MS, partial(self._show, worker, NodeState.GONE))
        self._timeline.after(LOST_MS, partial(self._lose, worker))

    def _show(self, worker: Worker, state: NodeState) -> None:
        worker.show(state)
        self._coordinator.look()

    def _lose(self, worker: Worker) -> None:
        mine = self._vanished[worker.number]
        together = sum(abs(at - mine) <= MASS_MS for at in self._vanished.values()) > 1
        self._coordinator.lose(worker.number, together)

    def _make_way(self, worker: Worker) -> None:
        """The owner is back: what belongs to others ends or is handed back."""
        foreign = [one for one in worker.running.values() if not worker.admits(one.held.spec)]
        for running in foreign:
            self._stop(worker, running, Outcome.EVICTED)
        ended = [(one.held, Outcome.EVICTED, self._timeline.now - one.started_ms) for one in foreign]
        self._report(worker, [*ended, *((held, Outcome.REJECTED, 0) for held in worker.hand_back())])
        self._start(worker)
