"""What this machine was told of its mesh last, for when nobody who keeps the log can be reached.

Promises: it is told with its age; of the others it says that they are not heard, and nothing of how they are now.
Never: remembers across a restart.
"""

from __future__ import annotations

from typing import Final

import msgspec

from odyssey.api.views import NodeList, NodeView, Picture, Quorum, StatusView, View
from odyssey.mesh.membership import GONE_MS

_STILL: Final = frozenset(("gone", "asleep"))  # who was that already still is


class Remembered:
    def __init__(self) -> None:
        self._views: dict[type[View], tuple[View, int]] = {}

    def note(self, view: View, now_ms: int) -> None:
        if isinstance(view, Picture) and view.status is not None:
            view = view.status
        if isinstance(view, StatusView | NodeList):
            self._views[type(view)] = view, now_ms

    def has(self, kind: type[View]) -> bool:
        return kind in self._views

    def status(self, me: str, now_ms: int) -> StatusView | None:
        """As of a machine that is cut off; `me` is its name."""
        found = self._views.get(StatusView)
        if found is None:
            return None
        view, age = found[0], now_ms - found[1]
        assert isinstance(view, StatusView)
        machines = {name: state if name == me else _state(state, age) for name, state in view.machines.items()}
        counts = {word: sum(state == word for state in machines.values()) for word in view.nodes}
        return msgspec.structs.replace(
            view,
            coordinator=None,
            quorum=Quorum(0, view.quorum.need, view.quorum.of),
            can_lose=0,
            must_stay=(),
            nodes=counts if machines else view.nodes,
            machines=machines,
            missing=() if view.coordinator in (None, me) else (view.coordinator,),
            age_seconds=view.age_seconds + age / 1000,
        )

    def nodes(self, me: str, now_ms: int) -> NodeList | None:
        found = self._views.get(NodeList)
        if found is None:
            return None
        view, age = found[0], now_ms - found[1]
        assert isinstance(view, NodeList)
        return NodeList(tuple(_aged(one, one.name == me, age) for one in view.nodes), view.age_ms + age)


def _aged(node: NodeView, is_me: bool, age_ms: int) -> NodeView:
    if is_me:
        return msgspec.structs.replace(node, coordinator=False)
    seen = node.last_seen_seconds
    return msgspec.structs.replace(
        node,
        state=_state(node.state, age_ms),
        coordinator=False,
        cpu_percent=None,
        memory_percent=None,
        load1=None,
        owner_state=None,
        last_seen_seconds=None if seen is None else seen + age_ms / 1000,
    )


def _state(state: str, age_ms: int) -> str:
    return state if state in _STILL else "silent" if age_ms < GONE_MS else "gone"
