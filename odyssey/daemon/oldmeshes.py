"""Meshes that this machine was in: what is kept of them under `old`, to be read without a daemon.

Promises: jobs are shown as this machine knew them when it left; one mesh that cannot be read does not hide the others.
Never: changes what the log there says, or takes up anything of it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from odyssey import wire
from odyssey.api import project, views
from odyssey.api.project import Records
from odyssey.api.tally import counted
from odyssey.book import Book
from odyssey.daemon import founding
from odyssey.errors import OdysseyError
from odyssey.ids import JobId, NodeNumber, job_of
from odyssey.mesh.history import History
from odyssey.mesh.home import NAME
from odyssey.mesh.letters import entry_of
from odyssey.mesh.raft.types import Config, Kind, LogEntry
from odyssey.mesh.sqlite_files import Found, look_back
from odyssey.model import Job, Task
from odyssey.paths import Home
from odyssey.scheduler.segments import Contents, contents
from odyssey.scheduler.state import State


class OldMesh(NamedTuple):
    name: str
    folder: Path
    jobs: tuple[views.JobView, ...] = ()  # the newest first
    trouble: OdysseyError | None = None


def old_meshes(home: Home) -> Iterator[OldMesh]:
    """The one that was left last comes first."""
    try:
        folders = [folder for folder in home.old.iterdir() if (folder / NAME).exists()]
    except OSError:
        return
    for folder in sorted(folders, key=lambda folder: folder.stat().st_ctime_ns, reverse=True):
        name = folder.name
        try:
            belonging = founding.noted(folder)
            name = belonging.name if belonging is not None else name
            yield OldMesh(name, folder, _jobs(folder))
        except OdysseyError as trouble:
            yield OldMesh(name, folder, trouble=trouble)


def _jobs(folder: Path) -> tuple[views.JobView, ...]:
    found, slices = look_back(folder / NAME)
    state = _state(found, slices)
    records, tasks = project.records_of(state), dict[JobId, list[Task]]()
    for task in state.tasks.values():
        tasks.setdefault(job_of(task.id), []).append(task)
    shown: dict[int, views.JobView] = {
        job.id: _view(job, tasks.get(job.id, []), records) for job in state.jobs.values()
    }
    for view in _history(folder, found.identity.mesh, state):
        shown.setdefault(view.id, view)
    return tuple(shown[number] for number in sorted(shown, reverse=True))


def _state(found: Found, slices: list[bytes]) -> State:
    book = Book()
    if found.base.snapshot.index:
        book.load(slices)
    line = found.identity.lineage
    book.apply([entry_of(one, line.number_at(one.index)) for one in _agreed(found)])
    return book.state


def _agreed(found: Found) -> list[LogEntry]:
    """Who alone votes has agreed on all that it wrote."""
    configs = [wire.decode(one.data, Config) for one in found.entries if one.kind is Kind.CONFIG]
    last = configs[-1] if configs else found.base.snapshot.config
    if [one.node for one in last.voters] == [found.identity.node]:
        return list(found.entries)
    return [one for one in found.entries if one.index <= found.held.hard.commit]


def _history(folder: Path, mesh: bytes, state: State) -> Iterator[views.JobView]:
    path = folder / "history.db"
    if not path.exists():
        return
    history = History(path, mesh)
    try:
        for segment in state.segments.values():
            data = history.get(segment.digest)
            if data is not None:
                yield from _archived(contents(data))
    finally:
        history.close()


def _archived(opened: Contents) -> Iterator[views.JobView]:
    def name(number: NodeNumber) -> str:
        return opened.names.get(number, f"machine {number}")

    for kept in opened.jobs:
        records = Records({kept.job.id: kept.job}, {one.id: one for one in kept.tasks}, name)
        yield _view(kept.job, list(kept.tasks), records)


def _view(job: Job, tasks: list[Task], records: Records) -> views.JobView:
    tally = counted(job, tasks)
    return project.job_view(job, tally, project.failed_task(records, job, tally), records.name)
