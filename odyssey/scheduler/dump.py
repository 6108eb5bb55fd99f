"""The state as bytes and back: snapshots for replicas, and the hash by which they compare.

A dump is a sequence of slices, each made from frozen records: it can be taken piece by piece while the log goes on. A
slice is smaller than a log entry may be, unless a single record is larger: an array may lie in as many pieces as it has
tasks. Only records are written; indexes are rebuilt by the code that keeps them.

Promises: equal states give equal bytes, whatever their history; loading a dump gives a state that behaves the same.
Never: reads a slice it does not wholly understand, or a dump without its end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Final, TypeVar

import msgspec

from odyssey import wire
from odyssey.errors import Malformed
from odyssey.ids import MAX_TASKS, ClientId, NodeId, NodeNumber, UserId, job_of
from odyssey.model import Health, Invite, Job, Learned, Member, Node, Segment, Task
from odyssey.scheduler.draft import NO_USE, Draft, replace, with_
from odyssey.scheduler.state import Head, LearnedKey, State, Submitted

FORMAT: Final = 1
ROWS: Final = 256
_ROOM: Final = 900_000
SLICE: Final = wire.ENTRY._replace(bytes=32 << 20, array=MAX_TASKS)  # what the largest record needs

T = TypeVar("T")


class Slice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One piece of a dump."""


class Opening(Slice, frozen=True, tag="opening"):
    format: int
    head: Head


class Jobs(Slice, frozen=True, tag="jobs"):
    rows: tuple[Job, ...]


class Tasks(Slice, frozen=True, tag="tasks"):
    rows: tuple[Task, ...]


class Nodes(Slice, frozen=True, tag="nodes"):
    rows: tuple[Node, ...]


class HealthRows(Slice, frozen=True, tag="health"):
    rows: tuple[tuple[NodeNumber, Health], ...]


class LearnedRows(Slice, frozen=True, tag="learned"):
    rows: tuple[tuple[LearnedKey, Learned], ...]


class Usage(Slice, frozen=True, tag="usage"):
    rows: tuple[tuple[UserId, int], ...]


class Clients(Slice, frozen=True, tag="clients"):
    rows: tuple[tuple[ClientId, Submitted], ...]


class Segments(Slice, frozen=True, tag="segments"):
    rows: tuple[Segment, ...]


class Invites(Slice, frozen=True, tag="invites"):
    rows: tuple[Invite, ...]


class Members(Slice, frozen=True, tag="members"):
    rows: tuple[Member, ...]


class Issuers(Slice, frozen=True, tag="issuers"):
    rows: tuple[tuple[bytes, bytes], ...]


class Revoked(Slice, frozen=True, tag="revoked"):
    rows: tuple[tuple[NodeId, bytes], ...]


class Closing(Slice, frozen=True, tag="closing"):
    slices: int


AnySlice = (
    Opening
    | Jobs
    | Tasks
    | Nodes
    | HealthRows
    | LearnedRows
    | Usage
    | Clients
    | Segments
    | Invites
    | Members
    | Issuers
    | Revoked
    | Closing
)


# -- out ---------------------------------------------------------------------------------------------------------------


def dump(state: State) -> Iterator[bytes]:
    """Take the records now; encode them as the slices are asked for."""
    tables: list[tuple[type[Slice], Sequence[object]]] = [
        (Jobs, [state.jobs[job] for job in sorted(state.jobs)]),
        (Tasks, [state.tasks[task] for task in sorted(state.tasks)]),
        (Nodes, [state.nodes[node] for node in sorted(state.nodes)]),
        (HealthRows, sorted(state.health.items())),
        (LearnedRows, list(state.learned.items())),
        (Usage, sorted(state.usage.items())),
        (Clients, list(state.clients.items())),
        (Segments, list(state.segments.values())),
        (Invites, [state.invites[invite] for invite in sorted(state.invites)]),
        (Members, [state.members[member] for member in sorted(state.members)]),
        (Issuers, list(state.issuers.items())),
        (Revoked, sorted(state.revoked.items())),
    ]
    return _slices(state.head, tables)


