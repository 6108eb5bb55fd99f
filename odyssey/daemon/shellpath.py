"""Where the owner's login shell finds programs: what they typed at a terminal should be found by their jobs too.

Service managers start us with a bare path, and a terminal may have things of the moment on its own. So the shell is
asked, as it begins when its owner logs in.

Promises: an answer within LIMIT_S or none; a shell that takes longer is ended with all that it started.
Never: lets a start file read from a terminal, or write to ours.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

LIMIT_S: Final = 2.0
MARK: Final = b"odyssey-path:"
BARE: Final = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
LONGEST: Final = 32 << 10
LAST: Final = 19  # nice


def login_path(shell: str, home: str, user: str, limit_s: float = LIMIT_S) -> bytes | None:
    """None: it did not tell."""
    if not os.path.isabs(shell):
        return None
    environment = {"HOME": home, "USER": user, "LOGNAME": user, "SHELL": shell, "TERM": "dumb", "PATH": BARE}
    return _path_in(_said([shell, "-lic", f"printf '\\n%s\\n' {MARK.decode()}; printenv PATH"], environment, limit_s))


def _said(words: list[str], environment: Mapping[str, str], limit_s: float) -> bytes:
    try:
        process = subprocess.Popen(
            words,
            env=dict(environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return b""
    with suppress(OSError):  # start files may take seconds of a core, and nobody waits for them
        os.setpriority(os.PRIO_PROCESS, process.pid, LAST)
    try:
        said, _ = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        said = b""
    finally:
        if process.stdout is not None:
            process.stdout.close()
    return said


def _path_in(said: bytes) -> bytes | None:
    """What follows the mark; start files may say anything before."""
    _, mark, rest = said.rpartition(b"\n" + MARK + b"\n")
    path = rest.split(b"\n", 1)[0].strip()
    is_path = bool(mark) and b"/" in path and b"\0" not in path and len(path) <= LONGEST
    return path if is_path else None
