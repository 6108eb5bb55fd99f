"""What a machine was given when it was let into a mesh, until its note says that it is in that mesh.

It lies in a folder of its own, so that a joining which is interrupted leaves the machine in the mesh it was in, with
its trust as it was; and one that was interrupted a moment later is gone on with at the next start.

Promises: the note decides; what is taken is of the mesh that the note names.
Never: asks anybody.
"""

from __future__ import annotations

from odyssey.daemon.founding import Belonging
from odyssey.lasting import sync_names
from odyssey.mesh.sidefiles import refused
from odyssey.mesh.trust import standing
from odyssey.paths import Home


def begin(home: Home) -> Home:
    """A home for what is given; empty."""
    coming = _coming(home)
    try:
        if coming.path.exists():
            _drop(coming)
        coming.identity.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise refused(coming.path, error) from error
    return coming


def take(home: Home, belonging: Belonging | None) -> None:
    """As often as it is interrupted; the trust goes last, since it says whose the rest is."""
    coming = _coming(home)
    if not coming.path.exists():
        return
    try:
        if belonging is not None and belonging.joined and standing.is_of(coming, belonging.anchor):
            if coming.peers.exists():
                coming.peers.replace(home.peers)
            coming.trust.replace(home.trust)
            sync_names(home.path)
            sync_names(home.identity)
        _drop(coming)
    except OSError as error:
        raise refused(coming.path, error) from error


def _drop(coming: Home) -> None:
    for path in (*coming.path.glob("identity/*"), *coming.path.glob("peers*")):
        path.unlink()
    if coming.identity.exists():
        coming.identity.rmdir()
    coming.path.rmdir()


def _coming(home: Home) -> Home:
    return Home(home.path / "joining")
