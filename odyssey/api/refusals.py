"""What a daemon refuses, and that it has gone, as errors: for both clients.

Promises: the error that the daemon raised, as far as this version knows its kind; always with its two lines and its
exit status.
Never: talks to anybody.
"""

from typing import Final

from odyssey import errors
from odyssey.api.frames import Refused
from odyssey.messages import Refusal

GONE: Final = "see: odyssey status"
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_BY_STATUS: Final[dict[int, type[errors.OdysseyError]]] = {
    2: errors.UsageError,
    3: errors.Unreachable,
    4: errors.NotPermitted,
    5: errors.CutOff,
}


class Broken(errors.Unreachable):
    """The connection ended in the middle: the daemon has gone, perhaps to come back."""


class Patience:
    """How long a daemon that was there and has gone is waited for, in steps that grow."""

    def __init__(self, now: float, seconds: float) -> None:
        self._end, self._pause = now + seconds, _FIRST_PAUSE

    def pause(self, now: float) -> float | None:
        """For so long, then try again; None: no more."""
        if now + self._pause >= self._end:
            return None
        pause, self._pause = self._pause, min(2 * self._pause, _LONGEST_PAUSE)
        return pause


def refused(frame: Refused | Refusal) -> errors.OdysseyError:
    kind = getattr(errors, frame.code, None)
    if not (isinstance(kind, type) and issubclass(kind, errors.OdysseyError)):
        kind = _BY_STATUS.get(frame.exit_status, errors.OdysseyError)
    return kind(frame.error, hint=frame.hint or GONE)
