"""What strace has written, as calls on the files below one folder, in the order in which they began and ended.

Promises: a call that came back with an error is left out; one that changes files in a way that `disk` does not know is
an error here, not a gap in what is tested.
Never: opens a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

KNOWN: Final = frozenset(
    (
        *("openat", "write", "pwrite64", "lseek", "ftruncate", "fallocate", "fsync", "fdatasync", "bind"),
        *("rename", "unlink", "unlinkat", "rmdir", "mkdir"),
    )
)
# They would change files too. Nothing of ours uses them; should it begin to, this must be told.
UNKNOWN: Final = frozenset(
    (
        *("open", "creat", "writev", "pwritev", "pwritev2", "truncate", "sendfile", "copy_file_range"),
        *("renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mkdirat", "sync", "syncfs"),
    )
)
_LINE: Final = re.compile(r"(\d+) +(.*)", re.DOTALL)
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>(.*)", re.DOTALL)
_UNFINISHED: Final = " <unfinished ...>"
_FILE: Final = re.compile(r"(-?\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?")
_TEXT: Final = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Call(NamedTuple):
    name: str
    path: str  # the file it is about; for a rename its old name
    to: str = ""  # the new name
    file: int = -1  # the descriptor that was given or that came back
    data: bytes = b""
    numbers: tuple[int, ...] = ()
    flags: str = ""


class Step(NamedTuple):
    """`thread` is in one call at a time."""

    thread: int
    call: Call
    result: int | None  # None: it begins


class Unreadable(Exception):
    """The record says something that is not understood."""


def steps(lines: Iterable[str], root: str) -> Iterator[Step]:
    """`root` is the folder that counts, absolute."""
    begun: dict[int, tuple[str, Call | None]] = {}
    inside = _hexed(root)
    for line in lines:
        found = _LINE.fullmatch(line.rstrip("\n"))
        if found is None or found[2].startswith(("+++", "---")):
            continue
        thread, text = int(found[1]), found[2]
        if text.endswith(_UNFINISHED):
            text = text.removesuffix(_UNFINISHED)
            call = _call(text, root, inside)
            begun[thread] = text, call
            if call is not None:
                yield Step(thread, call, None)
            continue
        if (resumed := _RESUMED.fullmatch(text)) is not None:
            before, call = begun.pop(thread, ("", None))
            whole = before + resumed[1]
        else:
            whole, call = text, _call(text, root, inside)
            if call is not None and _result(whole) is not None:
                yield Step(thread, call, None)
        if call is not None and (result := _result(whole)) is not None:
            yield Step(thread, call._replace(file=result) if call.name == "openat" else call, result)


def _result(text: str) -> int | None:
    """None: it failed, or its process was killed in it."""
    found = re.search(r"\) += (-?\d+)", text[text.rfind(") ") :])
    return int(found[1]) if found is not None and int(found[1]) >= 0 else None


def _call(text: str, root: str, inside: str) -> Call | None:
    if inside not in text:
        return None
    name, _, rest = text.partition("(")
    if name in UNKNOWN:
        raise Unreadable(f"{name} on a file that is looked at: teach `disk` what it does")
    if name not in KNOWN:
        return None
    files = [(one[1], _plain(one[2]).decode(), bool(one[3])) for one in _FILE.finditer(rest)]
    texts = [_plain(one[1]) for one in _TEXT.finditer(rest)]
    call = _CALLS[name](name, rest, files, texts)
    return call if call is not None and (call.path == root or call.path.startswith(root + "/")) else None


File = tuple[str, str, bool]


def _on_name(name: str, rest: str, files: list[File], texts: list[bytes]) -> Call:
    """By name; relative to a folder only where that is open."""
    base = files[0][1] if files and files[0][0] != "AT_FDCWD" and name.endswith("at") else ""
    path = texts[0].decode("utf-8", "surrogateescape")
    path = path if path.startswith("/") or not base else f"{base}/{path}"
    to = texts[1].decode("utf-8", "surrogateescape") if name == "rename" else ""
    flags = rest.split(", ")[2].rstrip(")") if name == "openat" else ""
    return Call(name, path.rstrip("/"), to, flags=flags)


def _on_file(name: str, rest: str, files: list[File], texts: list[bytes]) -> Call | None:
    """By descriptor. What is written to a file without a name is nobody's any more."""
    number, path, is_deleted = files[0]
    if is_deleted:
        return None
    words = re.sub(r'"[^"]*"|<[^>]*>', "", rest.partition(") ")[0]).rstrip(")").split(", ")[1:]
    numbers = tuple(int(word) for word in words if word.lstrip("-").isdigit())
    return Call(name, path, file=int(number), data=texts[0] if texts else b"", numbers=numbers)


def _on_socket(name: str, rest: str, files: list[File], texts: list[bytes]) -> Call | None:
    return Call(name, texts[-1].decode()) if texts else None


_BY_NAME: Final = ("openat", "rename", "unlink", "unlinkat", "rmdir", "mkdir")
_CALLS: Final = {name: _on_name if name in _BY_NAME else _on_file for name in KNOWN} | {"bind": _on_socket}


def _hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
