"""What this machine is, and how it is just now.

Promises: what cannot be found out is None, or not said.
Never: waits, or asks the system more often than once in SAMPLE_MS.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from odyssey.commands import Facts
from odyssey.messages import BootId
from odyssey.resources import Resources


def boot_id() -> BootId:
    """New at every boot."""
    try:
        return BootId(Path("/proc/sys/kernel/random/boot_id").read_bytes().strip())
    except OSError:
        import subprocess

        words = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
        return BootId(subprocess.run(words, capture_output=True, timeout=10, check=True).stdout.strip())


def facts() -> Facts:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Facts(Resources(1000 * cpus, memory), os=platform.system().lower(), arch=platform.machine())
