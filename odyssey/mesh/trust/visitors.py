"""Whoever comes to the join socket: the first word says whether with an invite, with a certificate, or with nothing.

Promises: each visitor has one visit, of the kind that his first word began.
Never: reads anything twice, or decides who gets in.
"""

from __future__ import annotations

from odyssey.errors import OdysseyError, WireError
from odyssey.mesh.trust.join_server import Answer, JoinServer, Porter, Visit
from odyssey.mesh.trust.letters import Knock, unpacked
from odyssey.mesh.trust.pairing import Asking, PairServer


class Visitor:
    """One connection, with the curve key that it was made with."""

    def __init__(self, porter: Porter, key: bytes) -> None:
        self._porter, self._key = porter, key
        self._visit: Visit | None = None

    def step(self, data: bytes, now: int) -> Answer:
        if self._visit is None:
            self._visit = (PairServer if _is_knock(data) else JoinServer)(self._porter, self._key)
        return self._visit.step(data, now)

    def decided(self, refusal: OdysseyError | None) -> Answer:
        assert self._visit is not None
        return self._visit.decided(refusal)

    @property
    def pair(self) -> PairServer | None:
        """Where a person is asked to let it in."""
        return self._visit if isinstance(self._visit, PairServer) else None

    @property
    def asks(self) -> Asking | None:
        return self.pair.asks if self.pair is not None else None


def _is_knock(data: bytes) -> bool:
    try:
        return isinstance(unpacked(data), Knock)
    except WireError:
        return False  # who reads it says what is wrong
