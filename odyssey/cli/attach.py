"""`odyssey attach`: back at a job that was left.

Promises: its output from the start, then as it comes; its exit status. One with a terminal gets the person's again.
Never: gives any other one anything to read.
"""

from __future__ import annotations

import click

from odyssey.api.requests import Job, Mark, Where
from odyssey.cli.attached import Attached
from odyssey.cli.command import command, ref_argument
from odyssey.cli.desk import Desk
from odyssey.cli.sitting import Sitting
from odyssey.cli.terminal import Terminal


@command("attach", json=False)
@ref_argument()
@click.option("--take", is_flag=True, help="type there, also if somebody else does")
def attach_command(desk: Desk, ref: str, take: bool) -> int:
    """Come back to a job (42) or one of its tasks (42/7): its output from the start, Ctrl-C, and its exit status.

    A job with a terminal (run -it) has yours again: it draws its screen anew, and what you type goes to it, unless
    somebody else types there already (--take: that one looks on). Leave it with Enter ~ . and it goes on.
    """
    detail = desk.ask(Job(ref, limit=0))
    found = detail.job
    terminal = Terminal(0)
    if detail.spec.has_terminal and terminal.is_there and found.ended_at is None:
        return Sitting(desk, found.id, terminal, at=_shown(desk, found.id), takes=take).stay()
    task = ref.partition("/")[2]  # a number, or the daemon had refused it
    if task:
        return Attached(desk, found.id, task=int(task), is_grouped=False).stay()
    return Attached(desk, found.id, is_grouped=found.tasks.total > 1).stay()


def _shown(desk: Desk, job: int) -> Mark | None:
    """The attempt that runs, and how much it has shown; None: none does."""
    for task in desk.ask(Where(str(job))).tasks:
        if task.attempt is not None and task.state in ("assigned", "running", "cancelling"):
            return Mark(task.attempt, task.stdout_bytes or 0)
    return None
