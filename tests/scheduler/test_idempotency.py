"""Sent twice, done once: a submit is accepted once per client id, however often and however late it is sent again.

Who sends so late that the answer was forgotten is refused, never run: it may have been accepted before.
"""

from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.commands import ArchiveJobs, SubmitJobs
from odyssey.events import Event, JobSubmitted, SubmitRepeated
from odyssey.ids import JobId
from odyssey.scheduler.dump import dump, load
from tests.builders import Mesh, a_spec, kinds
from tests.scheduler.acts import changes_nothing, refusal

KEPT = 3


@pytest.fixture
def few_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest three answers are kept."""
    monkeypatch.setattr("odyssey.scheduler.draft.MAX_CLIENTS", KEPT)


def one(mesh: Mesh, jobs: int = 1) -> SubmitJobs:
    """A submit as a client makes it: with an id of its own and what it had seen by then."""
    return SubmitJobs(mesh.client(), mesh.state.head.index, (a_spec(),) * jobs)


def answer(events: list[Event]) -> tuple[int, int]:
    (event,) = events
    assert isinstance(event, SubmitRepeated)
    return event.first, event.jobs


def test_the_same_submit_again_gets_the_same_answer_and_changes_nothing() -> None:
    mesh = Mesh()
    mesh.submit()
    command = one(mesh, jobs=3)
    mesh.do(command)
    for _ in range(3):
        assert answer(changes_nothing(mesh, command)) == (2, 3)


def test_the_first_content_stands_whatever_is_sent_later_under_its_id() -> None:
    mesh = Mesh()
    command = one(mesh)
    mesh.do(command)
    changed = SubmitJobs(command.client, command.seen_index, (a_spec(name="other"), a_spec(retries=-1)))
    assert answer(changes_nothing(mesh, changed)) == (1, 1)


def test_two_clients_with_the_same_wish_get_two_jobs() -> None:
    mesh = Mesh()
    assert [kinds(mesh.do(one(mesh))) for _ in range(2)] == [["JobSubmitted"]] * 2
    assert len(mesh.state.jobs) == 2


def test_the_answer_outlives_the_job() -> None:
    mesh = Mesh()
    node = mesh.machine()
    command = one(mesh)
    mesh.do(command)
    mesh.assign(1, node)
    mesh.report(1)
    assert answer(changes_nothing(mesh, command)) == (1, 1)
    mesh.do(ArchiveJobs(mesh.fence, b"digest", 10, ((1, 2),), mesh.state.head.index))
    assert JobId(1) not in mesh.state.jobs
    assert answer(changes_nothing(mesh, command)) == (1, 1)


def test_the_answer_outlives_terms_generations_and_restarts() -> None:
    mesh = Mesh()
    command = one(mesh)
    mesh.do(command)
    mesh.term = 2
    mesh.machine()
    mesh.state = load(dump(mesh.state))
    assert answer(mesh.do(command)) == (1, 1)
    mesh.generation = 2
    assert answer(mesh.do(command)) == (1, 1)


# ---- what was forgotten ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("few_clients")
def test_only_the_newest_answers_are_kept_and_the_oldest_go_first() -> None:
    mesh = Mesh()
    commands = []
    for _ in range(KEPT + 2):
        commands.append(one(mesh))
        mesh.do(commands[-1])
    assert list(mesh.state.clients) == [command.client for command in commands[2:]]


@pytest.mark.usefixtures("few_clients")
def test_a_submit_whose_answer_was_forgotten_is_refused_and_never_run() -> None:
    mesh = Mesh()
    first = one(mesh)
    mesh.do(first)
    for _ in range(KEPT):
        mesh.submit()
    jobs = len(mesh.state.jobs)
    assert refusal(changes_nothing(mesh, first)) == "stale-submit"
    assert len(mesh.state.jobs) == jobs


@pytest.mark.usefixtures("few_clients")
def test_nobody_is_refused_before_an_answer_was_forgotten() -> None:
    mesh = Mesh()
    early = one(mesh)
    for _ in range(KEPT):
        mesh.submit()
    assert kinds(mesh.do(early)) == ["JobSubmitted"]


@pytest.mark.usefixtures("few_clients")
def test_the_line_lies_right_behind_the_newest_forgotten_answer() -> None:
    mesh = Mesh()
    for _ in range(KEPT + 1):
        mesh.submit()
    forgotten = 1  # the index of the first submit, the only one that was forgotten
    too_old = SubmitJobs(mesh.client(), forgotten, (a_spec(),))
    just_new_enough = SubmitJobs(mesh.client(), forgotten + 1, (a_spec(),))
    assert refusal(mesh.do(too_old)) == "stale-submit"
    assert kinds(mesh.do(just_new_enough)) == ["JobSubmitted"]


@pytest.mark.usefixtures("few_clients")
def test_the_line_survives_a_restart() -> None:
    mesh = Mesh()
    first = one(mesh)
    mesh.do(first)
    for _ in range(KEPT):
        mesh.submit()
    mesh.state = load(dump(mesh.state))
    assert refusal(mesh.do(first)) == "stale-submit"


def executions(mesh: Mesh) -> Counter[bytes]:
    return Counter(event.client for event in mesh.events if isinstance(event, JobSubmitted))


def resent(mesh: Mesh, choices: list[int]) -> Iterator[SubmitJobs]:
    """Old submits and new ones, as the choices say."""
    made: list[SubmitJobs] = []
    for choice in choices:
        if choice >= len(made):
            made.append(one(mesh))
            choice = len(made) - 1  # noqa: PLW2901 - the newest
        yield made[choice]


@given(st.lists(st.integers(0, 14), max_size=40))
def test_no_submit_is_ever_run_twice_however_it_is_sent_again(choices: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odyssey.scheduler.draft.MAX_CLIENTS", KEPT)
        mesh = Mesh()
        for command in resent(mesh, choices):
            mesh.do(command)
    assert set(executions(mesh).values()) <= {1}
