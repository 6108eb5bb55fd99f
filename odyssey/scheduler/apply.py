"""The only way the state changes: committed entries in, events out.

Every replica runs this over the same log and must come to the same state, whatever its Python, its history of restarts
or its luck. So it is total: an entry that cannot be carried out changes nothing, says so as an event, and the log goes
on; also when the reason is a bug of ours.

Promises: deterministic; one entry is applied whole or not at all; entries are applied in order and each once; an order
of the coordinator counts only in the term it was decided in.
Never: skips an entry it does not understand. That is found when the entry is decoded, and the replica stands down.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from odyssey import commands as c
from odyssey.errors import ImpossibleStep
from odyssey.events import CommandFailed, CommandRefused, Event
from odyssey.ids import ClientId, JobId
from odyssey.scheduler.draft import Draft, replace
from odyssey.scheduler.state import Head, State
from odyssey.scheduler.transitions import belonging, jobs, machines, mesh, orders, reports
from odyssey.scheduler.transitions.base import Refused

Transition = Callable[[Draft, c.Entry, Any], list[Event]]

TRANSITIONS: Final[dict[type[c.Command], Transition]] = {
    c.SubmitJobs: jobs.submit,
    c.CancelTasks: jobs.cancel,
    c.RetryTasks: jobs.retry,
    c.HoldJob: jobs.hold,
    c.ReleaseJob: jobs.release,
    c.SetPriority: jobs.set_priority,
    c.ReportAttempts: reports.report,
    c.AssignTasks: orders.assign,
    c.LoseAttempts: orders.lose,
    c.RecallAttempts: orders.recall,
    c.EndBackoff: orders.end_backoff,
    c.GiveUpTasks: orders.give_up,
    c.AgeQueue: orders.age,
    c.DecayUsage: orders.decay,
    c.ArchiveJobs: orders.archive,
    c.DropSegments: orders.drop_segments,
    c.AdoptSegment: orders.adopt_segment,
    c.AdmitNode: machines.admit,
    c.UpdateNode: machines.update,
    c.RenameNode: machines.rename,
    c.DrainNode: machines.drain,
    c.RemoveNode: machines.remove,
    c.SetLevel: mesh.set_level,
    c.SetPolicy: mesh.set_policy,
    c.StartTerm: mesh.start_term,
    c.ChangeMembers: mesh.change_members,
    c.MakeInvite: belonging.make_invite,
    c.EndInvites: belonging.end_invites,
    c.AdmitMember: belonging.admit_member,
    c.RenewMember: belonging.renew_member,
    c.Revoke: belonging.revoke,
    c.AllowIssuer: belonging.allow_issuer,
}

GENERATION_STEP: Final = 10_000  # after a recovery job numbers go on at the next multiple


def apply(state: State, entries: Iterable[c.Entry]) -> tuple[State, list[Event]]:
    """Apply committed entries. The state handed in is the one returned; nobody else may hold on to the old one."""
    events: list[Event] = []
    for entry in entries:
        events += _apply_one(state, entry)
    return state, events


def _apply_one(state: State, entry: c.Entry) -> list[Event]:
    if entry.index != state.head.index + 1:
        raise ImpossibleStep(f"entry {entry.index} cannot follow entry {state.head.index}")
    head = next_head(state.head, entry)
    draft = Draft(state, head)
    try:
        check(head, entry)
        events = TRANSITIONS[type(entry.command)](draft, entry, entry.command)
    except Refused as refusal:
        draft, events = Draft(state, head), [refused(entry, refusal)]
    except MemoryError:
        raise  # this machine's luck, which the others do not share: no answer of the log, so it must not go on here
    except Exception as bug:  # noqa: BLE001 - a bug must not stop the log: the entry changes nothing and says why
        draft, events = Draft(state, head), [CommandFailed(entry.index, f"{type(bug).__name__}: {bug}"[:500])]
    draft.commit()
    return events


def next_head(head: Head, entry: c.Entry) -> Head:
    if entry.generation == head.generation and entry.term == head.term:
        return replace(head, index=entry.index)
    last_job = head.last_job
    if head.index and entry.generation != head.generation:
        last_job = before_the_next_step(last_job)
    return replace(head, index=entry.index, generation=entry.generation, term=entry.term, last_job=last_job)


def before_the_next_step(last_job: int) -> JobId:
    """The tail that a recovery cut off may have given the number after the last one known, so that is passed over
    even where it is a multiple itself."""
    return JobId(((last_job + 1) // GENERATION_STEP + 1) * GENERATION_STEP - 1)


def check(head: Head, entry: c.Entry) -> None:
    """What holds for every command: the level is on, and the coordinator that ordered it still is one."""
    needed = c.LEVELS.get(type(entry.command), 1)
    if needed > head.level:
        raise Refused(
            "level", f"this needs feature level {needed}, the mesh is at {head.level}", "upgrade all machines"
        )
    fence = getattr(entry.command, "fence", None)
    if fence is not None and (fence.generation, fence.term) != (entry.generation, entry.term):
        decided, now = f"{fence.generation}.{fence.term}", f"{entry.generation}.{entry.term}"
        raise Refused("fenced", f"an order of term {decided} in an entry of term {now}")


def refused(entry: c.Entry, refusal: Refused) -> Event:
    client = getattr(entry.command, "client", ClientId(b""))
    return CommandRefused(entry.index, refusal.code, refusal.text, refusal.hint, client)
