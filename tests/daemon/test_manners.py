"""What the owner gives, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odyssey import manners
from odyssey.errors import OdysseyError
from odyssey.manners import FOREVER, Allowed, BadPolicy, Hours, Rules, Sight, Whose, allowed, changed, parse_hours
from odyssey.messages import Pause
from odyssey.resources import G, Resources

HAS = Resources(8000, 16 * G, 1, 100 * G)
NOON = Sight(1_000_000, 12 * 60)
WHOSE = Whose("pi4", "anna", "anna's mesh", 3, "pi")


def now(rules: Rules = Rules(), sight: Sight = NOON) -> Allowed:  # noqa: B008 - frozen
    return allowed(rules, HAS, sight)


def test_who_says_nothing_gives_everything() -> None:
    assert now() == Allowed(HAS)


@pytest.mark.parametrize(
    ("cpus", "milli"), [("4", 4000), ("50%", 4000), ("1%", 1000), ("100%", 8000), ("64", 8000), ("0.5", 1000)]
)
def test_a_part_of_the_cores_at_least_one(cpus: str, milli: int) -> None:
    assert now(changed(Rules(), HAS, cpus=cpus)).total == Resources(milli, 16 * G, 1, 100 * G)


def test_a_machine_with_less_than_a_core_gives_that() -> None:
    assert allowed(Rules(cpus="50%"), Resources(500, G), NOON).total.cpu_milli == 500


@pytest.mark.parametrize(("mem", "size"), [("8G", 8 * G), ("25%", 4 * G), ("64G", 16 * G)])
def test_a_part_of_the_memory(mem: str, size: int) -> None:
    assert now(changed(Rules(), HAS, mem=mem)).total.memory == size


def test_off_takes_a_rule_away_and_others_stay() -> None:
    rules = changed(changed(Rules(), HAS, cpus="4", hours="22-08"), HAS, cpus="off")
    assert rules == Rules(hours="22-08")


# -- when --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "minute", "gives"),
    [
        ("22-08", 12 * 60, False),
        ("22-08", 22 * 60, True),
        ("22-08", 21 * 60 + 59, False),
        ("22-08", 0, True),
        ("22-08", 7 * 60 + 59, True),
        ("22-08", 8 * 60, False),
        ("08-22", 12 * 60, True),
        ("08:30-09:15", 8 * 60 + 29, False),
        ("08:30-09:15", 9 * 60 + 14, True),
    ],
)
def test_outside_its_hours_it_gives_nothing(hours: str, minute: int, gives: bool) -> None:
    rules = changed(Rules(), HAS, hours=hours)
    assert bool(now(rules, Sight(0, minute)).pause) is not gives


def test_in_quiet_hours_at_most_half_the_cores() -> None:
    rules = changed(Rules(), HAS, quiet="22-08")
    assert now(rules).total.cpu_milli == 8000
    assert now(rules, Sight(0, 23 * 60)) == Allowed(Resources(4000, 16 * G, 1, 100 * G), is_quiet=True)
    few = changed(rules, HAS, cpus="2")
    assert now(few, Sight(0, 23 * 60)).total.cpu_milli == 2000


def test_nothing_on_battery_unless_the_owner_says_so() -> None:
    assert now(sight=NOON._replace(mains=False)).pause == "on battery"
    assert not now(sight=NOON._replace(mains=True)).pause
    assert not now(sight=NOON._replace(mains=None)).pause
    assert not now(changed(Rules(), HAS, battery="on"), NOON._replace(mains=False)).pause


def test_nothing_with_the_lid_closed_unless_the_owner_says_so() -> None:
    assert now(sight=NOON._replace(is_open=False)) == Allowed(HAS, "its lid is closed", why=Pause.LID)
    assert not now(sight=NOON._replace(is_open=True)).pause
    assert not now(sight=NOON._replace(is_open=None)).pause
    assert not now(changed(Rules(), HAS, lid="on"), NOON._replace(is_open=False)).pause


@pytest.mark.parametrize(
    ("rules", "sight", "why"),
    [
        (Rules(), NOON, None),
        (Rules(paused_until_ms=FOREVER), NOON._replace(mains=False), Pause.ASKED),
        (Rules(paused_until_ms=NOON.wall_ms + 1), NOON, Pause.ASKED),
        (Rules(), NOON._replace(mains=False), Pause.BATTERY),
        (Rules(), NOON._replace(is_open=False), Pause.LID),
        (Rules(hours="22-08"), NOON, Pause.HOURS),
    ],
)
def test_other_machines_are_told_why_in_one_word(rules: Rules, sight: Sight, why: Pause | None) -> None:
    assert now(rules, sight).why is why


def test_a_pause_ends_by_itself_or_not_at_all() -> None:
    until = Rules(paused_until_ms=NOON.wall_ms + 90 * 60_000)
    assert now(until).pause == "paused by its owner, for 1h30m more"
    assert not now(until, NOON._replace(wall_ms=NOON.wall_ms + 90 * 60_000)).pause
    assert now(Rules(paused_until_ms=FOREVER)).pause == "paused by its owner, until `odyssey resume`"


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("cpus", "many"),
        ("cpus", "0"),
        ("cpus", "0%"),
        ("cpus", "101%"),
        ("mem", "8"),
        ("mem", "-1G"),
        ("hours", "22"),
        ("hours", "22-25"),
        ("hours", "22-22"),
        ("hours", "22:60-08"),
        ("quiet", "night"),
        ("battery", "yes"),
        ("lid", "open"),
    ],
)
def test_a_mistake_is_refused_with_what_would_be_right(rule: str, text: str) -> None:
    with pytest.raises(OdysseyError) as caught:
        changed(Rules(), HAS, **{rule: text})
    assert f"--{rule}" in caught.value.message
    assert caught.value.hint


# -- the file ----------------------------------------------------------------------------------------------------------

RULES = st.builds(
    Rules,
    cpus=st.sampled_from(["", "4", "50%"]),
    mem=st.sampled_from(["", "8G", "1%"]),
    hours=st.sampled_from(["", "22-08", "08:30-09:15"]),
    quiet=st.sampled_from(["", "0-12"]),
    battery=st.sampled_from(["", "on"]),
    lid=st.sampled_from(["", "on"]),
    labels=st.sampled_from(["", "room=lab3", "a=b room="]),
    paused_until_ms=st.sampled_from([0, 1, 1_700_000_000_000, FOREVER]),
)


@given(RULES)
def test_what_is_written_is_read_back(rules: Rules) -> None:
    assert manners.read(manners.written(rules), HAS) == rules


@pytest.mark.parametrize(
    "text", ["cpus = 4", 'cups = "4"', 'cpus = "x"', "cpus", 'paused = "maybe"', 'paused = "-1"', 'battery = "1"']
)
def test_a_file_that_cannot_be_followed_is_refused(text: str) -> None:
    with pytest.raises(OdysseyError) as caught:
        manners.read(text, HAS)
    assert isinstance(caught.value, BadPolicy) or "battery" in text
    assert caught.value.hint


def test_hours_are_told_as_a_clock_tells_them() -> None:
    assert str(parse_hours("22-8:30")) == "22:00-08:30"
    assert Hours(0, 1).holds(0)


# -- sentences ---------------------------------------------------------------------------------------------------------


def test_share_says_what_is_so() -> None:
    rules = changed(Rules(), HAS, cpus="4", mem="3G")
    assert manners.sentences(rules, now(rules), WHOSE) == (
        "pi4 belongs to anna, in anna's mesh (3 machines).",
        "  gives     4 cores, 3 GB, lowest priority; nothing on battery or with the lid closed",
        "  to        anna: any program, as user pi",
        "  never     starts anything as root · opens ports to the internet · shares screen, camera, keyboard",
        "  stop now  odyssey pause          leave for good   odyssey leave --clean",
    )


def test_it_says_why_it_gives_nothing_and_claims_nothing_that_is_not_so() -> None:
    rules = Rules(battery="on", lid="on", hours="22-08", quiet="22-08", paused_until_ms=FOREVER)
    said = "\n".join(manners.sentences(rules, now(rules), WHOSE._replace(login="root", machines=1)))
    assert "gives nothing: paused by its owner" in said
    assert "battery" not in said
    assert "lid" not in said
    assert "starts anything as root" not in said
    assert "only 22-08, at most half the cores 22-08" in said
    assert "(1 machine)" in said
