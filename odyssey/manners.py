"""What the owner of a machine gives of it, and when: the rules of `odyssey share` and `odyssey pause`.

Promises: `allowed` is the whole decision, from the rules and what the machine sees; a mistake in a rule is an error
that says what would be right; what `written` writes, `read` reads back.
Never: gives more than the machine has, or anything while it is paused, on battery, closed, or outside its hours,
unless the owner said so.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from odyssey.errors import CallersError, QuantityError, UsageError, echo
from odyssey.messages import Pause
from odyssey.resources import Resources, parse_cpus, parse_size, show_cpus, show_size_rounded

MINUTES: Final = 24 * 60
LEAST_MILLI: Final = 1000  # who gives anything gives a core
PERCENT: Final = re.compile(r"([0-9]{1,3})%")
_HOURS: Final = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?-([0-9]{1,2})(?::([0-9]{2}))?")
_NAMES: Final = ("cpus", "mem", "hours", "quiet", "battery", "lid", "labels", "paused")
FOREVER: Final = 1 << 62


class BadPolicy(CallersError):
    """A file of rules that cannot be followed."""


class Hours(NamedTuple):
    """Of each day, in minutes since midnight of this machine; it may span midnight."""

    start: int
    stop: int

    def holds(self, minute: int) -> bool:
        if self.start < self.stop:
            return self.start <= minute < self.stop
        return minute >= self.start or minute < self.stop

    def __str__(self) -> str:
        return f"{_clock(self.start)}-{_clock(self.stop)}"


class Rules(NamedTuple):
    """As the owner typed them; "" where nothing was said."""

    cpus: str = ""  # 4 or 50%
    mem: str = ""  # 8G or 50%
    hours: str = ""  # nothing outside of them
    quiet: str = ""  # at most half the cores in them
    battery: str = ""  # `on`: also on battery
    lid: str = ""  # `on`: also with the lid closed
    labels: str = ""  # the owner's own, as `room=lab3 disk=ssd`
    paused_until_ms: int = 0  # wall time; FOREVER: until `resume`


class Sight(NamedTuple):
    """What the machine sees of the world just now."""

    wall_ms: int
    minute: int  # of the day, where the machine is
    mains: bool | None = None  # None: it cannot tell, as most desktops
    is_open: bool | None = None  # its lid; None: it has none


class Allowed(NamedTuple):
    total: Resources  # of what the machine has
    pause: str = ""  # why nothing runs; "": it may
    is_quiet: bool = False
    why: Pause | None = None  # the same in one word, for the other machines
    labels: tuple[tuple[str, str], ...] = ()  # the owner's own


# -- reading and writing -----------------------------------------------------------------------------------------------


def changed(
    rules: Rules,
    has: Resources,
    cpus: str | None = None,
    mem: str | None = None,
    hours: str | None = None,
    quiet: str | None = None,
    battery: str | None = None,
    lid: str | None = None,
) -> Rules:
    """With what was typed; `off` takes a rule away. Raises what is wrong with it."""
    typed = {"cpus": cpus, "mem": mem, "hours": hours, "quiet": quiet, "battery": battery, "lid": lid}
    made = _with(rules, {name: text for name, text in typed.items() if text is not None})
    check(made, has)
    return made


def _with(rules: Rules, typed: Mapping[str, str]) -> Rules:
    kept = {name: "" if (text := typed.get(name, getattr(rules, name))) == "off" else text for name in _NAMES[:-1]}
    return Rules(**kept, paused_until_ms=rules.paused_until_ms)


def check(rules: Rules, has: Resources) -> None:
    if rules.cpus:
        _part(rules.cpus, has.cpu_milli, "--cpus")
    if rules.mem:
        _part(rules.mem, has.memory, "--mem")
    for text, option in ((rules.hours, "--hours"), (rules.quiet, "--quiet")):
        if text:
            parse_hours(text, option)
    for text, option in ((rules.battery, "--battery"), (rules.lid, "--lid")):
        if text not in ("", "on"):
            raise UsageError(f"{option} is on or off, not {echo(text)!r}", hint=f"write {option} on, or {option} off")


def labels_of(rules: Rules) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in rules.labels.split())}


def parse_hours(text: str, option: str = "--hours") -> Hours:
    found = _HOURS.fullmatch(text)
    hint = f"write from-to, for example: {option} 22-08 or {option} 18:30-07:00"
    if found is None:
        raise QuantityError(f"{option} {echo(text)!r} are no hours of a day", hint=hint)
    first, first_minute, last, last_minute = (int(part or 0) for part in found.groups())
    start, stop = 60 * first + first_minute, 60 * last + last_minute
    if max(first_minute, last_minute) > 59 or max(start, stop) > MINUTES or start == stop:
        raise QuantityError(f"{option} {echo(text)!r} are no hours of a day", hint=hint)
    return Hours(start % MINUTES, stop % MINUTES)


def _part(text: str, whole: int, option: str) -> int:
    """Of the whole: 50%, or an amount, which may be more than there is."""
    found = PERCENT.fullmatch(text)
    if found is None:
        return parse_cpus(text, option=option) if option == "--cpus" else parse_size(text, option=option)
    percent = int(found[1])
    if not 1 <= percent <= 100:
        raise QuantityError(f"{option} {text} is out of range", hint=f"write {option} 1% to {option} 100%, or off")
    return whole * percent // 100


def written(rules: Rules) -> str:
    """As `policy.toml`."""
    lines = ["# What this machine gives, and when. `odyssey share` shows and changes it; so may an editor.\n"]
    lines += [f'{name} = "{getattr(rules, name)}"\n' for name in _NAMES[:-1] if getattr(rules, name)]
    if rules.paused_until_ms:
        until = "on" if rules.paused_until_ms >= FOREVER else str(rules.paused_until_ms)
        lines.append(f'paused = "{until}"  # until this time, in milliseconds since 1970; on: until `odyssey resume`\n')
    return "".join(lines)


def read(text: str, has: Resources) -> Rules:
    hint = "mend it, or move it away and use `odyssey share`"
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadPolicy(f"policy.toml is not TOML: {error}", hint=hint) from error
    for name, value in content.items():
        if name not in _NAMES:
            raise BadPolicy(f"policy.toml: there is no rule {echo(name)!r}", hint=f"there are: {', '.join(_NAMES)}")
        if not isinstance(value, str):
            raise BadPolicy(f"policy.toml: {name} is no text", hint=f'write it in quotes: {name} = "{value}"')
    rules = _with(Rules(paused_until_ms=_paused(content)), content)
    try:
        check(rules, has)
    except QuantityError as error:
        raise BadPolicy(f"policy.toml: {error.message}", hint=error.hint or hint) from error
    return rules


def _paused(content: dict[str, Any]) -> int:
    text = content.get("paused", "off")
    if text == "on":
        return FOREVER
    if text in ("off", ""):
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 18):
        raise BadPolicy(f"policy.toml: paused = {echo(text)!r}", hint='write paused = "on" or "off"')
    return int(text)


# -- deciding ----------------------------------------------------------------------------------------------------------


def allowed(rules: Rules, has: Resources, sight: Sight) -> Allowed:
    """What may run here now, of what the machine has."""
    cpus = min(has.cpu_milli, _part(rules.cpus, has.cpu_milli, "--cpus")) if rules.cpus else has.cpu_milli
    memory = min(has.memory, _part(rules.mem, has.memory, "--mem")) if rules.mem else has.memory
    is_quiet = bool(rules.quiet) and parse_hours(rules.quiet).holds(sight.minute)
    if is_quiet:
        cpus = min(cpus, max(LEAST_MILLI, has.cpu_milli // 2))
    total = Resources(max(cpus, min(has.cpu_milli, LEAST_MILLI)), memory, has.gpus, has.disk)
    why, text = _pause(rules, sight)
    return Allowed(total, text, is_quiet, why, tuple(sorted(labels_of(rules).items())))


def _pause(rules: Rules, sight: Sight) -> tuple[Pause | None, str]:
    if rules.paused_until_ms >= FOREVER:
        return Pause.ASKED, "paused by its owner, until `odyssey resume`"
    if sight.wall_ms < rules.paused_until_ms:
        return Pause.ASKED, f"paused by its owner, for {_left(rules.paused_until_ms - sight.wall_ms)} more"
    if sight.mains is False and rules.battery != "on":
        return Pause.BATTERY, "on battery"
    if sight.is_open is False and rules.lid != "on":
        return Pause.LID, "its lid is closed"
    if rules.hours and not parse_hours(rules.hours).holds(sight.minute):
        return Pause.HOURS, f"outside its hours, {rules.hours}"
    return None, ""


# -- sentences ---------------------------------------------------------------------------------------------------------


class Whose(NamedTuple):
    machine: str
    owner: str
    mesh: str
    machines: int  # of the mesh
    login: str  # the user of this system as whom jobs run


def sentences(rules: Rules, now: Allowed, whose: Whose) -> tuple[str, ...]:
    """What `odyssey share` says: nothing in it that is not so."""
    number = "1 machine" if whose.machines == 1 else f"{whose.machines} machines"
    lines = [f"{whose.machine} belongs to {whose.owner}, in {whose.mesh} ({number})."]
    if now.pause:
        lines.append(f"  now       gives nothing: {now.pause}")
    lines.append(f"  gives     {', '.join(_gifts(rules, now))}")
    lines.append(f"  to        {whose.owner}: any program, as user {whose.login}")
    never = [] if whose.login == "root" else ["starts anything as root"]
    never += ["opens ports to the internet", "shares screen, camera, keyboard"]
    lines.append(f"  never     {' · '.join(never)}")
    stop = f"odyssey {'resume ends the pause' if rules.paused_until_ms else 'pause'}"
    lines.append(f"  stop now  {stop:<22} leave for good   odyssey leave --clean")
    return tuple(lines)


def _gifts(rules: Rules, now: Allowed) -> list[str]:
    cores = now.total.cpu_milli
    gifts = [f"{show_cpus(cores)} core{'' if cores == 1000 else 's'}", show_size_rounded(now.total.memory)]
    never = [*(["on battery"] * (rules.battery != "on")), *(["with the lid closed"] * (rules.lid != "on"))]
    gifts.append("lowest priority" + (f"; nothing {' or '.join(never)}" if never else ""))
    if rules.hours:
        gifts.append(f"only {rules.hours}")
    if rules.quiet:
        gifts.append(f"at most half the cores {rules.quiet}")
    return gifts


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _left(ms: int) -> str:
    minutes = -(-ms // 60_000)
    return f"{minutes // 60}h{minutes % 60:02d}m" if minutes >= 60 else f"{minutes}m"
