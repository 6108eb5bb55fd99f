"""What tests of the deciding half ask again and again: who got how many, what the mesh knows of a command.

Never: decides anything itself; run times are learned from reports, as in life.
"""

from collections import Counter
from collections.abc import Callable

from odyssey.commands import Facts, UpdateNode
from odyssey.ids import JobId, NodeNumber
from odyssey.resources import parse_count, parse_cpus, parse_size
from odyssey.scheduler.draft import replace
from odyssey.scheduler.plan import Plan
from odyssey.scheduler.remedy import Change
from odyssey.spec import JobSpec, Want
from tests.builders import Mesh


def given(plan: Plan, slot: bool = True) -> dict[tuple[JobId, NodeNumber], int]:
    """How many tasks of a job go to a machine, into slots or else into its backlog."""
    found: Counter[tuple[JobId, NodeNumber]] = Counter()
    for batch in plan.batches:
        if batch.slot is slot:
            found[batch.job, batch.node] += sum(stop - start for start, stop in batch.spans)
    return dict(found)


def chosen(plan: Plan) -> list[NodeNumber]:
    """The machines in the order of the batches."""
    return [batch.node for batch in plan.batches]


def taught(mesh: Mesh, key: str, run_ms: int, on: int, user: str = "anna") -> None:
    """A run of this command on this machine went well and took so long."""
    job = mesh.submit(key=key, user=user, cpus=0.01, memory=1 << 20)
    mesh.assign(job, on)
    mesh.report(job, run_ms=run_ms)


def changed(mesh: Mesh, node: int, **changes: object) -> None:
    """The machine's facts are what they were, but for these."""
    known = mesh.node(node)
    facts = {name: getattr(known, name) for name in Facts.__struct_fields__}
    mesh.do(UpdateNode(NodeNumber(node), Facts(**{**facts, **changes})))


def typed(spec: JobSpec, change: Change) -> JobSpec:
    """The job as a person would submit it who does what the change says."""
    want, nothing = spec.want, Want(spec.want.need)
    option, _, value = change.option.partition(" ")
    if change.drop:
        name = {"--gpu-mem": "gpu_memory"}.get(option, option.removeprefix("--"))
        return replace(spec, want=replace(want, **{name: getattr(nothing, name)}))
    if option == "--gpu-mem":
        return replace(spec, want=replace(want, gpu_memory=parse_size(value)))
    parse, name = _AMOUNTS[option]
    return replace(spec, want=replace(want, need=replace(want.need, **{name: parse(value)})))


_AMOUNTS: dict[str, tuple[Callable[[str], int], str]] = {
    "--cpus": (parse_cpus, "cpu_milli"),
    "--mem": (parse_size, "memory"),
    "--gpus": (parse_count, "gpus"),
}
