"""Makes sure that a daemon runs: finds the one of a home, or starts it and waits until it answers.

Whoever starts one holds a lock on the home meanwhile, so of many first runs at once one starts it and the others find
it. The daemon leaves its caller behind at once; through a pipe it says where its socket is, or why there is none.

Promises: when this returns, somebody listens at the socket; what a person has to mend comes as the daemon's own error.
Never: imports the daemon: that takes longer than everything else here together.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from odyssey.entry import LONGEST, TYPED, Entry, Shown
from odyssey.errors import (
    ExitStatus,
    Fault,
    NotPermitted,
    OdysseyError,
    Remedy,
    Unreachable,
    UsageError,
)
from odyssey.paths import Home, find_home, known_door, known_socket, prepare

PATIENCE_S: Final = 60.0  # a long log on a slow disk is looked through before a daemon serves
FOUNDED: Final = "started a mesh of one on this machine (odyssey up opens it to others)"
TALK_S: Final = 330.0  # two people walk between two machines
_STEP_S: Final = 0.02
_ANSWER: Final = 64 << 10
# What a daemon needs of its caller's environment. The rest, and the secrets in it, are none of its business.
_HANDED_ON: Final = frozenset(
    (
        *("HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV"),
    )
)
_PREFIXES: Final = ("LC_", "XDG_", "ODYSSEY_", "PYTHON")


class DidNotStart(OdysseyError):
    """The daemon says why, or its log does."""

    fault = Fault.MACHINE
    remedy = Remedy.FIX


class Running(NamedTuple):
    socket: Path
    is_new: bool = False
    notes: tuple[str, ...] = ()  # what a person should be told, once


class Wishes(NamedTuple):
    """For a home that has no mesh yet."""

    owner: str = ""
    machine: str = ""
    mesh: str = ""
    listen: str = ""


# What was typed; None: the pipe has something to say meanwhile.
Talk = Callable[[Shown, int], str | None]


def nobody_types(_: Shown, __: int) -> str | None:
    raise UsageError("nobody is there to type a code", hint="join at a terminal, or with an invite")


def running(home: Home | None = None, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where somebody listens, if somebody does."""
    path = known_socket(home or find_home(environment), environment)
    return path if path is not None and answers(path) else None


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError:
            return False
    return True


def ensure_running(
    home: Home | None = None,
    is_embedded: bool = True,
    wishes: Wishes = Wishes(),  # noqa: B008 - frozen
    environment: Mapping[str, str] = os.environ,
    patience_s: float = PATIENCE_S,
    entry: Entry | None = None,
    talk: Talk = nobody_types,
) -> Running:
    """One that was started by the way gives way to one that is not; what runs goes on."""
    home = home or find_home(environment)
    if (found := running(home, environment)) is not None and not _must_give_way(home, is_embedded, environment):
        return Running(found)
    prepare(home)
    deadline = time.monotonic() + patience_s
    with _turn(home, deadline):
        if _must_give_way(home, is_embedded, environment):
            end(home)
        while (found := running(home, environment)) is None:
            is_first = not home.mesh.exists()
            answer = _started(home, is_embedded, wishes, environment, deadline, (entry, talk))
            if "ready" in answer:
                notes = ((home.note,) if home.note else ()) + ((FOUNDED,) if is_first and is_embedded else ())
                return Running(Path(answer["ready"]), True, notes if is_first else ())
            if not answer.get("occupied"):
                raise _refusal(home, answer)
            if time.monotonic() >= deadline:
                raise _silent(home)
            time.sleep(_STEP_S)  # it has only just begun, and will open its door
        return Running(found)


def _must_give_way(home: Home, is_embedded: bool, environment: Mapping[str, str]) -> bool:
    door = known_door(home, environment)
    return door is not None and door.is_embedded and not is_embedded


def end(home: Home) -> bool:
    """The daemon of this home, in order, without a word through its door. True: it has let go of its home."""
    if wait_until_gone(home, 0):
        return True
    with suppress(OSError, ValueError):
        os.kill(int(home.daemon_lock.read_bytes()), signal.SIGTERM)
    return wait_until_gone(home)


