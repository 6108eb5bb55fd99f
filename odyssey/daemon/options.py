"""How a daemon is told what to do: the words of its command line.

Promises: reads what `starting.command` writes.
Never: takes a secret: everybody on the machine can read these words.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Options(NamedTuple):
    home: Path
    is_embedded: bool = False  # started by the way: it speaks on its socket only
    foreground: bool = False
    ready: int = -1  # a pipe: told where the socket is, or why there is none
    owner: str = ""
    machine: str = ""
    mesh: str = ""
    listen: str = ""  # HOST:PORT
    join: int = -1  # a pipe: the invite, which nobody else is to read

    @property
    def is_owners_word(self) -> bool:
        """A person typed `odyssey up`."""
        return not self.is_embedded and not self.foreground


def read(words: Sequence[str]) -> Options:
    parser = argparse.ArgumentParser(prog="odyssey.daemon", allow_abbrev=False, add_help=False)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--embedded", dest="is_embedded", action="store_true")
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("--ready", type=int, default=-1)
    parser.add_argument("--join", type=int, default=-1)
    for name in ("owner", "machine", "mesh", "listen"):
        parser.add_argument(f"--{name}", default="")
    return Options(**vars(parser.parse_args(words)))
