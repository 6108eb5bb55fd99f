"""One page of shared memory for each slot: which runner serves it, which attempt it runs, how far its output is.

The supervisor writes who serves a slot, the runner all the rest of its own page; the next supervisor and the daemon
read. It is a file, so that it is there after its writers were killed.

Promises: a reader gets what was true at one moment, or asks again. A file that is not of this form is replaced.
Never: holds what must outlive a restart of the machine.
"""

import mmap
import os
import struct
from typing import Final, NamedTuple

MAGIC: Final = b"odyssey-slots-1\n"
MOST: Final = 4096
_SIZE: Final = 128  # of one page
_HEAD: Final = 4096
_TRIES: Final = 1000
_LIFE: Final = struct.Struct("<16sQ")
_NUMBER: Final = struct.Struct("<Q")
_ARE_ALONE: Final = struct.Struct("<B")
_ALONE_AT: Final = _LIFE.size + _NUMBER.size
_TURN: Final = struct.Struct("<Q")
_SERVER: Final = struct.Struct("<QQ")
_PAGE: Final = struct.Struct("<QqQQQQQQQQ")


class Server(NamedTuple):
    """The runner of a slot."""

    pid: int = 0  # 0: nobody
    began: int = 0  # in clock ticks since the boot: a process number alone may be somebody else's by now


class Page(NamedTuple):
    attempt: int = 0  # 0: none
    began_ms: int = 0
    segment: int = 0
    out_at: int = 0  # where its output begins in the segment
    out_size: int = 0
    out_cut: int = 0
    err_at: int = 0
    err_size: int = 0
    err_cut: int = 0
    has_segment: int = 0


IDLE: Final = Page()
NOBODY: Final = Server()


class Slots:
    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @property
    def life(self) -> int:
        """Which supervisor made the pages; its segments carry the same number."""
        life: int = _LIFE.unpack_from(self._memory)[1]
        return life

    @property
    def are_alone(self) -> bool:
        """Runners are the first processes of pid namespaces: they are gone after all that they ran."""
        return bool(_ARE_ALONE.unpack_from(self._memory, _ALONE_AT)[0])

    @property
    def used(self) -> int:
        """All slots that ever had a runner are below this."""
        used: int = _NUMBER.unpack_from(self._memory, _LIFE.size)[0]
        return used

    def server(self, slot: int) -> Server:
        return Server(*_SERVER.unpack_from(self._memory, _HEAD + slot * _SIZE))

    def serve(self, slot: int, server: Server) -> None:
        if slot >= self.used:
            _NUMBER.pack_into(self._memory, _LIFE.size, slot + 1)
        _SERVER.pack_into(self._memory, _HEAD + slot * _SIZE, *server)

    def read(self, slot: int) -> Page:
        at = _HEAD + slot * _SIZE + _SERVER.size
        page = IDLE
        for _ in range(_TRIES):
            before = _TURN.unpack_from(self._memory, at)[0]
            page = Page(*_PAGE.unpack_from(self._memory, at + _TURN.size))
            if not before & 1 and before == _TURN.unpack_from(self._memory, at)[0]:
                return page
        return page  # its runner was killed while it wrote: what it had written is nearly true

    def write(self, slot: int, page: Page) -> None:
        at = _HEAD + slot * _SIZE + _SERVER.size
        turn = _TURN.unpack_from(self._memory, at)[0] | 1
        _TURN.pack_into(self._memory, at, turn)
        _PAGE.pack_into(self._memory, at + _TURN.size, *page)
        _TURN.pack_into(self._memory, at, turn + 1)

    def clear(self, slot: int) -> None:
        """Nothing runs there."""
        at = _HEAD + slot * _SIZE + _SERVER.size
        _NUMBER.pack_into(self._memory, at + _TURN.size, 0)  # eight bytes are written as one

    def close(self) -> None:
        self._memory.close()


def make(path: str, life: int, are_alone: bool) -> Slots:
    """A new file in the place of an old one; whoever reads the old one keeps it."""
    new = f"{path}.new"
    with open(new, "wb", opener=_private) as file:
        file.write(_LIFE.pack(MAGIC, life) + _NUMBER.pack(0) + _ARE_ALONE.pack(are_alone))
        file.truncate(_HEAD + MOST * _SIZE)
    with open(new, "r+b") as file:
        memory = mmap.mmap(file.fileno(), 0)
    os.rename(new, path)
    return Slots(memory)


def look(path: str) -> Slots | None:
    """To read only. None: there is none yet."""
    try:
        with open(path, "rb") as file:
            memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    except (FileNotFoundError, ValueError):
        return None
    if len(memory) != _HEAD + MOST * _SIZE or _LIFE.unpack_from(memory)[0] != MAGIC:
        memory.close()
        return None
    return Slots(memory)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)
