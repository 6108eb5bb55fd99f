"""Real sockets on the loopback: who is let in, who is put out, what strangers and bad members can do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path as File

import pytest
import zmq

from odyssey import wire
from odyssey.errors import lines
from odyssey.ids import NodeId
from odyssey.mesh.letters import Letter
from odyssey.mesh.links import doorman, frames, sockets, switchboard
from odyssey.mesh.links.channel import PUT_OUT
from odyssey.mesh.links.frames import LETTER_BYTES, Hello, Parcel
from odyssey.mesh.links.letters import packed
from odyssey.mesh.links.ports import Path, Refusal
from odyssey.mesh.links.sockets import Unfit, check_fit
from odyssey.mesh.links.wires import Ports
from odyssey.mesh.places import PortTaken
from tests.mesh.links.rig import HOST, Machine, Rig, Stranger, curve, new_keys
from tests.mesh.links.town import beat, member, node, numbers, work

REFUSED = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
)
HELLO = frames.packed(Hello(1, 1, b"r" * 16))

SOON_S = 5.0  # before silence alone would end a line; how soon it is says the virtual clock of the other tests


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


def works(rig: Rig, a: Machine, b: Machine) -> None:
    """A letter from one to the other, now."""
    letter = work()
    a.board.send(b.name, letter)
    rig.until(lambda: (a.name, letter) in b.heard)


def say_work(stranger: Stranger, number: int, letter: Letter | None = None) -> None:
    stranger.say(frames.packed(Parcel(number, 1)), packed(letter or work(number=number)))


def greeted(rig: Rig, stranger: Stranger) -> Stranger:
    stranger.say(HELLO)
    rig.until(lambda: stranger.hears() is not None)
    return stranger


def a_member(rig: Rig, name: str = "m") -> tuple[NodeId, sockets.Keys]:
    keys = new_keys()
    rig.town.admit(node(name), keys.public)
    return node(name), keys


# -- strangers ---------------------------------------------------------------------------------------------------------


def null(made: zmq.Socket[bytes]) -> None: ...


def plain(made: zmq.Socket[bytes]) -> None:
    made.setsockopt(zmq.PLAIN_USERNAME, b"admin")
    made.setsockopt(zmq.PLAIN_PASSWORD, b"admin")


MECHANISMS: dict[str, Callable[[bytes], Callable[[zmq.Socket[bytes]], None]]] = {
    "no security": lambda _: null,
    "a password": lambda _: plain,
    "a key that nobody knows": lambda server: curve(server, new_keys()),
    "another server's key": lambda _: curve(new_keys().public, new_keys()),
}


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=MECHANISMS)
@pytest.mark.parametrize("kind", [zmq.DEALER, zmq.REQ, zmq.ROUTER], ids=["dealer", "req", "router"])
def test_a_stranger_delivers_nothing(
    rig: Rig, mechanism: Callable[[bytes], Callable[[zmq.Socket[bytes]], None]], kind: int
) -> None:
    a, b = rig.pair()
    for port in b.ports:
        stranger = rig.stranger(mechanism(b.keys.public), port, kind)
        with suppress(zmq.Again, zmq.ZMQError):
            stranger.say(HELLO)
            say_work(stranger, 1)
        rig.until(lambda stranger=stranger: stranger.saw(*REFUSED, zmq.EVENT_DISCONNECTED))  # type: ignore[misc]
        assert not stranger.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    works(rig, a, b)
    assert [sender for sender, _ in b.heard] == [a.name]
    assert set(b.board.peers()) == {a.name}
    rig.until(lambda: b.board.refused)


def test_another_servers_key_with_a_members_own_is_no_way_in(rig: Rig) -> None:
    """Whoever answers proves nothing to it, and it proves nothing to whoever answers."""
    b = rig.machine("b")
    _, keys = a_member(rig)
    stranger = rig.stranger(curve(new_keys().public, keys), b.ports.control)
    stranger.say(HELLO)
    rig.until(lambda: stranger.saw(*REFUSED, zmq.EVENT_DISCONNECTED))
    assert b.heard == []


def test_without_the_handler_nobody_gets_in(rig: Rig) -> None:
    b = rig.machine("b")
    _, keys = a_member(rig)
    b.wires._zap.close()
    stranger = rig.stranger(curve(b.keys.public, keys), b.ports.control)
    stranger.say(HELLO)
    say_work(stranger, 1)
    rig.until(lambda: stranger.saw(*REFUSED, zmq.EVENT_DISCONNECTED))
    assert b.heard == []
    assert b.board.peers() == {}


def test_who_has_gone_before_his_hello_was_read_is_not_here(rig: Rig) -> None:
    """A machine dials all addresses of another one and hangs up all but one."""
    b = rig.machine("b")
    name, keys = a_member(rig)
    stranger = Stranger(curve(b.keys.public, keys), b.ports.control, zmq.DEALER)
    rig.until(lambda: stranger.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED))
    hall = b.wires._halls[0]
    stranger.say(HELLO)
    assert hall._socket.poll(5_000)  # from here on nothing is read
    stranger.close()
    assert hall._monitor.poll(5_000)
    hall._ear.look()
    rig.until(lambda: not hall._socket.poll(0))
    assert not any(state.up for state in b.board.peers().values())
    rig.stranger(curve(b.keys.public, keys), b.ports.control).say(HELLO)
    rig.until(lambda: b.board.peers()[name].up)


def test_trouble_at_one_handshake_is_not_the_end_of_all(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = rig.pair()
    _, keys = a_member(rig)
    right = rig.town.who

    def who(key: bytes) -> NodeId | Refusal:
        if key == keys.public:
            raise RuntimeError("a bug")
        return right(key)

    monkeypatch.setattr(rig.town, "who", who)
    stranger = rig.stranger(curve(b.keys.public, keys), b.ports.control)
    stranger.say(HELLO)
    rig.until(lambda: stranger.saw(*REFUSED))
    works(rig, a, b)
    assert [sender for sender, _ in b.heard] == [a.name]


def test_who_is_not_known_yet_gets_in_once_it_is(rig: Rig) -> None:
    a, b = rig.pair()
    del rig.town.members[a.keys.public]
    a.board.send(b.name, work(number=1))
    rig.until(lambda: b.board.refused["unknown"])
    assert b.heard == []
    rig.town.members[a.keys.public] = a.name
    rig.until(lambda: numbers(b.letters) == [1])


def test_somebody_else_at_a_members_address_is_told_nothing(rig: Rig) -> None:
    a, b = rig.pair()
    c = rig.machine("c")
    rig.town.admit(b.name, b.keys.public, Path(HOST, *c.ports))
    a.board.send(b.name, work())
    rig.until(lambda: "is somebody else" in a.board.peers()[b.name].why)
    assert (b.heard, c.heard) == ([], [])


# -- raw bytes ---------------------------------------------------------------------------------------------------------

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\0" + bytes(31)
NOISE = {
    "nothing at all": b"",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("1603010200010001fc0303") + bytes(500),
    "noise": bytes(range(256)) * 64,
    "an old greeting": b"\x01\x00",
    "a greeting and no hello": GREETING,
    "a greeting and a huge command": GREETING + b"\x06" + (1 << 40).to_bytes(8, "big") + bytes(1000),
    "a greeting and a wrong hello": GREETING + b"\x04\xc8" + b"\x05HELLO" + bytes(194),
}


@pytest.mark.parametrize("data", NOISE.values(), ids=NOISE)
def test_bytes_at_the_door_are_nobody(rig: Rig, data: bytes) -> None:
    a, b = rig.pair()
    knocks = [rig.knock(port) for port in b.ports for _ in range(5)]
    for one in knocks:
        one.sendall(data)
        if data != b"":
            with suppress(OSError):
                one.shutdown(socket.SHUT_WR)
    works(rig, a, b)
    rig.until(lambda: all(map(is_closed, knocks)), 20)
    works(rig, b, a)
    assert set(b.board.peers()) == {a.name}


def is_closed(one: socket.socket) -> bool:
    try:
        return all(not data for data in iter(lambda: one.recv(4096), b""))
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_thousand_that_say_nothing_keep_nobody_out_and_are_sent_off(rig: Rig) -> None:
    a, b = rig.pair()
    knocks = [rig.knock(b.ports.control) for _ in range(1_000)]
    works(rig, a, b)
    works(rig, b, a)
    rig.until(lambda: all(map(is_closed, knocks)))
    works(rig, a, b)


def test_many_strangers_with_keys_at_once_keep_nobody_out(rig: Rig) -> None:
    a, b = rig.pair()
    strangers = [rig.stranger(curve(b.keys.public, new_keys()), b.ports.control) for _ in range(100)]
    works(rig, a, b)
    rig.until(lambda: b.board.refused["unknown"] >= 100)
    works(rig, b, a)
    assert not any(one.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED) for one in strangers)
    assert set(b.board.peers()) == {a.name}


def test_of_many_at_the_door_the_oldest_are_sent_off_at_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "MOST", 20)
    a, b = rig.pair()
    knocks = [rig.knock(b.ports.control) for _ in range(50)]
    rig.until(lambda: b.board.refused["too many at the door"] >= 30)
    assert b.wires._halls[0].doorman.waiting <= 20
    rig.until(lambda: sum(map(is_closed, knocks)) >= 30)
    works(rig, a, b)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_who_comes_too_often_is_sent_off_at_once_and_others_are_not(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "BURST", 20)
    a, b = rig.pair()
    knocks = [rig.knock(b.ports.control, "127.0.0.2") for _ in range(50)]
    rig.until(lambda: sum(map(is_closed, knocks)) >= 25)
    assert b.board.refused["too often"] >= 25
    works(rig, a, b)


def test_addresses_that_came_are_forgotten_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "BURST", 1)
    monkeypatch.setattr(doorman, "ADDRESSES", 2)
    comers = doorman.Comers()
    assert [comers.may_come(one, 0) for one in "aabcba"] == [True, False, True, True, False, True]
    assert comers.may_come("c", 1_000 // doorman.A_SECOND)


def test_who_has_a_key_and_says_nothing_is_sent_off(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "HELLO_MS", 300)
    b = rig.machine("b")
    _, keys = a_member(rig)
    stranger = rig.stranger(curve(b.keys.public, keys), b.ports.control)
    rig.until(lambda: stranger.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED))
    rig.until(lambda: stranger.saw(zmq.EVENT_DISCONNECTED))
    assert b.board.refused["said nothing"] == 1


# -- members -----------------------------------------------------------------------------------------------------------


def test_who_is_put_out_while_connected_delivers_nothing_more_and_is_ended(rig: Rig) -> None:
    a, b = rig.pair()
    name, keys = a_member(rig)
    stranger = greeted(rig, rig.stranger(curve(b.keys.public, keys), b.ports.control))
    say_work(stranger, 1)
    rig.until(lambda: numbers(b.letters) == [1])
    say_work(stranger, 2)  # on its way already
    rig.town.revoked.add(keys.public)
    rig.until(lambda: stranger.saw(zmq.EVENT_DISCONNECTED), SOON_S)
    with suppress(zmq.ZMQError):
        say_work(stranger, 3)
    works(rig, a, b)
    assert [letter for sender, letter in b.heard if sender == name] == [work(number=1)]
    rig.until(lambda: stranger.saw(zmq.EVENT_HANDSHAKE_FAILED_AUTH))  # its socket tries again by itself


def test_who_is_put_out_learns_why(rig: Rig) -> None:
    a, b = rig.pair()
    works(rig, a, b)
    rig.town.revoked.add(a.keys.public)
    rig.until(lambda: not b.is_up(a), SOON_S)
    a.board.send(b.name, work())
    rig.until(lambda: a.board.peers()[b.name].why == PUT_OUT)


def test_a_claimed_routing_id_takes_nobodys_place(rig: Rig) -> None:
    b = rig.machine("b")
    victim, keys = a_member(rig, "v")
    _, other = a_member(rig, "w")

    def claiming(mine: sockets.Keys) -> Callable[[zmq.Socket[bytes]], None]:
        def prepare(made: zmq.Socket[bytes]) -> None:
            curve(b.keys.public, mine)(made)
            made.setsockopt(zmq.ROUTING_ID, victim.encode())

        return prepare

    first = greeted(rig, rig.stranger(claiming(keys), b.ports.control))
    thief = rig.stranger(claiming(other), b.ports.control)
    rig.until(lambda: thief.saw(zmq.EVENT_HANDSHAKE_SUCCEEDED))
    thief.say(HELLO)
    say_work(thief, 1)
    say_work(first, 1, work(number=2))
    rig.until(lambda: b.heard)
    assert b.heard == [(victim, work(number=2))]
    b.board.send(victim, beat(5))
    heard: list[bytes] = []

    def arrived() -> bool:
        heard.extend(first.hears() or [])
        return packed(beat(5)) in heard

    rig.until(arrived)
    assert thief.hears() is None
    assert b.heard == [(victim, work(number=2))]


def test_a_routing_id_that_names_another_member_is_worth_nothing(rig: Rig) -> None:
    a, b = rig.pair()
    name, keys = a_member(rig, "m")

    def prepare(made: zmq.Socket[bytes]) -> None:
        curve(b.keys.public, keys)(made)
        made.setsockopt(zmq.ROUTING_ID, a.name.encode())

    liar = greeted(rig, rig.stranger(prepare, b.ports.control))
    say_work(liar, 1)
    rig.until(lambda: b.heard)
    assert b.heard == [(name, work(number=1))]


def test_what_is_too_large_ends_the_connection_and_nothing_else(rig: Rig) -> None:
    a, b = rig.pair()
    name, keys = a_member(rig)
    stranger = greeted(rig, rig.stranger(curve(b.keys.public, keys), b.ports.control))
    stranger.say(frames.packed(Parcel(1, 1)), bytes(LETTER_BYTES + 1000))
    rig.until(lambda: stranger.saw(zmq.EVENT_DISCONNECTED))
    works(rig, a, b)
    assert b.board.peers()[name].refused == {}  # it has not come so far
    assert [sender for sender, _ in b.heard] == [a.name]


@pytest.mark.parametrize("count", [3, 4, 5_000])
def test_a_message_of_many_parts_ends_the_connection(rig: Rig, count: int) -> None:
    a, b = rig.pair()
    name, keys = a_member(rig)
    stranger = greeted(rig, rig.stranger(curve(b.keys.public, keys), b.ports.control))
    stranger.say(frames.packed(Parcel(1, 1)), packed(work()), *[b"more"] * (count - 2))
    rig.until(lambda: stranger.saw(zmq.EVENT_DISCONNECTED))
    works(rig, a, b)
    assert name not in [sender for sender, _ in b.heard]
    assert b.board.peers()[name].refused["malformed"] == 1


def test_a_bomb_is_refused_and_its_sender_sent_away(rig: Rig) -> None:
    a, b = rig.pair()
    name, keys = a_member(rig)
    stranger = greeted(rig, rig.stranger(curve(b.keys.public, keys), b.ports.control))
    stranger.say(frames.packed(Parcel(1, 1)), b"\x92\x01" + b"\xdd" + (900_000).to_bytes(4, "big") + b"\x80" * 900_000)
    rig.until(lambda: stranger.saw(zmq.EVENT_DISCONNECTED))
    rig.until(lambda: b.board.peers()[name].refused.get("away"))  # its socket tries again
    works(rig, a, b)


def test_a_flood_of_a_member_ends_its_line_and_others_beats_pass(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard, "MESSAGES_A_SECOND", 2_000)
    monkeypatch.setattr(switchboard, "BURST", 5_000)
    a, b = rig.pair()
    works(rig, a, b)
    name, keys = a_member(rig)
    stranger = greeted(rig, rig.stranger(curve(b.keys.public, keys), b.ports.control))
    load, head, said = packed(beat(1)), frames.packed(Parcel()), 0

    def flood() -> bool:
        nonlocal said
        with suppress(zmq.Again):
            for _ in range(500):
                stranger.say(head, load)
                said += 1
        a.board.send(b.name, beat(1000 + said))
        return stranger.saw(zmq.EVENT_DISCONNECTED)

    rig.until(flood)
    assert b.board.peers()[name].refused["too much"] == 1
    assert sum(sender == name for sender, _ in b.heard) <= said
    assert sum(sender == a.name for sender, _ in b.heard) > 5
    works(rig, a, b)


def test_what_came_on_a_connection_is_known_to_the_byte(rig: Rig) -> None:
    a, b = rig.pair()
    digest = b.files.put(bytes(300_000))
    for size in 50 * (0, 1, 200, 300) + (70_000,):
        a.board.send(b.name, work(size))
    found: list[bytes | None] = []
    a.board.ask_segment(member(b.name), digest, 0, found.append)
    rig.until(lambda: found and len(b.heard) == 201 and not a.board.peers()[b.name].unacknowledged)
    handshakes = 2_000
    for hall in b.wires._halls:
        for line in hall._lines.values():
            assert 0 < (doorman._on_duplicate(line.file, doorman._received) or 0) - line.told < handshakes
    for dialled in a.wires._dialled:
        assert dialled._file is not None
        assert 0 < (doorman._on_duplicate(dialled._file, doorman._received) or 0) - dialled._told < handshakes


@pytest.mark.parametrize("lane", [0, 1])
def test_a_message_that_never_ends_is_ended(rig: Rig, monkeypatch: pytest.MonkeyPatch, lane: int) -> None:
    """What was read and not handed on looks the same, whatever it is."""
    monkeypatch.setattr(doorman, "UNREAD", 1 << 20)
    a, b = rig.pair()
    a.board.ask_segment(member(b.name), b.files.put(b"x"), 0, lambda _: None)
    works(rig, a, b)
    rig.until(lambda: b.wires._halls[lane]._lines)
    line = next(iter(b.wires._halls[lane]._lines.values()))
    line.told -= 2 << 20
    rig.until(lambda: line.over)
    assert b.board.peers()[a.name].refused["malformed"] == 1
    works(rig, b, a)
    rig.until(lambda: a.wires._dialled)


def test_a_peer_that_was_dialled_and_never_ends_its_message_is_left(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorman, "UNREAD", 1 << 20)
    a, b = rig.pair()
    works(rig, a, b)
    line = next(iter(a.wires._dialled))
    line._told -= 2 << 20
    rig.until(lambda: line._over)
    assert a.board.peers()[b.name].refused["malformed"] == 1


# -- coming back -------------------------------------------------------------------------------------------------------


def test_a_machine_that_restarts_under_its_key_is_found_again(rig: Rig) -> None:
    a, b = rig.pair()
    works(rig, a, b)
    b.kill()
    rig.until(lambda: not a.is_up(b))
    assert a.board.peers()[b.name].why == "the connection ended"
    a.board.send(b.name, work(number=1))
    b.start()
    rig.until(lambda: 1 in numbers(b.letters))
    works(rig, b, a)


def test_a_machine_at_another_address_is_found_again(rig: Rig) -> None:
    a, b = rig.pair()
    works(rig, a, b)
    b.kill()
    b.ports = Ports(0, 0)
    b.start()
    works(rig, a, b)
    assert a.board.peers()[b.name].address == f"tcp://{HOST}:{b.ports.control}"


def test_what_was_under_way_when_a_connection_broke_arrives(rig: Rig) -> None:
    a, b = rig.pair()
    works(rig, a, b)
    b.heard.clear()
    for number in range(2_000):
        a.board.send(b.name, work(1_000, number))
        if number % 500 == 250:
            hall = b.wires._halls[0]
            for line in list(hall._lines.values()):
                hall.doorman.ender(line.file)()
            rig.turn()
    rig.until(lambda: len(b.heard) >= 2_000)
    assert numbers(b.letters) == list(range(2_000))
    rig.until(lambda: a.board.peers()[b.name].unacknowledged == 0)
    assert a.board.peers()[b.name].lost == 0


def test_who_only_dials_is_answered_on_its_own_connection(rig: Rig) -> None:
    a, hidden = rig.machine("a"), rig.machine("b", listens=False)
    a.board.send(hidden.name, work(number=1))
    hidden.board.send(a.name, work(number=2))
    rig.until(lambda: a.heard and hidden.heard)
    assert (numbers(a.letters), numbers(hidden.letters)) == ([2], [1])
    assert not a.board.peers()[hidden.name].dialled


def test_the_end_of_a_connection_is_told_at_both_ends(rig: Rig) -> None:
    a, hidden = rig.machine("a"), rig.machine("b", listens=False)
    works(rig, hidden, a)
    hidden.kill()
    rig.until(lambda: not a.is_up(hidden), SOON_S)
    assert a.board.peers()[hidden.name].why == "the connection ended"


def test_of_several_addresses_one_is_enough(rig: Rig) -> None:
    a, b = rig.pair()
    with socket.create_server((HOST, 0)) as mute:
        closed = free_port()
        paths = Path(HOST, closed, closed), Path(HOST, mute.getsockname()[1], 1), Path(HOST, *b.ports)
        rig.town.admit(b.name, b.keys.public, *paths)
        works(rig, a, b)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as one:
        port: int = one.getsockname()[1]
    return port


def test_an_address_that_is_none_is_said(rig: Rig) -> None:
    a, b = rig.pair()
    rig.town.admit(b.name, b.keys.public, Path("no address", 1, 2))
    a.board.send(b.name, work())
    rig.until(lambda: "no address" in a.board.peers()[b.name].why)


def test_a_machine_listens_on_an_address_of_the_sixth_version(rig: Rig) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no such address here")
    a, b = rig.pair()
    ports = b.wires.listen("::1")
    rig.town.admit(b.name, b.keys.public, Path("::1", *ports))
    works(rig, a, b)


# -- beginning and end -------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_said_with_what_to_do(rig: Rig) -> None:
    b = rig.machine("b")
    with pytest.raises(PortTaken) as caught:
        b.wires.listen(HOST, b.ports.control)
    error, hint = lines(caught.value)
    assert error.startswith(f"error: cannot listen on {HOST}, port {b.ports.control}")
    assert hint is not None


def test_nothing_stays_open(rig: Rig) -> None:
    def files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = files()
    once = Rig()
    a, b = once.pair()
    works(once, a, b)
    digest = b.files.put(bytes(3_000_000))
    once.close()
    assert digest
    assert files() == before


@pytest.mark.parametrize(
    ("version", "curve_is_there", "files"),
    [((4, 3, 4), True, 9_000), ((4, 3, 5), False, 9_000), ((4, 3, 5), True, 8_191)],
)
def test_where_links_would_not_be_safe_none_are_made(
    version: tuple[int, ...], curve_is_there: bool, files: int
) -> None:
    with pytest.raises(Unfit) as caught:
        check_fit(version, curve_is_there, files)
    assert caught.value.hint
    check_fit((4, 3, 5), True, 8_192)
    check_fit()


@pytest.mark.parametrize("name", ["odyssey.daemon.daemon", "odyssey.node", "odyssey.cli.main"])
def test_a_machine_alone_does_not_load_zeromq(name: str) -> None:
    text = f"import sys, {name}; sys.exit('zmq' in sys.modules or 'odyssey.mesh.links' in sys.modules)"
    root = str(File(__file__).resolve().parents[3])
    subprocess.run([sys.executable, "-c", text], check=True, env={**os.environ, "PYTHONPATH": root})


def test_a_hello_of_another_version_is_answered_with_why(rig: Rig) -> None:
    b = rig.machine("b")
    _, keys = a_member(rig)
    stranger = rig.stranger(curve(b.keys.public, keys), b.ports.control)
    stranger.say(frames.packed(Hello(7, 9, b"r" * 16)))
    heard: list[bytes] = []

    def arrived() -> bool:
        heard.extend(stranger.hears() or [])
        return len(heard) >= 2

    rig.until(arrived)
    assert isinstance(wire.decode_message(heard[0], frames.AnyFrame), Hello)
    bye = wire.decode_message(heard[1], frames.AnyFrame)
    assert bye == frames.Bye("no common version: 1 to 1 here, 7 to 9 there")
