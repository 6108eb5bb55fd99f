"""Whatever is wrong with an invite, with a clock or with the way: one error that says what helps, and nothing is lost.

The machine that wants in has a mesh of its own, with a job: after each failure all of that is as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from odyssey.mesh.trust import invite as invites
from odyssey.mesh.trust.invite import Address, Invite
from tests.lab import Host, Lab
from tests.lab.host import Done
from tests.system.place import wait_for

pytestmark = pytest.mark.lab

HOUR_S = 3600
USAGE, UNREACHABLE, NOT_PERMITTED = 2, 3, 4


@pytest.fixture(scope="module")
def meshes() -> Iterator[Lab]:
    with Lab(3) as lab:
        for host in (lab[0], lab[2]):
            host.run("odyssey", "up", "--listen", "0.0.0.0:7660", limit_s=120)
        lab[1].run("odyssey", "run", "--", "echo", "mine", limit_s=60)
        yield lab


@pytest.fixture
def lab(meshes: Lab) -> Iterator[Lab]:
    """After each test clocks and cables are right again. Without multicast: else it finds the machine of an invite,
    wherever that is."""
    meshes.carry_multicast(False)
    yield meshes
    for host in meshes:
        host.set_clock()
    meshes.heal()


def told(host: Host, *words: str) -> Any:
    return json.loads(host.run("odyssey", *words, "--json", limit_s=120).out)


def invite(host: Host) -> Invite:
    return invites.read(told(host, "invite")["invite"])


def other(found: Invite, **changed: Any) -> str:
    """An invite that nobody made, but whole."""
    parts: dict[str, Any] = {"root": found.root, "curve": found.curve, "id_": found.id, "secret": found.secret}
    parts |= {"addresses": found.addresses} | changed
    return invites.written(Invite(**parts))


def refused(host: Host, text: str, *more: str) -> Done:
    """It did not get in, was told so once, and is what it was."""
    done = host.run("odyssey", "join", "-", *more, stdin=text, limit_s=120, check=False)
    lines = done.err.splitlines()
    assert [sum(line.startswith(word) for line in lines) for word in ("error: ", "hint: ")] == [1, 1], done
    assert done.out == ""
    status = told(host, "status")
    assert (status["node"], status["nodes"]["up"], status["jobs"]["done"]) == (host.name, 1, 1)
    assert host.run("odyssey", "logs", "1", limit_s=60).out == "mine\n"
    return done


def test_a_letter_that_is_mistyped_is_named(lab: Lab) -> None:
    text = told(lab[0], "invite")["invite"]
    place = 40
    wrong = text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]
    done = refused(lab[1], wrong)
    assert (done.status, f"character {place + 1} of this invite is mistyped" in done.err) == (USAGE, True)
    assert refused(lab[1], text[:-5]).status == USAGE
    assert refused(lab[1], "").status == USAGE
    assert refused(lab[1], "hello").status == USAGE


def test_another_secret_lets_nobody_in(lab: Lab) -> None:
    done = refused(lab[1], other(invite(lab[0]), secret=b"s" * 16))
    assert (done.status, "the secret of this invite is another one" in done.err) == (NOT_PERMITTED, True)
    done = refused(lab[1], other(invite(lab[0]), id_=b"nobody"))
    assert (done.status, "this invite is not known here" in done.err) == (NOT_PERMITTED, True)


def test_an_invite_of_another_mesh_at_this_address_is_noticed(lab: Lab) -> None:
    mine, theirs = invite(lab[0]), invite(lab[2])
    done = refused(lab[1], other(theirs, addresses=mine.addresses))
    assert (done.status, "is somebody else" in done.err) == (UNREACHABLE, True)
    done = refused(lab[1], other(mine, root=theirs.root))
    assert (done.status, "it is of another mesh than the invite" in done.err) == (NOT_PERMITTED, True)


def test_an_invite_of_ones_own_mesh_is_for_the_others(lab: Lab) -> None:
    text = told(lab[0], "invite")["invite"]
    done = lab[0].run("odyssey", "join", "-", stdin=text, limit_s=120, check=False)
    assert (done.status, "of the mesh that this machine is in" in done.err) == (USAGE, True)
    assert told(lab[0], "status")["nodes"]["up"] == 1


def test_an_invite_that_is_over_says_so(lab: Lab) -> None:
    text = told(lab[0], "invite")["invite"]
    for host in lab:
        host.set_clock(wall_s=2 * HOUR_S)
    done = refused(lab[1], text)
    assert (done.status, "ended" in done.err or "over" in done.err) == (NOT_PERMITTED, True), done.err


@pytest.mark.parametrize("number", [0, 1], ids=["there", "here"])
@pytest.mark.parametrize(("days", "side"), [(2, "ahead"), (-2, "behind")])
def test_a_clock_two_days_off_is_said_with_how_to_set_it(lab: Lab, number: int, days: int, side: str) -> None:
    text = told(lab[0], "invite")["invite"]
    lab[number].set_clock(wall_s=days * 24 * HOUR_S)
    done = refused(lab[1], text)
    assert done.status == NOT_PERMITTED
    here = side if number == 1 else {"ahead": "behind", "behind": "ahead"}[side]
    assert f"this machine's clock is 2 days and 0 hours {here}" in done.err or "47 hours" in done.err, done.err
    assert "timedatectl set-ntp true" in done.err


def test_nobody_there_and_a_port_that_is_closed_are_told_with_the_address(lab: Lab) -> None:
    made = invite(lab[0])
    for addresses in ((Address("10.77.0.99", 7660),), (Address(lab[0].address, 9),)):
        done = refused(lab[1], other(made, addresses=addresses))
        assert done.status == UNREACHABLE
        assert f"{addresses[0].host}:{addresses[0].port}" in done.err or "nobody answers" in done.err


def test_a_way_that_swallows_everything_is_not_waited_for_for_ever(lab: Lab) -> None:
    made = invite(lab[0])
    lab.block(1, 0)
    done = refused(lab[1], invites.written(made))
    assert (done.status, "nobody answers" in done.err) == (UNREACHABLE, True)


def test_no_address_and_one_that_is_typed(lab: Lab) -> None:
    bare = other(invite(lab[0]), addresses=())
    done = refused(lab[1], bare)
    assert (done.status, "--addr" in done.err) == (UNREACHABLE, True)
    for address in ("x:y:z", "127.0.0.1:99999", "no-such-host.invalid:7660"):
        assert refused(lab[1], bare, "--addr", address).status == USAGE


def test_a_full_disk_lets_it_join_when_there_is_room_again(lab: Lab) -> None:
    """The same invite: what let it in the first time knows it again."""
    host, text = lab[2], told(lab[0], "invite")["invite"]
    host.run("odyssey", "down", limit_s=60)
    host.run("sh", "-c", "mkdir small && mount -t tmpfs -o size=24M tmpfs small")
    full = ("env", f"ODYSSEY_HOME={host.folder}/home/small/home", "ODYSSEY_DISK_GUARD=1M")
    host.run("sh", "-c", "dd if=/dev/zero of=small/rest bs=64k 2>/dev/null; true")
    done = host.run(*full, "odyssey", "join", "-", stdin=text, limit_s=120, check=False)
    assert done.status != 0
    assert [sum(line.startswith(word) for line in done.err.splitlines()) for word in ("error: ", "hint: ")] == [1, 1]
    assert "disk" in done.err or "space" in done.err
    host.run("rm", "small/rest")
    host.run(*full, "odyssey", "join", "-", stdin=text, limit_s=120)
    wait_for(lambda: told(lab[0], "status")["nodes"]["up"] == 2, 30)
    host.run(*full, "odyssey", "leave", "--yes", limit_s=60)


def test_in_the_end_it_joins_by_an_address_that_is_typed_and_the_invite_is_spent(lab: Lab) -> None:
    """The last one: from here on it is in a mesh with others."""
    text = other(invite(lab[0]), addresses=(Address("10.77.0.99", 7660),))
    (lab[1].folder / "home" / "card").write_text(f"  '{text}'\n")
    lab[1].run("odyssey", "join", "card", "--addr", lab[0].address, limit_s=120)
    wait_for(lambda: told(lab[0], "status")["nodes"]["up"] == 2, 30)
    spent = lab[2].run("odyssey", "join", "-", "--addr", lab[0].address, stdin=text, limit_s=120, check=False)
    assert (spent.status, "has let in all it may (1)" in spent.err) == (NOT_PERMITTED, True)
    again = lab[1].run("odyssey", "join", "-", stdin=text, limit_s=120, check=False)
    assert (again.status, "and this machine is in it already" in again.err) == (USAGE, True)
