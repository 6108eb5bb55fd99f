"""`odyssey show`: all about one job.

Promises: every task of the job in JSON; on a terminal those that people ask about first, and how to see the others.
Never: shows a value that was handed over as a secret.
"""

from __future__ import annotations

from shlex import quote
from typing import Final

import click
import msgspec

from odyssey.api.requests import Job
from odyssey.api.views import JobDetail, SpecView, TaskView
from odyssey.cli.command import command, ref_argument
from odyssey.cli.desk import Desk
from odyssey.cli.output import Cell, Column
from odyssey.cli.telling import as_json, length, moment, tasks, took_ms
from odyssey.errors import one_line
from odyssey.resources import show_duration, show_size_rounded

PAGE: Final = 1000
TASKS_SHOWN: Final = 20
COLUMNS: Final = (
    Column("TASK"),
    Column("STATE"),
    Column("EXIT"),
    Column("TRIES"),
    Column("NODE"),
    Column("TOOK"),
    Column("REASON"),
)


@command("show")
@click.option("--dag", is_flag=True, help="the jobs it waits for and that wait for it, as a tree with their states")
@ref_argument()
def show_command(desk: Desk, ref: str, dag: bool) -> None:
    """All about one job: what was asked, what became of each task, and every try."""
    if dag:
        from odyssey.cli.dagged import show_dag

        show_dag(desk, ref)
        return
    is_short = desk.output.out.is_terminal and not desk.output.as_json
    detail = desk.ask(Job(ref, limit=TASKS_SHOWN)) if is_short else _whole(desk, ref)
    if as_json(desk, detail):
        return
    for name, value in _facts(desk, detail):
        if value:
            desk.output.text(f"{name:<11} {value}")
    rows = [_row(task) for task in detail.task_list]
    if len(rows) == 1 and len(detail.task_list[0].tries) <= 1:
        return
    desk.output.text()
    desk.output.table(COLUMNS, rows)
    if detail.next_task is not None:
        left = detail.job.tasks.total - len(rows)
        desk.output.text(f"… and {left} more: odyssey show {detail.job.id} --json")


def _whole(desk: Desk, ref: str) -> JobDetail:
    detail = page = desk.ask(Job(ref, limit=PAGE))
    every: list[TaskView] = list(page.task_list)
    while page.next_task is not None:
        page = desk.ask(Job(str(detail.job.id), page.next_task, PAGE))
        every += page.task_list
    return msgspec.structs.replace(detail, task_list=tuple(every), next_task=None)


def _facts(desk: Desk, detail: JobDetail) -> list[tuple[str, str | None]]:
    job, spec = detail.job, detail.spec
    code = "" if job.exit_code is None else f", exit {job.exit_code}"
    why = f": {job.reason}" if job.reason and job.reason not in (job.state, f"exit {job.exit_code}") else ""
    return [
        ("job", f"{job.id} {job.name}".rstrip()),
        ("state", f"{'held, ' if job.is_held else ''}{job.state}{code}{why}"),
        ("command", command_line(spec.argv)),
        ("folder", one_line(spec.cwd.decode("utf-8", "backslashreplace"))),
        ("asks for", _needs(spec)),
        ("tasks", tasks(job.tasks) if job.tasks.total > 1 else None),
        ("priority", str(job.priority) if job.priority else None),
        ("after", ", ".join(map(str, detail.parents))),
        ("before", ", ".join(map(str, detail.children))),
        ("machine", job.node),
        ("submitted", f"{moment(desk, job.submitted_at)} by {job.user}"),
        ("started", moment(desk, job.started_at)),
        ("ended", moment(desk, job.ended_at)),
        ("took", length(took_ms(job))),
        ("variables", " ".join(_variable(name, value) for name, value in spec.env)),
    ]


def command_line(argv: tuple[bytes, ...]) -> str:
    return one_line(" ".join(quote(word.decode("utf-8", "backslashreplace")) for word in argv))


def _needs(spec: SpecView) -> str:
    parts = [f"{spec.cpus} cpus" if spec.cpus != "1" else "1 cpu"]
    parts.append(f"{show_size_rounded(spec.memory_bytes)}{' at most' if spec.memory_is_limit else ''}")
    parts += [f"{spec.gpus} GPUs"] if spec.gpus else []
    parts += [f"{show_size_rounded(spec.disk_bytes)} of disk"] if spec.disk_bytes else []
    parts += ["a terminal"] if spec.has_terminal else []
    parts += [f"{show_duration(spec.timeout_ms)} at most"] if spec.timeout_ms else []
    parts += [f"--needs {spec.needs}"] if spec.needs else []
    parts += [f"{spec.os} {spec.arch}".strip()] if spec.os or spec.arch else []
    parts += [f"on {', '.join(spec.on)}"] if spec.on else []
    parts += [f"not on {', '.join(spec.avoid)}"] if spec.avoid else []
    return one_line(", ".join(parts))


def _variable(name: bytes, value: bytes | None) -> str:
    shown = "(hidden)" if value is None else quote(value.decode("utf-8", "backslashreplace"))
    return one_line(f"{name.decode('utf-8', 'backslashreplace')}={shown}")


def _row(task: TaskView) -> list[Cell]:
    last = task.tries[-1] if task.tries else None
    took = None
    if last is not None and last.started_at is not None and last.ended_at is not None:
        took = length(last.ended_at - last.started_at)
    return [
        task.index,
        task.state,
        task.exit_code,
        task.tries_total,
        last.node if last else None,
        took,
        task.reason or (last.reason if last else None),
    ]
