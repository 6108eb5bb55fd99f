"""Who is here, as beats and their absence tell it."""

from odyssey.ids import AttemptId, NodeNumber, TaskId
from odyssey.mesh.lease import GIVE_AWAY_MS
from odyssey.mesh.membership import (
    GONE_MS,
    LONGEST_STEP_MS,
    SILENT_MS,
    Announced,
    CopiedHome,
    DaemonRestarted,
    Event,
    Listening,
    Membership,
    Rebooted,
    StateChanged,
)
from odyssey.messages import Beat, BeatId, BootId, Going, Holding, NodeState

PC = NodeNumber(1)
S = NodeState
OLD, NEW = BootId(b"old"), BootId(b"new")
STEP = 250


def a_beat(number: int, boot: BootId = OLD, run: int = 1, going: Going = Going.STAYING, holds: int = 0) -> Beat:
    held = tuple(Holding(AttemptId(one), TaskId(one)) for one in range(holds))
    return Beat(BeatId(boot, run, number), held, going)


class Room:
    """One machine, watched; time goes in steps, as a driver takes them."""

    def __init__(self) -> None:
        self.now = 5_000
        self.membership = Membership(self.now)
        self.membership.admit(PC, self.now)
        self.events: list[Event] = []
        self.number = 0

    def wait(self, ms: int) -> None:
        for _ in range(ms // STEP):
            self.now += STEP
            self.events += self.membership.tick(self.now)

    def hear(self, beat: Beat) -> list[Event]:
        heard = self.membership.hear(PC, beat, self.now)
        self.events += heard
        return heard

    def beats(self, boot: BootId = OLD, going: Going = Going.STAYING, run: int = 1, holds: int = 0) -> list[Event]:
        self.number += 1
        return self.hear(a_beat(self.number, boot, run, going, holds))

    def state(self) -> NodeState | None:
        return self.membership.state(PC)

    def walk(self) -> list[NodeState]:
        return [event.after for event in self.events if isinstance(event, StateChanged)]


def test_silence_walks_from_up_to_silent_to_gone_and_a_beat_leads_back() -> None:
    room = Room()
    room.beats()
    room.wait(SILENT_MS - STEP)
    assert room.state() is S.UP
    room.wait(STEP)
    assert room.state() is S.SILENT
    room.wait(GONE_MS - SILENT_MS)
    assert room.state() is S.GONE
    room.beats()
    assert room.walk() == [S.UP, S.SILENT, S.GONE, S.UP]


def test_who_was_never_heard_is_silent_first_then_gone_since_we_listen() -> None:
    room = Room()
    room.wait(STEP)
    assert room.state() is S.SILENT
    room.wait(GONE_MS)
    assert room.state() is S.GONE
    assert room.membership.age_ms(PC, room.now) is None
    assert room.membership.last(PC) is None


def test_a_stranger_is_nobody() -> None:
    room = Room()
    assert room.membership.hear(NodeNumber(2), a_beat(1), room.now) == []
    assert room.membership.state(NodeNumber(2)) is None
    assert room.membership.last(NodeNumber(2)) is None


def test_who_is_admitted_again_is_still_known() -> None:
    room = Room()
    room.beats()
    room.membership.admit(PC, room.now)
    assert room.state() is NodeState.UP
    assert room.membership.last(PC) is not None


def test_whoever_is_no_member_any_more_is_forgotten() -> None:
    room = Room()
    room.beats()
    room.membership.forget(PC)
    room.membership.forget(PC)
    assert room.state() is None
    assert room.membership.tick(room.now) == []


def test_our_own_stall_makes_nobody_silent() -> None:
    room = Room()
    room.beats()
    room.now += 60_000
    assert room.membership.tick(room.now) == []
    assert room.state() is S.UP
    assert room.membership.age_ms(PC, room.now) == LONGEST_STEP_MS


def test_a_clock_that_only_counts_what_it_listened_to() -> None:
    clock = Listening(100)
    assert [clock.at(t) for t in (150, 150, 400, 9_000, 9_100, 9_050, 9_100)] == [
        150,
        150,
        400,
        1_400,
        1_500,
        1_500,
        1_500,
    ]


def test_an_old_or_doubled_beat_is_no_sign_of_life() -> None:
    room = Room()
    room.hear(a_beat(5))
    room.wait(SILENT_MS)
    for late in (a_beat(5), a_beat(4), a_beat(9, run=0)):
        assert room.hear(late) == []
    assert room.state() is S.SILENT
    assert room.membership.last(PC) == a_beat(5)


# -- what is announced -------------------------------------------------------------------------------------------------


def test_sleep_is_shown_as_sleep_and_lasts_until_it_beats_again() -> None:
    room = Room()
    room.beats()
    assert room.beats(going=Going.SLEEP) == [Announced(PC, Going.SLEEP), StateChanged(PC, S.UP, S.ASLEEP)]
    room.wait(120_000)
    assert room.state() is S.ASLEEP
    assert room.beats() == [StateChanged(PC, S.ASLEEP, S.UP)]


def test_shut_down_or_left_is_gone_at_once() -> None:
    for going in (Going.SHUTDOWN, Going.LEAVE):
        room = Room()
        room.beats()
        room.beats(going=going)
        assert room.state() is S.GONE


def test_an_announcement_is_told_once() -> None:
    room = Room()
    room.beats()
    room.beats(going=Going.SLEEP)
    assert room.beats(going=Going.SLEEP) == []


def test_a_daemon_that_restarts_is_up_until_it_is_silent() -> None:
    room = Room()
    room.beats()
    assert room.beats(going=Going.RESTART) == [Announced(PC, Going.RESTART)]
    assert room.state() is S.UP
    room.wait(SILENT_MS)
    assert room.state() is S.SILENT
    assert room.beats(run=2) == [DaemonRestarted(PC, 2), StateChanged(PC, S.SILENT, S.UP)]


# -- boots -------------------------------------------------------------------------------------------------------------


def test_a_new_boot_waits_until_the_old_one_was_silent_for_a_lease() -> None:
    room = Room()
    room.beats(OLD)
    while room.now < 5_000 + GIVE_AWAY_MS:
        assert room.beats(NEW) == []
        room.wait(1_000)
    assert room.state() is S.GONE
    assert room.beats(NEW) == [Rebooted(PC, OLD, NEW), StateChanged(PC, S.GONE, S.UP)]


def test_a_new_boot_need_not_wait_for_one_that_said_it_goes() -> None:
    room = Room()
    room.beats(OLD)
    room.beats(OLD, going=Going.SHUTDOWN)
    assert Rebooted(PC, OLD, NEW) in room.beats(NEW)


def test_but_for_one_that_said_so_and_still_holds_something() -> None:
    room = Room()
    room.beats(OLD, going=Going.SHUTDOWN, holds=1)
    assert room.beats(NEW) == []


def test_two_boots_that_both_keep_beating_are_a_copied_home_and_an_alarm_once() -> None:
    room = Room()
    for _ in range(6):
        room.beats(OLD)
        room.wait(500)
        room.beats(NEW)
        room.wait(500)
    assert [event for event in room.events if isinstance(event, CopiedHome)] == [CopiedHome(PC, OLD, NEW)]
    last = room.membership.last(PC)
    assert last is not None
    assert last.id.boot == OLD
    assert room.state() is S.UP


def test_one_late_beat_of_a_boot_before_is_no_alarm() -> None:
    room = Room()
    room.beats(OLD)
    room.wait(GIVE_AWAY_MS)
    room.beats(NEW)
    for _ in range(3):
        room.hear(a_beat(2, OLD))  # the same one, again and again
        room.wait(500)
        room.beats(NEW)
    assert not any(isinstance(event, CopiedHome) for event in room.events)


def test_a_reboot_is_no_alarm_however_long_the_new_boot_has_to_wait() -> None:
    room = Room()
    room.beats(OLD)
    room.beats(OLD)
    for _ in range(12):
        room.beats(NEW)
        room.wait(1_000)
    assert not any(isinstance(event, CopiedHome) for event in room.events)
    assert room.state() is S.UP


def test_a_copy_that_went_and_comes_back_is_a_new_alarm() -> None:
    room = Room()
    for _ in range(2):
        for _ in range(4):
            room.beats(OLD)
            room.beats(NEW)
            room.wait(500)
        room.wait(SILENT_MS)
    assert sum(isinstance(event, CopiedHome) for event in room.events) == 2


def test_a_copy_that_is_gone_is_no_alarm_any_more() -> None:
    room = Room()
    room.beats(OLD)
    room.beats(NEW)
    room.beats(NEW)
    room.wait(SILENT_MS)
    for _ in range(3):
        assert not any(isinstance(event, CopiedHome) for event in room.beats(OLD))


def test_a_third_copy_waits_for_its_turn_to_be_told() -> None:
    room = Room()
    for boot in (OLD, NEW, BootId(b"third")) * 3:
        room.beats(boot)
        room.wait(250)
    assert [event for event in room.events if isinstance(event, CopiedHome)] == [CopiedHome(PC, OLD, NEW)]
