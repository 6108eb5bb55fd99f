"""`odyssey history --old`: jobs of meshes that this machine was in.

Promises: nothing is asked of a daemon, and none is started: what is read lies on this disk.
Never: changes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from odyssey.api.documents import document
from odyssey.api.views import JobView
from odyssey.cli.desk import Desk
from odyssey.cli.output import Cell, Column
from odyssey.cli.telling import counted
from odyssey.errors import UsageError
from odyssey.paths import find_home

_HINT: Final = "odyssey history shows the jobs of the mesh that it is in"


def show_old(
    desk: Desk,
    fits: Callable[[JobView], bool],
    most: int,
    columns: tuple[Column, ...],
    row: Callable[[Desk, JobView], list[Cell]],
) -> None:
    """The newest `most` that fit, of each mesh."""
    from odyssey.daemon.oldmeshes import old_meshes

    meshes = list(old_meshes(find_home(desk.environment)))
    if not meshes:
        raise UsageError("this machine has left no mesh", hint=_HINT)
    documents = []
    for mesh in meshes:
        jobs = [job for job in mesh.jobs if fits(job)][:most]
        if mesh.trouble is not None:
            desk.output.say(f"{mesh.name} cannot be read: {mesh.trouble.message} ({mesh.folder})")
        elif desk.output.as_json:
            documents += [{**document(job), "mesh": mesh.name} for job in jobs]
        else:
            desk.output.say(f"{mesh.name}: {counted(len(jobs), 'job')} (all that is left of it: {mesh.folder})")
            desk.output.table(columns, [row(desk, job) for job in jobs])
    if desk.output.as_json:
        desk.output.json(documents)
