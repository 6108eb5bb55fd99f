"""What a leader knows of a peer, and when it may send it something."""

import pytest

from odyssey.mesh.raft.peers import WINDOW, Flow, Peer


def streaming(match: int = 5) -> Peer:
    peer = Peer(match + 1)
    peer.accepted(match)
    assert peer.flow is Flow.STREAM
    return peer


def test_a_new_peer_is_probed_with_one_message() -> None:
    peer = Peer(7)
    assert (peer.flow, peer.next, peer.match, peer.may_send) == (Flow.PROBE, 7, 0, True)
    peer.sent(9)
    assert (peer.next, peer.may_send) == (7, False)


def test_its_answer_opens_the_stream() -> None:
    peer = Peer(7)
    peer.sent(9)
    peer.accepted(9)
    assert (peer.flow, peer.next, peer.match, peer.may_send) == (Flow.STREAM, 10, 9, True)


def test_a_stream_waits_for_nothing_but_a_full_window() -> None:
    peer = streaming()
    for last in range(6, 6 + WINDOW):
        assert peer.may_send
        peer.sent(last)
        assert peer.next == last + 1
    assert not peer.may_send
    peer.accepted(6)
    assert peer.may_send


def test_one_answer_frees_all_before_it() -> None:
    peer = streaming()
    for last in range(6, 6 + WINDOW):
        peer.sent(last)
    peer.accepted(5 + WINDOW)
    for last in range(6 + WINDOW, 6 + 2 * WINDOW):
        assert peer.may_send
        peer.sent(last)


def test_match_only_grows() -> None:
    peer = streaming(9)
    peer.accepted(4)
    assert (peer.match, peer.next) == (9, 10)


@pytest.mark.parametrize(
    ("prev", "hint", "following"),
    [(8, 6, 7), (8, 9, 8), (8, 0, 6), (6, 6, 6)],
)
def test_a_refusal_closes_the_stream_and_looks_for_the_place(prev: int, hint: int, following: int) -> None:
    peer = streaming(5)
    for last in (6, 7, 8, 9):
        peer.sent(last)
    peer.refused(prev, hint)
    assert (peer.flow, peer.next, peer.match, peer.may_send) == (Flow.PROBE, following, 5, True)


def test_a_refusal_of_what_is_known_to_be_equal_is_late() -> None:
    peer = streaming(5)
    peer.refused(5, 2)
    assert (peer.flow, peer.next) == (Flow.STREAM, 6)


def test_a_probe_listens_only_to_the_answer_to_itself() -> None:
    peer = Peer(9)
    peer.sent(9)
    peer.refused(6, 3)
    assert (peer.next, peer.may_send) == (9, False)
    peer.refused(8, 3)
    assert (peer.next, peer.may_send) == (4, True)


def test_an_answered_heartbeat_lets_one_more_through() -> None:
    peer = Peer(7)
    peer.sent(7)
    peer.beat_answered(1)
    assert peer.may_send
    peer = streaming()
    for last in range(6, 6 + WINDOW):
        peer.sent(last)
    peer.beat_answered(1)
    assert peer.may_send
    peer.sent(6 + WINDOW)
    assert not peer.may_send


def test_rounds_only_grow() -> None:
    peer = Peer(1)
    for number in (3, 2, 5, 4):
        peer.beat_answered(number)
    assert peer.round == 5


def test_who_needs_a_snapshot_gets_nothing_else() -> None:
    peer = Peer(2)
    peer.needs_snapshot()
    peer.refused(1, 0)
    peer.beat_answered(1)
    peer.accepted(0)
    assert (peer.flow, peer.may_send) == (Flow.SNAPSHOT, False)
    peer.accepted(8)
    assert (peer.flow, peer.next, peer.may_send) == (Flow.STREAM, 9, True)


def test_who_lives_and_has_not_taken_it_is_tried_again() -> None:
    peer = Peer(2)
    peer.needs_snapshot()
    assert not peer.take_active()
    assert peer.flow is Flow.SNAPSHOT
    peer.heard()
    assert peer.take_active()
    assert (peer.flow, peer.next, peer.may_send) == (Flow.PROBE, 1, True)


def test_active_means_since_it_was_last_asked() -> None:
    peer = Peer(1)
    assert not peer.take_active()
    peer.heard()
    assert peer.take_active()
    assert not peer.take_active()
