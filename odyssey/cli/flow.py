"""Jobs that wait for each other, from a TOML file.

    [defaults]                     # for every job
    cpus = 2

    [jobs.fetch]
    run = "curl -sO https://…"     # one text: by sh; a list: as it stands

    [jobs.train]
    run = ["python", "train.py"]
    after = ["fetch"]              # or after-any; a number is a job that is there already
    timeout = "2h"                 # and all other options of `odyssey run`
    env = { SEED = "1" }

Promises: all mistakes are found at once, before anything is submitted, each with the place and what would be right.
Never: reads a file, or asks the mesh.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

import msgspec

from odyssey.api.asking import BY_KEY, build
from odyssey.cli.tree import branches
from odyssey.errors import OdysseyError, UsageError, echo
from odyssey.ids import JobId
from odyssey.spec import JobSpec, faults

OWN_KEYS: Final = ("run", "folder")
WAITS: Final = ("after", "after-any")
_NOT_OPTIONS: Final = ("name",)  # the table's own
KEYS: Final = (*OWN_KEYS, *(key for key in BY_KEY if key not in _NOT_OPTIONS))
TOP: Final = ("defaults", "jobs")


class Surroundings(NamedTuple):
    """What a job gets from where the flow was typed."""

    folder: bytes
    env: Mapping[bytes, bytes]
    shell: Mapping[str, str]


class Mistake(NamedTuple):
    error: str
    hint: str


def read(text: str, around: Surroundings) -> tuple[tuple[JobSpec, ...], list[Mistake]]:
    """The jobs in the order of the file, and everything that is wrong; only without mistakes may they be submitted."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return (), [Mistake(f"this is not TOML: {error}", "see https://toml.io, or odyssey flow --help")]
    jobs = document.get("jobs")
    mistakes = list(_unknown("the file", document, TOP))
    if not isinstance(jobs, dict) or not jobs:
        return (), [*mistakes, Mistake("there are no jobs in the file", 'begin one with [jobs.NAME] and run = "…"')]
    defaults = document.get("defaults", {})
    if not isinstance(defaults, dict):
        return (), [*mistakes, Mistake("defaults is no table", "write [defaults], and options below it")]
    mistakes += _unknown("defaults", defaults, [key for key in KEYS if key not in ("run", *WAITS)])
    specs: list[JobSpec] = []
    places = {name: place for place, name in enumerate(jobs)}
    for name, table in jobs.items():
        found, wrong = _job(name, table, defaults, places, around)
        mistakes += wrong
        specs += [found] if found is not None else []
    if not mistakes:
        stamped = tuple(msgspec.structs.replace(spec, user="me") for spec in specs)
        mistakes += [Mistake(*fault) for fault in faults(stamped)]
    return tuple(specs), mistakes


def _unknown(where: str, table: Mapping[str, Any], known: Sequence[str]) -> Iterator[Mistake]:
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, 1)
            yield Mistake(
                f"{where}: there is no {echo(key)!r}", f"did you mean {near[0]}?" if near else f"use {', '.join(known)}"
            )


def _job(
    name: str, table: Any, defaults: Mapping[str, Any], places: Mapping[str, int], around: Surroundings
) -> tuple[JobSpec | None, list[Mistake]]:
    where = f"job {echo(name)}"
    if not isinstance(table, dict):
        return None, [Mistake(f"{where} is no table", f"write [jobs.{name}], and its keys below it")]
    mistakes = list(_unknown(where, table, KEYS))
    whole = {**defaults, **{key: value for key, value in table.items() if key in KEYS}}
    waits: dict[str, tuple[list[int], list[JobId]]] = {}
    for key in WAITS:
        here, there, wrong = _waits(where, key, whole.pop(key, []), places)
        waits[key] = here, there
        mistakes += wrong
    try:
        argv = _argv(whole.pop("run", None))
        folder = _folder(whole.pop("folder", ""), around.folder)
        asked = {key: _texts(key, value) for key, value in whole.items() if key in BY_KEY}
        spec = build({**asked, "name": name}, argv, folder, around.env, around.shell)
    except OdysseyError as error:
        return None, [*mistakes, Mistake(f"{where}: {error.message}", error.hint or "")]
    spec = msgspec.structs.replace(
        spec,
        after_here=tuple(waits["after"][0]),
        after_any_here=tuple(waits["after-any"][0]),
        after=tuple(waits["after"][1]),
        after_any=tuple(waits["after-any"][1]),
    )
    return spec, mistakes


def _waits(where: str, key: str, value: Any, places: Mapping[str, int]) -> tuple[list[int], list[JobId], list[Mistake]]:
    here: list[int] = []
    there: list[JobId] = []
    mistakes: list[Mistake] = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, int) and not isinstance(one, bool) and one > 0:
            there.append(JobId(one))
        elif isinstance(one, str) and one in places:
            here.append(places[one])
        else:
            near = get_close_matches(str(one), list(places), 1)
            hint = f"did you mean {near[0]}?" if near else f"the jobs are {', '.join(places)}"
            mistakes.append(Mistake(f"{where} waits for {echo(str(one))!r}, which is not there ({key})", hint))
    return here, there, mistakes


def _argv(run: Any) -> list[bytes]:
    if isinstance(run, str) and run.strip():
        return [b"sh", b"-c", run.encode()]
    if isinstance(run, list) and run and all(isinstance(word, str) for word in run):
        return [word.encode() for word in run]
    raise UsageError(
        "there is no command" if run is None else "run is neither a text nor a list of texts",
        hint='write run = "make data", or run = ["python", "fit.py"]',
    )


def _folder(given: Any, base: bytes) -> bytes:
    if not isinstance(given, str):
        raise UsageError("folder is no text", hint='write folder = "data"')
    return base + b"/" + given.encode() if given and not given.startswith("/") else given.encode() or base


def _texts(key: str, value: Any) -> Any:
    """As if it had been typed: one text, several of them, or True."""
    option = BY_KEY[key]
    if not option.metavar:
        if not isinstance(value, bool):
            raise UsageError(f"{key} is neither true nor false", hint=f"write {key} = true, or leave it out")
        return value
    if option.is_many:
        return tuple(_several(key, value))
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise UsageError(f"{key} is no text", hint=f'write {key} = "{option.metavar}"')


def _several(key: str, value: Any) -> Iterable[str]:
    if isinstance(value, dict) and all(isinstance(one, str | int) for one in value.values()):
        return [f"{name}={one}" for name, one in value.items()]
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return list(value)
    raise UsageError(f"{key} is no list of texts", hint=f'write {key} = ["{BY_KEY[key].metavar}"]')


# ---- as a tree -------------------------------------------------------------------------------------------------------


def tree(specs: Sequence[JobSpec]) -> list[tuple[int, str]]:
    """The place of each job, with the branches before its name."""
    return branches({place: (*one.after_here, *one.after_any_here) for place, one in enumerate(specs)})
