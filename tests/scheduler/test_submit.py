"""A submit: taken as a whole or refused as a whole, with numbers that follow each other and are never given twice."""

from typing import Any

import pytest

from odyssey.commands import Command, DecayUsage, SubmitJobs
from odyssey.events import CommandRefused, JobSubmitted
from odyssey.ids import ClientId, JobId
from odyssey.model import JobState, Run, TaskState, job_state
from odyssey.scheduler.apply import before_the_next_step
from odyssey.spec import JobSpec
from tests.builders import Mesh, a_spec, kinds
from tests.scheduler.acts import changes_nothing, queued, refusal, states


def submitted(mesh: Mesh, *specs: JobSpec, client: ClientId | None = None) -> Command:
    return SubmitJobs(mesh.client() if client is None else client, mesh.state.head.index, specs)


# ---- what is taken ---------------------------------------------------------------------------------------------------


def test_jobs_get_numbers_in_the_order_of_the_submit() -> None:
    mesh = Mesh()
    events = mesh.do(submitted(mesh, a_spec(name="a"), a_spec(name="b", count=3)))
    assert [(event.job, event.tasks) for event in events if isinstance(event, JobSubmitted)] == [(1, 1), (2, 3)]
    assert [mesh.job(number).spec.name for number in (1, 2)] == ["a", "b"]
    assert mesh.submit() == 3


def test_a_new_job_waits_whole_and_without_a_record_of_any_task() -> None:
    mesh = Mesh()
    job = mesh.job(mesh.submit(count=5))
    assert job.runs == (Run(0, 5),)
    assert job.counts[TaskState.WAITING] == sum(job.counts) == 5
    assert job_state(job) is JobState.WAITING
    assert mesh.state.tasks == {}


def test_a_job_keeps_what_was_asked_and_by_which_submit() -> None:
    mesh = Mesh()
    spec = a_spec(user="ben", count=2, priority=4, held=True, name="x")
    command = SubmitJobs(mesh.client(), 0, (spec,))
    mesh.do(command)
    job = mesh.job(1)
    assert (job.spec, job.client, job.priority, job.held, job.user) == (spec, command.client, 4, True, "ben")
    assert job.submitted_ms == mesh.entries[-1].wall_ms


def test_a_job_submitted_held_waits_for_its_release() -> None:
    mesh = Mesh()
    mesh.submit(held=True)
    assert queued(mesh) == set()


# ---- what is refused -------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a fault of the spec": ({"retries": -1}, "bad-spec"),
    "an expression that cannot be read": ({"needs": "cuda >="}, "bad-spec"),
    "a parent nobody knows": ({"after": (JobId(77),)}, "unknown-dependency"),
    "a parent to come": ({"after_any": (JobId(2),)}, "unknown-dependency"),
    "a parent that cannot be": ({"after": (JobId(-1),)}, "unknown-dependency"),
}


@pytest.mark.parametrize(("fields", "code"), WRONG.values(), ids=WRONG)
def test_one_wrong_job_refuses_the_whole_submit(fields: dict[str, Any], code: str) -> None:
    mesh = Mesh()
    events = changes_nothing(mesh, submitted(mesh, a_spec(), a_spec(**fields)))
    assert refusal(events) == code
    assert mesh.submit() == 1, "a refused submit uses up no number"


def test_a_refusal_says_whose_submit_it_was_and_what_would_be_right() -> None:
    mesh = Mesh()
    client = mesh.client()
    (event,) = mesh.do(submitted(mesh, a_spec(retries=-1), client=client))
    assert isinstance(event, CommandRefused)
    assert (event.client, event.hint) == (client, "use 0 to 1000")
    assert "--retries -1" in event.text


def test_the_first_mistake_is_the_one_that_is_told() -> None:
    mesh = Mesh()
    (event,) = mesh.do(submitted(mesh, a_spec(priority=99, retries=-1), a_spec(needs="(")))
    assert isinstance(event, CommandRefused)
    assert "--priority" in event.text


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_client_id_of_another_length_is_refused(length: int) -> None:
    mesh = Mesh()
    assert refusal(changes_nothing(mesh, submitted(mesh, a_spec(), client=ClientId(b"x" * length)))) == "bad-client"


def test_a_submit_of_nothing_is_refused() -> None:
    mesh = Mesh()
    assert refusal(changes_nothing(mesh, submitted(mesh))) == "bad-spec"


def test_what_was_refused_may_be_sent_again_when_it_is_right() -> None:
    mesh = Mesh()
    client = mesh.client()
    mesh.do(submitted(mesh, a_spec(after=(JobId(1),)), client=client))
    assert kinds(mesh.do(submitted(mesh, a_spec(), client=client))) == ["JobSubmitted"]


def test_the_newest_job_is_told_to_who_waits_for_an_unknown_one() -> None:
    mesh = Mesh()
    mesh.submit()
    (event,) = mesh.do(submitted(mesh, a_spec(after=(JobId(9),))))
    assert isinstance(event, CommandRefused)
    assert (event.text, event.hint) == ("there is no job 9 to wait for", "the newest job is 1")


# ---- numbers after a recovery ----------------------------------------------------------------------------------------


def numbers(mesh: Mesh, generation: int, count: int = 1) -> list[int]:
    """The numbers of the first jobs of a generation."""
    mesh.generation = generation
    before = len(mesh.events)
    for _ in range(count):
        mesh.submit()
    return [event.job for event in mesh.events[before:] if isinstance(event, JobSubmitted)]


def test_a_recovered_mesh_goes_on_at_the_next_multiple_of_ten_thousand() -> None:
    mesh = Mesh()
    assert numbers(mesh, 1, 3) == [1, 2, 3]
    assert numbers(mesh, 2, 2) == [10_000, 10_001]
    assert numbers(mesh, 3, 1) == [20_000]


def test_the_step_is_taken_by_whatever_entry_begins_the_generation() -> None:
    mesh = Mesh()
    mesh.submit()
    mesh.generation = 2
    mesh.do(DecayUsage(mesh.fence, 0))
    assert numbers(mesh, 2) == [10_000]


def test_a_recovery_right_after_a_recovery_takes_a_step_of_its_own() -> None:
    """The tail that was lost between them may have given the numbers of the first step."""
    mesh = Mesh()
    mesh.submit()
    mesh.generation = 2
    mesh.do(DecayUsage(mesh.fence, 0))
    assert numbers(mesh, 3) == [20_000]


def test_a_recovery_of_a_mesh_without_jobs_takes_a_step_too() -> None:
    mesh = Mesh()
    mesh.machine()
    assert numbers(mesh, 2) == [10_000]


@pytest.mark.parametrize(
    ("last", "following"),
    [(0, 10_000), (3, 10_000), (9_998, 10_000), (9_999, 20_000), (10_000, 20_000), (19_999, 30_000)],
)
def test_the_number_after_the_last_known_one_may_have_been_given_so_it_is_passed_over(
    last: int, following: int
) -> None:
    assert before_the_next_step(last) + 1 == following


def test_a_new_term_of_the_same_generation_just_goes_on() -> None:
    mesh = Mesh()
    mesh.submit()
    mesh.term = 7
    assert mesh.submit() == 2
    assert states(mesh, 2) == "W"
