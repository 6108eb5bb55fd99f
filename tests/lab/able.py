"""Can there be a lab on this machine? If not: why, and what to do about it.

Promises: what is missing is found by trying it, in a throw-away namespace.
Never: changes anything outside of that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from typing import Final

TOOLS: Final = {
    **dict.fromkeys(("ip", "tc"), "iproute2"),
    "nft": "nftables",
    **dict.fromkeys(("unshare", "nsenter", "mount"), "util-linux"),
    **dict.fromkeys(("env", "timeout", "sleep"), "coreutils"),
    "hostname": "hostname",
}
# Each line is one thing that a lab needs of the kernel.
_TRIAL: Final = """
ip link add name br0 type bridge
ip link add name p1 type veth peer name p2
tc qdisc add dev p1 root tbf rate 8mbit burst 16kb latency 50ms
nft add table bridge lab
hostname lab
mount -t tmpfs tmpfs /dev/shm
"""
SPACES: Final = ("--net", "--uts", "--mount", "--ipc", "--pid", "--time", "--fork", "--kill-child")


@cache
def why_not() -> str | None:
    """None: a lab can be made here."""
    if sys.platform != "linux":
        return "hosts are made of Linux namespaces, and this is no Linux"
    missing = sorted({package for tool, package in TOOLS.items() if shutil.which(tool) is None})
    if missing:
        return f"not installed: {', '.join(missing)} (apt-get install {' '.join(missing)})"
    if os.geteuid() != 0:
        return "only root can make namespaces (run it as root, or inside: unshare -Urnm)"
    tried = subprocess.run(
        ["unshare", *SPACES, "--mount-proc", "--propagation=private", "sh", "-ec", _TRIAL],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if tried.returncode == 0:
        return None
    return f"the system does not let us: {tried.stderr.strip().splitlines()[-1:] or tried.returncode}"
