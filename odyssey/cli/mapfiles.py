"""What a `map` leaves in files, as GNU parallel writes it: the job log, and the tree of `--results`.

Promises: a job log written here can be read by parallel's tools and by `--resume`; every item becomes the name of a
folder that cannot lead out of the tree.
Never: touches a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from odyssey.errors import UsageError, one_line

HEADER: Final = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
_LONGEST_NAME: Final = 200  # bytes; most file systems end at 255


def row(
    number: int, host: str, started_ms: int, run_ms: int, received: int, code: int, signal: int, command: str
) -> str:
    started, run = f"{_seconds(started_ms)}", f"{_seconds(run_ms):>10}"
    return f"{number}\t{host}\t{started}\t{run}\t0\t{received}\t{code}\t{signal}\t{one_line(command)}\n"


def _seconds(ms: int) -> str:
    return f"{ms // 1000}.{ms % 1000:03}"


def already_run(log: str) -> frozenset[int]:
    """Numbers of the tasks that a job log holds. A last line that was cut off counts as not run."""
    whole = log[: log.rfind("\n") + 1]
    if not whole:
        return frozenset()
    header, *rows = whole.splitlines()
    if header + "\n" != HEADER:
        raise UsageError("the file of --joblog is not a job log", hint="name another file, or remove this one")
    return frozenset(int(number) for line in rows if (number := line.partition("\t")[0]).isdigit())


def folder(record: Iterable[str]) -> str:
    """`1/a/2/b`: for every source its number and the item, as a name."""
    return "/".join(part for number, item in enumerate(record, 1) for part in (str(number), _name(item)))


def _name(item: str) -> str:
    escaped = item.replace("\\", "\\\\").replace("\t", "\\t").replace("\0", "\\0").replace("/", "\\_")
    if len(raw := escaped.encode("utf-8", "surrogateescape")) > _LONGEST_NAME:
        head = raw[: _LONGEST_NAME - 17].decode("utf-8", "ignore")
        return f"{head}+{sha256(raw).hexdigest()[:16]}"  # two long items stay apart
    return {"": "\\e", ".": "\\.", "..": "\\.\\."}.get(escaped, escaped)
