"""Which mesh this machine is in when its daemon starts: the one it is in already, one of its own, or that of an invite.

Promises: the note of the home says what was found before anything relies on it; what a person has to mend is raised
before anything was changed.
Never: opens a store, or leaves a mesh that others are in.
"""

from __future__ import annotations

import logging
import os
import pwd
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from odyssey.clock import Clock, Entropy
from odyssey.config import Config
from odyssey.daemon import founding, given, parting
from odyssey.daemon.founding import Belonging, Storehouse
from odyssey.daemon.headless import Invited, holds
from odyssey.daemon.options import Options
from odyssey.entry import Entry
from odyssey.errors import UsageError
from odyssey.ids import UserId
from odyssey.mesh import identity
from odyssey.mesh.discovery import listening
from odyssey.mesh.identity import Identity
from odyssey.mesh.places import probe
from odyssey.mesh.store import Settings
from odyssey.paths import Home, machine_id
from odyssey.scheduler.transitions.machines import clean_name

if TYPE_CHECKING:
    from odyssey.mesh.links.pairing import Person

_log: Final = logging.getLogger(__name__)


class Entrance:
    def __init__(self, options: Options, home: Home, clock: Clock, entropy: Entropy) -> None:
        self._options, self._home, self._clock, self._entropy = options, home, clock, entropy
        self._here = founding.host(machine_id())
        self.notes: tuple[str, ...] = ()  # sentences about how it came in, for `status`

    async def enter(self, config: Config) -> Storehouse:
        self._check_listen()
        if (aside := parting.finish(self._home)) is not None:
            _log.warning("this machine had begun to leave its mesh: what it had there is in %s", aside.folder)
        before = self._known()
        given.take(self._home, before)
        key = identity.load_or_make(self._home.key, self._entropy)
        self._check_mesh(before)
        settings = Settings(config.number("disk.guard"), config.number("disk.ballast"))
        belonging = await self._belonging(key, before, config, settings)
        if belonging.joined and not belonging.has_store and belonging.left:
            founding.set_old_mesh_aside(self._home, belonging.left)
            for path in (self._home.issuer, self._home.root):  # of a mesh in which nobody else was
                path.unlink(missing_ok=True)
        return Storehouse(self._home, key, belonging, self._entropy, settings)

    async def _belonging(
        self, key: Identity, before: Belonging | None, config: Config, settings: Settings
    ) -> Belonging:
        if self._options.join >= 0:
            return await self._join(key, before)
        if not self._options.is_embedded:
            invited = Invited(self._home, config.paths("join.places"), self._clock)
            enter = partial(self._enter, key, before)
            found = await invited.join(before, lambda one: self._holds(key, one, settings), enter)
            self.notes = invited.notes
            if found is not None:
                return found
        return self._own(key, before)

    def _holds(self, key: Identity, before: Belonging, settings: Settings) -> str:
        """Why this machine stays in the mesh it began, as its store says."""
        if not before.has_store:
            return ""
        opened = Storehouse(self._home, key, before, self._entropy, settings).open()
        try:
            return holds(opened.book.state, key.id)
        finally:
            opened.store.close()

    def _known(self) -> Belonging | None:
        belonging = founding.load(self._home)
        if belonging is None or not founding.is_unused_copy(belonging, self._here):
            return belonging
        _log.warning("this home was copied from another machine before it was used: it gets a key of its own")
        founding.forget(self._home)
        return None

    def _own(self, key: Identity, before: Belonging | None) -> Belonging:
        if before is not None and before.anchor:
            return before
        belonging = replace(before or self._new(), host=self._here)
        belonging = founding.found_trust(self._home, belonging, key, self._clock, self._entropy)
        founding.save(self._home, belonging)
        return belonging

    def _new(self) -> Belonging:
        options = self._options
        owner = UserId(options.owner or _login_name())
        return founding.begin(owner, options.machine or os.uname().nodename, options.mesh, self._entropy)

    async def _join(self, key: Identity, before: Belonging | None) -> Belonging:
        """Into another mesh; with what, and what a person types, comes through a pipe."""
        from odyssey.daemon.typed import Typist

        if before is not None and before.joined:
            text = f"this machine is in {before.name} already; it cannot be in another mesh too"
            raise UsageError(text, hint="odyssey leave, then join again")
        os.set_inheritable(self._options.join, False)
        typist = Typist(self._name, self._options.join, self._options.ready)
        try:
            return await self._enter(key, before, typist.entry(), typist)
        finally:
            os.close(self._options.join)

    @property
    def _name(self) -> str:
        return clean_name(self._options.machine or os.uname().nodename)

    async def _enter(
        self, key: Identity, before: Belonging | None, entry: Entry, person: Person | None = None
    ) -> Belonging:
        from odyssey.daemon.joining import Newcomer, join

        newcomer = Newcomer(self._home, key.key, self._name, self._clock, self._entropy)
        belonging = await join(newcomer, entry, person, before)
        listen, asked = (before.listen, before.asked) if before is not None else ("", "")
        left = before.mesh.hex()[:8] if before is not None else ""
        if before is not None:
            founding.note(self._home.old / left, before)
        belonging = replace(belonging, host=self._here, listen=listen, asked=asked, left=left)
        founding.save(self._home, belonging)
        given.take(self._home, belonging)
        return belonging

    # -- what was asked for --------------------------------------------------------------------------------------------

    def _check_listen(self) -> None:
        """Before anything is joined: a port that its owner asks for now can be had."""
        if self._options.listen:
            spot = listening.read(self._options.listen)
            for port in range(spot.port, spot.port + listening.PORTS) if spot.port else ():
                probe(spot.host, port)

    def _check_mesh(self, before: Belonging | None) -> None:
        if before is not None and self._options.mesh not in ("", before.name):
            hint = "leave out --mesh; for a second mesh on this machine set ODYSSEY_HOME to another folder"
            raise UsageError(f"this machine is in {before.name} already, and that keeps its name", hint=hint)


def _login_name() -> str:
    """Of who runs this; on the log names are printable."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = ""
    return name if name and name.isprintable() else f"user{os.geteuid()}"
