"""Who asks, and what of other people's work may be asked.

One's own jobs: everything. Those of others can be seen, with their state, where they run and why they wait, but not
what they are: no command, no environment, no output, no change. Who administers the mesh may do everything.

Promises: who asks is known by the door or by the link a question came through, never by its own word.
Never: lets a right be forgotten: each operation of the table names one.
"""

from __future__ import annotations

import enum
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from odyssey.errors import NotPermitted
from odyssey.ids import NodeId, UserId
from odyssey.model import Job

if TYPE_CHECKING:
    from odyssey.api.ports import Counter
    from odyssey.api.views import JobView, SpecView


class Right(enum.Enum):
    SEE = "see"  # everybody in the mesh
    READ = "read"  # output: whose job it is
    CHANGE = "change"  # whose job or machine it is
    RULE = "rule"  # what all of the mesh goes by: who administers it
    HERE = "here"  # of this machine: its owner, at its own door


class Asker(NamedTuple):
    user: UserId
    node: NodeId  # the machine at whose door it is
    is_admin: bool = False

    def owns(self, user: str) -> bool:
        return self.is_admin or user == self.user


_GUEST: Final[ContextVar[Asker | None]] = ContextVar("guest", default=None)


def welcome(guest: Asker) -> None:
    """From here on, in this task, a question of another machine is answered."""
    _GUEST.set(guest)


def asker(counter: Counter) -> Asker:
    return _GUEST.get() or counter.host


def check(counter: Counter, job: Job, right: Right) -> None:
    """May whoever asks do that with this job?"""
    if right is Right.SEE or asker(counter).owns(job.user):
        return
    what = "its output is for its owner" if right is Right.READ else "only its owner changes it"
    raise NotPermitted(f"job {job.id} belongs to {job.user}: {what}", hint=f"ask {job.user}, or who began this mesh")


def check_rules(counter: Counter) -> None:
    if not asker(counter).is_admin:
        text = "what all machines of this mesh go by is changed by who administers it"
        raise NotPermitted(text, hint="ask who began this mesh; to see it: odyssey policy")


def check_admin(counter: Counter, what: str) -> None:
    """Who belongs to the mesh is for its administrators."""
    asking = asker(counter)
    if not asking.is_admin:
        names = {node.id: node.name for node in counter.state.nodes.values()}
        here, there = names.get(counter.me, "the machine that began it"), names.get(asking.node, "NAME")
        hint = f"type it on {here}; or there, once: odyssey node allow {there} admin"
        raise NotPermitted(f"{what} is for who administers this mesh", hint=hint)


def shown(counter: Counter, view: JobView) -> JobView:
    if asker(counter).owns(view.user):
        return view
    return msgspec.structs.replace(view, command="", tags=())


def shown_spec(counter: Counter, job: Job, view: SpecView) -> SpecView:
    if asker(counter).owns(job.user):
        return view
    return msgspec.structs.replace(view, argv=(), cwd=b"", env=())
