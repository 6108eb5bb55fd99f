"""Lines between machines, on virtual time: who dials, what is used, what is sent again, what is counted."""

from __future__ import annotations

from itertools import pairwise

import pytest

from odyssey import wire
from odyssey.ids import NodeId
from odyssey.mesh.letters import Letter
from odyssey.mesh.links import frames, switchboard
from odyssey.mesh.links.channel import IDLE_MS, IS_COPY, MOST_LINES, PUT_OUT, SILENT_MS
from odyssey.mesh.links.frames import Ack, Bye, Hello, Parcel, Ping, Pong
from odyssey.mesh.links.letters import packed
from odyssey.mesh.links.limits import BURST_HANDSHAKES
from odyssey.mesh.links.outbox import FRESH_MS, WORK_MS
from odyssey.mesh.links.ports import Path, Refusal
from odyssey.mesh.links.switchboard import AWAY_MS, FORGET_MS, TICK_MS, PeerState, Versions
from odyssey.messages import CopySeen, Elsewhere
from tests.mesh.links.street import HOST, Machine, Quarter
from tests.mesh.links.town import SCOPE, Town, append, beat, node, numbers, work

TICK_S = TICK_MS / 1000


@pytest.fixture
def quarter() -> Quarter:
    return Quarter()


def linked(quarter: Quarter) -> tuple[Machine, Machine]:
    a, b = quarter.machine(0), quarter.machine(1)
    a.board.send(b.name, work(number=0))
    quarter.run(0.1)
    b.heard.clear()
    return a, b


def state(one: Machine, other: Machine) -> PeerState:
    return one.board.peers()[other.name]


# -- dialling ----------------------------------------------------------------------------------------------------------


