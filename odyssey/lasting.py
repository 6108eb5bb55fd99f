"""What must still be there after a power cut: not only bytes have to be waited for, but also names.

A file that is synced is lost with its name when its folder was not, and with the name of its folder, up to the root.

Promises: what is said to last was waited for in this process; what the one before had only begun is waited for again.
Never: writes a byte.
"""

import os
from pathlib import Path


def sync_names(folder: Path) -> None:
    """The names in it are those that are there now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_above(folder: Path) -> None:
    """The name of a folder, and of every one above it that may have been made for it."""
    for above in folder.parents:
        try:
            sync_names(above)
            is_ours = above.stat().st_uid == os.geteuid()
        except OSError:  # it may not be looked into: then nothing was made in it
            return
        if not is_ours:
            return


class Folders:
    """Those of a home in which files are kept that somebody is told of. Each is made sure of once in each process: the
    one before may have been killed after it had made it."""

    def __init__(self, home: Path) -> None:
        self._home, self._sure = home, set[Path]()

    def make(self, folder: Path) -> None:
        """It is there, with the names that are in it now."""
        if folder in self._sure:
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for one in (folder, *folder.parents):
            sync_names(one)
            if one == self._home:
                break
        self._sure.add(folder)

    def doubt(self) -> None:
        """After an error of the disk."""
        self._sure.clear()
