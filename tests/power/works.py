"""What people give a daemon to do here: one of each kind that leaves something on a disk, and what must come of it.

Promises: the same kind and word give the same specification again, so that a submit can be repeated after a power cut.
Never: takes longer than a moment to run, except what is there to be cancelled.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from odyssey.api import requests as r
from odyssey.api.client import Client
from odyssey.cli.putting import encoded
from odyssey.ids import UserId
from odyssey.resources import Resources
from odyssey.spec import Blob, JobSpec, Want

KINDS: Final = ("one", "array", "map", "stdin", "flow", "files", "quiet", "failing", "held", "slow")
_SAY: Final = 'echo "out $1 $ODYSSEY_INDEX"; echo "err $1 $ODYSSEY_INDEX" >&2'
_KEEP: Final = 'mkdir "$ODYSSEY_OUT/deep"; echo "kept $1" > "$ODYSSEY_OUT/deep/notes"; '
_ITEMS: Final = 6
_PIECE: Final = 100  # bytes of a blob or a standard input in one request: several requests each


class Work(NamedTuple):
    kind: str
    word: str  # its own

    @property
    def client(self) -> bytes:
        return sha256(self.word.encode()).digest()[:16]

    @property
    def stdin(self) -> bytes:
        return b"".join(b"line %d of %s\n" % (number, self.word.encode()) for number in range(40))

    @property
    def items(self) -> bytes:
        items = [f"item {number}" for number in range(_ITEMS)]
        return next(iter(encoded((("sh", "-c", _SAY + '; echo "$2"', "sh", self.word, item), item) for item in items)))

    def specs(self) -> tuple[JobSpec, ...]:
        say = _spec("sh", "-c", _SAY, "sh", self.word)
        match self.kind:
            case "array":
                return (_with(say, count=7, start=3, step=2),)
            case "map":
                blob = Blob(sha256(self.items).digest(), len(self.items))
                return (_with(say, count=_ITEMS, items=(blob,)),)
            case "stdin":
                return (_with(_spec("cat"), stdin=sha256(self.word.encode()).digest()[:16]),)
            case "flow":
                return say, _with(say, after_here=(0,), count=2), _with(say, after_any_here=(1, 0))
            case "files":
                return (_spec("sh", "-c", _KEEP + _SAY, "sh", self.word),)
            case "quiet":
                return (_spec("true"),)
            case "failing":
                return (_spec("sh", "-c", _SAY + "; exit 3", "sh", self.word),)
            case "held":
                return (_with(say, held=True),)
            case "slow":
                return (_spec("sh", "-c", "echo begun; exec sleep 1000", cpus=10),)
        return (say,)

    @property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Of each of its jobs: their places in the submit."""
        return ((), (0,), (0, 1)) if self.kind == "flow" else ((),)

    def output(self, job: int, task: int) -> tuple[bytes, bytes] | None:
        """What a task that ran to its end has written; None: that is not known."""
        if self.kind == "slow":
            return None
        if self.kind == "quiet":
            return b"", b""
        if self.kind == "stdin":
            return self.stdin, b""
        spec = self.specs()[job]
        words = f"{self.word} {spec.start + task * spec.step}".encode()
        more = b"item %d\n" % task if self.kind == "map" else b""
        return b"out " + words + b"\n" + more, b"err " + words + b"\n"

    @property
    def kept(self) -> bytes | None:
        """What is in the folder of each task that ran to its end."""
        return f"kept {self.word}\n".encode() if self.kind == "files" else None

    # -- giving it to a daemon -----------------------------------------------------------------------------------------

    def submit(self, client: Client) -> int:
        """The number of its first job."""
        if self.kind == "map":
            self._put_items(client)
        if self.kind == "stdin":
            self._put_stdin(client)
        return client.call(r.Submit(self.client, self.specs())).id

    def _put_items(self, client: Client) -> None:
        digest, size, offset = sha256(self.items).digest(), len(self.items), 0
        while not (
            far := client.call(r.PutBlob(digest, size, offset, self.items[offset : offset + _PIECE]))
        ).is_complete:
            offset = far.size

    def _put_stdin(self, client: Client) -> None:
        name, offset = self.specs()[0].stdin, 0
        while True:
            data = self.stdin[offset : offset + _PIECE]
            far = client.call(r.PutStdin(name, offset, data, is_end=not data))
            if far.is_complete:
                return
            offset = far.size


def _spec(*argv: str, cpus: int = 400) -> JobSpec:
    words = tuple(word.encode() for word in argv)
    return JobSpec(UserId(""), words, Want(Resources(cpus, 1 << 20), key=argv[0]), cwd=b"/")


def _with(spec: JobSpec, **changes: object) -> JobSpec:
    return msgspec.structs.replace(spec, **changes)
