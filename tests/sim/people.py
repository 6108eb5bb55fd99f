"""The people of a world: they submit, cancel and look, at any machine, and remember what they were told and when.

Every try is a call of its own in the history: one that was answered, or one that nobody knows of and that may still
take effect. Whoever was told that it is not on the log crosses it out: it must never show.

Promises: who acts when follows from the seed alone; two machines never told one person different things unnoticed.
Never: asks a machine for more than people can see.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from odyssey.clock import SeededEntropy
from odyssey.commands import AdmitNode, CancelTasks, Command, Facts, RemoveNode, SubmitJobs
from odyssey.events import CommandFailed, CommandRefused, JobSubmitted, SubmitRepeated
from odyssey.ids import ClientId, JobId, NodeId, NodeNumber, UserId
from odyssey.mesh.letters import Accepted, Again, Outcome, Unknown
from odyssey.model import TaskState
from odyssey.resources import Resources
from odyssey.scheduler.state import State
from odyssey.spec import JobSpec, Want
from tests.linear import UNKNOWN, Call
from tests.linear_jobs import ABSENT, ACCEPTED, CLOSED, DONE, ENDED, LIVE, TOO_LATE, Ask, Told, What
from tests.sim.branches import Branches
from tests.sim.checks import Violation
from tests.sim.node import SimNode

if TYPE_CHECKING:
    from tests.sim.loop import VirtualLoop

ANNA: Final = UserId("anna")
PATIENT_SECONDS: Final = 10  # the door may have gone down with the question
REMOVE_AGAIN_SECONDS: Final = 2
LAST: Final = 8  # what people look at and cancel is mostly new
Answered = Callable[[Outcome], bool]


class People:
    def __init__(
        self, loop: VirtualLoop, machines: list[SimNode], entropy: SeededEntropy, pause_ms: int, branches: Branches
    ) -> None:
        self._loop, self._machines, self._entropy, self._pause_ms = loop, machines, entropy, pause_ms
        self.acknowledged: dict[ClientId, JobId] = {}
        self._branches = branches
        self._told_at: dict[ClientId, int] = {}
        self.submitted = 0
        self._clients: list[ClientId] = []
        self._acts = 0
        self._moments = 0
        self._history: dict[int, Call[Ask, Told]] = {}  # by the moment of asking
        self._at_rest = False

    def relied_on(self) -> dict[ClientId, JobId]:
        """What was acknowledged and must be there. Whoever recovers is told what may be missing: all that was agreed on
        after the fork."""
        fork = self._branches.first_fork
        return {one: job for one, job in self.acknowledged.items() if fork is None or self._told_at[one] <= fork}

    @property
    def history(self) -> list[Call[Ask, Told]]:
        return list(self._history.values())

    def admit(self, node: SimNode) -> None:
        self._insist(AdmitNode(node.id, node.id, ANNA, Facts(node.total, shared=True)), f"admit {node.id}")

    def remove(self, id_: NodeId) -> None:
        """By its name, until nobody knows it: its number may mean another machine in another generation."""
        self._remove(id_, self._entropy.fork(f"remove {id_}"))

    def _remove(self, id_: NodeId, chance: SeededEntropy) -> None:
        doors = [one for one in self._machines if one.up and one.book is not None and _number(one, id_) is not None]
        if doors:
            self._put(chance.choose(doors), id_)
        self._loop.call_later(REMOVE_AGAIN_SECONDS, self._remove, id_, chance)

    def _put(self, door: SimNode, id_: NodeId) -> None:
        replica, number = door.replica, _number(door, id_)
        if replica is not None and number is not None:
            door.run(door.boots, lambda: replica.propose(RemoveNode(number), lambda _: None))

    def _insist(self, command: Command, why: str) -> None:
        self._send(command, None, lambda outcome: isinstance(outcome, Accepted), self._entropy.fork(why), 1 << 20)

    def start(self) -> None:
        for node in self._machines:
            self.admit(node)
        self._loop.call_later(self._entropy.below(2000) / 1000, self._act)

    def rest(self) -> None:
        self._at_rest = True

    # -- what they do --------------------------------------------------------------------------------------------------

    def _act(self) -> None:
        """Drawn from the seed alone; what comes of it from a source of its own: a fault less does not change who acts
        later."""
        if self._at_rest:
            return
        self._loop.call_later((1 + self._entropy.below(self._pause_ms)) / 1000, self._act)
        self._acts += 1
        chance = self._entropy.fork(f"act {self._acts}")
        deed = chance.below(100)
        if deed < 60 or not self._clients:
            self._submit(chance)
        elif deed < 75:
            self._cancel(chance.choose(self._clients[-LAST:]), chance)
        else:
            self._look(chance.choose(self._clients[-LAST:]), chance)

    def _submit(self, chance: SeededEntropy) -> None:
        self.submitted += 1
        client = ClientId(self.submitted.to_bytes(16, "big"))
        self._clients.append(client)
        command = SubmitJobs(client, 0, (a_spec(chance),))
        self._send(command, Ask(What.SUBMIT, self.submitted), lambda one: self._is_told(client, one), chance, 200)

    def _cancel(self, client: ClientId, chance: SeededEntropy) -> None:
        job = self.acknowledged.get(client)
        if job is not None:
            ask = Ask(What.CANCEL, int.from_bytes(client, "big"))
            self._send(CancelTasks(job), ask, lambda outcome: isinstance(outcome, Accepted), chance, 20)

    def _look(self, client: ClientId, chance: SeededEntropy) -> None:
        door = self._door(chance)
        replica = door.replica if door is not None else None
        if door is None or replica is None:
            return
        ask = Ask(What.GET, int.from_bytes(client, "big"))
        begin = self._asks(ask)

        def answered(index: int | None) -> None:
            if index is None or door.book is None:
                del self._history[begin]  # saw nothing, changed nothing
            else:
                self._hears(begin, seen(door.book.state, client))

        door.run(door.boots, lambda: replica.read(answered))

    # -- how -----------------------------------------------------------------------------------------------------------

    def _door(self, chance: SeededEntropy) -> SimNode | None:
        doors = [node for node in self._machines if node.up]
        return chance.choose(doors) if doors else None

    def _send(self, command: Command, ask: Ask | None, is_enough: Answered, chance: SeededEntropy, tries: int) -> None:
        """Any machine is a door; whoever does not know the outcome asks again, somewhere else, under the same id. So
        does who is told no more than that it is on the log."""

        def again(after_ms: int) -> None:
            if tries > 0:
                self._loop.call_later(after_ms / 1000, self._send, command, ask, is_enough, chance, tries - 1)

        door = self._door(chance)
        replica = door.replica if door is not None else None
        if door is None or replica is None:
            again(500)
            return
        begin = self._asks(ask) if ask is not None else 0
        waiting = [True]

        def answered(outcome: Outcome) -> None:
            if not waiting:
                return
            waiting.clear()
            if ask is not None:
                self._note(begin, outcome)
            if not is_enough(outcome):
                again(
                    outcome.after_ms * (1 + chance.below(8)) if isinstance(outcome, Again) else 1 + chance.below(1000)
                )

        door.run(door.boots, replica.propose, command, answered)
        if waiting:
            self._loop.call_later(PATIENT_SECONDS, answered, Unknown())

    def _is_told(self, client: ClientId, outcome: Outcome) -> bool:
        told = said(outcome.answer) if isinstance(outcome, Accepted) else Told()
        if told.job:
            known = self.acknowledged.setdefault(client, JobId(told.job))
            self._told_at.setdefault(client, outcome.index if isinstance(outcome, Accepted) else 0)
            if known != told.job and self._branches.first_fork is None:
                raise Violation(f"9: one submit was told two numbers, {known} and {told.job}")
        return client in self.acknowledged

    # -- what they remember --------------------------------------------------------------------------------------------

    def _asks(self, ask: Ask) -> int:
        self._moments += 1
        self._history[self._moments] = Call(ask, UNKNOWN, self._moments)
        return self._moments

    def _hears(self, begin: int, told: Told) -> None:
        self._moments += 1
        self._history[begin] = Call(self._history[begin].ask, told, begin, self._moments)

    def _note(self, begin: int, outcome: Outcome) -> None:
        if isinstance(outcome, Accepted):
            self._hears(begin, said(outcome.answer))
        elif isinstance(outcome, Again):
            del self._history[begin]  # it is not on the log, and will not be


def said(answer: object) -> Told:
    """What the events of an entry tell who asked for it."""
    for event in answer if isinstance(answer, list) else ():
        match event:
            case JobSubmitted(job=job) | SubmitRepeated(first=job):
                return Told(job, DONE)
            case CommandRefused(code="job-ended"):
                return Told(0, TOO_LATE)
            case CommandRefused(code="no-such-job"):  # they were told its number: it is over, and history
                return Told(0, TOO_LATE)
            case CommandRefused() | CommandFailed():
                raise Violation(f"9: what is sound was refused: {event}")
            case _:
                return Told(0, ACCEPTED)
    return Told(0, DONE)


def seen(state: State, client: ClientId) -> Told:
    """What a look at a job shows."""
    known = state.clients.get(client)
    if known is None:
        return Told(0, ABSENT)
    job = state.jobs.get(known.first)
    if job is None or job.ended_index:
        return Told(known.first, ENDED)
    live = job.counts[TaskState.WAITING] + job.counts[TaskState.ASSIGNED]
    return Told(known.first, LIVE if live else CLOSED)


def a_spec(chance: SeededEntropy) -> JobSpec:
    need = Resources(chance.choose((250, 500, 1000, 1000, 2000)), 1 << 28)
    spec = JobSpec(
        ANNA,
        (b"true",),
        Want(need, key=f"true{chance.below(3)}"),
        count=chance.choose((1, 1, 1, 2, 5)),
    )
    match chance.below(6):
        case 0:
            return msgspec.structs.replace(spec, retries=2)
        case 1:
            return msgspec.structs.replace(spec, once=True)
        case 2:
            return msgspec.structs.replace(spec, overlap=True)
    return spec


def _number(door: SimNode, id_: NodeId) -> NodeNumber | None:
    nodes = door.book.state.nodes.values() if door.book is not None else ()
    return next((one.number for one in nodes if one.id == id_ and not one.removed), None)
