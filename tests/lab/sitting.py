"""Somebody at a terminal of a host, and what is shown there.

Promises: what was started here has ended when the sitting ends.
Never: types what a person could not.
"""

from __future__ import annotations

import os
import pty
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab import Host
from tests.system.people import Terminal


@contextmanager
def sits(host: Host, *words: str) -> Iterator[Terminal]:
    command = host.inside(*words)
    process, master = pty.fork()
    if process == 0:
        try:
            termios.tcsetwinsize(0, (40, 120))
            os.execv(command[0], command)
        finally:
            os._exit(125)
    one = Terminal(process, master)
    try:
        yield one
    finally:
        one.end()
