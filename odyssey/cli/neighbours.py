"""What people type who come from other tools, and how it is said here.

Promises: every answer is a hint that can be followed as it stands.
Never: accepts the foreign word: what is silently taken is silently misunderstood.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_NOT_NEEDED: Final = "not needed: all your machines are used"
_TIME: Final = "--timeout {value}, with a unit: 90s, 15m, 2h"
_STREAMS: Final = "not needed: the job's streams are yours; redirect with > and 2>"

_OPTIONS: Final[dict[str, str]] = {
    # GNU parallel, xargs
    "--sshlogin": _NOT_NEEDED,
    "--sshloginfile": _NOT_NEEDED,
    "-S": _NOT_NEEDED,
    "--slf": _NOT_NEEDED,
    "--transfer": "not needed on one machine: tasks run in your own folder",
    "--bar": "--eta",
    "--progress": "--eta",
    "--ungroup": "not there: output comes task by task; look at one with odyssey logs -f ID/TASK",
    "-u": "not there: output comes task by task; look at one with odyssey logs -f ID/TASK",
    "--line-buffer": "not there: output comes task by task; look at one with odyssey logs -f ID/TASK",
    "--lb": "not there: output comes task by task; look at one with odyssey logs -f ID/TASK",
    "--xapply": ":::+ in place of the second :::",
    "--link": ":::+ in place of the second :::",
    "--max-procs": "-j {value}",
    "-P": "-j {value}",
    "-I": "write {{}} where the item goes",
    "-N": "-n {value}",
    "-L": "-n {value}",
    "--delimiter": "-0 with items that end in a NUL byte",
    "-d": "--detach, or for map: -0 with items that end in a NUL byte",
    "--pipe": "split the input first: split -l 1000 input part- && odyssey map -- COMMAND ::: part-*",
    "--will-cite": "not needed",
    # Slurm, PBS
    "--gres": "--gpus {gpus}",
    "-G": "--gpus {value}",
    "--cpus-per-task": "--cpus {value}",
    "-c": "--cpus {value}",
    "--ntasks": "--array 1-{value}, or odyssey map",
    "--nodes": _NOT_NEEDED,
    "-N1": _NOT_NEEDED,
    "--partition": _NOT_NEEDED,
    "--account": "not needed",
    "--qos": "--priority N",
    "--time": _TIME,
    "-t": f"{_TIME}; or for a terminal, one job: odyssey run -it -- COMMAND",
    "-i": "odyssey run -it -- COMMAND: a terminal is for one job",
    "--job-name": "--name {value}",
    "-J": "--name {value}",
    "--dependency": "--after ID, or --after-any ID",
    "--nodelist": "--on {value}",
    "-w": "--on {value}",
    "--exclude": "--avoid {value}",
    "-x": "--avoid {value}",
    "--mem-per-cpu": "--mem SIZE for each task as a whole",
    "--output": _STREAMS,
    "--error": _STREAMS,
    "-o": _STREAMS,
    "--export": "-e NAME, or -e NAME=VALUE, for each variable",
    "--wrap": "odyssey run -- sh -c '…'",
    "--requeue": "not needed: what a machine breaks is tried again; --retries N for the job's own failures",
    # docker, others
    "--memory": "--mem {value}",
    "-m": "--mem {value}",
    "--cpu": "--cpus {value}",
    "--num-cpus": "--cpus {value}",
    "--num-gpus": "--gpus {value}",
    "--gpu": "--gpus {value}",
    "--rm": "not needed",
    "--env-file": "-e NAME=VALUE for each variable",
    "--background": "--detach",
    "-b": "--detach",
    "--host": "--on {value}",
}
_COMMANDS: Final[dict[str, str]] = {
    "kill": "cancel",
    "stop": "cancel",
    "rm": "cancel",
    "scancel": "cancel",
    "qdel": "cancel",
    "start": "up",
    "ls": "ps",
    "list": "ps",
    "jobs": "ps",
    "squeue": "ps",
    "qstat": "ps",
    "exec": "run",
    "srun": "run",
    "sbatch": "submit",
    "qsub": "submit",
    "parallel": "map",
    "xargs": "map",
    "log": "logs",
    "output": "logs",
    "tail": "logs",
    "rerun": "retry",
    "sinfo": "nodes",
    "inspect": "show",
    "info": "show",
    "fg": "attach",
}


def option_hint(option: str, words: Iterable[str]) -> str | None:
    """For an option that is not ours; `words` are all that was typed, to find its value in."""
    answer = _OPTIONS.get(option)
    if answer is None:
        return None
    value = _value(option, list(words))
    gpus = value.rpartition(":")[2] if value.rpartition(":")[2].isdigit() else "1"
    return answer.format(value=value or "N", gpus=gpus)


def command_hint(word: str) -> str | None:
    return _COMMANDS.get(word)


def _value(option: str, words: list[str]) -> str:
    for place, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and place + 1 < len(words) and not words[place + 1].startswith("-"):
            return words[place + 1]
        if len(option) == 2 and word.startswith(option) and word != option:
            return word[2:]
    return ""
