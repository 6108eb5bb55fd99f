"""Machines come, change, drain and go: one number for life, one name at a time, gone only when they hold nothing."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey.commands import AdmitNode, Command, DrainNode, Facts, RemoveNode, RenameNode, UpdateNode
from odyssey.events import NodeAdmitted, NodeChanged, NodeRemoved
from odyssey.ids import NodeId, NodeNumber, UserId
from odyssey.model import Cause
from odyssey.resources import Resources
from odyssey.scheduler.invariants import violations
from odyssey.scheduler.transitions.machines import clean_name
from tests.builders import ANNA, BEN, GIB, Mesh, kinds
from tests.scheduler.acts import changes_nothing, dropped, facts_of, lose, refusal, states

TOTAL = Resources(4000, 8 * GIB)


def admit(identity: str = "key-1", name: str = "pc", owner: UserId = ANNA, **facts: Any) -> AdmitNode:
    return AdmitNode(NodeId(identity), name, owner, Facts(**{"total": TOTAL, **facts}))


# ---- admitted --------------------------------------------------------------------------------------------------------


def test_an_admitted_machine_has_the_next_number_and_is_what_it_said() -> None:
    mesh = Mesh()
    labels = (("gpu", "a100"), ("cuda", "12"))
    events = mesh.do(admit(gpu_memory=GIB, os="darwin", arch="arm64", labels=labels, speed=700, level=1, shared=True))
    assert events == [NodeAdmitted(1, NodeNumber(1), "pc")]
    node = mesh.node(1)
    assert (node.id, node.owner, node.total, node.gpu_memory) == ("key-1", ANNA, TOTAL, GIB)
    assert (node.os, node.arch, node.speed, node.shared) == ("darwin", "arm64", 700, True)
    assert node.labels == (("cuda", "12"), ("gpu", "a100")), "in the order of their names"
    assert (node.draining, node.removed) == (False, False)


def test_the_same_machine_admitted_again_keeps_its_number_name_and_owner() -> None:
    mesh = Mesh()
    mesh.do(admit())
    assert kinds(changes_nothing(mesh, admit(name="other", owner=BEN))) == ["ChangedNothing"]
    events = mesh.do(admit(name="other", speed=500))
    assert events == [NodeChanged(3, NodeNumber(1), "pc", draining=False)]
    assert (len(mesh.state.nodes), mesh.node(1).speed, mesh.node(1).owner) == (1, 500, ANNA)


def test_a_number_is_never_given_again() -> None:
    mesh = Mesh()
    for _ in range(3):
        mesh.do(admit())
        mesh.do(RemoveNode(NodeNumber(mesh.state.head.last_node)))
    assert mesh.state.head.last_node == 3
    assert mesh.state.nodes == {}


@pytest.mark.parametrize(
    "facts",
    [{"total": Resources(0, GIB)}, {"speed": 0}, {"speed": 1_000_001}, {"speed": -5}, {"level": 0}],
    ids=str,
)
def test_facts_that_cannot_be_are_refused(facts: dict[str, Any]) -> None:
    mesh = Mesh()
    assert refusal(changes_nothing(mesh, admit(**facts))) == "bad-facts"
    node = mesh.machine()
    assert refusal(changes_nothing(mesh, UpdateNode(node, facts_of(mesh, node, **facts)))) == "bad-facts"


# ---- named -----------------------------------------------------------------------------------------------------------


def test_a_taken_name_gets_a_number() -> None:
    mesh = Mesh()
    for identity in "abcd":
        mesh.do(admit(identity))
    assert [mesh.node(number).name for number in range(1, 5)] == ["pc", "pc-2", "pc-3", "pc-4"]


def test_the_first_free_number_is_taken() -> None:
    mesh = Mesh()
    for identity in "abc":
        mesh.do(admit(identity))
    mesh.do(RemoveNode(NodeNumber(2)))
    mesh.do(admit("d"))
    assert mesh.node(4).name == "pc-2"


def test_a_long_taken_name_makes_room_for_its_number() -> None:
    mesh = Mesh()
    for identity in "ab":
        mesh.do(admit(identity, name="x" * 40))
    assert [mesh.node(1).name, mesh.node(2).name] == ["x" * 32, "x" * 30 + "-2"]


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("anna's-PC.local", "anna-s-pc"),
        ("TITAN", "titan"),
        ("a__b  c", "a-b-c"),
        ("-pc-", "pc"),
        ("...", "machine"),
        ("", "machine"),
        ("ü", "machine"),
        ("192.168.0.1", "192"),
        ("\x1b[2J", "2j"),
    ],
)
def test_a_host_name_becomes_a_short_plain_name(given_name: str, name: str) -> None:
    assert clean_name(given_name) == name


@given(st.lists(st.text(max_size=40), max_size=8))
def test_whatever_machines_are_called_their_names_are_plain_and_their_own(names: list[str]) -> None:
    mesh = Mesh()
    for number, name in enumerate(names):
        mesh.do(admit(f"key-{number}", name=name))
    found = [node.name for node in mesh.state.nodes.values()]
    assert len(set(found)) == len(names)
    assert all(1 <= len(name) <= 32 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in found)


def test_a_machine_is_renamed_to_a_free_name_only() -> None:
    mesh = Mesh()
    one, two = mesh.machine(name="one"), mesh.machine(name="two")
    assert mesh.do(RenameNode(one, "titan")) == [NodeChanged(3, one, "titan", draining=False)]
    assert refusal(changes_nothing(mesh, RenameNode(two, "titan"))) == "name-taken"
    assert kinds(changes_nothing(mesh, RenameNode(one, "titan"))) == ["ChangedNothing"]
    mesh.do(RenameNode(two, "one"))
    assert mesh.node(two).name == "one"


@pytest.mark.parametrize("name", ["", "A", "a b", "a.b", "x" * 33, "a\n", "ü"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    mesh = Mesh()
    node = mesh.machine()
    assert refusal(changes_nothing(mesh, RenameNode(node, name))) == "bad-name"


# ---- changed, drained ------------------------------------------------------------------------------------------------


def test_a_machine_says_what_changed() -> None:
    mesh = Mesh()
    node = mesh.machine()
    new = facts_of(mesh, node, shared=True, speed=300, labels=(("b", "1"), ("a", "2")))
    assert mesh.do(UpdateNode(node, new)) == [NodeChanged(2, node, "pc-1", draining=False)]
    assert (mesh.node(node).shared, mesh.node(node).speed) == (True, 300)
    assert mesh.node(node).labels == (("a", "2"), ("b", "1"))
    assert kinds(changes_nothing(mesh, UpdateNode(node, new))) == ["ChangedNothing"]


def test_a_draining_machine_takes_nothing_and_ends_what_it_has() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit(count=2)
    mesh.assign(job, node, 0)
    assert mesh.do(DrainNode(node, draining=True)) == [NodeChanged(4, node, "pc-1", draining=True)]
    assert dropped(mesh.assign(job, node, 1)) == {"draining": ((1, 2),)}
    mesh.report(job, 0)
    assert states(mesh, job) == "DW"
    mesh.do(DrainNode(node, draining=False))
    assert dropped(mesh.assign(job, node, 1)) == {}


def test_what_a_machine_says_of_itself_does_not_end_its_draining() -> None:
    mesh = Mesh()
    node = mesh.machine()
    mesh.do(DrainNode(node, draining=True))
    mesh.do(UpdateNode(node, facts_of(mesh, node, speed=1)))
    mesh.do(admit(mesh.node(node).id, speed=2))
    assert mesh.node(node).draining


# ---- removed ---------------------------------------------------------------------------------------------------------


def test_a_machine_that_holds_nothing_is_gone_at_once() -> None:
    mesh = Mesh()
    node = mesh.machine()
    job = mesh.submit()
    mesh.assign(job, node)
    mesh.report(job)
    assert mesh.do(RemoveNode(node)) == [NodeRemoved(5, node, "pc-1")]
    for table in (mesh.state.nodes, mesh.state.uses, mesh.state.health, mesh.state.held):
        assert node not in table


@pytest.mark.parametrize("slot", [True, False])
def test_a_machine_that_holds_something_is_kept_until_it_has_moved(slot: bool) -> None:
    mesh = Mesh()
    node = mesh.machine(cpus=1)
    first, job = mesh.submit(), mesh.submit()
    mesh.assign(first, node)
    mesh.assign(job, node, slot=False)
    mesh.do(RemoveNode(node))
    assert mesh.node(node).removed
    if slot:
        lose(mesh, first, cause=Cause.LEFT)
    else:
        lose(mesh, job, cause=Cause.LEFT)
    assert mesh.node(node).removed, "one attempt is still there"
    lose(mesh, job if slot else first, cause=Cause.LEFT)
    assert node not in mesh.state.nodes
    assert violations(mesh.state) == []


def a_leaving_machine() -> tuple[Mesh, NodeNumber]:
    mesh = Mesh()
    node = mesh.machine(name="pc")
    mesh.assign(mesh.submit(), node)
    mesh.do(RemoveNode(node))
    return mesh, node


def test_its_name_is_free_for_the_next() -> None:
    mesh, _ = a_leaving_machine()
    assert mesh.node(mesh.machine(name="pc")).name == "pc"
    assert violations(mesh.state) == []


def test_a_machine_that_comes_back_is_a_new_member() -> None:
    mesh, node = a_leaving_machine()
    events = mesh.do(admit(mesh.node(node).id))
    assert events == [NodeAdmitted(mesh.state.head.index, NodeNumber(node + 1), "pc")]
    assert mesh.node(node).removed


@pytest.mark.parametrize("leaving", [True, False])
def test_only_a_member_can_be_changed(leaving: bool) -> None:
    mesh, node = a_leaving_machine() if leaving else (Mesh(), NodeNumber(5))
    facts = Facts(TOTAL)
    commands: list[Command] = [UpdateNode(node, facts), RenameNode(node, "x"), DrainNode(node, True), RemoveNode(node)]
    for command in commands:
        assert refusal(changes_nothing(mesh, command)) == "no-such-machine"
