"""One key from the person at the terminal.

Promises: the terminal is afterwards as it was; where there is none to ask, the answer is the harmless one.
Never: reads standard input: that is the job's.
"""

from __future__ import annotations

import os


def key_of_terminal() -> str:
    """One key: d, c, or anything else to go on. A second Ctrl-C, or a terminal that is gone, is d."""
    import termios  # only when somebody is asked
    import tty

    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return "d"
    try:
        before = termios.tcgetattr(terminal)
        tty.setraw(terminal)
        try:
            key = os.read(terminal, 1)
        finally:
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)
    except (OSError, termios.error):
        return "d"
    finally:
        os.close(terminal)
    return "d" if key in (b"\x03", b"") else key.decode("ascii", "replace").lower()
