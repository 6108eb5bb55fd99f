"""The control groups of supervisors of this home that were killed.

Where groups are made is noted in the home before they are, one path a line: the next supervisor may be in quite another
group than the one before. Its groups are thawed, so that what stands still in them can die, and removed.

Promises: a group is removed when nobody is in it, now or at a later start; the note is as short as what is left.
Never: touches a group of another home, whatever the note says.
"""

import os
import zlib
from collections.abc import Iterator
from contextlib import suppress


def thaw(home: str) -> None:
    """Whatever stands still in groups of this home: on some systems the frozen do not die."""
    for path in noted(home):
        for slot in _slots(path):
            for file, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                with suppress(OSError):
                    _write(os.path.join(slot, file), word)


def sweep(home: str) -> None:
    """Groups of this home in which nobody is."""
    left = list[str]()
    for path in noted(home):
        remove_slots(path)
        try:
            os.rmdir(path)
        except FileNotFoundError:
            pass
        except OSError:
            left.append(path)
    with suppress(OSError):
        if left:
            _rewrite(home, left)
        else:
            os.unlink(_notes(home))


def name(home: str) -> str:
    return f"odyssey-{zlib.crc32(os.fsencode(home)):08x}"


def _notes(home: str) -> str:
    return os.path.join(home, "groups")


def noted(home: str) -> list[str]:
    """Only what is ours by its name, whatever the file says."""
    own = name(home)
    return [path for path in dict.fromkeys(_lines(home)) if os.path.basename(path) == own]


def note(home: str, path: str) -> None:
    with suppress(OSError), open(_notes(home), "a", encoding="utf-8") as file:
        file.write(f"{path}\n")


def _rewrite(home: str, paths: list[str]) -> None:
    new = f"{_notes(home)}.new"
    with open(new, "w", encoding="utf-8") as file:
        file.writelines(f"{path}\n" for path in paths)
    os.rename(new, _notes(home))


def _slots(path: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield entry.path


def remove_slots(path: str) -> None:
    for slot in _slots(path):
        with suppress(OSError):
            os.rmdir(slot)


def _lines(home: str) -> list[str]:
    with suppress(OSError), open(_notes(home), encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
    return []


def _write(path: str, word: str) -> None:
    with open(path, "r+", encoding="utf-8") as file:
        file.write(word)
