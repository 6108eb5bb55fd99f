"""Settings of one daemon: one table, from which the check, the docs and the defaults come.

Defaults < `config.toml` in the home < environment (`ODYSSEY_` and the name in capitals, `.` as `_`) < flags.

Promises: every mistake in the file is one error with what would be right; a name that is not known is told the nearest
one that is. A value is either taken as it was meant or refused.
Never: writes the file, or reads anything while the daemon runs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from odyssey.errors import QuantityError, UsageError, echo
from odyssey.resources import parse_count, parse_duration, parse_size

PREFIX: Final = "ODYSSEY_"


PLACES: Final = "/boot/firmware/odyssey.invite:/boot/odyssey.invite:/etc/odyssey/invite"


class BadConfig(UsageError):
    """A setting that cannot be used."""


class Setting(NamedTuple):
    name: str
    kind: str  # of KINDS
    default: str  # as it would be written
    says: str
    needs_restart: bool = True


TABLE: Final = (
    Setting("log.level", "level", "info", "how much the daemon writes into its log: debug, info, warning or error"),
    Setting("net.listen", "place", "", "where others reach this machine, if `--listen` does not say it: HOST:PORT"),
    Setting("disk.guard", "size", "256M", "with less free space on the disk no new jobs are taken"),
    Setting("disk.ballast", "size", "32M", "room that is held back, so that a full disk can still be left in order"),
    Setting("output.limit", "size", "1G", "of each stream of a try so much is kept; the job goes on"),
    Setting("output.keep", "size", "2G", "so much output of ended jobs is kept on this machine"),
    Setting("output.age", "duration", "30d", "output and files of ended jobs are kept so long"),
    Setting("history.keep", "size", "1G", "so much history is kept"),
    Setting("history.age", "duration", "365d", "history is kept so long"),
    Setting("jobs.fresh", "count", "10000", "so many ended jobs stay at hand before they become history"),
    Setting("jobs.age", "duration", "1h", "ended jobs stay at hand so long"),
    Setting("join.places", "paths", PLACES, "a machine in no mesh joins by an invite that lies there, and deletes it"),
)
_BY_NAME: Final = {one.name: one for one in TABLE}
_LEVELS: Final = ("debug", "info", "warning", "error")
Value = str | int


def _level(text: str) -> str:
    if text not in _LEVELS:
        raise QuantityError(f"{echo(text)!r} is no level", hint=f"use one of: {', '.join(_LEVELS)}")
    return text


def _count(text: str) -> int:
    return parse_count(text, least=1)


def _paths(text: str) -> str:
    for part in filter(None, text.split(":")):
        if not part.startswith("/"):
            raise QuantityError(f"{echo(part)} does not begin at /", hint="write whole paths, with : between them")
    return text


KINDS: Final[Mapping[str, Callable[[str], Value]]] = {
    "level": _level,
    "size": parse_size,
    "duration": parse_duration,
    "count": _count,
    "place": str,  # looked at by who listens there
    "paths": _paths,
}


class Config:
    """All settings, each with a value."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = {**{one.name: KINDS[one.kind](one.default) for one in TABLE}, **values}

    def number(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        return str(self._values[name])

    def paths(self, name: str) -> tuple[Path, ...]:
        return tuple(map(Path, filter(None, self.text(name).split(":"))))


def read(path: Path, environment: Mapping[str, str], flags: Mapping[str, str] | None = None) -> Config:
    values = dict(_checked(_from_file(path), f"{path}: "))
    values |= _checked(_from_environment(environment), "")
    values |= _checked([(name, name, text) for name, text in (flags or {}).items()], "")
    return Config(values)


def _checked(found: Iterator[tuple[str, str, str]] | list[tuple[str, str, str]], where: str) -> dict[str, Value]:
    """Each with its name as the person wrote it."""
    values: dict[str, Value] = {}
    for name, written, text in found:
        if name not in _BY_NAME:
            raise BadConfig(f"{where}there is no setting {echo(written)!r}", hint=_nearest(name))
        try:
            values[name] = KINDS[_BY_NAME[name].kind](text)
        except QuantityError as error:
            raise BadConfig(f"{where}{written}: {error.message}", hint=error.hint or "") from error
    return values


def _nearest(name: str) -> str:
    from difflib import get_close_matches  # only after a mistake

    near = get_close_matches(name, _BY_NAME, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(_BY_NAME)}"


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Other variables with this prefix are none of ours: jobs have some."""
    for name in _BY_NAME:
        variable = PREFIX + name.upper().replace(".", "_")
        if variable in environment:
            yield name, variable, environment[variable]


def _from_file(path: Path) -> Iterator[tuple[str, str, str]]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig(
            f"{path} cannot be read: {error}", hint="make it a text file that this user can read"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise BadConfig(f"{path} is not TOML: {error}", hint='write lines such as: disk.guard = "256M"') from error
    yield from _flat(path, content, "")


def _flat(path: Path, content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str, str]]:
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and name not in _BY_NAME:
            yield from _flat(path, value, f"{name}.")
        elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            yield name, name, str(value)
        else:
            hint = f'write it as text or a number: {name} = "…"'
            raise BadConfig(f"{path}: {echo(name)} is neither text nor a number", hint=hint)


def described() -> str:
    """The table for the docs, in Markdown."""
    rows = [f"| `{one.name}` | {one.kind} | `{one.default}` | {one.says} |" for one in TABLE]
    return "\n".join(("| setting | kind | default | what it is |", "|---|---|---|---|", *rows))
