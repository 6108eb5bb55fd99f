"""A lab that is broken in the middle, in a process of its own: `python -m tests.lab.breaking HOW`.

Prints the lab's folder and the inode of its pid namespace, once daemons are up; then does as it is told.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from tests.lab import Lab


def main(how: str) -> None:
    with Lab(2) as lab:
        lab[0].run("odyssey", "up")
        lab[0].run("odyssey", "run", "--detach", "--", "sleep", "1000")
        lab[1].start("sleep", "1000")
        if how == "frozen":
            lab[1].freeze()
        print(lab[0].folder.parent, os.readlink(f"/proc/{lab[0].process}/ns/net"), flush=True)
        if how == "raise":
            raise RuntimeError("in the middle")
        if how in ("kill", "frozen"):
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(1000)


if __name__ == "__main__":
    main(sys.argv[1])
