"""A machine that has asked nobody for the LAN does not pay for it."""

from __future__ import annotations

import subprocess
import sys


def test_a_daemon_begins_without_multicast_dns() -> None:
    program = "import sys, odyssey.daemon.process, odyssey.cli.main; print([m for m in sys.modules if 'zeroconf' in m])"
    told = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
