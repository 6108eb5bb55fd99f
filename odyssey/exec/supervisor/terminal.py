"""A terminal of an attempt, from the side of those who hold its master: the supervisor types, the runner reads.

The supervisor makes the pair before it forks the runner, as it does with pipes. What is typed it writes itself, so a
key goes no further than it must; the attempt's output the runner takes, as from a pipe. The runner keeps the other side
open too: a program that closes its terminal for a while is not taken for one that is gone.

Promises: nothing here waits. A byte is typed once, however often it is said. What finds no room is not taken, and
whoever said it is told how much was.
Never: makes the attempt's terminal the one of the supervisor or of a runner.
"""

import fcntl
import os
import struct
import termios
from typing import Final, NamedTuple

MOST: Final = 64 << 10  # bytes that were typed ahead of what the terminal takes
CHUNK: Final = 64 << 10
RATE: Final = 8 << 20  # bytes a second: nobody reads faster, and what is behind a screen delays what Ctrl-C shows
BURST: Final = 1 << 20
_UTF8: Final = getattr(termios, "IUTF8", 0)  # erase removes a character, not a byte of it
_SIZE: Final = struct.Struct("HHHH")


class Pair(NamedTuple):
    master: int
    slave: int
    path: str  # of the slave


def opened() -> Pair:
    """OSError: this machine has no terminals to give, or none left."""
    master, slave = os.openpty()
    try:
        os.set_blocking(master, False)
        modes = termios.tcgetattr(slave)
        modes[0] |= _UTF8
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        return Pair(master, slave, os.ttyname(slave))
    except BaseException as error:
        os.close(master)
        os.close(slave)
        if isinstance(error, termios.error):
            raise OSError(*error.args) from error
        raise


def can_be_had() -> bool:
    try:
        pair = opened()
    except OSError:
        return False
    os.close(pair.master)
    os.close(pair.slave)
    return True


def resize(end: int, rows: int, columns: int) -> None:
    """Whoever is in the foreground is told, if it is another size."""
    fcntl.ioctl(end, termios.TIOCSWINSZ, _SIZE.pack(rows, columns, 0, 0))


class Keyboard:
    """What is typed, on its way into a terminal."""

    def __init__(self, master: int) -> None:
        self.master = master
        self._writer = 0
        self._taken = 0
        self._ahead = b""

    def type(self, writer: int, offset: int, data: bytes) -> int:
        """How much of all that this writer types is taken."""
        if writer != self._writer:
            self._writer, self._taken = writer, 0
        if offset <= self._taken:  # else what comes before is still to come
            new = data[self._taken - offset :][: MOST - len(self._ahead)]
            self._taken += len(new)
            self._ahead += new
            self.flush()
        return self._taken

    def flush(self) -> None:
        try:
            while self._ahead:
                self._ahead = self._ahead[os.write(self.master, self._ahead) :]
        except BlockingIOError:
            pass
        except OSError:
            self._ahead = b""  # nobody is left to read it

    @property
    def is_stuck(self) -> bool:
        """Something waits for room."""
        return bool(self._ahead)


class Pace:
    """How fast a terminal is read. Data in, seconds to wait out; no clock of its own."""

    def __init__(self, now: float) -> None:
        self._room, self._at = float(BURST), now

    def wait_s(self, size: int, now: float) -> float:
        """After so many bytes."""
        self._room = min(BURST, self._room + (now - self._at) * RATE) - size
        self._at = now
        return -self._room / RATE if self._room < 0 else 0.0
