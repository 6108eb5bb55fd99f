"""What attempts have put into ODYSSEY_OUT, from the daemon's side: where it is, and when it goes.

Each is a folder with the attempt's name, made by the slot that ran it (`supervisor.workplace`). It is as old as its
name: whatever times it was given, the system notes when it was moved there.

Promises: what is younger than was asked for stays, and so does what belongs to a job that is not over.
Never: looks into a folder that stays.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from odyssey.exec.supervisor import emptying
from odyssey.exec.supervisor.workplace import kept
from odyssey.ids import AttemptId, TaskId


class Files:
    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def kept(self, task: TaskId, attempt: AttemptId) -> str | None:
        """None: it has kept nothing here."""
        path = kept(self._folder, task, attempt)
        return path if os.path.lexists(path) else None

    def sweep(self, before: float, is_live: Callable[[int], bool]) -> int:
        """Delete what was kept before this wall time, but of jobs that are live; how many. It may take long."""
        jobs, gone = os.path.join(self._folder, "jobs"), 0
        for job in _names(jobs):
            if job.isdigit() and is_live(int(job)):
                continue
            for name in _names(os.path.join(jobs, job)):
                path = os.path.join(jobs, job, name)
                with suppress(FileNotFoundError):
                    if os.lstat(path).st_ctime < before:
                        emptying.delete(path)
                        gone += 1
            with suppress(OSError):  # others are left in it
                os.rmdir(os.path.join(jobs, job))
        return gone


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
