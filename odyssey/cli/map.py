"""`odyssey map`: one task for each item, in the grammar of GNU parallel.

Promises: nothing is submitted before all of it is understood; the output of one task is never mixed with another's.
Never: hands an item to a shell that was not asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from odyssey.api.requests import Nodes, Status
from odyssey.cli import halting, mapfiles, mapping
from odyssey.cli.attached import Attached
from odyssey.cli.command import asked, command, command_words, job_options
from odyssey.cli.desk import Desk
from odyssey.cli.mapped import Mapped, Task
from odyssey.cli.putting import put_items
from odyssey.cli.submitting import check_json, spec_of, submit, told
from odyssey.errors import UsageError, echo
from odyssey.ids import MAX_TASKS
from odyssey.resources import MIN_CPU_MILLI, parse_count
from odyssey.spec import JobSpec

_READ: Final = 1 << 20


@command("map", takes_command=True)
@click.option("-a", "files", metavar="FILE", multiple=True, help="items from this file, one a line (-: stdin)")
@click.option("-0", "zero", is_flag=True, help="items in files and on stdin end in a NUL byte")
@click.option("-n", "per_task", metavar="N", default="1", help="so many items for each task (1)")
@click.option("-k", "--keep-order", is_flag=True, help="show the output in the order of the items")
@click.option("--tag", "is_tagged", is_flag=True, help="begin each line of output with the items and a tab")
@click.option("-j", "--jobs", "width", metavar="N", help="about N tasks at once on each machine (0: many; 50%, +1)")
@click.option("--halt", metavar="RULE", default="never", help="stop early: now,fail=1  soon,fail=20%  now,success=1")
@click.option("--joblog", metavar="FILE", help="a line in this file about each task that has ended")
@click.option("--resume", is_flag=True, help="leave out what the --joblog holds already")
@click.option("--results", metavar="DIR", help="the output of each task in files below this folder too")
@click.option("--eta", is_flag=True, help="tell how far it is (on a terminal it is shown anyway)")
@click.option("--detach", is_flag=True, help="print the job's number and leave it")
@click.option("--dry-run", is_flag=True, help="only print the commands")
@job_options(without=("array", "tag"))
@command_words("[--] COMMAND... [::: ITEM...]")
def map_command(desk: Desk, words: tuple[str, ...], **options: Any) -> int:
    """Run a command once for each item.

    Items come from ::: ITEM..., from :::: FILE... or -a FILE (one a line), else from stdin. Several sources are
    combined, those after :::+ go in step. In the command stand {} for the item, {.} without its extension, {/} its
    file name, {//} its folder, {/.} both, {#} the task's number, {1} {2} single items; without any of them the item
    comes last.

    A command of several words runs without a shell. One word with blanks in it is run by sh -c, with items quoted.

    \b
      odyssey map -- gzip -9 {} ::: *.log
      ls *.wav | odyssey map -- ffmpeg -i {} {.}.mp3
      odyssey map -k 'grep -c {1} {2}' ::: cat dog ::: *.txt

    Status: 0 when every task's was, else that of the first task that failed.
    """
    if not options["dry_run"]:
        check_json(desk, options["detach"])
    halt = halting.parse(options["halt"])
    given, sources = mapping.split(words)
    template = mapping.template(given)
    tasks = _tasks(options, sources)
    if options["dry_run"]:
        for task in tasks:
            desk.output.text(template.command(task.record, task.number))
        return 0
    if not tasks:
        desk.output.say("there is nothing to do: no items")
        return 0
    spec = _spec(desk, options, given or ("sh", "-c", "{}"), len(tasks))
    items = put_items(
        desk.daemon(), ((template.task(task.record, task.number), " ".join(task.record)) for task in tasks)
    )
    done = submit(desk, (msgspec.structs.replace(spec, items=items),))
    if options["detach"]:
        return told(desk, done)
    listener = Mapped(
        desk,
        done.id,
        tasks,
        template,
        halt=halt,
        keeps_order=options["keep_order"],
        is_tagged=options["is_tagged"],
        results=options["results"],
        joblog=options["joblog"],
        is_resumed=options["resume"],
    )
    with listener:
        return Attached(desk, done.id, is_grouped=True, listener=listener, tells_eta=options["eta"]).stay()


# ---- items -----------------------------------------------------------------------------------------------------------


def _tasks(options: dict[str, Any], sources: Sequence[mapping.Source]) -> list[Task]:
    per_task = parse_count(options["per_task"], option="-n", least=1)
    separator = "\0" if options["zero"] else "\n"
    every = [*sources, *(mapping.Source(file=file) for file in options["files"])] or [mapping.Source(file="-")]
    columns = [
        (mapping.lines(_read(one.file, separator), separator) if one.file else one.items, one.linked) for one in every
    ]
    tasks: list[Task] = []
    done = _already_run(options)
    for number, record in enumerate(mapping.records(columns, per_task), 1):
        if number not in done:
            tasks.append(Task(number, record))
        if len(tasks) > MAX_TASKS:
            raise UsageError(f"there are more than {MAX_TASKS} tasks", hint="use -n N to give each task more items")
    return tasks


def _read(file: str, separator: str) -> str:
    if file != "-":
        try:
            data = Path(file).read_bytes()
        except OSError as error:
            what = (error.strerror or "cannot be read").lower()
            raise UsageError(f"{echo(file)}: {what}", hint="name a file with one item a line") from error
    elif os.isatty(0):
        raise UsageError("there are no items", hint="write them after :::, or pipe them in, one a line")
    else:
        data = b"".join(iter(lambda: os.read(0, _READ), b""))
    if separator != "\0" and b"\0" in data:
        raise UsageError("an item holds a NUL byte", hint="-0 reads items that end in one")
    return os.fsdecode(data)


def _already_run(options: dict[str, Any]) -> frozenset[int]:
    if not options["resume"]:
        return frozenset()
    if not options["joblog"]:
        raise UsageError("--resume needs the log of the run before", hint="add --joblog FILE")
    file = Path(options["joblog"])
    return mapfiles.already_run(os.fsdecode(file.read_bytes())) if file.exists() else frozenset()


# ---- the job ---------------------------------------------------------------------------------------------------------


def _spec(desk: Desk, options: dict[str, Any], shown: Sequence[str], count: int) -> JobSpec:
    wanted = asked(options) | {"tag": ()}
    if options["width"] is not None and wanted["cpus"]:
        raise UsageError("-j and --cpus both say how many run at once", hint="leave one of them out")
    spec = spec_of(desk, wanted, [os.fsencode(word) for word in shown], count=count)
    if options["width"] is None:
        return spec
    share = max(MIN_CPU_MILLI, _cpus(desk) // max(1, _width(options["width"], _cpus(desk))))
    need = msgspec.structs.replace(spec.want.need, cpu_milli=share if options["width"] != "0" else MIN_CPU_MILLI)
    return msgspec.structs.replace(spec, want=msgspec.structs.replace(spec.want, need=need))


def _cpus(desk: Desk) -> int:
    """Of this machine, in thousandths."""
    here = desk.ask(Status()).node
    return next((int(node.cpus * 1000) for node in desk.ask(Nodes()).nodes if node.name == here), 1000)


def _width(text: str, cpu_milli: int) -> int:
    """How many at once, as parallel's -j says it: a number, a share of the cpus, or so many more or fewer than them."""
    found = re.fullmatch(r"([+-]?)([0-9]{1,6})(%?)", text)
    if not found:
        raise UsageError(f"-j {echo(text)} is not understood", hint="write -j 4, -j 50%, -j +1 or -j -1")
    cpus, amount = cpu_milli // 1000, int(found[2])
    amount = cpus * amount // 100 if found[3] else amount
    return max(1, {"": amount, "+": cpus + amount, "-": cpus - amount}[found[1]])
