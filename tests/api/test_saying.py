"""What is told of machines: by the names that people know."""

from __future__ import annotations

from odyssey import events as e
from odyssey.api import saying
from odyssey.model import Member
from odyssey.scheduler.state import State
from tests.builders import Mesh
from tests.mesh.trust.people import NOW, Realm, node


def let_in(state: State) -> str:
    return saying.said(e.MemberAdmitted(1, node("nova"), b"", 0), state)[1]


def test_who_was_let_in_has_a_name_before_it_has_told_what_it_is() -> None:
    state = Mesh().state
    state.members[node("nova")] = Member(node("nova"), Realm().member("nova", name="nova"), NOW)
    assert let_in(state) == "nova was let in by a person's word"


def test_who_is_not_known_any_more_is_told_by_the_beginning_of_its_id() -> None:
    state = Mesh().state
    state.members[node("nova")] = Member(node("nova"), b"torn", NOW)
    assert let_in(state).startswith(f"{node('nova')[:8]} was let in")
