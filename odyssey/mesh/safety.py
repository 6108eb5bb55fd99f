"""How safe the mesh is now: how many machines may go, which must not, how many disks hold what is acknowledged.

Where one votes alone, its word is one disk's. So a standby that keeps step holds every job too before it is
acknowledged; after OUT_OF_STEP_MS without it the voter goes on alone and says so, and takes it in again after it has
kept step for STEADY_MS.

Promises: `can_lose` holds for any choice of so many machines, counted without help from changes of roles.
Never: counts a machine that has said that it goes.
"""

from typing import NamedTuple

from odyssey.mesh.raft.types import Member
from odyssey.mesh.roles import OUT_OF_STEP_MS, STEADY_MS, Candidate, View, preference, quorum


class Safety(NamedTuple):
    can_lose: int  # any so many machines may vanish at once, and commits go on
    must_stay: tuple[Member, ...]  # if one of these goes, commits stop, or come back later
    copies: int  # disks that hold a job for certain once it is acknowledged
    wake: tuple[Member, ...] = ()  # the mesh is cut off: these are missing, first who was heard last
    missing: int = 0  # how many of them must come back


def safety(view: View, in_step: frozenset[Member] = frozenset()) -> Safety:
    """As seen from any member; `in_step` is what the sole voter waits for."""
    known = {one.member: one for one in view.machines}
    voters = view.config.voters
    live = [member for member in voters if member == view.me or _is_there(known.get(member))]
    need = quorum(len(voters))
    copies = need if len(voters) > 1 else len(voters) + len(in_step)
    spare = len(live) - need
    gone = sorted((member for member in voters if member not in live), key=lambda member: _silence(known.get(member)))
    return Safety(
        max(0, spare),
        tuple(live) if spare <= 0 else (),
        copies,
        tuple(gone) if spare < 0 else (),
        max(0, -spare),
    )


def _is_there(one: Candidate | None) -> bool:
    return one is not None and one.is_live and not one.going.away


def _silence(one: Candidate | None) -> int:
    return one.silent_ms if one is not None else 1 << 62


def in_step(view: View, before: frozenset[Member]) -> frozenset[Member]:
    """The standby that must hold an entry before the sole voter acknowledges it; to be asked with every tick."""
    if view.config.voters != (view.me,):
        return frozenset()
    standbys = [one for one in view.machines if one.member in view.config.learners and not one.going.away]
    kept = [one for one in standbys if one.member in before and max(one.silent_ms, one.owing_ms) < OUT_OF_STEP_MS]
    fit = kept or [one for one in standbys if one.is_fresh and one.caught_up_ms >= STEADY_MS]
    best = max(fit, key=lambda one: (preference(one), one.member), default=None)
    return frozenset() if best is None else frozenset({best.member})
