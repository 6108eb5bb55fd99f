"""`odyssey node`: one machine, shown and changed.

Promises: what only the machine itself knows is shown where it can be asked; a change is done when this returns.
Never: shows a number that nobody has told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from odyssey.api.requests import Drain, Label, Node, Rename, Request, StepDown
from odyssey.api.views import NodeDetail
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import ago, as_json, counted
from odyssey.errors import UsageError, echo
from odyssey.resources import show_size_rounded

Made = Callable[[tuple[str, ...]], Request[NodeDetail]]


def _only_name(make: Callable[[str], Request[NodeDetail]]) -> Made:
    def made(words: tuple[str, ...]) -> Request[NodeDetail]:
        if len(words) != 1:
            raise UsageError("which machine?", hint="write one name; see: odyssey nodes")
        return make(words[0])

    return made


def _label(words: tuple[str, ...]) -> Request[NodeDetail]:
    if len(words) < 2:
        raise UsageError("which labels?", hint="odyssey node label NAME room=lab3, or room- to remove it")
    return Label(words[0], words[1:])


def _rename(words: tuple[str, ...]) -> Request[NodeDetail]:
    if len(words) != 2:
        raise UsageError("rename takes two names", hint="odyssey node rename NAME NEW")
    return Rename(*words)


def _step_down(desk: Desk, words: tuple[str, ...]) -> None:
    if words:
        raise UsageError("stepdown takes no name: who coordinates just now hands it over", hint="odyssey node stepdown")
    view = desk.ask(StepDown())
    if not as_json(desk, view):
        desk.output.say(f"{view.coordinator} is the coordinator now")


VERBS: Final[dict[str, Made]] = {
    "show": _only_name(Node),
    "label": _label,
    "rename": _rename,
    "drain": _only_name(Drain),
    "undrain": _only_name(lambda name: Drain(name, is_draining=False)),
}


@command("node")
@click.argument("words", nargs=-1, metavar="[NAME | VERB NAME ...]")
@click.option("--yes", is_flag=True, help="do not ask before a machine is put out")
def node_command(desk: Desk, words: tuple[str, ...], yes: bool) -> None:
    """One machine: what it has and gives, what it enforces, and what it weighs. Without a name: this one.

    \b
      odyssey node NAME                      show it (its beginning is enough)
      odyssey node label NAME room=lab3      set a label for --needs; room- removes it
      odyssey node rename NAME NEW           call it something else
      odyssey node drain NAME                end what it has, take nothing new; undrain: take again
      odyssey node remove NAME               put it out of the mesh for good, also when it is gone
      odyssey node allow NAME invite         it may let others in; also submit, work, keep, admin
      odyssey node deny NAME invite          and not any more
      odyssey node stepdown                  another keeper is to coordinate
    """
    if words and words[0] == "remove":
        from odyssey.cli.belonging import remove

        remove(desk, words[1:], yes)
        return
    if words and words[0] in ("allow", "deny"):
        from odyssey.cli.belonging import allow

        allow(desk, words[0], words[1:])
        return
    if words[:1] == ("stepdown",):
        _step_down(desk, words[1:])
        return
    verb, rest = (words[0], words[1:]) if words and words[0] in VERBS else ("show", words or ("",))
    if verb == "show" and len(rest) > 1:
        verbs = ", ".join((*VERBS, "remove", "allow", "deny"))
        raise UsageError(f"there is no {echo(rest[0])!r} for a machine", hint=f"use {verbs}")
    detail = desk.ask(VERBS[verb](rest))
    if as_json(desk, detail):
        return
    if verb != "show":
        desk.output.say(_done(verb, detail))
        return
    for name, value in _facts(detail):
        if value:
            desk.output.text(f"{name:<9} {value}")


def _done(verb: str, detail: NodeDetail) -> str:
    node = detail.node
    match verb:
        case "label":
            return f"{node.name} has the labels {_labels(detail.own_labels or {}) or '(none of yours)'}"
        case "rename":
            return f"it is called {node.name} now"
        case "drain":
            return f"{node.name} takes nothing new; {counted(node.tasks, 'task')} still there"
    return f"{node.name} takes work again"


def _facts(detail: NodeDetail) -> Iterator[tuple[str, Any]]:
    node = detail.node
    role = f", {node.role}" if node.role else ""
    heard = f", heard {ago(int(node.last_seen_seconds * 1000))}" if node.last_seen_seconds is not None else ""
    yield "machine", node.name
    yield "state", f"{node.state}{role}{', coordinator' if node.coordinator else ''}{heard}"
    yield "owner", node.owner
    yield "address", node.address
    yield "has", ", ".join(_has(detail))
    yield "now", ", ".join(_now(detail))
    for number, held in enumerate(detail.runs):
        name = f" {held.name}" if held.name else ""
        yield "runs" if not number else "", f"job {held.id}{name}, {counted(held.tasks, 'task')}, of {held.user}"
    yield "version", node.version
    yield "box", node.box
    yield "labels", _labels(node.labels)
    for number, line in enumerate(detail.gives or ()):
        yield "gives" if not number else "", line.strip()
    for number, check in enumerate(detail.limits or ()):
        yield "limits" if not number else "", f"{'' if check.is_fine else 'not: '}{check.text}"
    weight = detail.weight
    yield "weight", f"{weight.score:g} for a task of 1 cpu and 512M, by {weight.policy}"
    yield "", " + ".join(f"{term} {points:g}" for term, points in weight.terms.items())
    if weight.reason:
        yield "", f"it would not take one now: {weight.reason}"


def _has(detail: NodeDetail) -> Iterator[str]:
    node = detail.node
    yield f"{node.cpus:g} cpus" if node.cpus != 1 else "1 cpu"
    yield f"{show_size_rounded(node.memory_bytes)} memory"
    if node.gpus:
        memory = f" of {show_size_rounded(detail.gpu_memory_bytes)}" if detail.gpu_memory_bytes else ""
        yield f"{counted(node.gpus, 'GPU')}{memory}"
    yield f"{show_size_rounded(detail.disk_bytes)} free disk"
    yield f"{node.os} {node.arch}"


def _now(detail: NodeDetail) -> Iterator[str]:
    node = detail.node
    for name, percent in (("cpu", node.cpu_percent), ("memory", node.memory_percent)):
        if percent is not None:
            yield f"{name} {percent:.0f} %"
    if node.load1 is not None:
        yield f"load {node.load1:.1f}"
    yield counted(node.tasks, "task")
    if node.owner_state is not None:
        yield node.owner_state.replace("_", " ")


def _labels(labels: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" if value else name for name, value in labels.items())
