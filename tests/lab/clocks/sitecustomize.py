"""For Python in a host of the lab: the wall clock, and the clock that goes on in sleep, moved by what a file says.

The kernel has one wall clock for all hosts, and cannot sleep for one of them. Python imports this by itself because it
is on the path; the processes that hold jobs are started without it and keep the real time.
Never: does anything outside the lab.
"""

import mmap
import os
import struct
import time


def _bend(path: str) -> None:
    with open(path, "rb") as file:
        offsets = mmap.mmap(file.fileno(), 16, access=mmap.ACCESS_READ)
    wall, clock = time.time_ns, time.clock_gettime_ns
    moved = {time.CLOCK_REALTIME: 0, time.CLOCK_BOOTTIME: 1}

    def offset(which: int) -> int:
        found: tuple[int, int] = struct.unpack("qq", offsets)
        return found[moved[which]] if which in moved else 0

    time.time_ns = lambda: wall() + offset(time.CLOCK_REALTIME)
    time.time = lambda: time.time_ns() / 1e9
    time.clock_gettime_ns = lambda which: clock(which) + offset(which)


if "PYTHONLABCLOCK" in os.environ:
    _bend(os.environ["PYTHONLABCLOCK"])
