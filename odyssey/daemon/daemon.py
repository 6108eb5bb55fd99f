"""One daemon, put together: the parts of a node with their real ports, on an asyncio loop.

Promises: it serves once its machine is a member of its mesh; a signal ends it in order, a second one at once; a bug
that nobody expected ends it, and the next one begins from the disk.
Never: decides anything about jobs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from odyssey.archiving import Habits
from odyssey.clock import SystemClock, SystemEntropy
from odyssey.config import Config
from odyssey.daemon import founding, health
from odyssey.daemon.alone import NoHands
from odyssey.daemon.founding import Belonging, Storehouse
from odyssey.daemon.gate import Gate
from odyssey.daemon.life import Body, Life
from odyssey.daemon.options import Options
from odyssey.events import Event
from odyssey.ids import UserId
from odyssey.mesh import identity
from odyssey.mesh.archive import Retention, Ripening
from odyssey.mesh.store import Settings
from odyssey.messages import Telemetry
from odyssey.paths import Home

MEMBER_S: Final = 20.0  # a machine that is alone is a member within a tick or two; a slow disk takes longer
GATE_S: Final = 5.0
BROKEN: Final = 70  # the exit status after a bug
_log: Final = logging.getLogger(__name__)


class Daemon:
    def __init__(self, options: Options, home: Home, config: Config) -> None:
        self._options, self._home, self._config = options, home, config
        self._gate: Gate | None = None

    @property
    def socket(self) -> Path:
        assert self._gate is not None
        return self._gate.path

    async def serve(self, ready: Callable[[], None]) -> int:
        """Until somebody ends it; gives the exit status."""
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[int] = self._loop.create_future()
        self._member = asyncio.Event()
        self._loop.set_exception_handler(self._on_bug)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.add_signal_handler(number, self._on_signal, number)
        life = self._life = Life(self._storehouse(), self._body(), self._changed)
        try:
            await self._begin(life)
            if not self._over.done():
                self._gate = Gate(self._home)
                ready()
                _log.info("ready: machine %s, process %d", life.belonging.machine, os.getpid())
                self._look_at_gate()
            return await self._over
        finally:
            await self._end(life)

    async def _begin(self, life: Life) -> None:
        """Whatever comes first: it is a member, somebody ends it, or a bug does."""
        begun = asyncio.ensure_future(self._become_member(life))
        first: set[asyncio.Future[Any]] = {begun, self._over}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if begun.done():
            begun.result()
        else:
            begun.cancel()

    async def _become_member(self, life: Life) -> None:
        await life.begin()
        try:
            await asyncio.wait_for(self._member.wait(), MEMBER_S)
        except TimeoutError:
            _log.warning("this machine is not a member of its mesh yet")

    def _changed(self, _: Sequence[Event] | None) -> None:
        if self._life.is_member:
            self._member.set()

    # -- what it is made of --------------------------------------------------------------------------------------------

    def _storehouse(self) -> Storehouse:
        home, entropy = self._home, SystemEntropy()
        key = identity.load_or_make(home.key)
        belonging = founding.load(home)
        if belonging is None:
            belonging = self._new_belonging()
            founding.save(home, belonging)
        settings = Settings(self._config.number("disk.guard"), self._config.number("disk.ballast"))
        return Storehouse(home, key, belonging, entropy, settings)

    def _new_belonging(self) -> Belonging:
        options = self._options
        owner = UserId(options.owner or _login_name())
        return founding.begin(owner, options.machine or os.uname().nodename, options.mesh, SystemEntropy())

    def _body(self) -> Body:
        return Body(
            clock=SystemClock(),
            entropy=SystemEntropy(),
            hands=NoHands(),
            boot=health.boot_id(),
            until_ms=lambda: 0,
            health=Telemetry,
            facts=health.facts,
            habits=_habits(self._config),
        )

    # -- ends ----------------------------------------------------------------------------------------------------------

    def end(self, status: int = 0) -> None:
        if not self._over.done():
            self._over.set_result(status)

    def _on_signal(self, number: int) -> None:
        if self._over.done():
            _log.warning("ends at once")
            os._exit(128 + number)
        _log.info("ends: %s", signal.Signals(number).name)
        self.end()

    def _on_bug(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        _log.critical("the daemon ends: this is a bug in Odyssey: %s", context.get("message"), exc_info=error)
        self.end(BROKEN)

    async def _end(self, life: Life) -> None:
        if self._gate is not None:
            self._gate.close()
        await life.end()
        _log.info("ended")

    def _look_at_gate(self) -> None:
        gate = self._gate
        if gate is None or self._over.done():
            return
        self._loop.call_later(GATE_S, self._look_at_gate)
        if not gate.is_there():
            old = gate.listener
            if gate.open_again():
                old.close()
                _log.warning("the socket was gone; it is %s now", gate.path)


def _login_name() -> str:
    """Of who runs this; on the log names are printable."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = ""
    return name if name and name.isprintable() else f"user{os.geteuid()}"


def _habits(config: Config) -> Habits:
    ripening = Ripening(config.number("jobs.fresh"), config.number("jobs.age"))
    keep = Retention(bytes=config.number("history.keep"), age_ms=config.number("history.age"))
    return Habits(ripening, keep)