@contextmanager
def _turn(home: Home, deadline: float) -> Iterator[None]:
    """One at a time."""
    file = os.open(home.start_lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() >= deadline:
                raise _silent(home)
            time.sleep(_STEP_S)
        yield
    finally:
        os.close(file)


def _started(
    home: Home,
    is_embedded: bool,
    wishes: Wishes,
    environment: Mapping[str, str],
    deadline: float,
    way_in: tuple[Entry | None, Talk],
) -> dict[str, Any]:
    entry, talk = way_in
    ours, its = os.pipe()
    secret, told = _pipe_of(entry) if entry is not None else (-1, -1)
    try:
        words = command(home, is_embedded, wishes, its)
        words += [f"--join={secret}"] if entry is not None else []
        os.set_inheritable(its, True)
        try:
            child = os.posix_spawn(words[0], words, handed_on(environment))
        finally:
            os.close(its)
            if entry is not None:
                os.close(secret)
        os.waitpid(child, 0)  # it has left another one behind, which nobody has to wait for
        return _heard(home, ours, deadline, lambda shown: _talk(shown, ours, told, talk))
    finally:
        os.close(ours)
        if entry is not None:
            os.close(told)


def _pipe_of(entry: Entry) -> tuple[int, int]:
    """Nobody else reads it there, as they could in the words of a process. Its two ends."""
    there, here = os.pipe()
    os.write(here, entry.written()[:LONGEST])
    os.set_inheritable(there, True)
    return there, here


def _talk(shown: Shown, pipe: int, told: int, talk: Talk) -> None:
    text = talk(shown, pipe)
    if text is not None:
        with suppress(BrokenPipeError):  # its last word says why
            os.write(told, text.encode("utf-8", "replace")[: TYPED - 1] + b"\n")


def command(home: Home, is_embedded: bool, wishes: Wishes = Wishes(), ready: int = -1) -> list[str]:  # noqa: B008
    words = [sys.executable, "-P", "-m", "odyssey.daemon", "--home", str(home.path)]
    words += ["--embedded"] * is_embedded + ([f"--ready={ready}"] if ready >= 0 else [])
    return words + [f"--{name}={value}" for name, value in wishes._asdict().items() if value]


def handed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The program is found again wherever this one was found, and never in the directory where somebody stands."""
    kept = {k: v for k, v in environment.items() if k in _HANDED_ON or k.startswith(_PREFIXES)}
    here = str(Path(__file__).resolve().parent.parent)
    paths = [here, *(part for part in kept.get("PYTHONPATH", "").split(os.pathsep) if part and part != here)]
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


def _heard(home: Home, pipe: int, deadline: float, talk: Callable[[Shown], None]) -> dict[str, Any]:
    text = b""
    while time.monotonic() < deadline:
        line, ends, rest = text.partition(b"\n")
        if ends:
            found: dict[str, Any] = json.loads(line)
            if "code" not in found:
                return found
            talk(Shown(**found))
            text, deadline = rest, time.monotonic() + TALK_S
            continue
        if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            break
        piece = os.read(pipe, _ANSWER)
        text += piece
        if not piece:
            hint = f"its log says why: {home.log}, {home.logs / 'stderr'}"
            raise DidNotStart("the daemon ended while it started", hint=hint)
    raise _silent(home)


def _silent(home: Home) -> Unreachable:
    return Unreachable("the daemon does not answer yet", hint=f"try again in a while; its log is {home.log}")


def _refusal(home: Home, answer: Mapping[str, Any]) -> OdysseyError:
    """The daemon's own words, with its own exit status."""
    text, hint = str(answer.get("error", "the daemon did not start")), answer.get("hint") or f"see {home.log}"
    match answer.get("status"):
        case ExitStatus.USAGE:
            return UsageError(text, hint=hint)
        case ExitStatus.NOT_PERMITTED:
            return NotPermitted(text, hint=hint)
        case ExitStatus.UNREACHABLE:
            return Unreachable(text, hint=hint)
    return DidNotStart(text, hint=hint)


def wait_until_gone(home: Home, patience_s: float = 30.0) -> bool:
    """After it was asked to end: has it let go of its home?"""
    deadline = time.monotonic() + patience_s
    try:
        file = os.open(home.daemon_lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(_STEP_S)
    finally:
        os.close(file)
