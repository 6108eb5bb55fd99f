"""A mesh that has answered and is out of reach now: how long it is waited for.

Promises: pure; only what waiting helps against is waited for.
Never: waits.
"""

from typing import Final

from odyssey import errors
from odyssey.api.refusals import Broken

_CUT_PAUSE: Final = 0.5
CUT_SECONDS: Final = 120.0  # a cable is put back, a machine starts again


class Cut:
    """How long a mesh is waited for that has answered and is out of reach now: what is asked stays asked."""

    def __init__(self) -> None:
        self._has_begun = False
        self._since: float | None = None

    def answered(self) -> bool:
        """True: it had been out of reach."""
        was_out, self._since, self._has_begun = self._since is not None, None, True
        return was_out

    def pause(self, error: errors.OdysseyError, now: float) -> float | None:
        """For so long, then ask again; None: no more."""
        if not self._has_begun or not isinstance(error, errors.Unreachable) or isinstance(error, Broken):
            return None
        self._since = now if self._since is None else self._since
        return _CUT_PAUSE if now - self._since < CUT_SECONDS else None
