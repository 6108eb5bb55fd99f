"""What a task needs and a machine has, as one vector; and its quantities as people write and read them.

Everything is an exact integer: thousandths of a cpu, bytes, milliseconds. A float would make two replicas
of one log disagree in the last digit.

Promises: no vector is ever negative, whether computed or decoded. What `show_*` writes, `parse_*` reads
back exactly, within its bounds; the `_rounded` ones are for eyes only. What is not understood is refused,
with what would be right.
Never: guesses a unit, rounds what a person asked for, or repeats more than 40 characters of what they
typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Final, NoReturn

import msgspec

from odyssey.errors import NegativeResources, QuantityError, echo

# Upper bound of what is believed when decoded: sums over a thousand machines still fit the wire's 64 bits.
Amount = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Resources(msgspec.Struct, frozen=True, array_like=True, gc=False, forbid_unknown_fields=True):
    """An amount of each kind: needed by a task, or had by a machine."""

    cpu_milli: Amount = 0
    memory: Amount = 0  # bytes
    gpus: Amount = 0
    disk: Amount = 0  # bytes

    def __post_init__(self) -> None:
        if self.cpu_milli < 0 or self.memory < 0 or self.gpus < 0 or self.disk < 0:
            _refuse_negative(self)

    def __add__(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_milli + other.cpu_milli,
            self.memory + other.memory,
            self.gpus + other.gpus,
            self.disk + other.disk,
        )

    def __sub__(self, other: Resources) -> Resources:
        return Resources(
            self.cpu_milli - other.cpu_milli,
            self.memory - other.memory,
            self.gpus - other.gpus,
            self.disk - other.disk,
        )

    def times(self, n: int) -> Resources:
        return Resources(self.cpu_milli * n, self.memory * n, self.gpus * n, self.disk * n)

    def fits(self, room: Resources) -> bool:
        return (
            self.cpu_milli <= room.cpu_milli
            and self.memory <= room.memory
            and self.gpus <= room.gpus
            and self.disk <= room.disk
        )

    def lacks(self, room: Resources) -> tuple[tuple[str, int], ...]:
        """Each kind that does not fit, with the amount that is missing. Empty exactly when it fits."""
        over = self.minus_or_zero(room)
        return tuple((kind, missing) for kind in DIMENSIONS if (missing := getattr(over, kind)))

    def minus_or_zero(self, other: Resources) -> Resources:
        return Resources(
            max(0, self.cpu_milli - other.cpu_milli),
            max(0, self.memory - other.memory),
            max(0, self.gpus - other.gpus),
            max(0, self.disk - other.disk),
        )


DIMENSIONS: Final = Resources.__struct_fields__
ZERO: Final = Resources()


def _refuse_negative(amounts: Resources) -> NoReturn:
    below = [f"{kind} by {-left}" for kind in DIMENSIONS if (left := getattr(amounts, kind)) < 0]
    raise NegativeResources(f"resources would go below zero: {', '.join(below)}")


# ---- quantities of people ---------------------------------------------------------------------------

K: Final = 1 << 10
M: Final = 1 << 20
G: Final = 1 << 30
T: Final = 1 << 40

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

MIN_CPU_MILLI: Final = 10
MAX_CPU_MILLI: Final = 4096 * 1000
MAX_SIZE: Final = 64 * T
MAX_DURATION: Final = 366 * DAY
MAX_COUNT: Final = 1_000_000

_SIZE_UNITS: Final = {"B": 1, "K": K, "M": M, "G": G, "T": T}
_SPOKEN_UNITS: Final = (("B", 1), ("KB", K), ("MB", M), ("GB", G))
_TIME_UNITS: Final = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}

_MAX_TEXT: Final = 40  # nothing sensible is longer, and int() takes time quadratic in the digits
_NUMBER: Final = r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_PLAIN: Final = re.compile(_NUMBER)
_SIZE: Final = re.compile(_NUMBER + r"(?:([KMGT])(?:I?B)?|(B))")
_DURATION: Final = re.compile("".join(f"(?:{_NUMBER}{unit})?" for unit in _TIME_UNITS))
_WITH_UNIT: Final = re.compile(_NUMBER + "[A-Za-z]+")


def parse_cpus(text: str, *, option: str = "") -> int:
    """`1.5` is 1500 thousandths of a cpu."""
    said = _Said(text, option, "2 or 0.5")
    if not _PLAIN.fullmatch(said.text):
        said.refuse("is not a number of cpus")
    milli, rest = _scaled(said.text, 1000)
    if milli < MIN_CPU_MILLI:
        said.refuse(f"is less than {show_cpus(MIN_CPU_MILLI)} cpus", f"{show_cpus(MIN_CPU_MILLI)} or more")
    if milli + bool(rest) > MAX_CPU_MILLI:
        said.refuse(f"is more than {show_cpus(MAX_CPU_MILLI)} cpus", f"{show_cpus(MAX_CPU_MILLI)} or less")
    if rest:
        said.refuse("is finer than a thousandth of a cpu", f"{show_cpus(milli)} or {show_cpus(milli + 1)}")
    return milli


def parse_size(text: str, *, option: str = "") -> int:
    """`512M` in bytes. The units are binary, as memory is: 1K is 1024 bytes; MB and MiB are M."""
    said = _Said(text, option, "512M or 1.5G")
    if _PLAIN.fullmatch(said.text):
        said.refuse("has no unit", said.completed(parse_size, ("M", "K", "G")))
    found = _SIZE.fullmatch(said.text.upper())
    if not found:
        said.refuse_form("size", "K, M, G and T")
    size, rest = _scaled(found[1], _SIZE_UNITS[found[2] or found[3]])
    if size + bool(rest) > MAX_SIZE:
        said.refuse(f"is more than {show_size(MAX_SIZE)}", f"{show_size(MAX_SIZE)} or less")
    if rest:
        said.refuse("is not a whole number of bytes", f"{show_size(size)} or {show_size(size + 1)}")
    return size


def parse_duration(text: str, *, option: str = "") -> int:
    """`1h30m` in milliseconds."""
    said = _Said(text, option, "90s, 15m, 2h or 1h30m")
    if _PLAIN.fullmatch(said.text):
        said.refuse("has no unit", said.completed(parse_duration, ("s", "m", "h")))
    found = _DURATION.fullmatch(said.text.lower())
    if not found:
        said.refuse_form("duration", "d, h, m, s and ms, in this order")
    pairs = zip(found.groups(), _TIME_UNITS.values(), strict=True)
    parts = [_scaled(number, unit) for number, unit in pairs if number]
    if any(rest for _, rest in parts):
        said.refuse("is finer than a millisecond")
    total = sum(ms for ms, _ in parts)
    if total > MAX_DURATION:
        said.refuse(f"is longer than {show_duration(MAX_DURATION)}", f"{show_duration(MAX_DURATION)} or less")
    return total


def parse_count(text: str, *, option: str = "", least: int = 0, most: int = MAX_COUNT) -> int:
    said = _Said(text, option, f"a whole number from {least} to {most}")
    if not (said.text.isascii() and said.text.isdigit()):
        said.refuse("is not a whole number")
    count = int(said.text)
    if count < least:
        said.refuse(f"is less than {least}")
    if count > most:
        said.refuse(f"is more than {most}")
    return count


class _Said:
    """What a person typed, for which option, and what would be right: all that an error has to say."""

    def __init__(self, text: str, option: str, example: str) -> None:
        self._option = f"{option} " if option else ""
        self._example = example
        self.text = text.strip()
        if not self.text:
            self.refuse("is empty")
        if len(self.text) > _MAX_TEXT:
            self.refuse("is too long")

    def refuse(self, wrong: str, right: str = "") -> NoReturn:
        shown = echo(self.text) or "''"
        hint = f"write {self._option}{right or self._example}"
        raise QuantityError(f"{self._option}{shown} {wrong}", hint=hint)

    def refuse_form(self, kind: str, units: str) -> NoReturn:
        if _WITH_UNIT.fullmatch(self.text):
            self.refuse("has an unknown unit", f"{self._example}; the units are {units}")
        self.refuse(f"is not a {kind}")

    def completed(self, parse: Callable[[str], int], units: Sequence[str]) -> str:
        """The number with each unit that would make sense of it."""
        sensible = []
        for unit in units:
            with suppress(QuantityError):
                parse(self.text + unit)
                sensible.append(self.text + unit)
        others = f" (or {', '.join(sensible[1:])})" if sensible[1:] else ""
        return f"{sensible[0]}{others}" if sensible else self._example


def _scaled(number: str, unit: int) -> tuple[int, int]:
    """The decimal times its unit, without a float; the second is zero when it comes out even."""
    whole, _, fraction = number.partition(".")
    one: int = 10 ** len(fraction)
    return divmod(int(whole + fraction) * unit, one)


def show_cpus(milli: int) -> str:
    return _decimal(milli, 1000)


def show_size(size: int) -> str:
    """The shortest exact text; of two equally short ones that with the smaller unit: 512M, not 0.5G."""
    return min((_decimal(size, unit) + name for name, unit in _SIZE_UNITS.items()), key=len)


def show_size_rounded(size: int) -> str:
    """About two digits, as people say it: `3.2 GB`."""
    for name, unit in _SPOKEN_UNITS:
        if _nearest(size, unit) < K:
            return f"{_about(size, unit)} {name}"
    return f"{_about(size, T)} TB"


def show_duration(ms: int) -> str:
    """Exact: `1h30m`, `1s250ms`."""
    text = ""
    for name, unit in _TIME_UNITS.items():
        count, ms = divmod(ms, unit)
        text += f"{count}{name}" if count else ""
    return text or "0s"


def show_duration_rounded(ms: int) -> str:
    """About two digits or two units, as people say it: `0.4s`, `42s`, `1h30m`."""
    if 100 <= ms < 10 * SECOND:
        return f"{_about(ms, SECOND)}s"
    grain = 1 if ms < SECOND else SECOND if ms < HOUR else MINUTE if ms < DAY else HOUR
    return show_duration(_nearest(ms, grain) * grain)


def _decimal(amount: int, unit: int) -> str:
    """amount / unit, exact. The units here have no prime factor but 2 and 5, so the decimals end."""
    digits = unit.bit_length()  # unit divides 10 ** digits
    whole, rest = divmod(amount, unit)
    fraction = str(rest * 10**digits // unit).zfill(digits).rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)


def _about(amount: int, unit: int) -> str:
    """One decimal below ten, none above."""
    tenths = _nearest(10 * amount, unit)
    return _decimal(tenths, 10) if tenths < 100 else str(_nearest(amount, unit))


def _nearest(amount: int, unit: int) -> int:
    return (2 * amount + unit) // (2 * unit)
