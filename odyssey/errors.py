"""What can go wrong, sorted by whose fault it is and what to do now.

Every error Odyssey raises on purpose is an `OdysseyError`. Its class says who can mend it (`fault`), how
(`remedy`) and with which status a command ends (`exit_status`); the instance says what happened and what
would help.

Promises: `lines` gives one `error:` line and at most one `hint:` line, whatever a message holds: nothing in
it can start a new line or steer the terminal. What is the caller's fault cannot be raised without a hint.
Never: prints, logs, or knows which command was running.
"""

from __future__ import annotations

import enum
from typing import ClassVar, Final

_ECHO_LENGTH: Final = 40


class Fault(enum.Enum):
    """Who can mend it."""

    YOURS = "yours"
    PEER = "peer"
    MACHINE = "machine"
    BUG = "bug"


class Remedy(enum.Enum):
    """What to do now."""

    FIX = "fix"
    RETRY = "retry"
    WAIT = "wait"
    REPORT = "report"


class ExitStatus(enum.IntEnum):
    """How a command ends when it does not pass on a job's own status."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_PERMITTED = 4
    CUT_OFF = 5


class OdysseyError(Exception):
    """The root. Without anything more precise it is a bug in Odyssey."""

    fault: ClassVar[Fault] = Fault.BUG
    remedy: ClassVar[Remedy] = Remedy.REPORT
    exit_status: ClassVar[ExitStatus] = ExitStatus.FAILED

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class CallersError(OdysseyError):
    """The caller can mend it, so it must be told how: the hint is not optional."""

    fault = Fault.YOURS
    remedy = Remedy.FIX

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint=hint)


class UsageError(CallersError):
    """What was asked for makes no sense as it was written."""

    exit_status = ExitStatus.USAGE


class InvalidSpec(UsageError):
    """A job that no mesh could run."""


class QuantityError(UsageError):
    """A number, size or duration that cannot be read or is out of bounds."""


class NotPermitted(CallersError):
    """Whoever asks may not have this."""

    exit_status = ExitStatus.NOT_PERMITTED


class Unreachable(OdysseyError):
    """No daemon runs here, or it does not reach its mesh."""

    fault = Fault.MACHINE
    remedy = Remedy.RETRY
    exit_status = ExitStatus.UNREACHABLE


class CutOff(OdysseyError):
    """Too few keepers are in reach to accept anything: what is known can be read, nothing can change."""

    fault = Fault.PEER
    remedy = Remedy.WAIT
    exit_status = ExitStatus.CUT_OFF


class WireError(OdysseyError):
    """Bytes that are not what this machine takes them for."""

    fault = Fault.PEER


class TooLarge(WireError):
    """More bytes, elements or nesting than allowed here."""


class Malformed(WireError):
    """Not MessagePack, or not the record that was expected."""


class NotUnderstood(WireError):
    """Well-formed, but of a newer version than this one. It must never be skipped or guessed."""

    remedy = Remedy.FIX

    def __init__(self, message: str, *, hint: str = "upgrade Odyssey on this machine") -> None:
        super().__init__(message, hint=hint)


class ImpossibleStep(OdysseyError):
    """A lifecycle was asked to take a step that is not in its table."""


class NegativeResources(OdysseyError):
    """More was taken away than there is."""


def lines(error: OdysseyError) -> tuple[str, str | None]:
    """The `error:` line and, where there is one, the `hint:` line."""
    hint = None if error.hint is None else f"hint: {one_line(error.hint)}"
    return f"error: {one_line(error.message)}", hint


def one_line(text: str) -> str:
    """The text with all escaped that is no visible character: line ends, terminal codes, surrogates."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def echo(text: str, length: int = _ECHO_LENGTH) -> str:
    """Foreign text, safe and short enough to be repeated to a person."""
    safe = one_line(text[: length + 1])  # cut first: escaping a long text would make it several times longer
    return safe if len(safe) <= length else safe[: length - 1] + "…"
