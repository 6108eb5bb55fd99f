"""A program: the real daemon, in a machine that was booted by this test, and with a log that is compacted and archived
often, so that there is something to interrupt.

`python -m tests.power.daemon BOOT WORDS…`: the words are those of `odyssey.daemon`.
Never: changes what is written, or when it is synced.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from odyssey import archiving
from odyssey.daemon import health, process
from odyssey.mesh import compaction, compactor
from odyssey.messages import BootId

LIMITS = {
    "ODYSSEY_DISK_BALLAST": "64K",
    "ODYSSEY_DISK_GUARD": "1M",
    "ODYSSEY_JOBS_FRESH": "5",
}


def run(boot: str, words: Sequence[str]) -> int:
    health.boot_id = lambda: BootId(boot.encode())
    for module, name, value in (
        (compaction, "TAIL", 6 << 10),
        (compaction, "UNASKED", 1 << 10),
        (compactor, "LOOK_MS", 200),
        (archiving, "LOOK_MS", 200),
    ):
        assert hasattr(module, name)
        setattr(module, name, value)
    return process.run(words)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:]))
