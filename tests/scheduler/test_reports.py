"""Reports of machines: one about a current attempt decides, every other is history; and what is learned from them."""

import pytest

from odyssey.commands import RemoveNode, Report, ReportAttempts
from odyssey.events import AttemptEnded, JobEnded, ReportIgnored, TasksEnded
from odyssey.ids import AttemptId, NodeNumber, TaskId, UserId, task_id
from odyssey.model import Cause, Ending, Health, JobState, Learned, Outcome, TaskState, Try
from odyssey.scheduler.dump import dump, load, state_hash
from odyssey.scheduler.state import ANY_NODE
from tests.builders import GIB, Mesh, kinds
from tests.scheduler.acts import changes_nothing, end_backoff, lose, refusal, states, use

ANNA = UserId("anna")


def running(count: int = 1, **fields: object) -> tuple[Mesh, int, NodeNumber]:
    mesh = Mesh()
    node = mesh.machine(cpus=8)
    job = mesh.submit(count=count, **fields)
    mesh.assign(job, node, *range(count))
    return mesh, job, node


def report(mesh: Mesh, node: int, *reports: Report) -> ReportAttempts:
    return ReportAttempts(NodeNumber(node), reports)


# ---- the one that counts ---------------------------------------------------------------------------------------------


def test_a_result_ends_the_task_and_frees_the_machine() -> None:
    mesh, job, node = running()
    attempt = mesh.attempt(job)
    events = mesh.report(job)
    index, task = mesh.state.head.index, mesh.task(job)
    assert events == [
        AttemptEnded(index, attempt, task.id, node, Outcome.EXITED, 0),
        TasksEnded(index, mesh.job(job).id, ((0, 1),), TaskState.DONE, Ending.OWN),
        JobEnded(index, mesh.job(job).id, JobState.DONE),
    ]
    assert (use(mesh, node).slots, mesh.state.held[node], mesh.state.reserved) == (0, {}, {})


def test_history_keeps_what_the_machine_told() -> None:
    mesh, job, node = running()
    attempt = mesh.task(job).attempts[0]
    told = {"started_ms": 5, "ended_ms": 9, "run_ms": 4, "cpu_ms": 3, "peak_memory": GIB, "leaked": True}
    mesh.do(report(mesh, node, Report(attempt.id, mesh.task(job).id, Outcome.SIGNALLED, 9, **told)))  # type: ignore[arg-type]
    (one,) = mesh.task(job).tries
    assert one == Try(attempt.id, node, Outcome.SIGNALLED, 9, attempt.assigned_ms, **told)  # type: ignore[arg-type]


def test_history_keeps_the_newest_eight_and_counts_all() -> None:
    mesh, job, node = running(retries=20)
    for run in range(11):
        mesh.report(job, outcome=Outcome.EVICTED, started_ms=run)
        mesh.assign(job, node)
    assert [one.started_ms for one in mesh.task(job).tries] == list(range(3, 11))
    assert mesh.task(job).tries_total == 11


def test_many_reports_come_in_one() -> None:
    mesh, job, node = running(3)
    told = [Report(mesh.attempt(job, at), task_id(job, at), Outcome.EXITED, at) for at in range(3)]
    mesh.do(report(mesh, node, *told))
    assert states(mesh, job) == "DFF"


def test_a_report_of_nothing_changes_nothing() -> None:
    mesh, _, node = running()
    assert kinds(changes_nothing(mesh, report(mesh, node))) == ["ChangedNothing"]


# ---- the ones that do not --------------------------------------------------------------------------------------------


def test_the_same_report_again_is_history() -> None:
    mesh, job, node = running(retries=1)
    one = Report(mesh.attempt(job), task_id(job, 0), Outcome.EXITED, 1)
    mesh.do(report(mesh, node, one))
    index = mesh.state.head.index
    assert changes_nothing(mesh, report(mesh, node, one)) == [ReportIgnored(index + 1, one.attempt, one.task, node)]


def test_the_same_report_twice_in_one_counts_once() -> None:
    mesh, job, node = running(retries=5)
    one = Report(mesh.attempt(job), task_id(job, 0), Outcome.EXITED, 1)
    assert kinds(mesh.do(report(mesh, node, one, one))) == ["AttemptEnded", "TaskRequeued", "ReportIgnored"]
    assert mesh.task(job).failures == 1


def test_another_machine_has_no_say() -> None:
    mesh, job, _ = running()
    other = mesh.machine()
    one = Report(mesh.attempt(job), task_id(job, 0), Outcome.EXITED, 0)
    assert kinds(changes_nothing(mesh, report(mesh, other, one))) == ["ReportIgnored"]


def test_an_attempt_is_believed_only_for_its_own_task() -> None:
    mesh, job, node = running(2)
    wrong = Report(mesh.attempt(job, 0), task_id(job, 1), Outcome.EXITED, 0)
    assert kinds(changes_nothing(mesh, report(mesh, node, wrong))) == ["ReportIgnored"]


@pytest.mark.parametrize("task", [0, -1, task_id(1, 1), task_id(2, 0), task_id(99, 3), 1 << 62])
def test_an_unknown_task_is_history(task: int) -> None:
    mesh, job, node = running()
    wrong = Report(mesh.attempt(job), TaskId(task), Outcome.EXITED, 0)
    assert kinds(changes_nothing(mesh, report(mesh, node, wrong))) == ["ReportIgnored"]


@pytest.mark.parametrize("attempt", [0, -1, 1, (1 << 63) - 1])
def test_an_attempt_that_never_was_is_history(attempt: int) -> None:
    mesh, job, node = running()
    wrong = Report(AttemptId(attempt), task_id(job, 0), Outcome.EXITED, 0)
    assert kinds(changes_nothing(mesh, report(mesh, node, wrong))) == ["ReportIgnored"]


