"""An invite on a card, for a machine without a screen: one that is in no mesh with others looks for it when its daemon
starts, joins, and deletes it. The network may come up later than the daemon, and the right time too, so it knocks for a
while.

Promises: an invite that was refused is tried once in a boot, and why is told in the log and by `status`; one that was
used is deleted, also after a power cut in between. The file in the home says which was tried, by its hash.
Never: takes a machine out of a mesh with others, or away from its own unfinished jobs; keeps an invite.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from odyssey import wire
from odyssey.clock import Clock
from odyssey.daemon.founding import Belonging
from odyssey.daemon.health import boot_id
from odyssey.entry import Entry
from odyssey.errors import CallersError, OdysseyError, Unreachable, WireError
from odyssey.mesh.trust.join_client import WrongClock
from odyssey.paths import Home, write_whole
from odyssey.scheduler.state import State

LONGEST: Final = 4096
KNOCK_MS: Final = 20_000
AGAIN_S: Final = 1.0
_log: Final = logging.getLogger(__name__)

Enter = Callable[[Entry], Awaitable[Belonging]]


class Lying(NamedTuple):
    """An invite that lies on this machine."""

    path: Path
    text: str

    @property
    def digest(self) -> bytes:
        return sha256(self.text.encode()).digest()


class Tried(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The file."""

    digest: bytes
    boot: bytes
    why: str = ""  # it was refused; none: nothing is known of it yet


class Headless:
    def __init__(self, home: Home, places: Sequence[Path], boot: bytes) -> None:
        self._path, self._places, self._boot = home.path / "invited", places, boot
        self.notes: tuple[str, ...] = ()  # sentences, for `status`

    def look(self, is_in_a_mesh: bool) -> Lying | None:
        """What is to be tried now."""
        lying = found(self._places)
        if lying is None:
            return None
        tried = self._tried()
        is_same = tried is not None and tried.digest == lying.digest
        if is_in_a_mesh:
            if is_same and tried is not None and not tried.why:
                self.used(lying)  # there was no time for that
            return None
        if is_same and tried is not None and tried.why and tried.boot == self._boot:
            self._tell(f"The invite {lying.path} was not taken: {tried.why}.")
            return None
        return lying

    def begins(self, lying: Lying) -> None:
        self._write(Tried(lying.digest, self._boot))

    def refused(self, lying: Lying, error: OdysseyError) -> None:
        self._write(Tried(lying.digest, self._boot, error.message))
        self._tell(f"The invite {lying.path} was not taken: {error.message}.")

    def not_yet(self, lying: Lying, why: str) -> None:
        """To be tried at the next start."""
        self._tell(f"The invite {lying.path} is not used yet: {why}.")

    def used(self, lying: Lying) -> None:
        try:
            lying.path.unlink(missing_ok=True)
        except OSError as error:
            self._tell(f"The invite {lying.path} was used, and cannot be deleted here: {error.strerror}.")
        else:
            _log.info("the invite %s was used, and is deleted", lying.path)
            self._path.unlink(missing_ok=True)

    def _tell(self, sentence: str) -> None:
        _log.warning("%s", sentence)
        self.notes = (*self.notes, sentence)

    def _write(self, tried: Tried) -> None:
        write_whole(self._path, wire.encode_log(tried))

    def _tried(self) -> Tried | None:
        try:
            return wire.decode_log(self._path.read_bytes(), Tried)
        except (OSError, WireError):
            return None


class Invited:
    """Looks, and joins."""

    def __init__(self, home: Home, places: Sequence[Path], clock: Clock) -> None:
        self._headless, self._clock = Headless(home, places, boot_id()), clock

    @property
    def notes(self) -> tuple[str, ...]:
        return self._headless.notes

    async def join(self, before: Belonging | None, holds: Callable[[Belonging], str], enter: Enter) -> Belonging | None:
        """None: it stays where it is. `holds` says why it has to."""
        lying = self._headless.look(before is not None and before.joined)
        if lying is None:
            return None
        if before is not None and (why := holds(before)):
            self._headless.not_yet(lying, why)
            return None
        self._headless.begins(lying)
        try:
            belonging = await self._knock(Entry(lying.text), enter)
        except (Unreachable, WrongClock) as error:
            self._headless.not_yet(lying, error.message)
        except CallersError as error:
            self._headless.refused(lying, error)
        else:
            self._headless.used(lying)
            return belonging
        return None

    async def _knock(self, entry: Entry, enter: Enter) -> Belonging:
        until = self._clock.monotonic_ms() + KNOCK_MS
        while True:
            try:
                return await enter(entry)
            except (Unreachable, WrongClock):
                if self._clock.monotonic_ms() >= until:
                    raise
                await asyncio.sleep(AGAIN_S)


def found(places: Sequence[Path]) -> Lying | None:
    """The first that is there. A place that cannot be read is told."""
    for path in places:
        try:
            text = _read(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            _log.warning("the invite %s cannot be read: %s", path, error.strerror)
            continue
        if text:
            return Lying(path, text)
    return None


def _read(path: Path) -> str:
    """Of a file, and never longer than an invite."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return ""
        return os.read(file, LONGEST).decode("utf-8", "replace").strip()
    finally:
        os.close(file)


def holds(state: State, me: str) -> str:
    """Why a machine stays in the mesh that it began; nothing: it may go."""
    if any(node.id != me and not node.removed for node in state.nodes.values()) or any(
        node != me for node in state.members
    ):
        return "this machine is in a mesh with others"
    unfinished = len(state.jobs) - len(state.ended)
    return f"{unfinished} of this machine's own jobs are unfinished" if unfinished else ""
