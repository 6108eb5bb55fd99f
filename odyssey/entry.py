"""How a daemon that is being started is told into which mesh it shall go, through a pipe that nobody else reads.

The first line says with what: an invite, or doors at which it asks for itself. In the second case the daemon then shows
codes through its other pipe, and each further line is what a person has typed.

Promises: reads what it writes, and refuses what is longer than a person's.
Never: is in the words of a process, or on a disk.
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from odyssey.errors import Malformed

LONGEST: Final = 16 << 10
TYPED: Final = 256  # bytes of one line


class Entry(NamedTuple):
    invite: str = ""
    addresses: tuple[str, ...] = ()  # HOST:PORT of join sockets, besides those in the invite
    doors: tuple[tuple[str, str], ...] = ()  # without an invite: the key of a join socket, in hex, and HOST:PORT

    def written(self) -> bytes:
        return json.dumps(self._asdict()).encode() + b"\n"


def read(line: bytes) -> Entry:
    try:
        found = json.loads(line)
        return Entry(
            str(found["invite"]),
            tuple(map(str, found["addresses"])),
            tuple((str(key), str(where)) for key, where in found["doors"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("what the daemon was told to join with cannot be read") from error


class Shown(NamedTuple):
    """What a person is to see before the next line is typed."""

    code: str
    name: str  # that this machine asks for
    mesh: str  # as a stranger calls it
    at: str  # HOST:PORT
    wrong: str = ""  # what was typed before
