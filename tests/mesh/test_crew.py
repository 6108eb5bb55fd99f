"""What the leader remembers of machines: since when each is steady, keeps pace, or owes an answer."""

from dataclasses import dataclass, field
from typing import Any

from odyssey.mesh.crew import Crew, Sight
from odyssey.mesh.raft.types import Config
from odyssey.mesh.roles import CAUGHT_UP, LIVE_MS, OUT_OF_STEP_MS, STEADY_MS, Candidate, View
from odyssey.messages import Going, Keeping
from tests.mesh.raft.machine import config, member

ONE, TWO = member("1"), member("2")
LAST = 5_000


@dataclass
class Eyes:
    """Machine 1 leads and looks ten times a second."""

    now: int = 1_000_000
    crew: Crew = field(init=False)
    config: Config = field(default_factory=lambda: config("1 | 2"))

    def __post_init__(self) -> None:
        self.crew = Crew(self.now)

    def look(self, ms: int, *sights: Sight, last: int = LAST) -> View:
        view = self.crew.view(ONE, self.config, True, last, sights, self.now)
        for _ in range(ms // 100):
            self.now += 100
            view = self.crew.view(ONE, self.config, True, last, sights, self.now)
        return view


def two(match: int | None = LAST, silent_ms: int = 0, **fields: Any) -> Sight:
    return Sight(TWO, silent_ms, match, **fields)


def seen(view: View) -> Candidate:
    (one,) = [one for one in view.machines if one.member == TWO]
    return one


def test_at_first_nobody_is_steady_or_has_kept_pace() -> None:
    one = seen(Eyes().look(0, two()))
    assert (one.steady_ms, one.caught_up_ms, one.owing_ms) == (0, 0, 0)


def test_both_grow_with_time() -> None:
    one = seen(Eyes().look(STEADY_MS, two()))
    assert (one.steady_ms, one.caught_up_ms) == (STEADY_MS, STEADY_MS)
    assert one.is_ready


def test_who_was_silent_for_a_second_begins_anew_to_be_steady() -> None:
    eyes = Eyes()
    eyes.look(STEADY_MS, two(silent_ms=LIVE_MS - 1))
    assert seen(eyes.look(0, two(silent_ms=LIVE_MS - 1))).steady_ms == STEADY_MS
    assert seen(eyes.look(0, two(silent_ms=LIVE_MS))).steady_ms == 0
    assert seen(eyes.look(500, two())).steady_ms == 500


def test_who_lacks_much_begins_anew_to_keep_pace() -> None:
    eyes = Eyes()
    eyes.look(STEADY_MS, two(LAST))
    assert seen(eyes.look(0, two(LAST - CAUGHT_UP))).caught_up_ms == STEADY_MS
    assert seen(eyes.look(0, two(LAST - CAUGHT_UP - 1))).caught_up_ms == 0


def test_who_holds_no_log_has_no_lag_and_keeps_no_pace() -> None:
    one = seen(Eyes().look(STEADY_MS, two(None)))
    assert (one.lag, one.caught_up_ms) == (None, 0)
    assert not one.is_ready


def test_a_debt_grows_until_it_is_paid_however_much_is_added_meanwhile() -> None:
    eyes = Eyes()
    eyes.look(1_000, two(LAST), last=LAST)
    eyes.look(500, two(LAST), last=LAST + 1)
    assert seen(eyes.look(0, two(LAST), last=LAST + 2)).owing_ms == 500
    paid = seen(eyes.look(0, two(LAST + 1), last=LAST + 2))
    assert paid.owing_ms == 0, "the newer one is owed from now on"
    assert seen(eyes.look(300, two(LAST + 1), last=LAST + 9)).owing_ms == 300
    assert seen(eyes.look(0, two(LAST + 9), last=LAST + 9)).owing_ms == 0


def test_who_owes_for_too_long_has_not_kept_pace_even_if_it_lacks_little() -> None:
    """Its disk hangs. Else it would be waited for again as soon as it was given up."""
    eyes = Eyes()
    eyes.look(STEADY_MS, two(LAST))
    assert seen(eyes.look(OUT_OF_STEP_MS - 100, two(LAST), last=LAST + 1)).caught_up_ms > STEADY_MS
    assert seen(eyes.look(200, two(LAST), last=LAST + 1)).caught_up_ms == 0
    assert seen(eyes.look(700, two(LAST + 1), last=LAST + 1)).caught_up_ms == 700


def test_who_was_not_seen_for_a_moment_is_a_stranger() -> None:
    eyes = Eyes()
    eyes.look(STEADY_MS, two())
    eyes.look(0)
    assert seen(eyes.look(0, two())).steady_ms == 0


def test_a_machine_with_a_new_store_is_another_one() -> None:
    eyes = Eyes()
    eyes.look(STEADY_MS, two())
    view = eyes.look(0, Sight(member("2'"), 0))
    assert [(one.member, one.steady_ms) for one in view.machines] == [(member("2'"), 0)]


def test_since_when_it_leads_and_since_when_the_members_are_these() -> None:
    eyes = Eyes()
    elected_ms = eyes.now
    assert eyes.look(1_000, two()).changed_ms == elected_ms
    eyes.config = config("1 2")
    view = eyes.look(0, two())
    assert (view.elected_ms, view.changed_ms) == (elected_ms, eyes.now)
    changed_ms = eyes.now
    assert eyes.look(1_000, two()).changed_ms == changed_ms


def test_what_a_machine_says_of_itself_is_handed_on() -> None:
    keeping = Keeping(b"2", keeper_only=True, laptop=False, wired=True, uptime_ms=7, fsync_ms=3)
    one = seen(Eyes().look(0, two(going=Going.SLEEP, keeping=keeping, mains=True)))
    assert (one.keeper_only, one.laptop, one.wired, one.uptime_ms, one.fsync_ms) == (True, False, True, 7, 3)
    assert (one.mains, one.going, one.lag) == (True, Going.SLEEP, 0)
