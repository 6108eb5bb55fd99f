"""What people hear of machines that come and go, as the coordinator sees them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from odyssey.ids import NodeId, NodeNumber
from odyssey.mesh.membership import StateChanged
from odyssey.mesh.observing import Lookout, MachineAsleep, MachineBack, MachineGone, MachineSilent, Observed
from odyssey.messages import NodeState

ME, IT, NUMBER = NodeId("me"), NodeId("it"), NodeNumber(2)
UP, SILENT, GONE, ASLEEP = NodeState.UP, NodeState.SILENT, NodeState.GONE, NodeState.ASLEEP


def told(*states: NodeState | None) -> list[Observed]:
    """None: another term begins. A second passes from one to the next."""
    lookout, before, found = Lookout(ME), None, list[Observed]()
    for second, state in enumerate(states):
        if state is not None and state is not before:
            seen = lookout.see(StateChanged(NUMBER, before, state), IT, 1000 * second, 5_000 + 1000 * second)
            found += [seen] if seen is not None else []
        before = state
    return found


def test_silence_is_told_then_that_it_is_gone_then_that_it_is_back_and_after_how_long() -> None:
    silent, gone, back = told(SILENT, UP, SILENT, SILENT, GONE, UP)
    assert (type(silent), type(gone)) == (MachineSilent, MachineGone)
    assert back == MachineBack(0, IT, ME, 10_000, 3_000)
    assert (silent.at_ms, silent.by, silent.index) == (7_000, ME, 0)


def test_who_begins_to_coordinate_calls_nobody_silent() -> None:
    assert told(SILENT, UP) == []
    assert [type(one) for one in told(SILENT, GONE)] == [MachineGone]


def test_what_was_told_before_is_not_told_by_the_next_term_of_the_same_machine() -> None:
    assert [type(one) for one in told(UP, SILENT, GONE, None, SILENT, GONE, UP)] == [
        MachineSilent, MachineGone, MachineBack,
    ]  # fmt: skip


def test_sleep_is_another_thing() -> None:
    assert [type(one) for one in told(UP, ASLEEP, UP)] == [MachineAsleep, MachineBack]


@given(st.lists(st.sampled_from([UP, SILENT, GONE, ASLEEP, None])))
def test_nothing_is_told_twice_in_a_row_and_only_who_went_comes_back(states: list[NodeState | None]) -> None:
    kinds = [type(one) for one in told(*states)]
    assert all(one is not other for one, other in pairwise(kinds))
    assert not kinds or kinds[0] is not MachineBack
