"""Events as sentences: whom it is about, what happened, and the same as data.

Promises: total over the events that are told; what is no longer in the state is named by its number.
Never: decides what is told.
"""

from odyssey import events as e
from odyssey.api import project
from odyssey.api import views as v
from odyssey.ids import JobId, NodeId, job_of, show_task
from odyssey.mesh.observing import MachineAsleep, MachineBack, MachineSilent, Observed
from odyssey.model import JobState, Outcome
from odyssey.resources import show_duration_rounded
from odyssey.scheduler.state import State

Said = tuple[str, str, dict[str, str | int]]

_REQUEUED = {
    Outcome.LOST: "its machine was lost",
    Outcome.EVICTED: "it made way for the machine's owner",
    Outcome.NOT_HERE: "it could not be started there",
    Outcome.REJECTED: "it was taken back",
    Outcome.OOM: "it ran out of memory",
    Outcome.TIMEOUT: "it was over its time limit",
}


def said(event: e.Event, state: State, coordinator: NodeId | None = None) -> Said:
    """`coordinator`: whose term has started, where that is known."""
    match event:
        case e.JobSubmitted(job=job, tasks=tasks):
            many = f" with {tasks} tasks" if tasks != 1 else ""
            return f"{job}", f"{_job(state, job)} submitted{many}", {"job": job, "tasks": tasks}
        case e.JobEnded(job=job, state=ended):
            return (
                f"{job}",
                f"{_job(state, job)} {_ended(state, job, ended)}",
                {"job": job, "state": v.JOB_STATES[ended]},
            )
        case e.JobChanged(job=job, held=held, priority=priority):
            text = f"{_job(state, job)} is held" if held else f"{_job(state, job)} has priority {priority}"
            return f"{job}", text, {"job": job, "held": int(held), "priority": priority}
        case e.TasksRetried(job=job, spans=spans):
            count = sum(stop - start for start, stop in spans)
            return f"{job}", f"{_tasks(count)} of {_job(state, job)} tried again", {"job": job, "tasks": count}
        case e.TasksEnded(job=job, spans=spans):
            count = sum(stop - start for start, stop in spans)
            subject = f"{job}/{spans[0][0]}" if count == 1 else f"{job}"
            return subject, f"{_tasks(count)} of {_job(state, job)} failed", {"job": job, "tasks": count}
        case e.TaskRequeued(task=task, outcome=outcome, backoff_ms=backoff_ms):
            why = _REQUEUED.get(outcome, "it failed")
            pause = f" after {show_duration_rounded(backoff_ms)}" if backoff_ms else ""
            data = {"job": job_of(task), "outcome": v.OUTCOMES[outcome], "backoff_ms": backoff_ms}
            return show_task(task), f"{show_task(task)} starts again{pause}: {why}", data
        case _:
            return _of_the_mesh(event, state, coordinator)


def _of_the_mesh(event: e.Event, state: State, coordinator: NodeId | None) -> Said:
    match event:
        case Observed():
            return _observed(event, state)
        case e.NodeAdmitted(name=name):
            return name, f"{name} belongs to the mesh now", {"node": name}
        case e.NodeChanged(name=name, draining=draining):
            return name, f"{name} takes nothing new" if draining else f"{name} has changed", {"node": name}
        case e.NodeRemoved(name=name):
            return name, f"{name} has left the mesh", {"node": name}
        case e.TermStarted(generation=generation, term=term):
            if coordinator is None:
                return "mesh", "there is a new coordinator", {"generation": generation, "term": term}
            new = _machine(state, coordinator)
            about: dict[str, str | int] = {"generation": generation, "term": term, "coordinator": new}
            return "mesh", f"{new} is the coordinator now", about
        case e.MembersChanged(voters=voters, learners=learners):
            names, new = (", ".join(_machine(state, one) for one in those) for those in (voters, learners))
            more = f"; catching up: {new}" if new else ""
            return "mesh", f"the jobs are kept by {names}{more}", {"keepers": names, "catching_up": new}
        case e.PolicySet(name=name):
            return "mesh", f"machines are chosen by the policy {name}", {"policy": name}
        case e.LevelSet(level=level):
            return "mesh", f"feature level {level} is on", {"level": level}
        case e.JobsArchived(jobs=spans):
            count = sum(stop - start for start, stop in spans)
            return "mesh", f"{count} job{'s' * (count != 1)} became history", {"jobs": count}
        case e.SegmentAdopted(jobs=jobs):
            return "mesh", f"{jobs} jobs of an earlier life of the mesh became history", {"jobs": jobs}
        case (
            e.InviteMade() | e.InvitesEnded() | e.MemberAdmitted() | e.MemberRenewed() | e.Revoked() | e.IssuerAllowed()
        ):
            return _of_belonging(event, state)
        case e.SegmentsDropped(digests=digests):
            return "mesh", "the oldest history was deleted", {"pieces": len(digests)}
        case e.CommandRefused(code=code, text=text):
            return "mesh", f"refused: {text}", {"code": code}
        case e.CommandFailed(text=text):
            return "mesh", f"a bug in Odyssey: {text}", {}
    return "mesh", "something happened", {}


