"""Walks see what is wrong with a state, wherever it lies, and do not look twice at what is the same."""

import msgspec
import pytest

from odyssey.ids import JobId, NodeId
from odyssey.scheduler.state import State
from tests.builders import Mesh
from tests.sim.checks import Violation
from tests.sim.walks import Walks

A, B = NodeId("a"), NodeId("b")


def some_state() -> State:
    mesh = Mesh()
    mesh.machine()
    mesh.submit()
    return mesh.state


def break_an_index(state: State) -> None:
    state.ended[JobId(99)] = None


def break_a_record(state: State) -> None:
    job = state.jobs[JobId(1)]
    state.jobs[JobId(1)] = msgspec.structs.replace(job, attempts=3)


def test_a_sound_state_passes_and_is_walked_once() -> None:
    walks, state = Walks(), some_state()
    walks.passes(A, state)
    walks.passes(B, some_state())
    walks.passes(A, state)
    assert walks.walked == 1


def test_who_leads_is_walked_though_others_were_sound_there() -> None:
    walks, broken = Walks(), some_state()
    walks.passes(A, some_state())
    break_an_index(broken)
    walks.passes(B, broken)
    with pytest.raises(Violation, match="9, 13: b: index ended is"):
        walks.leads(B, broken)


def test_an_unsound_state_is_seen() -> None:
    state = some_state()
    break_a_record(state)
    with pytest.raises(Violation, match="9, 13: a: job 1: says it has 3 attempts"):
        Walks().passes(A, state)


def test_states_that_differ_at_one_place_are_seen() -> None:
    walks, other = Walks(), some_state()
    walks.passes(A, some_state())
    break_a_record(other)
    with pytest.raises(Violation, match="12: at entry 2 b has another state"):
        walks.passes(B, other)


def test_who_begins_anew_is_walked_anew() -> None:
    walks = Walks()
    walks.leads(A, some_state())
    walks.leads(A, some_state())
    walks.forget(A)
    walks.leads(A, some_state())
    assert walks.walked == 2
