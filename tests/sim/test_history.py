"""History in the simulation: jobs leave the state and nobody loses them, and the account of it sees what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from odyssey.commands import Span
from odyssey.events import JobsArchived
from odyssey.ids import JobId, job_of
from odyssey.model import TaskState
from tests.sim.checks import Violation
from tests.sim.faults import Fault
from tests.sim.history import Departed, Left, account, lacks, segments_of
from tests.sim.node import SimNode
from tests.sim.schedule import drawn
from tests.sim.world import World

BUSY_MS = 250


def world(*faults: Fault, voters: int = 3) -> World:
    return World(drawn(3)._replace(faults=faults, people_ms=BUSY_MS, voters=voters, learners=5 - voters))


@pytest.fixture(scope="module")
def calm() -> World:
    one = world()
    one.run()
    return one


def keepers(one: World) -> list[SimNode]:
    leader = next(node.replica for node in one.nodes.values() if node.replica and node.replica.core.leads_safely)
    members = {member.node for member in leader.core.config.members}
    return [node for node in one.nodes.values() if node.id in members]


def test_much_leaves_the_state_and_the_oldest_is_let_go_of(calm: World) -> None:
    departed = calm.branches.root.departed
    assert len(departed.archived) > 6
    assert departed.dropped
    assert departed.let_go()
    for node in keepers(calm):
        assert node.book is not None
        assert segments_of(node).keys() == node.book.state.segments.keys()


def test_a_machine_with_an_empty_disk_gets_all_there_is() -> None:
    one = world(Fault(10_000, "replace", 1), voters=5)
    one.run()
    (new,) = [node for name, node in one.nodes.items() if "'" in name]
    assert new in keepers(one)
    assert new.book is not None
    assert new.book.state.segments
    assert not lacks(new)


def test_who_was_cut_off_holds_up_history_but_not_for_ever() -> None:
    """It comes back, or is no keeper any more."""
    one = world(Fault(5_000, "cut", 0, mask=0b00010))
    one.run()
    assert one.branches.root.departed.archived
    assert not any(lacks(node) for node in keepers(one))


def test_what_rots_on_one_disk_is_there_on_another(calm: World) -> None:
    node, *others = keepers(calm)
    digest, data = next(iter(segments_of(node).items()))
    node.disk.cells.put({("segment", digest): b"rot"})
    assert looked_at(calm)
    for other in others:
        other.disk.cells.put({("segment", digest): b"rot"})
    with pytest.raises(Violation, match="9: nobody has a sound copy"):
        looked_at(calm)
    for one in (node, *others):
        one.disk.cells.put({("segment", digest): data})


def looked_at(one: World) -> frozenset[JobId]:
    nodes = keepers(one)
    assert nodes[0].book is not None
    return account(nodes[0].book.state, nodes, one.branches.root.results)


@contextmanager
def missing(one: World) -> Iterator[None]:
    cells, (digest, data) = keepers(one)[0].disk.cells, next(iter(segments_of(keepers(one)[0]).items()))
    cells.put({("segment", digest): None})
    yield
    cells.put({("segment", digest): data})


@contextmanager
def in_both(one: World) -> Iterator[None]:
    book, gone = keepers(one)[0].book, next(iter(looked_at(one)))
    assert book is not None
    book.state.jobs[gone] = None  # type: ignore[assignment]
    yield
    del book.state.jobs[gone]


@contextmanager
def otherwise(one: World) -> Iterator[None]:
    ended, gone = one.branches.root.results.ended, looked_at(one)
    task = next(task for task in ended if job_of(task) in gone)
    told, ended[task] = ended[task], (TaskState.SKIPPED, 1)
    yield
    ended[task] = told


@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [(missing, "which its state names"), (in_both, "once more elsewhere"), (otherwise, "its segment says")],
)
def test_the_account_sees_what_is_wrong(
    calm: World, spoilt: Callable[[World], AbstractContextManager[None]], complaint: str
) -> None:
    assert looked_at(calm)
    with spoilt(calm), pytest.raises(Violation, match=complaint):
        looked_at(calm)
    assert looked_at(calm)


def test_an_order_for_what_no_quorum_has_is_seen(calm: World) -> None:
    node, index = keepers(calm)[0], 1 << 40
    spans: tuple[Span, ...] = ((1, 2),)
    there = next(iter(segments_of(node)))
    Departed().saw(index, [JobsArchived(index, there, spans)], node)
    with pytest.raises(Violation, match="0 of 3 voters have it"):
        Departed().saw(index, [JobsArchived(index, b"nowhere", spans)], node)


def test_a_fork_forgets_what_left_behind_it() -> None:
    departed = Departed()
    departed.archived = {b"a": Left(frozenset({JobId(1)}), 10), b"b": Left(frozenset({JobId(2)}), 20)}
    departed.dropped = {b"a": 15, b"b": 25}
    fork = departed.fork(20)
    assert fork.archived.keys() == {b"a", b"b"}
    assert fork.let_go() == frozenset({JobId(1)})
    assert departed.fork(12).archived.keys() == {b"a"}
    assert not departed.fork(12).let_go()
