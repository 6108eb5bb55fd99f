"""An order of a coordinator counts in the term it was decided in, and in no other: a deposed one changes nothing."""

import pytest

from odyssey.commands import (
    AdoptSegment,
    AgeQueue,
    ArchiveJobs,
    AssignTasks,
    Batch,
    Command,
    DecayUsage,
    DropSegments,
    EndBackoff,
    Fence,
    GiveUpTasks,
    HoldJob,
    LoseAttempts,
    RecallAttempts,
    Report,
    ReportAttempts,
    SetLevel,
    StartTerm,
    SubmitJobs,
)
from odyssey.events import CommandRefused
from odyssey.ids import JobId, task_id
from odyssey.model import Cause, Outcome
from odyssey.scheduler.apply import TRANSITIONS
from tests.builders import Mesh, a_spec, kinds
from tests.scheduler.acts import cancel, changes_nothing, give, refusal

DEPOSED = [Fence(2, 4), Fence(2, 6), Fence(1, 5), Fence(3, 5), Fence(5, 2), Fence(0, 0)]


def busy() -> Mesh:
    """Generation 2, term 5. Every order below would change something here, were it of this term."""
    mesh = Mesh(2, 5)
    node = mesh.machine(cpus=1)
    job = mesh.submit(count=8, retries=1)
    refusing = mesh.machine()
    give(mesh, job, refusing, (0, 2))
    mesh.report(job, 0, Outcome.NOT_HERE)
    mesh.report(job, 1, code=1)
    give(mesh, job, node, (2, 4), slot=False)
    over = [mesh.submit(), mesh.submit()]
    for ended in over:
        cancel(mesh, ended)
    mesh.do(ArchiveJobs(mesh.fence, b"old", 1, ((over[0], over[0] + 1),), mesh.state.head.index))
    return mesh


def orders(mesh: Mesh, fence: Fence) -> list[Command]:
    other = max(mesh.state.nodes)
    running, waiting = mesh.attempt(1, 2), mesh.attempt(1, 3)
    return [
        AssignTasks(fence, (Batch(other, mesh.job(1).id, ((6, 7),)),)),
        LoseAttempts(fence, Cause.DOWN, ((running, task_id(1, 2)),)),
        RecallAttempts(fence, ((waiting, task_id(1, 3)),)),
        EndBackoff(fence, (task_id(1, 1),)),
        GiveUpTasks(fence, (task_id(1, 0),)),
        AgeQueue(fence),
        DecayUsage(fence, 0),
        ArchiveJobs(fence, b"new", 1, ((3, 4),), 1 << 40),
        DropSegments(fence, (b"old",)),
        AdoptSegment(fence, b"of another", 1, JobId(1), JobId(2), 2),
        StartTerm(fence),
        SetLevel(fence, 1),
    ]


def test_every_fenced_command_is_tried_here() -> None:
    tried = {type(order) for order in orders(busy(), Fence(2, 5))}
    assert tried == {kind for kind in TRANSITIONS if "fence" in kind.__struct_fields__}


@pytest.mark.parametrize("fence", DEPOSED, ids=lambda fence: f"{fence.generation}.{fence.term}")
def test_a_deposed_coordinators_order_changes_nothing(fence: Fence) -> None:
    mesh = busy()
    for order in orders(mesh, fence):
        assert refusal(changes_nothing(mesh, order)) == "fenced"


def test_the_same_orders_of_the_present_coordinator_are_carried_out() -> None:
    mesh = busy()
    told = {kind for order in orders(mesh, mesh.fence) for kind in kinds(mesh.do(order))}
    assert not told & {"CommandRefused", "CommandFailed", "AssignmentDropped"}


def test_an_order_that_was_sound_is_refused_one_term_later() -> None:
    """As it happens: decided, then the term ended, then the entry of the next coordinator carries it."""
    mesh = busy()
    late = orders(mesh, mesh.fence)
    mesh.term += 1
    mesh.do(StartTerm(mesh.fence))
    for order in late:
        assert refusal(changes_nothing(mesh, order)) == "fenced"


def test_the_refusal_names_both_sides() -> None:
    mesh = busy()
    (event,) = mesh.do(AgeQueue(Fence(1, 5)))
    assert isinstance(event, CommandRefused)
    assert event.text == "an order of term 1.5 in an entry of term 2.5"


def test_people_and_machines_are_heard_in_any_term() -> None:
    mesh = busy()
    mesh.generation, mesh.term = 4, 9
    node = mesh.task(1, 2).attempts[0].node
    told = Report(mesh.attempt(1, 2), task_id(1, 2), Outcome.EXITED)
    submit = SubmitJobs(mesh.client(), 0, (a_spec(),))
    commands: list[Command] = [submit, HoldJob(mesh.job(1).id), ReportAttempts(node, (told,))]
    assert [kinds(mesh.do(command))[0] for command in commands] == ["JobSubmitted", "JobChanged", "AttemptEnded"]
