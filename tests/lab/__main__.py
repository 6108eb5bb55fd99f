"""A lab for people: `make lab N=3`. A shell on the first host; other terminals may enter the others.

Promises: when the shell ends, so does all of it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Sequence

from tests.lab.able import why_not
from tests.lab.lab import MOST_HOSTS, Lab


def told(lab: Lab) -> str:
    lines = [f"{host.name:5} {host.address:12} {host.door}" for host in lab]
    switch = lab[0].folder.parent / "switch"
    return "\n".join(
        (
            f"{len(lab)} hosts on one switch. This is a shell on {lab[0].name}; other terminals enter the hosts by:",
            *lines,
            f"A cable is out or in: {switch} ip link set p1 down   (or up; p0 is the first host's)",
            "When this shell ends, all of it goes.",
            "",
        )
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="Hosts in a box.")
    parser.add_argument("hosts", type=int, nargs="?", default=3, help=f"1 to {MOST_HOSTS}")
    hosts = parser.parse_args(arguments).hosts
    if not 1 <= hosts <= MOST_HOSTS:
        parser.error(f"there can be 1 to {MOST_HOSTS} hosts")
    if (reason := why_not()) is not None:
        print(f"error: no lab on this machine: {reason}", file=sys.stderr)
        return 1
    with Lab(hosts) as lab:
        print(told(lab), flush=True)
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is meant for what runs in the shell
        try:
            return subprocess.call([lab[0].door], preexec_fn=lambda: signal.signal(signal.SIGINT, before))
        finally:
            signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
