"""The jobs there are, for the shell's completion.

Promises: an answer at once or none: a daemon that does not run is not started, and no error is shown.
Never: prints.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from odyssey.api.requests import Jobs
from odyssey.errors import OdysseyError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from odyssey.api.views import JobView


def jobs(incomplete: str) -> list[CompletionItem]:
    from odyssey.cli.door import connect

    try:
        asker = connect(os.environ, start=False, say=lambda _: None)
        found = asker.call(Jobs(limit=200)).jobs
    except (OdysseyError, OSError):
        return []
    return matching(found, incomplete)


def matching(found: tuple[JobView, ...], incomplete: str) -> list[CompletionItem]:
    """Names first, since they are longer to type; then numbers; `last`."""
    from click.shell_completion import CompletionItem

    names = {job.name: job for job in reversed(found) if job.name}
    items = [CompletionItem(name, help=f"job {job.id}, {job.state}") for name, job in names.items()]
    items += [CompletionItem(str(job.id), help=f"{job.name or job.command}, {job.state}") for job in found]
    items.append(CompletionItem("last", help="the newest job"))
    return [item for item in items if item.value.startswith(incomplete)]
