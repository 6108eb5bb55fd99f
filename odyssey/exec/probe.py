"""What this machine is: how much of it there is to share out, and what a job may ask for by name.

In a container that is what the container may use. All files are looked for under one root, so that a test can make a
machine.

Promises: what cannot be found out is left out; what is told is a whole number of something.
Never: starts a program, or waits.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from odyssey.commands import NEWEST_LEVEL, Facts
from odyssey.exec.gpus import Gpus
from odyssey.resources import Resources

ROOT: Final = Path("/")
GIB: Final = 1 << 30
DOCKER: Final = "var/run/docker.sock"
_LEAST_MILLI: Final = 100
_NAMES: Final = {"aarch64": "arm64", "amd64": "x86_64", "x64": "x86_64"}


def facts(home: Path, gpus: Gpus = Gpus(), root: Path = ROOT) -> Facts:  # noqa: B008 - frozen
    shared_out = min(1, gpus.many)  # a job is not told yet which of several is its own: one at a time has them all
    total = Resources(cpu_milli(root), memory(root), shared_out, disk(home))
    found = {**labels(root), **gpus.labels}
    shown = tuple(sorted(found.items()))
    return Facts(total, gpus.memory, found["os"], found["arch"], shown, level=NEWEST_LEVEL)


# -- how much ----------------------------------------------------------------------------------------------------------


def cpu_milli(root: Path = ROOT) -> int:
    """Of the cores this process may run on, what its control group leaves."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [1000 * quota // period for quota, period in _quotas(root) if quota > 0 and period > 0]
    return max(_LEAST_MILLI, min([1000 * cpus, *quotas]))


def memory(root: Path = ROOT) -> int:
    limits = [limit for limit in _memory_limits(root) if limit > 0]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def disk(home: Path) -> int:
    """What is free where jobs write, in whole GiB: the rest comes and goes."""
    try:
        found = os.statvfs(home)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize // GIB * GIB


def _quotas(root: Path) -> Iterator[tuple[int, int]]:
    for folder in _groups(root, ""):
        words = _text(folder / "cpu.max").split()
        if len(words) == 2 and all(map(str.isdigit, words)):
            yield int(words[0]), int(words[1])
    for folder in _groups(root, "cpu"):
        yield _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")


def _memory_limits(root: Path) -> Iterator[int]:
    for folder in _groups(root, ""):
        yield _number(folder / "memory.max")
    for folder in _groups(root, "memory"):
        yield _number(folder / "memory.limit_in_bytes")


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Those this process is in, up to the top; controller "" is the unified tree."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, names, path = line.split(":", 2) if line.count(":") >= 2 else ("", "?", "")
        if controller not in names.split(","):
            continue
        top = root / "sys/fs/cgroup"
        top = top if not controller else next((one for one in (top / names, top / controller) if one.is_dir()), top)
        folder = top / path.lstrip("/")
        while folder.is_relative_to(top):
            yield folder
            folder = folder.parent


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _number(file: Path) -> int:
    text = _text(file).strip()
    return int(text) if text.isdigit() else -1


# -- by name -----------------------------------------------------------------------------------------------------------


def labels(root: Path = ROOT) -> Mapping[str, str]:
    """What `--needs` may ask for."""
    found = {"os": platform.system().lower(), "arch": arch_name(platform.machine())}
    found["python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
    release = _release(root)
    if name := release.get("ID", ""):
        found["distro"] = f"{name}-{release['VERSION_ID']}" if release.get("VERSION_ID") else name
    elif version := platform.mac_ver()[0]:
        found["distro"] = f"macos-{version}"
    if libc := _libc(root):
        found["libc"] = libc
    if os.access(root / DOCKER, os.R_OK | os.W_OK):
        found["docker"] = "yes"  # this user may use it
    return {name: value for name, value in found.items() if value.isprintable()}


def system_name(root: Path = ROOT) -> str:
    """As people call it: Debian GNU/Linux 12."""
    name = _release(root).get("PRETTY_NAME", "").partition(" (")[0]
    return name if name and name.isprintable() else platform.system()


def arch_name(told: str) -> str:
    """Systems call the same thing differently."""
    return _NAMES.get(told.lower(), told.lower())


def _release(root: Path) -> dict[str, str]:
    lines = _text(root / "etc/os-release").splitlines()
    return {key: value.strip().strip("\"'") for key, _, value in (line.partition("=") for line in lines) if value}


def _libc(root: Path) -> str:
    """As `glibc-2.36`, or `musl`; of others nothing is known."""
    try:
        told = (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "-")
    except (AttributeError, ValueError, OSError):
        told = ""
    return told or ("musl" if any((root / "lib").glob("ld-musl-*")) else "")
