"""One run: hosts in one mesh, people at their doors, a story of troubles, and the account afterwards.

Promises: what is judged is what people were told and what jobs have witnessed; nothing is left when it ends.
Never: repeats exactly: real machines do not. The story and what people do is the same for the same seed.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from odyssey.api import requests as r
from odyssey.errors import OdysseyError
from odyssey.paths import find_home, known_socket
from tests import linear_jobs
from tests.chaos import witness
from tests.chaos.acting import Acting
from tests.chaos.story import Trouble, story
from tests.chaos.users import DONE, Memory, User, asked
from tests.lab import Host, Lab

USERS: Final = 3
WHOLE_S: Final = 90.0
KEEPERS_S: Final = 120.0
OVER_S: Final = 180.0
PLACE: Final = Path("/var/tmp")  # hosts share it


class Account(NamedTuple):
    seed: int
    jobs: int
    tasks: int
    calls: int
    unknown: int
    tries: int
    refusals: Mapping[str, int]
    states: Counter[str]
    outcomes: Counter[str]
    recovery_s: float  # from the end of the story until nothing was unfinished
    complaints: tuple[str, ...]


def run(seed: int, hosts: int, seconds: int, say: Callable[[str], None], keep: Path | None = None) -> Account:
    folder = Path(tempfile.mkdtemp(prefix="odyssey-chaos-", dir=PLACE))
    try:
        with Lab(hosts) as lab:
            try:
                _become_one(lab, say)
                return _told(lab, seed, seconds, folder, say)
            finally:
                if keep is not None:
                    _keep(lab, folder, keep)
    finally:
        shutil.rmtree(folder)


def _become_one(lab: Lab, say: Callable[[str], None]) -> None:
    first, *others = lab
    first.run("odyssey", "up", "--listen", "0.0.0.0:7660")
    invite = str(json.loads(first.run("odyssey", "invite", "--uses", str(len(others)), "--json").out)["invite"])
    for host in others:
        host.run("odyssey", "join", "-", stdin=invite)
    _until(lambda: _are_up(lab) and _status(lab[-1])["quorum"]["need"] > 1, KEEPERS_S, "several keepers")
    say(f"{len(lab)} machines are one mesh")


def _told(lab: Lab, seed: int, seconds: int, folder: Path, say: Callable[[str], None]) -> Account:
    memory, acting, troubles = Memory(), Acting(lab), story(seed, len(lab), seconds)
    doors = [lambda host=host: door(host) for host in lab]
    users = [User(1000 * seed + number, doors, memory, folder) for number in range(USERS)]
    for user in users:
        user.start()
    try:
        _tell(troubles, seconds, acting, say)
    finally:
        for user in users:
            user.stop()
        for user in users:
            user.join()
    acting.mend()
    ended = time.monotonic()
    say(f"mended; {len(memory.wishes)} jobs were wished for, {len(memory.jobs)} acknowledged")
    _until(lambda: _are_up(lab), WHOLE_S, "all machines up again")
    _until(lambda: not _unfinished(lab[0]), OVER_S, "all jobs over")
    bugs = [f"a user's own bug: {user.bug!r}" for user in users if user.bug is not None]
    return _judged(lab, seed, memory, acting, folder, time.monotonic() - ended, bugs)


def _tell(troubles: Sequence[Trouble], seconds: int, acting: Acting, say: Callable[[str], None]) -> None:
    """Each begins and ends at its time, or as soon after that as what comes before it is done."""
    began = time.monotonic()
    moments = sorted([(one.at_ms, True, one) for one in troubles] + [(one.until_ms, False, one) for one in troubles])
    moments.sort(key=lambda one: one[0])
    for at_ms, is_begin, trouble in moments:
        time.sleep(max(0.0, began + at_ms / 1000 - time.monotonic()))
        if is_begin:
            say(str(trouble))
            acting.begin(trouble)
        else:
            acting.end(trouble)
    time.sleep(max(0.0, began + seconds - time.monotonic()))


# -- what is there -----------------------------------------------------------------------------------------------------


def door(host: Host) -> str | None:
    """The socket of its daemon, as it is seen from outside."""
    if not host.is_on:
        return None
    environment = {"HOME": str(host.folder / "home"), "USER": "root"}
    homes = list((host.folder / "home/.local/state/odyssey").glob("*"))
    if not homes:
        return None
    environment["ODYSSEY_HOME"] = str(homes[0])
    path = known_socket(find_home(environment), environment)
    return str(host.folder / path.relative_to("/")) if path is not None else None


def _status(host: Host) -> Any:
    return json.loads(host.run("odyssey", "status", "--json").out)


def _are_up(lab: Lab) -> bool:
    for host in lab:
        done = host.run("odyssey", "nodes", "--json", check=False)
        if done.status or [one["state"] for one in json.loads(done.out)] != ["up"] * len(lab):
            return False
    return True


def _unfinished(host: Host) -> int:
    jobs = _status(host)["jobs"]
    return int(jobs["waiting"] + jobs["running"])


def _until(fact: Callable[[], bool], patience_s: float, what: str) -> None:
    deadline = time.monotonic() + patience_s
    while not fact():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {patience_s:g} s: {what}")
        time.sleep(0.5)


# -- the judgement -----------------------------------------------------------------------------------------------------


def _judged(
    lab: Lab, seed: int, memory: Memory, acting: Acting, folder: Path, recovery_s: float, bugs: Sequence[str]
) -> Account:
    states: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    complaints = [*bugs, *linear_jobs.complaints(memory.history)]
    tries = tasks = 0
    for number, job in memory.jobs.items():
        view = _asked(lab[number % len(lab)], r.Job(str(job)))
        signs = witness.signs(folder / str(number))
        for task in view.task_list:
            tasks, tries = tasks + 1, tries + task.tries_total
            states[task.state] += 1
            outcomes.update(f"{one.outcome}: {one.reason or ''}" for one in task.tries)
        found = [*_of_job(view, signs, number in memory.cancelled), *witness.ran_again(signs)]
        found += witness.together(signs, acting.stood)
        complaints += [f"job {job}: {text}" for text in found]
    unknown = sum(not call.is_known for call in memory.history)
    return Account(
        *(seed, len(memory.jobs), tasks, len(memory.history), unknown, tries, memory.refusals, states, outcomes),
        *(recovery_s, tuple(complaints)),
    )


def _of_job(view: Any, signs: Sequence[witness.Sign], may_be_cancelled: bool) -> Iterator[str]:
    whole = {(sign.task, sign.attempt) for sign in signs if sign.word == "end"}
    for task in view.task_list:
        if task.state == "done":
            if (task.index, task.tries[-1].attempt) not in whole:
                yield f"task {task.index} is done, and its try {task.tries[-1].attempt} was not seen to end"
        elif task.state not in DONE:
            yield f"task {task.index} is {task.state}"
        elif not may_be_cancelled:
            yield f"task {task.index} is {task.state}: {task.reason}"


def _asked(host: Host, request: r.Request[Any]) -> Any:
    path = door(host)
    assert path is not None
    try:
        return asked(path, request, 20.0)
    except OdysseyError as error:
        raise AssertionError(f"{host.name} refuses {request}: {error.message}") from error


def _keep(lab: Lab, folder: Path, keep: Path) -> None:
    """What the daemons wrote, and the witnesses, for whoever looks for a bug."""
    keep.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, keep / "witnesses", dirs_exist_ok=True)
    for host in lab:
        for home in (host.folder / "home/.local/state/odyssey").glob("*"):
            shutil.copytree(home / "logs", keep / host.name, dirs_exist_ok=True)


@contextmanager
def timed(say: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    began = time.monotonic()
    yield lambda text: say(f"{time.monotonic() - began:7.1f}  {text}")


def told(account: Account) -> Iterator[str]:
    yield f"{account.jobs} jobs, {account.tasks} tasks, {account.tries} tries; {account.calls} questions, "
    yield f"  of which nobody answered {account.unknown}"
    yield f"states {dict(account.states)}; ends of tries {dict(account.outcomes)}"
    yield f"refusals {dict(account.refusals)}"
    yield f"all over {account.recovery_s:.1f} s after the last trouble"
    yield from (f"COMPLAINT {text}" for text in account.complaints)
    yield f"seed {account.seed}: {len(account.complaints)} complaints"


def main(seed: int, hosts: int, seconds: int, keep: Path | None) -> int:
    with timed(lambda text: print(text, flush=True)) as say:
        account = run(seed, hosts, seconds, say, keep)
    for line in told(account):
        print(line)
    return 1 if account.complaints else 0


if __name__ == "__main__":
    sys.exit("use python -m tests.chaos")
