"""`odyssey status`: how the mesh is, in words.

Promises: says what may be switched off, and what cannot be changed now; nothing that is not known.
Never: starts a daemon.
"""

from __future__ import annotations

from collections.abc import Iterator

from odyssey.api.requests import Status
from odyssey.api.views import StatusView
from odyssey.cli.command import command
from odyssey.cli.desk import Desk
from odyssey.cli.telling import as_json, counted, names

_MANY = ("", "one machine", "two machines", "three machines")


@command("status")
def status_command(desk: Desk) -> None:
    """How your mesh is, in words: machines, what may be switched off, jobs."""
    view = desk.ask(Status())
    if as_json(desk, view):
        return
    for line in sentences(view):
        desk.output.text(line)


def sentences(view: StatusView) -> Iterator[str]:
    machines = sum(view.nodes.values())
    up = view.nodes.get("up", 0)
    others = {state: count for state, count in view.nodes.items() if state != "up"}
    parts = [view.mesh, f"{counted(machines, 'machine')}{_well(machines, up, others)}"]
    parts += [f"{view.cpus:g} cores"] if view.cpus is not None else []
    parts += [counted(view.gpus, "GPU")] if view.gpus else []
    parts += [f"coordinator {view.coordinator}"] if view.coordinator and machines > 1 else []
    yield "   ".join(parts)
    yield _health(view, machines)
    jobs = names({state: view.jobs.get(state, 0) for state in ("running", "waiting", "failed", "done")})
    yield f"Jobs: {jobs}." if jobs else "No jobs."
    yield from view.notes


def _well(machines: int, up: int, others: dict[str, int]) -> str:
    if up == machines:
        return ", all up" if machines > 1 else ""
    return f", {up} up, {names(others)}"


def _health(view: StatusView, machines: int) -> str:
    if view.coordinator is None:
        if view.quorum.have < view.quorum.need:
            return (
                f"Cut off: only {view.quorum.have} of {view.quorum.need} needed keepers can be reached. "
                "Running jobs go on; new jobs are refused here."
            )
        return "No machine coordinates just now; one will in a few seconds."
    if machines == 1:
        return "This machine is alone: jobs wait while it is off, and none is lost."
    if view.can_lose == 0:
        stay = f": {', '.join(view.must_stay)} must stay" if view.must_stay else ""
        return f"No machine may be switched off now{stay}."
    many = _MANY[view.can_lose] if view.can_lose < len(_MANY) else f"{view.can_lose} machines"
    return f"You can switch off any {many}. Nothing is lost and work goes on."
