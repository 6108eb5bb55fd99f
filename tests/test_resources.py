"""Resources: exact, never negative; quantities that people type are read strictly and written back exactly."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from odyssey import wire
from odyssey.errors import Malformed, NegativeResources, NotUnderstood, QuantityError, lines
from odyssey.resources import (
    DAY,
    DIMENSIONS,
    HOUR,
    MAX_CPU_MILLI,
    MAX_DURATION,
    MAX_SIZE,
    MIN_CPU_MILLI,
    MINUTE,
    SECOND,
    ZERO,
    G,
    K,
    M,
    Resources,
    T,
    parse_count,
    parse_cpus,
    parse_duration,
    parse_size,
    show_cpus,
    show_duration,
    show_duration_rounded,
    show_size,
    show_size_rounded,
)

amounts = st.integers(min_value=0, max_value=1 << 53)
resources = st.builds(Resources, amounts, amounts, amounts, amounts)


def parts(vector: Resources) -> list[int]:
    return [getattr(vector, kind) for kind in DIMENSIONS]


# ---- the vector ----------------------------------------------------------------------------------------------


@given(resources, resources)
def test_what_is_added_can_be_taken_away_again(a: Resources, b: Resources) -> None:
    assert parts(a + b) == [x + y for x, y in zip(parts(a), parts(b), strict=True)]
    assert a + b - b == a
    assert a + ZERO == a
    assert a - a == ZERO


@given(resources, resources)
def test_it_fits_exactly_when_it_can_be_taken_away(need: Resources, room: Resources) -> None:
    if need.fits(room):
        assert (room - need).fits(room)
    else:
        with pytest.raises(NegativeResources):
            room - need


@given(resources, resources)
def test_what_is_lacking_is_exactly_what_has_to_be_added(need: Resources, room: Resources) -> None:
    lacking = need.lacks(room)
    assert (lacking == ()) == need.fits(room)
    assert all(missing > 0 for _, missing in lacking)
    assert need.fits(room + Resources(**dict(lacking)))
    for kind, missing in lacking:
        one_less = dict(lacking) | {kind: missing - 1}
        assert not need.fits(room + Resources(**one_less))


@given(resources, resources)
def test_taking_away_what_is_there_leaves_the_rest(a: Resources, b: Resources) -> None:
    assert parts(a.minus_or_zero(b)) == [max(0, x - y) for x, y in zip(parts(a), parts(b), strict=True)]


@given(resources, st.integers(min_value=0, max_value=5))
def test_times_is_adding_so_often(a: Resources, n: int) -> None:
    total = ZERO
    for _ in range(n):
        total = total + a
    assert a.times(n) == total


@pytest.mark.parametrize("kind", DIMENSIONS)
def test_no_way_leads_below_zero(kind: str) -> None:
    three, five = Resources(**{kind: 3}), Resources(**{kind: 5})
    below = rf"{kind} by 2$"
    with pytest.raises(NegativeResources, match=below):
        three - five
    with pytest.raises(NegativeResources, match=below):
        Resources(**{kind: -2})
    with pytest.raises(NegativeResources, match=below):
        Resources(**{kind: 1}).times(-2)


def test_the_error_names_everything_that_is_missing() -> None:
    with pytest.raises(NegativeResources, match=r"cpu_milli by 500, gpus by 1$"):
        Resources(cpu_milli=1000, memory=G) - Resources(cpu_milli=1500, memory=M, gpus=1)


def test_a_vector_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ZERO.memory = 1  # type: ignore[misc]


@given(resources)
def test_a_vector_survives_the_wire(a: Resources) -> None:
    assert wire.decode(wire.encode(a), Resources) == a


@pytest.mark.parametrize("bad", [-1, -(1 << 63), 1 << 54, (1 << 64) - 1, 1.0, True, "1", None])
@pytest.mark.parametrize("position", range(len(DIMENSIONS)))
def test_what_is_no_amount_is_not_decoded(bad: object, position: int) -> None:
    fields: list[object] = [0] * len(DIMENSIONS)
    fields[position] = bad
    with pytest.raises(Malformed):
        wire.decode(wire.encode(fields), Resources)


def test_a_dimension_of_a_newer_version_is_not_dropped() -> None:
    with pytest.raises(NotUnderstood):
        wire.decode(wire.encode([*parts(ZERO), 1]), Resources)


# ---- quantities: reading -------------------------------------------------------------------------------------

READ: list[tuple[Callable[[str], int], str, int]] = [
    (parse_cpus, "1", 1000),
    (parse_cpus, "1.5", 1500),
    (parse_cpus, ".25", 250),
    (parse_cpus, "0.01", 10),
    (parse_cpus, "1.100000", 1100),
    (parse_cpus, "4096", 4_096_000),
    (parse_cpus, " 2 ", 2000),
    (parse_size, "512M", 512 << 20),
    (parse_size, "512MB", 512 << 20),
    (parse_size, "512MiB", 512 << 20),
    (parse_size, "512m", 512 << 20),
    (parse_size, "1.5G", 3 << 29),
    (parse_size, ".5k", 512),
    (parse_size, "1000B", 1000),
    (parse_size, "0K", 0),
    (parse_size, "64T", 64 << 40),
    (parse_duration, "90s", 90_000),
    (parse_duration, "15m", 900_000),
    (parse_duration, "2h", 7_200_000),
    (parse_duration, "1h30m", 5_400_000),
    (parse_duration, "1.5h", 5_400_000),
    (parse_duration, "250ms", 250),
    (parse_duration, "1m250ms", 60_250),
    (parse_duration, "1D", 86_400_000),
    (parse_duration, "366d", 366 * 86_400_000),
    (parse_count, "0", 0),
    (parse_count, "007", 7),
    (parse_count, "1000000", 1_000_000),
]


@pytest.mark.parametrize(("parse", "text", "value"), READ)
def test_read(parse: Callable[[str], int], text: str, value: int) -> None:
    assert parse(text) == value


HOPELESS = ["", "   ", "nan", "inf", "1e3", "-1", "+1", "1,5", "1 2", "0x10", "1_000", "1.", ".", "1.2.3", "٣", "１"]
HOPELESS += [
    "²",
    "\n",
    "1\n2",
    "\x1b[2J",
    "\udcff",
    "M",
    "s",
    "9" * 10_000,
    "9" * 10_000 + "M",
    "1" * 41,
    "K1",
    "--mem",
]
PARSERS: list[Callable[..., int]] = [parse_cpus, parse_size, parse_duration, parse_count]


def refusal(parse: Callable[..., int], text: str) -> tuple[str, str]:
    with pytest.raises(QuantityError) as caught:
        parse(text, option="--opt")
    error, hint = lines(caught.value)
    assert hint is not None
    return error, hint


@pytest.mark.parametrize("text", HOPELESS)
@pytest.mark.parametrize("parse", PARSERS)
def test_nonsense_is_refused_in_two_short_lines(parse: Callable[..., int], text: str) -> None:
    error, hint = refusal(parse, text)
    assert error.startswith("error: --opt ")
    assert hint.startswith("hint: write --opt ")
    assert len(error) < 120
    assert len(hint) < 160


@given(st.text(st.characters(exclude_categories=()), max_size=60))
@example("1" * 40 + "." + "1" * 40 + "T")
@pytest.mark.parametrize("parse", PARSERS)
def test_any_text_is_read_or_refused_with_a_hint(parse: Callable[..., int], text: str) -> None:
    try:
        value = parse(text)
    except QuantityError as error:
        shown = lines(error)
    else:
        assert value >= 0
        return
    assert all(line and len(line) < 160 for line in shown)


REFUSED: list[tuple[Callable[..., int], str, str, str]] = [
    (parse_size, "512", "512 has no unit", "512M (or 512K, 512G)"),
    (parse_size, "0.3", "0.3 has no unit", "512M or 1.5G"),
    (parse_size, "99999999", "99999999 has no unit", "99999999K"),
    (parse_size, "", "'' is empty", "512M or 1.5G"),
    (parse_size, "12Q", "12Q has an unknown unit", "512M or 1.5G; the units are K, M, G and T"),
    (parse_size, "-1M", "-1M is not a size", "512M or 1.5G"),
    (parse_size, "900T", "900T is more than 64T", "64T or less"),
    (parse_size, "64.00000000000001T", "64.00000000000001T is more than 64T", "64T or less"),
    (parse_size, "0.3K", "0.3K is not a whole number of bytes", "307B or 308B"),
    (parse_cpus, "-1", "-1 is not a number of cpus", "2 or 0.5"),
    (parse_cpus, "0", "0 is less than 0.01 cpus", "0.01 or more"),
    (parse_cpus, "0.0099999", "0.0099999 is less than 0.01 cpus", "0.01 or more"),
    (parse_cpus, "4096.0001", "4096.0001 is more than 4096 cpus", "4096 or less"),
    (parse_cpus, "0.0155", "0.0155 is finer than a thousandth of a cpu", "0.015 or 0.016"),
    (parse_duration, "90", "90 has no unit", "90s (or 90m, 90h)"),
    (parse_duration, "2weeks", "2weeks has an unknown unit", "90s, 15m, 2h or 1h30m; the units are d, h, m, s"),
    (parse_duration, "30m1h", "30m1h is not a duration", "90s, 15m, 2h or 1h30m"),
    (parse_duration, "1m1m", "1m1m is not a duration", "90s, 15m, 2h or 1h30m"),
    (parse_duration, "0.5ms", "0.5ms is finer than a millisecond", "90s, 15m, 2h or 1h30m"),
    (parse_duration, "367d", "367d is longer than 366d", "366d or less"),
    (parse_duration, "366d1ms", "366d1ms is longer than 366d", "366d or less"),
    (parse_count, "1.5", "1.5 is not a whole number", "a whole number from 0 to 1000000"),
    (parse_count, "1000001", "1000001 is more than 1000000", "a whole number from 0 to 1000000"),
]


@pytest.mark.parametrize(("parse", "text", "wrong", "right"), REFUSED)
def test_refused(parse: Callable[..., int], text: str, wrong: str, right: str) -> None:
    error, hint = refusal(parse, text)
    assert error == f"error: --opt {wrong}"
    assert hint.startswith(f"hint: write --opt {right}")


@pytest.mark.parametrize(("parse", "text"), [(parse, text) for parse, text, _, _ in REFUSED if parse != parse_count])
def test_what_a_hint_suggests_is_accepted(parse: Callable[..., int], text: str) -> None:
    _, hint = refusal(parse, text)
    suggested = hint.removeprefix("hint: write --opt ").split()[0].rstrip(",;")
    assert parse(suggested) > 0


def test_without_an_option_only_the_quantity_is_named() -> None:
    with pytest.raises(QuantityError, match=r"^512 has no unit$") as caught:
        parse_size("512")
    assert caught.value.hint == "write 512M (or 512K, 512G)"


def test_a_count_has_the_bounds_it_is_given() -> None:
    assert parse_count("3", least=3, most=3) == 3
    for text in ("2", "4"):
        with pytest.raises(QuantityError):
            parse_count(text, least=3, most=3)


@given(st.integers(min_value=0, max_value=10**6), st.integers(min_value=0, max_value=10**12))
def test_decimals_are_exact(whole: int, fraction: int) -> None:
    """As compared with rational numbers."""
    text = f"{whole}.{fraction}M"
    exact = Fraction(text[:-1]) * M
    if exact.denominator == 1 and exact <= MAX_SIZE:
        assert parse_size(text) == exact
    else:
        with pytest.raises(QuantityError):
            parse_size(text)


# ---- quantities: writing -------------------------------------------------------------------------------------


@given(st.integers(min_value=MIN_CPU_MILLI, max_value=MAX_CPU_MILLI))
def test_cpus_are_read_back(milli: int) -> None:
    assert parse_cpus(show_cpus(milli)) == milli


sizes = st.one_of(
    st.integers(min_value=0, max_value=MAX_SIZE),
    st.builds(lambda n, unit: n * unit // 8, st.integers(min_value=0, max_value=512), st.sampled_from([K, M, G, T])),
)


@given(sizes)
@example(MAX_SIZE)
@example(MAX_SIZE - 1)
def test_sizes_are_read_back(size: int) -> None:
    assert parse_size(show_size(size)) == size


@given(sizes, st.sampled_from([("B", 1), ("K", K), ("M", M), ("G", G), ("T", T)]))
def test_no_unit_writes_a_size_shorter(size: int, unit: tuple[str, int]) -> None:
    name, scale = unit
    if size % scale == 0:
        assert len(show_size(size)) <= len(f"{size // scale}{name}")


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (512 * M, "512M"), (3 * G // 2, "1.5G"), (1000, "1000B"), (T, "1T")]
)
def test_a_size_is_written_as_people_write_it(size: int, text: str) -> None:
    assert show_size(size) == text


durations = st.one_of(st.integers(min_value=0, max_value=MAX_DURATION), st.integers(min_value=0, max_value=2 * HOUR))


@given(durations)
@example(MAX_DURATION)
def test_durations_are_read_back(ms: int) -> None:
    assert parse_duration(show_duration(ms)) == ms


@given(st.integers(min_value=0, max_value=1 << 60))
@example(1023 * M + 600 * K)
@example(1024 * M - 1)
@example(10 * G - 1)
def test_a_rounded_size_is_right_to_about_two_digits(size: int) -> None:
    number, name = show_size_rounded(size).split(" ")
    unit = {"B": 1, "KB": K, "MB": M, "GB": G, "TB": T}[name]
    assert abs(Fraction(number) * unit - size) * 19 <= size
    assert len(number) <= 4 or name == "TB"
    assert Fraction(number) < 1024 or name == "TB"


@given(durations)
@example(10 * SECOND - 1)
@example(MINUTE - 1)
@example(HOUR - 1)
@example(DAY - 1)
def test_a_rounded_duration_is_right_to_about_two_digits(ms: int) -> None:
    text = show_duration_rounded(ms)
    assert abs(parse_duration(text) - ms) <= max(50, ms // 20)
    assert sum(letter.isalpha() for letter in text.replace("ms", "s")) <= 2


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (show_size_rounded(3_400_000_000), "3.2 GB"),
        (show_size_rounded(16 * G - 1), "16 GB"),
        (show_duration_rounded(5_400_000), "1h30m"),
        (show_duration_rounded(5_423_456), "1h30m"),
        (show_duration_rounded(400), "0.4s"),
        (show_duration_rounded(20), "20ms"),
        (show_duration_rounded(DAY - 1), "1d"),
    ],
)
def test_rounded_for_people(shown: str, text: str) -> None:
    assert shown == text
