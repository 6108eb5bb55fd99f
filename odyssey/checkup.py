"""How this machine is for Odyssey, as far as that can be seen without a daemon: files, keys, disk, limits, networks.

Promises: what is measured is said with its number; what cannot be seen is said to be unknown, and is no error.
Never: asks another machine, or leaves a file behind; says a word on a network.
"""

from __future__ import annotations

import os
import resource
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from odyssey.api.views import Check
from odyssey.errors import OdysseyError
from odyssey.mesh.discovery import around
from odyssey.mesh.discovery.interfaces import lans, told
from odyssey.mesh.trust import standing
from odyssey.paths import Home
from odyssey.resources import show_duration_rounded, show_size_rounded

FILES: Final = 8_192  # that may be open: a link is four
GUARD: Final = 256 << 20  # below that no jobs are taken in
TIGHT: Final = 4 << 30
SLOW_MS: Final = 100
STUCK_MS: Final = 1_000
SOON_MS: Final = 4 * 86_400_000  # half of a certificate's time is 7 days: then it is renewed
DOCKER: Final = Path("/var/run/docker.sock")
GROUPS: Final = Path("/sys/fs/cgroup")
_PING: Final = b"GET /_ping HTTP/1.0\r\n\r\n"


class Facts(NamedTuple):
    """None: it could not be seen."""

    files: int | None  # that this process may open at most
    free: int | None
    fsync_ms: float | None
    why_not: str  # nothing can be written
    open_keys: tuple[str, ...]  # files of keys that others can read, or that are somebody else's
    expiry_ms: int | None  # of the certificate; None: there is none
    bad_trust: tuple[str, str] | None  # what is wrong with it, and what helps
    groups: str  # v1, v2 or nothing
    docker: bool | None  # it answers; None: there is none
    networks: tuple[str, ...]


def looked_at(home: Home, now_ms: int) -> tuple[Check, ...]:
    return tuple(checks(facts(home), home.path, now_ms))


# -- looking -----------------------------------------------------------------------------------------------------------


def facts(home: Home) -> Facts:
    fsync_ms, why_not = _fsync(home.path)
    expiry, bad = _certificate(home)
    return Facts(
        _files(), _free(home.path), fsync_ms, why_not, _open_keys(home), expiry, bad, _groups(), _docker(), _networks()
    )


def _files() -> int | None:
    """What it may raise its limit to: a daemon does."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def _free(path: Path) -> int | None:
    try:
        found = os.statvfs(path)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def _fsync(path: Path) -> tuple[float | None, str]:
    """The middle of five: how long a few bytes take to be on the disk."""
    file, took = path / f".checkup.{os.getpid()}", list[float]()
    try:
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(5):
                began = time.monotonic()
                os.write(opened, bytes(4096))
                os.fsync(opened)
                took.append(1000 * (time.monotonic() - began))
        finally:
            os.close(opened)
    except OSError as error:
        return None, (error.strerror or "unknown error").lower()
    finally:
        with suppress(OSError):
            os.unlink(file)
    return median(took), ""


def _open_keys(home: Home) -> tuple[str, ...]:
    found = []
    for file in (home.path, home.identity, *_files_in(home.identity)):
        try:
            seen = file.lstat()
        except OSError:
            continue
        if seen.st_uid != os.geteuid() or seen.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            found.append(os.fspath(file))
    return tuple(found)


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _certificate(home: Home) -> tuple[int | None, tuple[str, str] | None]:
    try:
        found = standing.certificate(home)
    except OdysseyError as error:
        return None, (error.message, error.hint or "")
    return (None if found is None else found.expiry), None


def _groups() -> str:
    if (GROUPS / "cgroup.controllers").exists():
        return "v2"
    return "v1" if (GROUPS / "memory").is_dir() else ""


def _docker(path: Path = DOCKER) -> bool | None:
    if not path.exists():
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
            door.settimeout(2.0)
            door.connect(os.fspath(path))
            door.sendall(_PING)
            return b"200" in door.recv(64)
    except OSError:
        return False


def _networks() -> tuple[str, ...]:
    try:
        return tuple(told(one) for one in lans(around.interfaces()))
    except OSError:
        return ()


# -- judging -----------------------------------------------------------------------------------------------------------


def checks(seen: Facts, home: Path, now_ms: int) -> Iterator[Check]:
    yield _disk(seen, home)
    yield _writing(seen, home)
    yield _keys(seen)
    yield _trust(seen, now_ms)
    if seen.files is not None and seen.files < FILES:
        text = f"at most {seen.files} files can be open: a large mesh needs {FILES}"
        yield Check("open files", False, text, f"LimitNOFILE={FILES} in the service, or ulimit -Hn", is_warning=True)
    else:
        yield Check("open files", True, f"{FILES} can be open")
    if seen.groups:
        yield Check("cgroups", True, f"cgroup {seen.groups} is there")
    else:
        yield Check("cgroups", False, "there are none: limits are kept process by process", is_limit=True)
    if seen.docker is False:
        yield Check("docker", False, f"{DOCKER} does not answer", "sudo systemctl start docker", is_warning=True)
    else:
        yield Check("docker", True, "answers" if seen.docker else "is not there; nothing needs it")
    if seen.networks:
        yield Check("networks", True, f"on {', '.join(seen.networks)}")
    else:
        yield Check("networks", False, "on no network", "is the cable in, or the Wi-Fi on?", is_warning=True)


def _disk(seen: Facts, home: Path) -> Check:
    if seen.free is None:
        return Check("disk", None, f"{home} is not there yet")
    text = f"{show_size_rounded(seen.free)} free at {home}"
    if seen.free < GUARD:
        return Check("disk", False, f"{text}: no new jobs are taken", "make room there")
    return Check("disk", seen.free >= TIGHT, text, "make room there soon", is_warning=seen.free < TIGHT)


def _writing(seen: Facts, home: Path) -> Check:
    if seen.fsync_ms is None:
        if seen.free is None:
            return Check("writing", None, "not tried: there is no home yet")
        return Check("writing", False, f"nothing can be written in {home}: {seen.why_not}", "see: df, mount, ls -ld")
    text = f"what is written is on the disk after {seen.fsync_ms:.1f} ms"
    if seen.fsync_ms < SLOW_MS:
        return Check("writing", True, text)
    hint = "a faster disk, or ODYSSEY_HOME on another one"
    return Check("writing", False, f"{text}: every job waits for that", hint, is_warning=seen.fsync_ms < STUCK_MS)


def _keys(seen: Facts) -> Check:
    if not seen.open_keys:
        return Check("keys", True, "for this user alone")
    more = f" and {len(seen.open_keys) - 1} more" if len(seen.open_keys) > 1 else ""
    text = f"{seen.open_keys[0]}{more} can be read by others, or belongs to another user"
    return Check("keys", False, text, f"chmod -R go-rwx {seen.open_keys[0]}")


def _trust(seen: Facts, now_ms: int) -> Check:
    if seen.bad_trust is not None:
        return Check("certificate", False, *seen.bad_trust)
    if seen.expiry_ms is None:
        return Check("certificate", None, "there is none: this machine is open to nobody yet")
    left, hint = (
        seen.expiry_ms - now_ms,
        "a machine that lets others in has to be up: odyssey nodes; is the clock right?",
    )
    if left <= 0:
        return Check("certificate", False, f"ended {show_duration_rounded(-left)} ago", hint)
    text = f"good for {show_duration_rounded(left)} more"
    return Check("certificate", left > SOON_MS, text, f"it should have been renewed: {hint}", is_warning=True)