def _of_belonging(
    event: e.InviteMade | e.InvitesEnded | e.MemberAdmitted | e.MemberRenewed | e.Revoked | e.IssuerAllowed,
    state: State,
) -> Said:
    match event:
        case e.InviteMade(invite=invite, uses=uses, by=by):
            text = f"{by or 'somebody'} made an invite for {uses} machine{'s' * (uses != 1)}"
            return "mesh", text, {"invite": invite.hex(), "uses": uses, "by": by}
        case e.InvitesEnded(invites=invites):
            return "mesh", f"{len(invites)} invite{'s' * (len(invites) != 1)} ended", {"invites": len(invites)}
        case e.MemberAdmitted(node=node, invite=invite, left=left):
            more = f", which lets in {left} more" if left else ""
            how = f"by an invite{more}" if invite else "by a person's word"
            about: dict[str, str | int] = {"id": node, "invite": invite.hex(), "left": left}
            return _machine(state, node), f"{_machine(state, node)} was let in {how}", about
        case e.MemberRenewed(node=node):
            return _machine(state, node), f"{_machine(state, node)} has a new certificate", {"id": node}
        case e.Revoked(subject=subject, by=by):
            return _machine(state, subject), f"{_machine(state, subject)} was put out", {"id": subject, "by": by}
        case e.IssuerAllowed(node=node):
            return _machine(state, node), f"{_machine(state, node)} may let machines in", {"id": node}


def _observed(event: Observed, state: State) -> Said:
    """It is not on the log: this is how one machine sees another."""
    name, by = _machine(state, event.node), _machine(state, event.by)
    data: dict[str, str | int] = {"node": name, "seen_by": by}
    match event:
        case MachineBack(away_ms=away_ms):
            return name, f"{name} is back after {show_duration_rounded(away_ms)}", {**data, "away_ms": away_ms}
        case MachineAsleep():
            return name, f"{name} is asleep", data
        case MachineSilent():
            return name, f"{name} is silent", data
    return name, f"{name} is gone", data


def _tasks(count: int) -> str:
    return f"{count} task{'s' * (count != 1)}"


def _job(state: State, number: JobId) -> str:
    job = state.jobs.get(number)
    name = job.spec.name if job is not None else ""
    return f"job {number} ({name})" if name else f"job {number}"


def _ended(state: State, number: JobId, ended: JobState) -> str:
    job = state.jobs.get(number)
    if job is None or ended is JobState.DONE or job.spec.count == 1:
        return v.JOB_STATES[ended]
    counts = project.counts(job, 0)
    return f"{v.JOB_STATES[ended]}, {counts.done} of {counts.total} done"


def _machine(state: State, node: NodeId) -> str:
    """A member that has not told what it is yet has the name of its certificate."""
    known = next((one.name for one in state.nodes.values() if one.id == node), "")
    member = state.members.get(node)
    return known or (_name_in(member.certificate) if member is not None else "") or node[:8]


def _name_in(certificate: bytes) -> str:
    from odyssey.errors import OdysseyError
    from odyssey.mesh.trust.certificates import Certificate
    from odyssey.mesh.trust.signed import opened

    try:
        return opened(certificate, Certificate).name
    except OdysseyError:
        return ""