def test_an_attempt_of_before_the_present_one_is_history() -> None:
    mesh, job, node = running()
    first = mesh.attempt(job)
    mesh.report(job, outcome=Outcome.EVICTED)
    mesh.assign(job, mesh.machine())
    late = Report(first, task_id(job, 0), Outcome.EXITED, 0)
    assert kinds(changes_nothing(mesh, report(mesh, node, late))) == ["ReportIgnored"]


@pytest.mark.parametrize("node", [0, -1, 9])
def test_a_machine_nobody_knows_is_refused(node: int) -> None:
    mesh, job, _ = running()
    one = Report(mesh.attempt(job), task_id(job, 0), Outcome.EXITED, 0)
    assert refusal(changes_nothing(mesh, report(mesh, node, one))) == "no-such-machine"


def test_a_removed_machine_is_heard_until_its_last_attempt_has_ended() -> None:
    mesh, job, node = running(2)
    mesh.do(RemoveNode(node))
    mesh.report(job, 0)
    assert states(mesh, job) == "DA"
    mesh.report(job, 1)
    assert states(mesh, job) == "DD"
    assert node not in mesh.state.nodes


# ---- what is learned -------------------------------------------------------------------------------------------------


def test_people_are_charged_for_what_they_reserved_while_it_ran() -> None:
    mesh, job, _ = running(2, cpus=2)
    mesh.report(job, 0, run_ms=1_500)
    mesh.report(job, 1, code=1, run_ms=500)
    assert mesh.state.usage == {ANNA: 4_000}


def test_run_times_are_learned_per_machine_and_for_a_reference_machine() -> None:
    mesh = Mesh()
    slow = mesh.machine(speed=500, cpus=8)
    job = mesh.submit(count=2, key="ffmpeg")
    mesh.assign(job, slow, 0, 1)
    mesh.report(job, 0, run_ms=1_000)
    assert mesh.state.learned == {("ffmpeg", slow): Learned(1, 1_000), ("ffmpeg", ANY_NODE): Learned(1, 500)}
    mesh.report(job, 1, run_ms=2_000)
    assert mesh.state.learned["ffmpeg", slow] == Learned(2, 1_500)


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.EXITED, 1), (Outcome.SIGNALLED, 0), (Outcome.TIMEOUT, 0)])
def test_only_results_tell_how_long_a_command_takes(outcome: Outcome, code: int) -> None:
    mesh, job, _ = running(key="ffmpeg")
    mesh.report(job, 0, outcome, code, run_ms=1_000)
    assert mesh.state.learned == {}


def test_newer_run_times_count_more_and_older_ones_fade() -> None:
    mesh, job, node = running(40, key="x", cpus=0.1, memory=0)
    for index in range(20):
        mesh.report(job, index, run_ms=1_000)
    for index in range(20, 40):
        mesh.report(job, index, run_ms=3_000)
    learned = mesh.state.learned["x", node]
    assert learned.count == 40
    assert 2_500 < learned.mean_ms <= 3_000


def test_what_is_changed_least_recently_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odyssey.scheduler.draft.MAX_LEARNED", 4)
    mesh = Mesh()
    node = mesh.machine()
    for key in ("a", "b", "a", "c"):
        job = mesh.submit(key=key)
        mesh.assign(job, node)
        mesh.report(job, run_ms=10)
    assert [key for key, _ in mesh.state.learned] == ["a", "a", "c", "c"]
    assert state_hash(load(dump(mesh.state))) == state_hash(mesh.state)


def test_a_machine_that_ends_what_it_starts_is_reliable_and_one_that_breaks_it_less_so() -> None:
    mesh, job, node = running(8, cpus=0.5, memory=0)
    lose(mesh, job, 0)
    broken = mesh.state.health[node]
    assert (broken.ended, broken.broke) == (0, 1)
    assert broken.reliability < 900
    mesh.report(job, 1, code=1)
    mended = mesh.state.health[node]
    assert (mended.ended, mended.broke) == (1, 1)
    assert broken.reliability < mended.reliability <= 1000


@pytest.mark.parametrize("outcome", [Outcome.EVICTED, Outcome.NOT_HERE, Outcome.REJECTED, Outcome.CANCELLED])
def test_what_says_nothing_of_a_machines_health_leaves_it(outcome: Outcome) -> None:
    mesh, job, node = running()
    mesh.report(job, outcome=outcome)
    assert mesh.state.health.get(node, Health()) == Health()


def test_reliability_stays_between_nothing_and_all() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(retries=1000)
    for run in range(400):
        mesh.assign(job, node)
        lose(mesh, job, cause=Cause.REBOOT) if run < 60 else mesh.report(job, code=1)
        assert 0 <= mesh.state.health[node].reliability <= 1000
        end_backoff(mesh, job)
    assert mesh.state.health[node].reliability == 1000


@pytest.mark.parametrize("run_ms", [-(1 << 63), -1, 0, 1 << 53, (1 << 63) - 1])
def test_no_number_a_machine_may_tell_breaks_the_books(run_ms: int) -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=1_000_000, speed=1_000_000)
    job = mesh.submit(count=3, key="x", cpus=300_000, memory=0)
    mesh.assign(job, node, 0, 1, 2)
    for index in range(3):
        mesh.report(job, index, run_ms=run_ms, started_ms=run_ms, ended_ms=run_ms, cpu_ms=run_ms, peak_memory=run_ms)
    assert states(mesh, job) == "DDD"
    assert mesh.state.usage[ANNA] >= 0
    assert mesh.state.learned["x", node].mean_ms >= 1
    assert state_hash(load(dump(mesh.state))) == state_hash(mesh.state)
