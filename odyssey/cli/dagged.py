"""`odyssey show --dag`: the jobs that hang together with one, as a tree.

Promises: the longest chain is marked, and told with its time where that is known.
Never: shows a job twice.
"""

from __future__ import annotations

from typing import Final

from odyssey.api.requests import Dag
from odyssey.api.views import DagView, JobView
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json, length, tasks, took_ms
from odyssey.cli.tree import branches

MARKS: Final = {"done": "✓", "failed": "✗", "cancelled": "✗", "skipped": "-", "running": "▶", "waiting": "·"}


def show_dag(desk: Desk, ref: str) -> None:
    view = desk.ask(Dag(ref))
    if as_json(desk, view):
        return
    known = {job.id: job for job in view.jobs}
    parents: dict[int, list[int]] = {job.id: [] for job in view.jobs}
    for parent, child in view.edges:
        parents[child].append(parent)
    for number, before in branches(parents):
        desk.output.text(f"{before}{_line(known[number], view)}")
    for line in _below(view, known):
        desk.output.text(line)


def _line(job: JobView, view: DagView) -> str:
    parts = [MARKS.get(job.state, "?"), str(job.id), job.name or job.command, job.state]
    parts += [tasks(job.tasks)] if job.tasks.total > 1 else []
    ran = took_ms(job)
    parts += [length(ran) or ""] if ran is not None else []
    parts += [f"({job.reason})"] if job.reason and job.state != "done" else []
    parts += ["*"] if job.id in view.chain else []
    parts += ["<- this one"] if job.id == view.id and len(view.jobs) > 1 else []
    return " ".join(part for part in parts if part)


def _below(view: DagView, known: dict[int, JobView]) -> list[str]:
    lines = []
    if view.chain:
        ran = sum(took_ms(known[job]) or 0 for job in view.chain)
        took = f", {length(ran)} so far" if ran else ""
        lines.append(f"* the longest chain: {' -> '.join(map(str, view.chain))}{took}")
    else:
        lines.append("no other job waits for it, and it waits for none")
    if view.more:
        lines.append(f"{view.more} more hang together with these")
    return lines
