"""How a machine leaves its mesh, as far as its own disk goes: what it had there is set aside, its keys are gone.

Leaving begins with a file that says where the old things go, and ends when that file is gone. Whoever is interrupted
between goes on where it was: the next start does it, or the next `leave`.

Promises: nothing of the mesh is active afterwards: no key, no certificate, no address; its log, history and output lie
together in one folder of `old`, readable; the root key of a mesh that others go on with is kept there too.
Never: runs beside a daemon of this home, or overwrites what an earlier leaving has set aside.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

from odyssey.daemon import founding
from odyssey.errors import OdysseyError
from odyssey.lasting import sync_names
from odyssey.mesh.sidefiles import refused
from odyssey.paths import Home, write_whole

_LONGEST: Final = 64
_UNKNOWN: Final = "unknown"
_NAME: Final = re.compile(r"[0-9a-z]+(-[0-9]+)?")


class Aside(NamedTuple):
    folder: Path
    has_root: bool  # the root key of the mesh is in it


def begin(home: Home) -> Path:
    """From here on this machine leaves; as often as it is said. Gives the folder where its things will be."""
    known = _folder(home)
    if known is not None:
        return known
    belonging = founding.load(home)
    first = belonging.mesh.hex()[:8] if belonging is not None else _UNKNOWN
    number, name = 1, first
    while (home.old / name).exists():
        number += 1
        name = f"{first}-{number}"
    try:
        write_whole(home.leaving, name.encode())
    except OSError as error:
        raise refused(home.leaving, error) from error
    return home.old / name


def stay(home: Home) -> None:
    """After all."""
    home.leaving.unlink(missing_ok=True)


def has_begun(home: Home) -> bool:
    return _folder(home) is not None


def finish(home: Home) -> Aside | None:
    """None: nobody had begun. The note of the mesh goes first: without it nobody takes the rest for a mesh's."""
    folder = _folder(home)
    if folder is None:
        return None
    try:
        _set_aside(home, folder)
        home.peers.unlink(missing_ok=True)
        founding.forget(home)
        sync_names(home.path)
        home.leaving.unlink(missing_ok=True)
        sync_names(home.path)
    except OSError as error:
        raise refused(folder, error) from error
    return Aside(folder, (folder / "root").exists())


def _set_aside(home: Home, folder: Path) -> None:
    founding.set_old_mesh_aside(home, folder.name)
    if home.root.exists():
        home.root.rename(folder / "root")
    try:
        belonging = founding.load(home)
    except OdysseyError:  # torn: nobody can say any more which mesh it was
        belonging = None
    if belonging is not None:
        founding.note(folder, belonging)
        sync_names(folder)


def _folder(home: Home) -> Path | None:
    try:
        name = home.leaving.read_bytes()[:_LONGEST].decode("ascii", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(home.leaving, error) from error
    return home.old / (name if _NAME.fullmatch(name) else _UNKNOWN)
