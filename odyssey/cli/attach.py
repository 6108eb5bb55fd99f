"""`odyssey attach`: back at a job that was left.

Promises: its output from the start, then as it comes; its exit status.
Never: gives it anything to read.
"""

from __future__ import annotations

from odyssey.api.requests import Job
from odyssey.cli.attached import Attached
from odyssey.cli.command import command, ref_argument
from odyssey.cli.desk import Desk


@command("attach", json=False)
@ref_argument()
def attach_command(desk: Desk, ref: str) -> int:
    """Come back to a job (42) or one of its tasks (42/7): its output from the start, Ctrl-C, and its exit status."""
    found = desk.ask(Job(ref, limit=0)).job
    task = ref.partition("/")[2]  # a number, or the daemon had refused it
    if task:
        return Attached(desk, found.id, task=int(task), is_grouped=False).stay()
    return Attached(desk, found.id, is_grouped=found.tasks.total > 1).stay()
