"""What a person may ask of a job, as one table: the options of `run`, `map` and `submit`, the keys of a flow, the
keywords of a program.

Promises: each row turns the text a person wrote into a part of the specification, or says what would be right.
Never: reads the world; what the sender's environment holds is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from odyssey.errors import UsageError, echo
from odyssey.ids import MAX_TASKS, UserId
from odyssey.resources import M, Resources, parse_count, parse_cpus, parse_duration, parse_size
from odyssey.spec import MAX_PRIORITY, MAX_RETRIES, RETRY_WORDS, JobSpec, Want

_MOST_DIGITS: Final = 18
DEFAULT_MEMORY: Final = 512 * M
INTERPRETERS: Final = frozenset({"python", "python3", "sh", "bash", "zsh", "perl", "ruby", "node", "Rscript", "julia"})

Asked = Mapping[str, Any]  # option, without its dashes -> its text, texts, or True
Parts = dict[str, Any]  # fields of the specification


class Option(NamedTuple):
    name: str
    metavar: str  # "": a flag
    help: str
    is_many: bool = False
    short: str = ""
    is_of_one: bool = True  # of each job of a flow too, not of a command line alone

    @property
    def key(self) -> str:
        return self.name.removeprefix("--")


OPTIONS: Final = (
    Option("--name", "NAME", "what the job is called, instead of its command"),
    Option("--tag", "K=V", "mark the job", is_many=True),
    Option("--cpus", "N", "cpus each task gets, such as 2 or 0.5 (1)"),
    Option("--mem", "SIZE", "memory each task gets, at most: 512M, 2G (512M are set aside, without a limit)"),
    Option("--gpus", "N", "GPUs each task gets"),
    Option("--gpu-mem", "SIZE", "memory each of these GPUs must have"),
    Option("--disk", "SIZE", "disk space each task needs"),
    Option("--timeout", "DUR", "end a task that runs longer: 90s, 15m, 2h (status 124)"),
    Option("--retries", "N", "start a task again that fails by itself, so many times (0)"),
    Option("--retry-on", "WHAT", f"only after: {', '.join(RETRY_WORDS)}", is_many=True),
    Option("--priority", "N", f"-{MAX_PRIORITY} to {MAX_PRIORITY}; higher starts earlier (0)"),
    Option("--on", "NAME", "only on this machine", is_many=True),
    Option("--avoid", "NAME", "not on this machine", is_many=True),
    Option("--needs", "EXPR", "only where the labels fit: has:ffmpeg, cuda>=12"),
    Option("--os", "NAME", "only on this system: linux, darwin"),
    Option("--arch", "NAME", "only on this architecture: x86_64, arm64"),
    Option("--after", "ID", "start when this job is done; skipped if it fails", is_many=True),
    Option("--after-any", "ID", "start when this job has ended, however", is_many=True),
    Option("--once", "", "never start a task twice, even when its machine is lost"),
    Option("--overlap", "ok", "two copies may run when a machine is late"),
    Option("--patience", "DUR", "how long a silent machine may keep a task"),
    Option("--env", "K=V", "a variable of the environment; K alone takes its value from here", True, "-e"),
    Option("--secret", "NAME", "a variable from here whose value is never shown", is_many=True),
    Option("--array", "0-99", "one task for each number, in ODYSSEY_INDEX; 0-99:2 in steps"),
    Option("--hold", "", "do not start it before odyssey release"),
)
BY_KEY: Final = {one.key: one for one in OPTIONS}


def build(asked: Asked, argv: Sequence[bytes], cwd: bytes, env: Mapping[bytes, bytes], shell: Asked) -> JobSpec:
    """The specification; `env` are the sender's hints, `shell` the variables that `-e NAME` may name.

    References to other jobs (`--after`) are left to whoever can resolve them.
    """
    parts: Parts = {}
    for key, read in _READ.items():
        if (value := asked.get(key)) not in (None, (), False):
            parts |= read(value)
    given = dict(env) | variables(asked, shell)
    hidden = tuple(name.encode() for name in asked.get("secret") or ())
    need = Resources(
        parts.pop("cpu_milli", 1000),
        parts.pop("memory", DEFAULT_MEMORY),
        parts.pop("gpus", 0),
        parts.pop("disk", 0),
    )
    want = Want(
        need=need,
        key=learned_as(argv),
        **{field: parts.pop(field) for field in ("gpu_memory", "needs", "os", "arch", "on", "avoid") if field in parts},
    )
    return JobSpec(
        user=UserId(""),  # the daemon knows who asks
        argv=tuple(argv),
        want=want,
        cwd=cwd,
        env=tuple(sorted(given.items())),
        hidden=hidden,
        **parts,
    )


def learned_as(argv: Sequence[bytes]) -> str:
    """Under which name run times are learned: the program, or with an interpreter its script."""
    words = [word.decode("utf-8", "replace") for word in argv]
    if not words:
        return ""
    program = words[0].rpartition("/")[2]
    if re.sub(r"[0-9.]+$", "", program) in INTERPRETERS and len(words) > 1 and not words[1].startswith("-"):
        program += " " + words[1].rpartition("/")[2]
    return program[:64]


def variables(asked: Asked, shell: Asked) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for text in asked.get("env") or ():
        name, given, value = text.partition("=")
        found[_bytes(name)] = _bytes(value if given else _from_shell(name, "--env", shell))
    for name in asked.get("secret") or ():
        if "=" in name:
            raise UsageError(
                "--secret takes a name, not a value", hint=f"export {name.partition('=')[0]} first: words can be seen"
            )
        found[_bytes(name)] = _bytes(_from_shell(name, "--secret", shell))
    return found


def _from_shell(name: str, option: str, shell: Asked) -> str:
    if name not in shell:
        raise UsageError(f"{option} {echo(name)}: there is no such variable here", hint=f"write -e {echo(name)}=VALUE")
    return str(shell[name])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# ---- one reader for each option --------------------------------------------------------------------------------------


def parse_array(text: str) -> Parts:
    found = re.fullmatch(r"(-?[0-9]{1,9})(?:-(-?[0-9]{1,9}))?(?::([0-9]{1,9}))?", text.strip())
    if not found:
        hint = "write --array 0-99, or --array 0-99:2 in steps of 2"
        if "," in text:
            hint = f"use map for a list: odyssey map -- COMMAND ::: {' '.join(text.split(',')[:4])}"
        if "%" in text:
            hint = f"write --array {text.partition('%')[0]}; how many run at once is up to --cpus"
        raise UsageError(f"--array {echo(text)} is not understood", hint=hint)
    first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
    if step < 1:
        raise UsageError("--array has a step of 0", hint="write --array 0-99:2, or without a step")
    if last < first:
        raise UsageError(f"--array {echo(text)} is empty", hint=f"write --array {last}-{first}")
    count = (last - first) // step + 1
    if count > MAX_TASKS:
        raise UsageError(f"--array {echo(text)} has {count} tasks", hint=f"use at most {MAX_TASKS}")
    return {"start": first, "step": step, "count": count}


def _number(text: str, option: str, most: int, least: int = 0) -> int:
    hint = f"write {option} with a whole number from {least} to {most}"
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise UsageError(f"{option} {echo(text)} is not a whole number", hint=hint)
    if len(digits) > _MOST_DIGITS or not least <= int(text) <= most:
        raise UsageError(f"{option} {echo(text)} is out of range", hint=hint)
    return int(text)


def _name(text: str) -> Parts:
    """One that could be told from a number, a task and `last` wherever a job is named."""
    if text.isdigit() or text == "last" or "/" in text:
        raise UsageError(f"--name {echo(text)} means another job already", hint="use a name with a letter, without a /")
    return {"name": text}


def _retry_on(words: Sequence[str]) -> Parts:
    split = tuple(part for word in words for part in word.split(","))
    for word in split:
        if word not in RETRY_WORDS:
            raise UsageError(f"--retry-on {echo(word)} is not known", hint=f"use one of: {', '.join(RETRY_WORDS)}")
    return {"retry_on": split}


def _tags(words: Sequence[str]) -> Parts:
    pairs = [word.partition("=") for word in words]
    for name, given, _ in pairs:
        if not name or not given:
            raise UsageError(f"--tag {echo(name)} has no value", hint="write --tag NAME=VALUE")
    return {"tags": tuple((name, value) for name, _, value in pairs)}


def _overlap(text: str) -> Parts:
    if text != "ok":
        raise UsageError(f"--overlap {echo(text)} is not understood", hint="write --overlap ok, or leave it out")
    return {"overlap": True}


def _names(field: str) -> Callable[[Sequence[str]], Parts]:
    return lambda words: {field: tuple(part for word in words for part in word.split(",") if part)}


_READ: Final[dict[str, Callable[[Any], Parts]]] = {
    "name": _name,
    "tag": _tags,
    "cpus": lambda text: {"cpu_milli": parse_cpus(text, option="--cpus")},
    "mem": lambda text: {"memory": parse_size(text, option="--mem"), "memory_is_limit": True},
    "gpus": lambda text: {"gpus": parse_count(text, option="--gpus", most=1024)},
    "gpu-mem": lambda text: {"gpu_memory": parse_size(text, option="--gpu-mem")},
    "disk": lambda text: {"disk": parse_size(text, option="--disk")},
    "timeout": lambda text: {"timeout_ms": parse_duration(text, option="--timeout")},
    "retries": lambda text: {"retries": _number(text, "--retries", MAX_RETRIES)},
    "retry-on": _retry_on,
    "priority": lambda text: {"priority": _number(text, "--priority", MAX_PRIORITY, -MAX_PRIORITY)},
    "on": _names("on"),
    "avoid": _names("avoid"),
    "needs": lambda text: {"needs": text},
    "os": lambda text: {"os": text},
    "arch": lambda text: {"arch": text},
    "once": lambda _: {"once": True},
    "overlap": _overlap,
    "patience": lambda text: {"patience_ms": parse_duration(text, option="--patience")},
    "array": parse_array,
    "hold": lambda _: {"held": True},
}
