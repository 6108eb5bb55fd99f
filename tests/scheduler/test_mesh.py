"""The mesh as a whole: its feature level only rises, its policy is on the log, time comes as commands."""

import pytest

from odyssey import commands
from odyssey.commands import AgeQueue, ChangeMembers, DecayUsage, HoldJob, SetLevel, SetPolicy, StartTerm
from odyssey.events import CommandRefused, LevelSet, MembersChanged, PolicySet, QueueAged, TermStarted, UsageDecayed
from odyssey.ids import JobId, NodeId
from odyssey.scheduler.score import MAX_WEIGHT, TERMS
from odyssey.scheduler.state import MAX_AGE
from tests.builders import Mesh, kinds
from tests.scheduler.acts import changes_nothing, end_on, facts_of, refusal


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that knows feature level 3, and of which holding a job needs level 2."""
    monkeypatch.setattr("odyssey.scheduler.transitions.mesh.NEWEST_LEVEL", 3)
    monkeypatch.setattr(commands, "LEVELS", {HoldJob: 2})


# ---- feature level ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("newer")
def test_the_level_rises_when_every_member_understands_it() -> None:
    mesh = Mesh()
    mesh.machine(level=3)
    mesh.machine(level=2)
    assert mesh.do(SetLevel(mesh.fence, 2)) == [LevelSet(3, 2)]
    (event,) = changes_nothing(mesh, SetLevel(mesh.fence, 3))
    assert isinstance(event, CommandRefused)
    assert (event.code, event.text) == ("bad-level", "pc-2 understands only level 2")
    assert "pc-2" in event.hint


@pytest.mark.usefixtures("newer")
def test_the_level_never_falls() -> None:
    mesh = Mesh()
    mesh.do(SetLevel(mesh.fence, 2))
    for level in (1, 2):
        assert kinds(changes_nothing(mesh, SetLevel(mesh.fence, level))) == ["ChangedNothing"]
    assert mesh.state.head.level == 2


@pytest.mark.parametrize("level", [-1, 0, 3, 1 << 40])
def test_a_level_this_version_does_not_know_is_refused(level: int) -> None:
    mesh = Mesh()
    assert refusal(changes_nothing(mesh, SetLevel(mesh.fence, level))) == "bad-level"


@pytest.mark.usefixtures("newer")
def test_a_command_of_a_higher_level_is_refused_until_the_level_is_on() -> None:
    mesh = Mesh()
    job = mesh.submit()
    assert refusal(changes_nothing(mesh, HoldJob(job))) == "level"
    mesh.do(SetLevel(mesh.fence, 2))
    assert kinds(mesh.do(HoldJob(job))) == ["JobChanged"]


@pytest.mark.usefixtures("newer")
def test_a_machine_that_left_does_not_hold_the_level_down() -> None:
    mesh = Mesh()
    old = mesh.machine(level=1)
    mesh.assign(mesh.submit(), old)
    mesh.do(commands.RemoveNode(old))
    assert mesh.node(old).removed
    assert kinds(mesh.do(SetLevel(mesh.fence, 3))) == ["LevelSet"]


@pytest.mark.usefixtures("newer")
def test_an_upgraded_machine_lets_the_level_rise() -> None:
    mesh = Mesh()
    node = mesh.machine(level=1)
    mesh.do(commands.UpdateNode(node, facts_of(mesh, node, level=3)))
    assert kinds(mesh.do(SetLevel(mesh.fence, 3))) == ["LevelSet"]


# ---- policy ----------------------------------------------------------------------------------------------------------


def test_a_policy_and_its_weights_are_on_the_log() -> None:
    mesh = Mesh()
    first, last = TERMS[0], TERMS[-1]
    assert mesh.do(SetPolicy("sjf", ((last, 3), (first, 0), (last, MAX_WEIGHT)))) == [PolicySet(1, "sjf")]
    assert (mesh.state.head.policy, dict(mesh.state.head.weights)) == ("sjf", {first: 0, last: MAX_WEIGHT})
    assert list(mesh.state.head.weights) == sorted(mesh.state.head.weights)


def test_the_same_policy_again_changes_nothing_in_whatever_order_its_weights_come() -> None:
    mesh = Mesh()
    one, other = (TERMS[0], 1), (TERMS[1], 2)
    mesh.do(SetPolicy("weighted", (one, other)))
    assert kinds(changes_nothing(mesh, SetPolicy("weighted", (other, one)))) == ["ChangedNothing"]


@pytest.mark.parametrize(
    "command",
    [
        SetPolicy(""),
        SetPolicy("no name"),
        SetPolicy("weighted", (("rain", 1),)),
        SetPolicy("weighted", ((TERMS[0], -1),)),
        SetPolicy("weighted", ((TERMS[0], MAX_WEIGHT + 1),)),
    ],
    ids=["nameless", "two words", "unknown term", "negative", "heavy"],
)
def test_a_policy_that_makes_no_sense_is_refused(command: SetPolicy) -> None:
    assert refusal(changes_nothing(Mesh(), command)) == "bad-policy"


# ---- terms -----------------------------------------------------------------------------------------------------------


def test_the_start_of_a_term_changes_nothing_but_says_that_the_older_are_over() -> None:
    mesh = Mesh()
    job = mesh.submit()
    mesh.term = 2
    assert changes_nothing(mesh, StartTerm(mesh.fence)) == [TermStarted(2, 1, 2)]
    assert (mesh.state.head.generation, mesh.state.head.term) == (1, 2)
    assert mesh.job(job).live


def test_who_keeps_the_log_is_told_and_is_no_part_of_the_state() -> None:
    mesh = Mesh()
    voters, learners = (NodeId("a"), NodeId("b")), (NodeId("c"),)
    assert changes_nothing(mesh, ChangeMembers(voters, learners)) == [MembersChanged(1, voters, learners)]


# ---- time ------------------------------------------------------------------------------------------------------------


def age(mesh: Mesh) -> None:
    mesh.do(AgeQueue(mesh.fence))


def test_who_waits_gains_a_point_each_time_and_at_most_ten() -> None:
    mesh = Mesh()
    job = mesh.submit()
    ages = []
    for _ in range(MAX_AGE + 3):
        ages.append(mesh.state.age(job))
        age(mesh)
    assert ages == [*range(MAX_AGE + 1), MAX_AGE, MAX_AGE]


def test_who_comes_later_has_gained_less() -> None:
    mesh = Mesh()
    for _ in range(3):
        mesh.submit()
        age(mesh)
    assert [mesh.state.age(JobId(job)) for job in (1, 2, 3, 4)] == [3, 2, 1, 0]


def test_ageing_an_empty_mesh_is_no_mistake() -> None:
    mesh = Mesh()
    assert mesh.do(AgeQueue(mesh.fence)) == [QueueAged(1, JobId(0))]
    assert mesh.state.age(mesh.submit()) == 0


def test_what_everyone_used_fades() -> None:
    mesh = Mesh()
    node = mesh.machine(shared=True)
    for user in ("anna", "ben"):
        job = mesh.submit(user=user)
        mesh.assign(job, node)
        mesh.report(job, run_ms=20_000_001)
    assert mesh.do(DecayUsage(mesh.fence, 500_000)) == [UsageDecayed(mesh.state.head.index, 500_000)]
    assert list(mesh.state.usage.values()) == [10_000_000, 10_000_000]
    mesh.do(DecayUsage(mesh.fence, 0))
    assert set(mesh.state.usage.values()) == {0}


def test_keeping_all_changes_nothing() -> None:
    mesh = Mesh()
    node = mesh.machine()
    end_on(mesh, mesh.submit(), node)
    assert kinds(changes_nothing(mesh, DecayUsage(mesh.fence, 1_000_000))) == ["UsageDecayed"]


@pytest.mark.parametrize("keep", [-1, 1_000_001, 1 << 40])
def test_nobody_can_have_used_more_by_waiting(keep: int) -> None:
    mesh = Mesh()
    assert refusal(changes_nothing(mesh, DecayUsage(mesh.fence, keep))) == "bad-order"
