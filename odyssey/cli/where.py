"""`odyssey where`: on which machine each task of a job runs or ran, how much of its output is kept there, and in which
folder what it has put into ODYSSEY_OUT.

Promises: every task, page after page; sizes are exact where no person reads them.
Never: says of a size that is not known that it is 0.
"""

from __future__ import annotations

import os
from typing import Final

from odyssey.api.documents import document
from odyssey.api.requests import Where
from odyssey.api.views import TaskWhere
from odyssey.cli.command import command, ref_argument
from odyssey.cli.desk import Desk
from odyssey.cli.output import Column
from odyssey.resources import show_size_rounded

COLUMNS: Final = (
    Column("TASK"),
    Column("STATE"),
    Column("NODE"),
    Column("STDOUT"),
    Column("STDERR"),
    Column("CUT"),
    Column("FILES"),
)


@command("where")
@ref_argument()
def where_command(desk: Desk, ref: str) -> None:
    """Where the tasks of a job run or ran, how much of their output is kept, and what they put into ODYSSEY_OUT."""
    view = desk.ask(Where(ref))
    tasks: list[TaskWhere] = list(view.tasks)
    job = view.id
    while view.next_task is not None:
        view = desk.ask(Where(str(job), view.next_task))
        tasks += view.tasks
    if desk.output.as_json:
        desk.output.json({"id": job, "tasks": document(tasks)})
        return
    desk.output.table(COLUMNS, [_row(desk, one) for one in tasks])
    folders = sorted({os.path.dirname(one.files) for one in tasks if one.files is not None})
    if folders and desk.output.out.is_terminal:
        desk.output.say(f"the files are in {folders[0]}")


def _row(desk: Desk, one: TaskWhere) -> list[int | str | None]:
    sizes = (one.stdout_bytes, one.stderr_bytes, one.cut_bytes or None)
    if desk.output.out.is_terminal:
        shown = (None if size is None else show_size_rounded(size) for size in sizes)
        return [one.index, one.state, one.node, *shown, one.files and os.path.basename(one.files)]
    return [one.index, one.state, one.node, *sizes, one.files]
