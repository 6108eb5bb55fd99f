"""How this machine is just now: load, what programs of others leave of it, and whether it is on mains.

Promises: what cannot be found out is None. What runs at the lowest priority gives way, so it counts as free.
Never: waits, or asks the system more often than every SAMPLE_MS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from odyssey.clock import Clock
from odyssey.messages import BootId, OwnerState, Pause, Telemetry

SAMPLE_MS: Final = 900  # a little less than a beat
KEEP_PERCENT: Final = 10  # of the memory, which is never given away
SUPPLIES: Final = Path("/sys/class/power_supply")
LIDS: Final = Path("/proc/acpi/button/lid")
STAT: Final = "/proc/stat"
MEMINFO: Final = "/proc/meminfo"
_HEAD: Final = 1 << 10  # what is wanted of them stands at their beginning


class Times(NamedTuple):
    """Of all cpus together, in seconds since the start of the machine."""

    user: float
    niced: float
    system: float  # with interrupts, and what a host took
    idle: float


class System(Protocol):
    def times(self) -> Times: ...

    def memory(self) -> tuple[int, int]:
        """All of it, and what is available, in bytes."""
        ...

    def load(self) -> float: ...

    def mains(self) -> bool | None: ...

    def lid(self) -> bool | None:
        """Is it open? None: there is none, or the system does not tell."""
        ...

    def battery(self) -> bool:
        """It has one of its own."""
        ...


class Health:
    def __init__(self, system: System, clock: Clock, cpus: int) -> None:
        self._system, self._clock, self._cpus = system, clock, cpus
        self._times = system.times()
        self._sampled_ms = clock.monotonic_ms()
        self._told = Telemetry()
        self._cpu_free: int | None = None
        self.mains = system.mains()
        self.is_laptop = system.battery() or system.lid() is not None

    def telemetry(self, pause: Pause | None) -> Telemetry:
        now = self._clock.monotonic_ms()
        if self._told.memory_free is None or now - self._sampled_ms >= SAMPLE_MS:
            self._sample(now)
        told = self._told
        owner = OwnerState.PAUSED if pause is not None else None
        return Telemetry(told.load_milli, told.cpu_free_milli, told.memory_free, owner, self.mains, pause=pause)

    def _sample(self, now: int) -> None:
        system = self._system
        before, self._times, self._sampled_ms = self._times, system.times(), now
        free = cpu_free_milli(before, self._times, self._cpus)
        self._cpu_free = self._cpu_free if free is None else free
        total, available = system.memory()
        self._told = Telemetry(
            round(1000 * system.load()), self._cpu_free, max(0, available - total * KEEP_PERCENT // 100)
        )

    def look_at_mains(self) -> bool | None:
        self.mains = self._system.mains()
        return self.mains

    def look_at_lid(self) -> bool | None:
        return self._system.lid()


def cpu_free_milli(before: Times, after: Times, cpus: int) -> int | None:
    """What others left between the two. The system's own time is shared out as the programs' is: who starts a thousand
    niced programs a second makes it work for them."""
    user, niced, system, idle = (max(0.0, new - old) for new, old in zip(after, before, strict=True))
    everything = user + niced + system + idle
    if everything <= 0:
        return None
    work = user + niced
    others = user + (system * user / work if work else system)
    return round(1000 * cpus * (1 - others / everything))


# -- real sides --------------------------------------------------------------------------------------------------------


class LinuxSystem(System):
    """Two files of the kernel that stay open: opening and parsing them anew each second was most of what an idle daemon
    cost."""

    def __init__(self, supplies: Path = SUPPLIES, lids: Path = LIDS) -> None:
        self._supplies, self._lids = supplies, lids
        self._stat, self._meminfo = (os.open(file, os.O_RDONLY | os.O_CLOEXEC) for file in (STAT, MEMINFO))
        self._hertz = os.sysconf("SC_CLK_TCK")

    def times(self) -> Times:
        return times_of(os.pread(self._stat, _HEAD, 0), self._hertz)

    def memory(self) -> tuple[int, int]:
        return memory_of(os.pread(self._meminfo, _HEAD, 0))

    def load(self) -> float:
        return os.getloadavg()[0]

    def mains(self) -> bool | None:
        return mains_of(self._supplies) if self._supplies.is_dir() else None

    def lid(self) -> bool | None:
        return lid_of(self._lids)

    def battery(self) -> bool:
        return has_battery(self._supplies)

    def close(self) -> None:
        os.close(self._stat)
        os.close(self._meminfo)


class PortableSystem(System):
    """Where the kernel has no such files."""

    def __init__(self) -> None:
        import psutil  # here: it takes its time, and only a daemon needs it

        self._psutil = psutil

    def times(self) -> Times:
        found = self._psutil.cpu_times()

        def all_of(*names: str) -> float:
            return sum(getattr(found, name, 0.0) for name in names)

        system = all_of("system", "irq", "softirq", "steal")
        return Times(found.user, all_of("nice"), system, all_of("idle", "iowait"))

    def memory(self) -> tuple[int, int]:
        found = self._psutil.virtual_memory()
        return found.total, found.available

    def load(self) -> float:
        return os.getloadavg()[0]

    def mains(self) -> bool | None:
        battery: Callable[[], object] | None = getattr(self._psutil, "sensors_battery", None)
        found = battery() if battery is not None else None
        return getattr(found, "power_plugged", None)

    def lid(self) -> bool | None:
        return None

    def battery(self) -> bool:
        return self.mains() is not None


def real_system() -> System:
    return LinuxSystem() if sys.platform == "linux" else PortableSystem()


def times_of(stat: bytes, hertz: int) -> Times:
    """Its first line: user, nice, system, idle, iowait, irq, softirq, steal; time of guests is in user already."""
    user, niced, system, idle, waiting, *rest = map(int, stat[: stat.index(b"\n")].split()[1:9])
    return Times(user / hertz, niced / hertz, (system + sum(rest)) / hertz, (idle + waiting) / hertz)


def memory_of(meminfo: bytes) -> tuple[int, int]:
    found = dict(line.split(b":", 1) for line in meminfo.splitlines() if b":" in line)
    total, available = (1024 * int(found[name].split()[0]) for name in (b"MemTotal", b"MemAvailable"))
    return total, available


def mains_of(supplies: Path) -> bool | None:
    """Linux: an adapter that is in, or a battery that is not being emptied. The battery of a mouse says nothing."""
    adapters, batteries = [], []
    for supply in sorted(supplies.iterdir()):
        kind = _word(supply / "type")
        if kind == "Battery" and _word(supply / "scope") != "Device":
            batteries.append(_word(supply / "status"))
        elif kind in ("Mains", "USB", "Wireless") and (online := _word(supply / "online")):
            adapters.append(online != "0")
    if not batteries:
        return True if any(adapters) else None
    return any(adapters) or "Discharging" not in batteries


def has_battery(supplies: Path) -> bool:
    """Not that of a mouse."""
    if not supplies.is_dir():
        return False
    return any(_word(one / "type") == "Battery" and _word(one / "scope") != "Device" for one in supplies.iterdir())


def lid_of(lids: Path) -> bool | None:
    """Linux: as the firmware tells. Of a machine with several one that is open is enough."""
    told = [text.split()[-1] for file in sorted(lids.glob("*/state")) if (text := _word(file))]
    return any(word != "closed" for word in told) if told else None


def _word(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace").strip()
    except OSError:
        return ""


def boot_id() -> BootId:
    """New at every boot."""
    try:
        return BootId(Path("/proc/sys/kernel/random/boot_id").read_bytes().strip())
    except OSError:
        import subprocess

        words = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return BootId(subprocess.run(words, capture_output=True, timeout=10, check=True).stdout.strip())
