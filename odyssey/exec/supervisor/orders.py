"""What a runner is given to start (words, environment, directory, standard input), and what it answers.

The environment comes in two parts: most of it is the same for all tasks of a job, and a runner reads that part once.
The size of a terminal stands at the end, in orders for one; all others have nothing there.

Promises: pure; packing and reading are exact opposites; what is not an order raises ValueError.
Never: holds a NUL byte inside of a word, which no system could start.
"""

import struct
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct(">QQIIIHH")  # attempt, task, and how long each part is
_SIZE: Final = struct.Struct(">HH")
DONE: Final = struct.Struct("<QBiQQQQQB")
NO_TERMINAL: Final = (0, 0)


class Order(NamedTuple):
    task: int
    argv: tuple[bytes, ...]
    env: dict[bytes, bytes]
    cwd: bytes  # b"": where the supervisor runs
    stdin: bytes  # the name of what is spooled; b"": none
    size: tuple[int, int] = NO_TERMINAL  # rows and columns


def packed_env(env: dict[bytes, bytes]) -> bytes:
    return _joined([name + b"=" + value for name, value in env.items()])


def packed(
    attempt: int,
    task: int,
    argv: tuple[bytes, ...],
    common: bytes,
    own: dict[bytes, bytes],
    cwd: bytes,
    stdin: bytes,
    size: tuple[int, int] = NO_TERMINAL,
) -> bytes:
    """`common` is a `packed_env`."""
    parts = (_joined(list(argv)), common, packed_env(own), cwd, stdin)
    end = b"" if size == NO_TERMINAL else _SIZE.pack(*size)
    return _HEAD.pack(attempt, task, *map(len, parts)) + b"".join(parts) + end


def attempt_in(data: bytes) -> int:
    attempt: int = _HEAD.unpack_from(data)[0]
    return attempt


class Reader:
    """Keeps the common part of the last order that it has read."""

    def __init__(self) -> None:
        self._common, self._env = b"", dict[bytes, bytes]()

    def read(self, data: bytes) -> Order:
        if len(data) < _HEAD.size:
            raise ValueError("an order that is cut")
        _, task, *lengths = _HEAD.unpack_from(data)
        parts, at = [], _HEAD.size
        for length in lengths:
            parts.append(data[at : at + length])
            at += length
        if at != len(data) and at + _SIZE.size != len(data):
            raise ValueError("an order that is cut")
        size = NO_TERMINAL if at == len(data) else _SIZE.unpack_from(data, at)
        words, common, extra, cwd, stdin = parts
        if common != self._common:
            self._common, self._env = common, _split_env(common)
        return Order(task, tuple(_split(words)), self._env | _split_env(extra), cwd, stdin, size)


def _joined(words: list[bytes]) -> bytes:
    return b"".join([word + b"\0" for word in words])


def _split(data: bytes) -> list[bytes]:
    return data.split(b"\0")[:-1]


def _split_env(data: bytes) -> dict[bytes, bytes]:
    pairs = (word.partition(b"=") for word in _split(data))
    return {name: value for name, _, value in pairs}


class Done(NamedTuple):
    """How an attempt ended, as its runner says. A sentence may follow, for people."""

    attempt: int
    outcome: int
    code: int
    started_ms: int
    ended_ms: int
    run_ms: int
    cpu_ms: int
    peak_memory: int
    leaked: int
