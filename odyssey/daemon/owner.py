"""The owner's rules on this machine: kept in `policy.toml`, followed from moment to moment.

Promises: a rule that was answered is in the file; what the machine may do follows within LOOK_S, and at once when a
rule changes. A file that cannot be followed stops everything that would run, and is said.
Never: decides what a rule means: `manners` does.
"""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from odyssey import manners
from odyssey.api import labels
from odyssey.api import views as v
from odyssey.api.ports import Manners
from odyssey.clock import Clock
from odyssey.errors import OdysseyError
from odyssey.manners import FOREVER, Allowed, Rules, Sight, Whose
from odyssey.mesh.sidefiles import refused
from odyssey.messages import Pause
from odyssey.paths import write_whole
from odyssey.resources import Resources

LOOK_S: Final = 5.0
_log: Final = logging.getLogger(__name__)


class Owner(Manners):
    def __init__(
        self,
        path: Path,
        has: Resources,
        clock: Clock,
        mains: Callable[[], bool | None],
        lid: Callable[[], bool | None],
        whose: Callable[[], Whose],
        follow: Callable[[Allowed], None],
    ) -> None:
        """`follow` is told what is allowed, whenever that has changed."""
        self._path, self._has, self._clock, self._mains, self._whose = path, has, clock, mains, whose
        self._lid = lid
        self._follow = follow
        self._rules, self._trouble = Rules(), ""
        self._stamp: tuple[int, int] | None = None
        self._read()
        self.now = self._decide()

    # -- the file ------------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """An editor may have changed it."""
        stamp = self._stamped()
        if stamp == self._stamp and stamp is not None:
            return
        self._stamp = stamp
        try:
            self._rules = manners.read(self._path.read_text("utf-8"), self._has) if stamp is not None else Rules()
            labels.changed({}, self._rules.labels.split())
            self._trouble = ""
        except (OdysseyError, OSError, UnicodeDecodeError) as error:
            self._trouble = error.message if isinstance(error, OdysseyError) else f"policy.toml: {error}"
            _log.error("the owner's rules cannot be followed, so nothing runs: %s", self._trouble)

    def _stamped(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino

    def _keep(self, rules: Rules) -> v.ShareView:
        try:
            write_whole(self._path, manners.written(rules).encode())
        except OSError as error:
            raise refused(self._path, error) from error
        self._rules, self._trouble, self._stamp = rules, "", self._stamped()
        self.look()
        return self.view()

    # -- what is allowed -----------------------------------------------------------------------------------------------

    def look(self) -> None:
        self._read()
        now = self._decide()
        if now != self.now:
            self.now = now
            _log.info("this machine %s", f"gives nothing: {now.pause}" if now.pause else "may be used")
            self._follow(now)

    def _decide(self) -> Allowed:
        local = time.localtime()
        sight = Sight(self._clock.wall_ms(), 60 * local.tm_hour + local.tm_min, self._mains(), self._lid())
        now = manners.allowed(self._rules, self._has, sight)
        return now._replace(pause=self._trouble, why=Pause.RULES) if self._trouble else now

    # -- what is asked -------------------------------------------------------------------------------------------------

    def share(self, typed: Mapping[str, str]) -> v.ShareView:
        if not typed:
            self.look()
            return self.view()
        return self._keep(manners.changed(self._rules, self._has, **typed))

    def pause(self, for_ms: int) -> v.ShareView:
        until = self._clock.wall_ms() + for_ms if for_ms > 0 else FOREVER
        return self._keep(self._rules._replace(paused_until_ms=until))

    def resume(self) -> v.ShareView:
        return self._keep(self._rules._replace(paused_until_ms=0))

    def label(self, words: Sequence[str]) -> Mapping[str, str]:
        made = labels.changed(manners.labels_of(self._rules), words)
        if not words:
            return made
        self._keep(self._rules._replace(labels=" ".join(f"{name}={value}" for name, value in sorted(made.items()))))
        return made

    def view(self) -> v.ShareView:
        rules, until = self._rules, self._rules.paused_until_ms
        is_paused = until > self._clock.wall_ms()
        return v.ShareView(
            manners.sentences(rules, self.now, self._whose()),
            rules.cpus or None,
            rules.mem or None,
            rules.hours or None,
            rules.quiet or None,
            rules.battery or None,
            is_paused,
            until if is_paused and until < FOREVER else None,
            rules.lid or None,
        )


def login() -> str:
    """As whom jobs run here."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "this user"