def _slices(head: Head, tables: list[tuple[type[Slice], Sequence[object]]]) -> Iterator[bytes]:
    yield wire.encode_log(Opening(FORMAT, head))
    count = 2
    for kind, rows in tables:
        for start in range(0, len(rows), ROWS):
            for encoded in fitting(kind, tuple(rows[start : start + ROWS])):
                yield encoded
                count += 1
    yield wire.encode_log(Closing(count))


def fitting(kind: Callable[[tuple[Any, ...]], object], rows: tuple[object, ...]) -> Iterator[bytes]:
    """As one slice, or in halves until each half fits."""
    encoded = wire.encode_log(kind(rows), SLICE)
    if len(encoded) <= _ROOM or len(rows) == 1:
        yield encoded
        return
    middle = len(rows) // 2
    yield from fitting(kind, rows[:middle])
    yield from fitting(kind, rows[middle:])


def state_hash(state: State) -> bytes:
    """Equal on all replicas that applied the same log."""
    digest = sha256()
    for encoded in dump(state):
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    return digest.digest()


# -- in ----------------------------------------------------------------------------------------------------------------


def load(slices: Iterable[bytes]) -> State:
    draft: Draft | None = None
    for count, encoded in enumerate(slices, 1):
        piece = wire.decode_log(encoded, AnySlice, SLICE)
        if draft is None:
            draft = _opened(piece)
        elif isinstance(piece, Closing):
            if piece.slices != count:
                raise Malformed(f"the snapshot has {count} of {piece.slices} slices")
            return _built(draft)
        else:
            _take(draft, piece)
    raise Malformed("the snapshot ends too early")


def _opened(piece: AnySlice) -> Draft:
    if not isinstance(piece, Opening):
        raise Malformed("the snapshot does not begin with its opening")
    if piece.format != FORMAT:
        raise Malformed(f"the snapshot has format {piece.format}, this version reads {FORMAT}")
    return Draft(State(), piece.head)


def _take(draft: Draft, piece: AnySlice) -> None:
    match piece:
        case Jobs(rows):
            draft.jobs.update((job.id, job) for job in rows)
        case Tasks(rows):
            draft.tasks.update((task.id, task) for task in _sharing(rows))
        case Nodes(rows):
            draft.nodes.update((node.number, node) for node in rows)
        case HealthRows(rows):
            draft.health.update(rows)
        case LearnedRows(rows):
            draft.learned.update(rows)
        case Usage(rows):
            draft.usage.update(rows)
        case Clients(rows):
            draft.clients.update(rows)
        case Segments(rows):
            draft.segments.update((segment.digest, segment) for segment in rows)
        case Invites(rows):
            draft.invites.update((invite.id, invite) for invite in rows)
        case Members(rows):
            draft.members.update((member.node, member) for member in rows)
        case Issuers(rows):
            draft.issuers.update(rows)
        case Revoked(rows):
            draft.revoked.update(rows)
        case _:
            raise Malformed("the snapshot has a slice in the wrong place")


def _sharing(tasks: tuple[Task, ...]) -> Iterator[Task]:
    """Neighbours share their decision record again, as they did before they were written."""
    known: dict[bytes, bytes] = {}
    for task in tasks:
        yield replace(
            task,
            attempts=tuple(replace(one, why=known.setdefault(one.why, one.why)) for one in task.attempts),
            tries=tuple(replace(one, why=known.setdefault(one.why, one.why)) for one in task.tries),
        )


def rebuilt(state: State) -> State:
    """The same records with indexes made anew: what the indexes should be."""
    draft = Draft(State(), state.head)
    draft.jobs.update(state.jobs)
    draft.tasks.update(state.tasks)
    draft.nodes.update(state.nodes)
    draft.health.update(state.health)
    draft.learned.update(state.learned)
    draft.usage.update(state.usage)
    draft.clients.update(state.clients)
    draft.segments.update(state.segments)
    draft.invites.update(state.invites)
    draft.members.update(state.members)
    draft.issuers.update(state.issuers)
    draft.revoked.update(state.revoked)
    return _built(draft)


def _built(draft: Draft) -> State:
    for task in draft.tasks.values():
        if task.attempts:
            job = draft.jobs[job_of(task.id)]
            for attempt in task.attempts:
                use = draft.uses.get(attempt.node, NO_USE)
                draft.uses[attempt.node] = with_(use, attempt, job.spec.want.need)
    draft.commit()
    return draft.state
