"""A call of a Python function as a task: run in a process of its own by `python -P -m odyssey.api.called`.

The calls come packed, through a variable that nobody else can read or through standard input; the result goes out as
one piece on the real standard output. What the function prints goes to standard error, so that nothing it writes can be
taken for the result.

Promises: whatever the function does, the result is whole or there is none; an exception travels with its traceback.
Never: imports more of Odyssey than this file, or opens what another version of Python has packed.
"""

from __future__ import annotations

import base64
import json
import os
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

CALLS: Final = "ODYSSEY_CALLS"
TASK: Final = "ODYSSEY_TASK"
MAGIC: Final = b"ODYCALL1"
HEAD: Final = struct.Struct(">8sBQ")
RETURNED, RAISED = 0, 1


class OtherPython(Exception):
    """This Python cannot open what the other one has packed."""


class Call(NamedTuple):
    """A function and its arguments, each packed by cloudpickle."""

    function: bytes
    arguments: bytes


# -- calls on their way out --------------------------------------------------------------------------------------------


def packed(calls: Sequence[Call], path: Sequence[str]) -> bytes:
    """A head that any version can read, then the pieces. A function that many calls share is there once."""
    functions = list(dict.fromkeys(call.function for call in calls))
    place = {function: number for number, function in enumerate(functions)}
    head = {
        "python": list(sys.version_info[:2]),
        "path": list(path),
        "functions": [len(function) for function in functions],
        "calls": [[place[call.function], len(call.arguments)] for call in calls],
    }
    return b"".join(
        (json.dumps(head).encode(), b"\n", *functions, *(call.arguments for call in calls)),
    )


def unpacked(data: bytes, index: int) -> tuple[Call, list[str]]:
    text, _, rest = data.partition(b"\n")
    head = json.loads(text)
    there, here = tuple(head["python"]), tuple(sys.version_info[:2])
    if there != here:
        raise OtherPython(
            f"this was packed by Python {there[0]}.{there[1]}, and this machine runs it with {here[0]}.{here[1]}"
        )
    sizes, calls = head["functions"], head["calls"]
    which, size = calls[index]
    at = sum(sizes[:which])
    function = rest[at : at + sizes[which]]
    at = sum(sizes) + sum(size for _, size in calls[:index])
    return Call(function, rest[at : at + size]), head["path"]


def each(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Several calls of one function as one, in its process."""
    return [function(*arguments) for arguments in calls]


# -- results on their way home -----------------------------------------------------------------------------------------


def result(kind: int, data: bytes) -> bytes:
    return HEAD.pack(MAGIC, kind, len(data)) + data


def opened(data: bytes) -> tuple[int, bytes] | None:
    """None: it is not whole, so the process ended before it could say."""
    if len(data) < HEAD.size:
        return None
    magic, kind, size = HEAD.unpack_from(data)
    if magic != MAGIC or len(data) != HEAD.size + size:
        return None
    return kind, data[HEAD.size :]


# -- the process -------------------------------------------------------------------------------------------------------


def main() -> int:
    out = os.dup(1)
    os.dup2(2, 1)
    try:
        kind, data = _answer(_calls())
    except OtherPython as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        sys.stdout.flush()
    view = memoryview(result(kind, data))
    while view:
        view = view[os.write(out, view) :]
    return kind


def _calls() -> bytes:
    text = os.environ.pop(CALLS, "")
    return base64.b64decode(text) if text else sys.stdin.buffer.read()


def _answer(data: bytes) -> tuple[int, bytes]:
    import cloudpickle

    call, path = unpacked(data, int(os.environ.get(TASK, "0")))
    sys.path[:] = path
    try:
        function = cloudpickle.loads(call.function)
        arguments, keywords = cloudpickle.loads(call.arguments)
        return RETURNED, cloudpickle.dumps(function(*arguments, **keywords))
    except BaseException as error:  # noqa: BLE001 - whatever it is, whoever called is told
        return RAISED, _raised(error)


def _raised(error: BaseException) -> bytes:
    """The exception if it can travel, and in any case what it would have printed."""
    import cloudpickle

    error.__traceback__, text = None, "".join(traceback.format_exception(error))
    try:
        packed: bytes = cloudpickle.dumps((error, text))
        cloudpickle.loads(packed)  # some can be packed and not opened
    except Exception:  # noqa: BLE001 - it is the exception's own code that fails here
        return bytes(cloudpickle.dumps((_plain(error), text)))
    return packed


def _plain(error: BaseException) -> Any:
    return RuntimeError(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