def test_nobody_is_dialled_before_there_is_something_to_say(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    quarter.run(10)
    assert quarter.street.dials == []
    a.board.send(b.name, work())
    quarter.run(0.1)
    assert quarter.street.dials == [(HOST, b.port)]  # and not the bulk lane
    assert len(b.heard) == 1


def test_replies_travel_on_the_line_that_was_dialled(quarter: Quarter) -> None:
    a, b = linked(quarter)
    b.board.send(a.name, work(number=7))
    quarter.run(0.1)
    assert numbers(a.letters) == [7]
    assert len(quarter.street.dials) == 1


def test_who_cannot_be_dialled_is_reached_on_its_own_line(quarter: Quarter) -> None:
    a, hidden = quarter.machine(0), quarter.machine(1, listens=False)
    a.board.send(hidden.name, work(number=1))
    quarter.run(1)
    assert hidden.heard == []
    assert state(a, hidden).why == "no address of a member is known"
    hidden.board.send(a.name, work(number=2))
    quarter.run(0.1)
    assert (numbers(a.letters), numbers(hidden.letters)) == ([2], [1])


def test_both_may_dial_at_once(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    a.board.send(b.name, work(number=1))
    b.board.send(a.name, work(number=2))
    quarter.run(0.02)
    assert (numbers(a.letters), numbers(b.letters)) == ([2], [1])
    assert len(quarter.street.dials) == 2


def test_all_addresses_are_tried_as_equals(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    quarter.street.silent.add("10.0.0.9")
    paths = Path("10.0.0.9", 1, 2), Path("10.0.0.8", 3, 4), Path(HOST, b.port, b.port + 1)
    quarter.town.admit(b.name, b.key, *paths)
    a.board.send(b.name, work())
    quarter.run(0.1)
    assert len(b.heard) == 1
    assert state(a, b).address == f"tcp://{HOST}:{b.port}"
    assert [line.over for line in a.wires.lines] == [True, True, False]


def test_who_is_not_reached_is_dialled_again_after_a_while_that_grows(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    b.kill()
    times = []
    for _ in range(400):
        before = len(quarter.street.dials)
        a.board.send(b.name, beat())
        quarter.run(0.1)
        times += [quarter.loop.time()] * (len(quarter.street.dials) - before)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps[0] < 0.5
    assert 2.4 < gaps[-1] < 7.7
    assert len(times) < 20
    assert state(a, b).why == f"nobody answers at tcp://{HOST}:{b.port}"


def test_two_machines_do_not_dial_again_in_the_same_moment(quarter: Quarter) -> None:
    machines = [quarter.machine(number) for number in range(6)]
    for one in machines[1:]:
        one.board.send(machines[0].name, work())
    quarter.run(0.1)
    machines[0].kill()
    dialled = len(quarter.street.dials)
    for one in machines[1:]:
        one.board.send(machines[0].name, work())
    times: list[float] = []
    while len(times) < 5:
        quarter.run(0.001)
        times += [quarter.loop.time()] * (len(quarter.street.dials) - dialled - len(times))
    assert len(set(times)) >= 4


def test_what_was_not_taken_in_time_is_counted_and_told(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    b.kill()
    for letter in (work(), work(), beat()):
        a.board.send(b.name, letter)
    quarter.run(FRESH_MS / 1000 + 2 * TICK_S)
    assert a.lost == [(b.name, 1, f"nobody answers at tcp://{HOST}:{b.port}")]
    quarter.run(WORK_MS / 1000)
    assert [count for _, count, _ in a.lost] == [1, 2]
    assert (state(a, b).lost, state(a, b).queued, state(a, b).queued_bytes) == (3, 0, 0)
    dials = len(quarter.street.dials)
    quarter.run(30)
    assert len(quarter.street.dials) == dials  # there is nothing to say any more


def test_a_letter_that_nobody_would_take_is_not_sent(quarter: Quarter) -> None:
    a, b = linked(quarter)
    a.board.send(b.name, Letter(SCOPE, Elsewhere(NodeId("x" * (65 << 10)))))
    a.board.send(b.name, append(2 << 20))
    quarter.run(0.1)
    assert b.heard == []
    assert [why for _, _, why in a.lost] == ["too large", "too large"]


def test_a_machine_says_nothing_to_itself(quarter: Quarter) -> None:
    a = quarter.machine(0)
    a.board.send(a.name, work())
    quarter.run(1)
    assert (quarter.street.dials, a.heard) == ([], [])


# -- what breaks -------------------------------------------------------------------------------------------------------


def test_what_was_on_a_line_that_broke_is_sent_again(quarter: Quarter) -> None:
    a, b = linked(quarter)
    for number in range(1, 6):
        a.board.send(b.name, work(number=number))
    for line in b.wires.lines:
        line.end()  # nothing of it has arrived
    b.board.gone(b.wires.lines[0], "cut")
    quarter.run(1)
    assert numbers(b.letters) == [1, 2, 3, 4, 5]
    assert (state(a, b).lost, state(a, b).unacknowledged) == (0, 0)


def test_a_line_on_which_nothing_is_heard_is_given_up_and_nothing_is_lost(quarter: Quarter) -> None:
    a, b = linked(quarter)
    quarter.street.cut |= {(a.key, b.key), (b.key, a.key)}
    for number in (1, 2):
        a.board.send(b.name, work(number=number))
    quarter.run(SILENT_MS / 1000 + 1)
    assert not state(a, b).up
    assert state(a, b).why == f"not heard for {SILENT_MS // 1000} s"
    quarter.street.heal()
    quarter.run(WORK_MS / 1000 - SILENT_MS / 1000 - 1.5)
    assert numbers(b.letters) == [1, 2]
    assert a.lost == []


def test_a_lost_acknowledgement_does_not_double_a_letter(quarter: Quarter) -> None:
    a, b = linked(quarter)
    quarter.street.cut.add((b.key, a.key))
    a.board.send(b.name, work(number=1))
    quarter.run(SILENT_MS / 1000 + 0.5)
    quarter.street.heal()
    a.board.send(b.name, work(number=2))
    quarter.run(2)
    assert numbers(b.letters) == [1, 2]
    assert state(a, b).unacknowledged == 0


def test_a_peer_that_restarts_under_its_name_is_heard_and_hears_at_once(quarter: Quarter) -> None:
    a, b = linked(quarter)
    b.board.send(a.name, work(number=8))
    quarter.run(0.1)
    b.kill()
    a.board.send(b.name, work(number=1))
    b.start()
    quarter.run(1)
    b.board.send(a.name, work(number=2))
    a.board.send(b.name, work(number=3))
    quarter.run(0.1)
    assert (numbers(a.letters), numbers(b.letters)) == ([8, 2], [1, 3])
    assert state(a, b).up


def test_a_peer_that_dials_again_has_lost_its_old_line(quarter: Quarter) -> None:
    """Whatever this side still thinks of it: it is never told, because the peer's machine lost its power."""
    a, b = quarter.machine(0), quarter.machine(1)
    b.board.send(a.name, work())
    quarter.run(0.1)
    quarter.street.cut |= {(b.key, a.key), (a.key, b.key)}
    b.kill()
    quarter.run(0.1)
    quarter.street.cut.clear()
    b.start()
    b.board.send(a.name, work())
    quarter.run(0.05)
    a.board.send(b.name, work(number=9))
    quarter.run(0.05)
    assert numbers(b.letters) == [9]
    quarter.run(2)
    assert a.wires.lines[0].over


# -- a copied home -----------------------------------------------------------------------------------------------------


def copy_of(quarter: Quarter, machine: Machine) -> Machine:
    """Another machine with its key."""
    town = Town()
    town.members, town.places = dict(quarter.town.members), dict(quarter.town.places)
    copy = Machine(quarter.street, town, machine.number, listens=False)
    copy.starts = 50
    return copy.start()


def test_of_two_machines_with_one_key_the_first_stays_and_both_hear_of_it(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    b.board.send(a.name, work(number=1))
    quarter.run(0.1)
    copy = copy_of(quarter, b)
    copy.board.send(a.name, work(number=66))
    quarter.run(1)
    assert a.copied == [(b.name, HOST)]
    assert state(copy, a).why == IS_COPY
    assert [letter for letter in b.letters if isinstance(letter.content, CopySeen)]
    assert copy.letters == []
    for number in range(2, 6):
        b.board.send(a.name, work(number=number))
        copy.board.send(a.name, work(number=60 + number))
        a.board.send(b.name, work(number=80 + number))
        quarter.run(1)
    assert [one for one in numbers(a.letters) if one < 60] == [1, 2, 3, 4, 5]
    assert set(numbers(a.letters)) <= {1, 2, 3, 4, 5, 66}  # what it says after it was found out is not heard
    assert numbers(b.letters) == [82, 83, 84, 85]
    assert numbers(copy.letters) == []


def test_a_copy_that_has_gone_before_the_first_one_answers_changes_nothing(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    b.board.send(a.name, work(number=1))
    quarter.run(0.1)
    copy = copy_of(quarter, b)
    copy.board.send(a.name, work(number=66))
    talks = a.board._peers[b.name].control._talks
    while not any(talk.is_asked_for for talk in talks.values()):
        quarter.run(0.0001)
    for line in [line for line, talk in talks.items() if not talk.is_asked_for]:
        line.end()
        a.board.gone(line, "it was pulled")
    copy.kill()
    quarter.run(8)
    b.board.send(a.name, work(number=2))
    quarter.run(8)
    assert numbers(a.letters)[-1] == 2


def test_what_the_first_one_says_while_it_is_asked_after_is_not_lost(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    b.board.send(a.name, work(number=1))
    quarter.run(0.1)
    copy = copy_of(quarter, b)
    copy.board.send(a.name, work(number=66))
    talks = a.board._peers[b.name].control._talks
    while not any(talk.is_asked_for for talk in talks.values()):
        quarter.run(0.0001)
    b.board.send(a.name, work(number=2))
    quarter.run(0.5)
    b.board.send(a.name, work(number=3))
    quarter.run(3)
    assert [one for one in numbers(a.letters) if one < 60] == [1, 2, 3]
    assert not state(a, b).refused


def test_it_stays_so_when_the_copy_comes_again(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    b.board.send(a.name, work(number=1))
    quarter.run(0.1)
    copy = copy_of(quarter, b)
    for number in range(300):
        b.board.send(a.name, beat())
        copy.board.send(a.name, work(number=100 + number))
        quarter.run(1)
    assert state(copy, a).why == IS_COPY
    assert sum(1 for one in numbers(a.letters) if one >= 100) <= 3
    assert state(a, b).up


def test_when_the_first_is_gone_for_good_the_other_is_let_in(quarter: Quarter) -> None:
    """Its owner has switched off the one that was meant to go."""
    a, b = quarter.machine(0), quarter.machine(1)
    b.board.send(a.name, work(number=1))
    quarter.run(0.1)
    copy = copy_of(quarter, b)
    copy.board.send(a.name, work(number=66))
    quarter.run(1)
    b.kill()
    for number in range(200):
        copy.board.send(a.name, work(number=100 + number))
        quarter.run(1)
    assert numbers(a.letters)[-1] == 299


def test_a_machine_that_begins_anew_is_no_copy(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    for number in range(20):
        b.board.send(a.name, work(number=number))
        quarter.run(0.5)
        b.kill()
        b.start()
    quarter.run(3)
    assert a.copied == []
    assert numbers(a.letters) == list(range(20))


def test_of_two_lines_the_newest_is_used(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    older, newer = rogue.dial(a), rogue.dial(a)
    quarter.run(0.1)
    older.over = True  # on that side, and nobody has told this one
    a.board.send(rogue.name, beat())
    quarter.run(0.1)
    assert Parcel() in rogue.frames()
    assert not newer.over


def test_a_new_address_is_found(quarter: Quarter) -> None:
    a, b = linked(quarter)
    b.kill()
    b.port = 4_000
    b.start()
    quarter.town.admit(b.name, b.key, Path(HOST, 4_000, 4_001))
    a.board.send(b.name, work(number=1))
    quarter.run(1)
    assert numbers(b.letters) == [1]
    assert state(a, b).address == f"tcp://{HOST}:4000"


def test_a_new_address_is_tried_at_once(quarter: Quarter) -> None:
    a, b = quarter.machine(0), quarter.machine(1)
    b.kill()
    for _ in range(300):
        a.board.send(b.name, beat())
        quarter.run(0.1)
    quarter.run(0.3)
    b.port = 4_000
    b.start()
    a.board.send(b.name, work(number=1))
    quarter.town.admit(b.name, b.key, Path(HOST, 4_000, 4_001))
    a.board.look_again(b.name)
    quarter.run(0.01)
    assert numbers(b.letters) == [1]
    a.board.look_again(b.name)
    a.board.look_again(node("z"))
    quarter.run(10)
    assert quarter.street.dials.count((HOST, 4_000)) == 1


def test_a_full_line_is_tried_again(quarter: Quarter) -> None:
    a, b = linked(quarter)
    line = a.wires.lines[0]
    line.is_full = True
    a.board.send(b.name, work(number=1))
    quarter.run(0.1)
    assert b.heard == []
    line.is_full = False
    quarter.run(2 * TICK_S)
    assert numbers(b.letters) == [1]


def test_silence_while_this_machine_was_away_itself_says_nothing(quarter: Quarter) -> None:
    a, b = linked(quarter)
    a.clock.ahead_ms += 20_000  # its process was stopped
    quarter.run(1)
    assert state(a, b).up
    assert len(quarter.street.dials) == 1


def test_who_is_stopped_says_so(quarter: Quarter) -> None:
    a, b = linked(quarter)
    b.board.stop()
    quarter.run(0.01)
    assert not state(a, b).up
    assert state(a, b).why == "it said: it is being stopped"


# -- lines that are not needed -----------------------------------------------------------------------------------------


def test_a_line_on_which_nothing_is_said_is_given_up(quarter: Quarter) -> None:
    a, b = linked(quarter)
    quarter.run(IDLE_MS / 1000 + 1)
    assert not state(a, b).up
    assert a.wires.lines[0].over
    a.board.send(b.name, work(number=1))
    quarter.run(0.5)
    assert numbers(b.letters) == [1]


def test_a_line_stays_as_long_as_either_side_uses_it(quarter: Quarter) -> None:
    a, b = linked(quarter)
    for _ in range(6):
        quarter.run(IDLE_MS / 4000)
        b.board.send(a.name, beat())
    assert len(quarter.street.dials) == 1
    assert state(a, b).up


def test_who_is_heard_anyway_is_hardly_pinged(quarter: Quarter) -> None:
    """Of many machines that beat every second, half of what comes would be pings."""
    a, b = linked(quarter)
    quarter.run(3)  # the first ping
    before = state(a, b).received_bytes
    for _ in range(20):
        b.board.send(a.name, beat())
        a.board.send(b.name, beat())
        quarter.run(1)
    letter = len(frames.packed(Parcel(0, 0))) + len(packed(beat()))
    pings = (state(a, b).received_bytes - before - 20 * letter) / len(frames.packed(Ping(1)))
    assert 2 <= pings <= 4  # of both sides, with their answers


def test_a_peer_of_long_ago_is_forgotten(quarter: Quarter) -> None:
    a, b = linked(quarter)
    quarter.run(IDLE_MS / 1000 + FORGET_MS / 1000 + 1)
    assert (a.board.peers(), b.board.peers()) == ({}, {})


def test_how_it_stands_is_told(quarter: Quarter) -> None:
    a, b = linked(quarter)
    quarter.run(3)
    seen = state(a, b)
    assert (seen.up, seen.dialled, seen.version, seen.rtt_ms, seen.why) == (True, True, 1, 2, "")
    assert seen.sent_bytes == state(b, a).received_bytes > 0
    assert seen.heard_ms is not None
    assert quarter.loop.now_ms - seen.heard_ms < 2_100


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "shared"),
    [((1, 1), (1, 1), 1), ((1, 2), (2, 3), 2), ((1, 3), (1, 3), 3), ((1, 1), (1, 2), 1), ((1, 1), (2, 2), None)],
)
def test_two_versions_that_overlap_work_together(
    quarter: Quarter, mine: tuple[int, int], theirs: tuple[int, int], shared: int | None
) -> None:
    a, b = (Machine(quarter.street, quarter.town, number) for number in (0, 1))
    a.start(Versions(*mine))
    b.start(Versions(*theirs))
    a.board.send(b.name, work(number=1))
    b.board.send(a.name, work(number=2))
    quarter.run(0.5)
    assert numbers(b.letters) == ([1] if shared else [])
    assert numbers(a.letters) == ([2] if shared else [])
    assert state(a, b).version == state(b, a).version == shared
    if shared is None:
        assert "no common version" in state(a, b).why


def test_what_a_newer_version_adds_is_passed_over(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    line = rogue.dial(a, greets=False)
    line.send(wire.encode([1, ["hello", 1, 9, b"r" * 16, ["flying"], "99.0", "new"], "more"]))
    line.send(frames.packed(Parcel(1, 1)), packed(work(number=5)))
    newer = wire.encode([1, [["mesh", 1, b""], ["dance", 1], b""]])
    line.send(frames.packed(Parcel(2, 1)), newer)
    line.send(frames.packed(Parcel(3, 1)), packed(work(number=6)))
    quarter.run(0.1)
    assert numbers(a.letters) == [5, 6]
    assert rogue.frames()[-1] == Ack(3)  # it would not be understood if it came again
    assert a.board.peers()[rogue.name].refused == {"newer": 1}


# -- who may speak -----------------------------------------------------------------------------------------------------


def test_who_is_put_out_while_connected_is_not_heard_from_that_moment(quarter: Quarter) -> None:
    a, b = linked(quarter)
    a.board.send(b.name, work(number=1))  # under way
    quarter.town.revoked.add(a.key)
    quarter.run(1)
    assert b.heard == []
    assert state(b, a).refused["put out"] >= 1
    assert not state(b, a).up
    assert state(a, b).why == PUT_OUT


def test_who_is_put_out_and_says_nothing_loses_its_line_within_a_second(quarter: Quarter) -> None:
    _, b = linked(quarter)
    rogue = quarter.rogue()
    rogue.dial(b)
    quarter.run(1)
    assert rogue.ends == []
    quarter.town.revoked.add(rogue.wires.key)
    quarter.run(0.9)
    assert rogue.ends == ["the connection ended"]


def test_nothing_is_said_to_who_is_put_out(quarter: Quarter) -> None:
    a, b = linked(quarter)
    quarter.town.revoked.add(b.key)
    quarter.run(2 * TICK_S)
    said, dials = len(quarter.street.said), len(quarter.street.dials)
    a.board.send(b.name, work())
    quarter.run(20)
    assert (len(quarter.street.said), len(quarter.street.dials)) == (said, dials)
    assert [why for _, _, why in a.lost] == ["no address of a member is known"]


def test_a_key_that_is_somebody_elses_now_speaks_for_nobody(quarter: Quarter) -> None:
    a, b = linked(quarter)
    quarter.town.members[a.key] = node("g")
    a.board.send(b.name, work())
    quarter.run(0.01)
    assert b.heard == []


def test_a_stranger_is_not_admitted_and_counted(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    del quarter.town.members[rogue.wires.key]
    rogue.dial(a).send(frames.packed(Parcel(1, 1)), packed(work()))
    quarter.run(1)
    assert (a.heard, rogue.ends) == ([], ["not known there"])
    assert a.board.refused["unknown"] == 1
    assert a.board.peers() == {}


def test_this_machines_own_key_is_no_peer(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    rogue.wires.key = a.key
    rogue.dial(a).send(frames.packed(Parcel(1, 1)), packed(work()))
    quarter.run(1)
    assert (a.heard, rogue.ends) == ([], ["not known there"])


BAD = {
    "nothing": b"",
    "no frame": b"\xc1",
    "an unknown kind": wire.encode([1, ["fly", 1]]),
    "a hello again": frames.packed(Hello(1, 1, b"r" * 16)),
    "the bulk lane's": frames.packed(frames.Credit(1)),
    "an acknowledgement of nothing": frames.packed(Ack(3)),
    "a letter out of order": frames.packed(Parcel(9, 1)),
    "a letter that is none": frames.packed(Parcel(1, 1)),
    "a beat that is none": frames.packed(Parcel()),
}


@pytest.mark.parametrize("head", BAD.values(), ids=BAD)
def test_who_breaks_the_rules_is_sent_away_for_a_while(quarter: Quarter, head: bytes) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    line = rogue.dial(a)
    quarter.run(0.1)
    line.send(head, b"\x91\x01")
    line.send(frames.packed(Parcel(1, 1)), packed(work()))
    quarter.run(0.1)
    assert line.over
    assert a.heard == []
    assert sum(a.board.peers()[rogue.name].refused.values()) == 1
    rogue.dial(a)
    quarter.run(0.1)
    assert rogue.ends[-1] == "not known there"
    quarter.run(AWAY_MS / 1000)
    line = rogue.dial(a, greets=False)
    line.send(frames.packed(Hello(1, 1, b"s" * 16)))
    line.send(frames.packed(Parcel(1, 1)), packed(work(number=3)))
    quarter.run(0.1)
    assert numbers(a.letters) == [3]


def test_nothing_is_heard_before_a_hello(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    line = rogue.dial(a, greets=False)
    line.send(frames.packed(Parcel(1, 1)), packed(work()))
    quarter.run(0.1)
    assert a.heard == []
    assert line.over


def test_nothing_is_heard_of_who_was_dialled_before_a_hello(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    rogue.wires.listen(HOST, 900)
    quarter.town.admit(rogue.name, rogue.wires.key, Path(HOST, 900, 901))
    rogue.admits = a.name
    a.board.send(rogue.name, work())
    quarter.run(0.1)
    rogue.wires.lines[0].send(frames.packed(Parcel(1, 1)), packed(work()))
    quarter.run(0.1)
    assert a.heard == []


def test_a_letter_larger_than_its_kind_may_be_is_refused(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    line = rogue.dial(a)
    load = wire.encode([1, Letter(SCOPE, Elsewhere(NodeId("x" * (64 << 10))))])
    line.send(frames.packed(Parcel(1, 1)), load)
    quarter.run(0.1)
    assert a.heard == []
    assert a.board.peers()[rogue.name].refused == {"toolarge": 1}


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switchboard, "MESSAGES_A_SECOND", 1_000)
    monkeypatch.setattr(switchboard, "BURST", 500)
    monkeypatch.setattr(switchboard, "BYTES_A_SECOND", 1 << 20)
    monkeypatch.setattr(switchboard, "BURST_BYTES", 4 << 20)


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(("count", "size", "most"), [(700, 0, 500), (9, 1 << 19, 8)])
def test_a_flood_ends_the_line_and_is_counted_and_others_are_heard(
    quarter: Quarter, count: int, size: int, most: int
) -> None:
    a, b = linked(quarter)
    rogue = quarter.rogue()
    line = rogue.dial(b)
    quarter.run(0.1)
    load = packed(work(size, 0) if size else beat())
    for number in range(1, count + 1):
        line.send(frames.packed(Parcel(number, 1) if size else Parcel()), load)
    a.board.send(b.name, beat(77))
    quarter.run(0.1)
    from_rogue = [one for one in b.heard if one[0] == rogue.name]
    assert most - 2 <= len(from_rogue) <= most
    assert line.over
    assert b.board.peers()[rogue.name].refused["too much"] == 1
    assert (a.name, beat(77)) in b.heard


@pytest.mark.usefixtures("small_limits")
def test_who_keeps_to_the_limits_is_never_sent_away(quarter: Quarter) -> None:
    a, b = linked(quarter)
    for _ in range(100):
        for _ in range(50):
            a.board.send(b.name, beat())
        quarter.run(0.1)
    assert state(b, a).refused == {}
    assert len(b.heard) == 5_000


def test_one_peer_has_only_so_many_lines(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    lines = [rogue.dial(a) for _ in range(MOST_LINES + 4)]
    quarter.run(0.1)
    assert [line.over for line in lines] == [True] * 4 + [False] * MOST_LINES


def test_one_peer_has_only_so_many_handshakes_a_second(quarter: Quarter) -> None:
    a, b = linked(quarter)
    for _ in range(2 * BURST_HANDSHAKES):
        b.board.admit(a.key)
    assert b.board.admit(a.key) is Refusal.UNKNOWN
    assert state(b, a).refused["handshakes"] >= BURST_HANDSHAKES
    assert state(b, a).up
    quarter.run(1)
    assert b.board.admit(a.key) == a.name


def test_a_ping_is_answered_and_a_goodbye_believed(quarter: Quarter) -> None:
    a, rogue = quarter.machine(0), quarter.rogue()
    line = rogue.dial(a)
    line.send(frames.packed(Ping(7)))
    quarter.run(0.1)
    assert rogue.frames()[-1] == Pong(7)
    line.send(frames.packed(Bye("\x1b[31mred\n")))
    quarter.run(0.1)
    assert a.board.peers()[rogue.name].why == r"it said: \x1b[31mred\n"


def test_the_table_is_asked_for_every_message(quarter: Quarter) -> None:
    a, b = linked(quarter)
    before, said = quarter.town.asked, len(quarter.street.said)
    for _ in range(10):
        a.board.send(b.name, beat())
    quarter.run(0.01)
    assert quarter.town.asked - before >= len(quarter.street.said) - said >= 10


def test_after_a_stop_nothing_is_said_or_heard(quarter: Quarter) -> None:
    a, b = linked(quarter)
    a.board.stop()
    a.board.send(b.name, work())
    b.board.send(a.name, work())
    quarter.run(20)
    assert (a.heard, b.heard) == ([], [])
    assert switchboard.FEATURES == ()
