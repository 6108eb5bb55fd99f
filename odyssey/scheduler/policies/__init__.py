"""Policies: who goes first among equals, and which machine is best. One file each, behind one protocol.

Others add theirs by an entry point in the group `odyssey.schedulers` that names a `Policy`.

Promises: `built_in` are always there; `installed` adds what other packages bring and says which could not be loaded.
Never: excludes a machine or passes over a person's share: a policy orders and scores, the planner does the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from odyssey.scheduler.policies.pack import POLICY as PACK
from odyssey.scheduler.policies.protocol import Policy
from odyssey.scheduler.policies.round_robin import POLICY as ROUND_ROBIN
from odyssey.scheduler.policies.sjf import POLICY as SJF
from odyssey.scheduler.policies.weighted import POLICY as WEIGHTED

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "odyssey.schedulers"
BUILT_IN: Final[Mapping[str, Policy]] = {policy.name: policy for policy in (WEIGHTED, ROUND_ROBIN, SJF, PACK)}


def _found() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # a tenth of what a daemon imports, and few look for policies

    return list(entry_points(group=GROUP))


def installed(find: Callable[[], list[EntryPoint]] = _found) -> tuple[dict[str, Policy], dict[str, str]]:
    """Every policy there is, and for those that cannot be used the reason. Built-in names cannot be replaced."""
    policies, broken = dict(BUILT_IN), {}
    for point in find():
        if point.name in BUILT_IN:
            continue
        try:
            candidate = point.load()
            sound = isinstance(candidate, Policy) and candidate.name == point.name
        except Exception as error:  # noqa: BLE001 - whatever another package does, it must not stop the mesh
            broken[point.name] = f"{type(error).__name__}: {error}"
            continue
        if sound:
            policies[point.name] = candidate
        else:
            broken[point.name] = "it is not a Policy with this name"
    return policies, broken
