"""What runs on this machine: the hands, what they have written, and what an attempt is started with.

Promises: what the hands need of the home is one place each; trouble with them is a sentence for people.
Never: starts or ends an attempt by itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pwd
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from odyssey.api.ports import Others
from odyssey.clock import Clock
from odyssey.config import Config
from odyssey.daemon.inputs import Absent, Inputs
from odyssey.daemon.options import Options
from odyssey.daemon.shellpath import login_path
from odyssey.errors import OdysseyError
from odyssey.exec.files import Files
from odyssey.exec.hands import Places, SupervisorHands
from odyssey.exec.launch import Launch, Launcher, Machine, Trouble
from odyssey.exec.outputs import Outputs
from odyssey.ids import AttemptId
from odyssey.mesh.blobs import Blobs, Words
from odyssey.messages import Here, Listed
from odyssey.model import Outcome
from odyssey.paths import LONGEST_SOCKET, Home, socket_path, write_whole
from odyssey.spec import JobSpec
from odyssey.starting import command, handed_on

END_S: Final = 15.0
ENV: Final = "/usr/bin/env"  # who starts a daemon again knows nothing of its environment
_log: Final = logging.getLogger(__name__)


class Work:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        home: Home,
        clock: Clock,
        config: Config,
        options: Options,
        on_end: Callable[[bool], None],
        others: Callable[[], Others],
        on_input: Callable[[], None],
    ) -> None:
        """`on_input`: what an attempt waited for is here."""
        self._loop, self._on_end = loop, on_end
        self.trouble = ""
        own = home.path / "hands"
        places = Places(
            own=own,
            outputs=home.path / "outputs",
            spool=home.spool / "stdin",
            files=home.files,
            socket=_socket(home, own),
            log=home.logs / "hands",
            output_limit=config.number("output.limit"),
        )
        again = (
            ENV,
            *(f"{name}={value}" for name, value in handed_on(os.environ).items()),
            *command(home, options.is_embedded),
        )
        self.outputs = Outputs(places.outputs, own / "slots", loop)
        self.files = Files(places.files)
        self.hands = SupervisorHands(
            loop, places, clock, self._launch, self._ended, self._in_trouble, tuple(map(os.fsencode, again)),
            self.outputs.wrote,
        )  # fmt: skip
        self._words = Words(Blobs(home.blobs))
        self.inputs = Inputs(home.blobs, places.spool, others, self.hands.here, on_input, self.hands.stdin_grew)
        self._home, self._machine = home, ""
        self.path = owners_path(home, os.environ.get("PATH", os.defpath), may_change=options.is_owners_word)
        self.call("")

    def call(self, machine: str) -> None:
        """This machine has a name now, or another one."""
        self._machine = machine
        user = _user()
        self._launcher = Launcher(
            Machine(
                machine,
                self.path,
                os.fsencode(user.pw_dir if user else os.environ.get("HOME", "/")),
                os.fsencode(user.pw_name if user else os.environ.get("USER", "")),
                os.fsencode(user.pw_shell if user else os.environ.get("SHELL", "/bin/sh")),
            ),
            self._words,
        )

    async def ask_shell(self) -> bool:
        """The path of the owner's login shell is the one that jobs have from now on. False: it did not tell."""
        user = _user()
        if user is None:
            return False
        path = await asyncio.to_thread(login_path, user.pw_shell, user.pw_dir, user.pw_name)
        if path is not None and path != self.path:
            _log.info("programs are looked for where the owner's login shell does")
            self.path = owners_path(self._home, os.fsdecode(path), may_change=True)
            self.call(self._machine)
        return path is not None

    def _launch(self, one: Listed, spec: JobSpec) -> Launch | Trouble | None:
        """None: what it needs is on its way here."""
        try:
            return None if self.inputs.lacks(one, spec) else self._launcher(one, spec)
        except Absent as error:
            return Trouble(Outcome.NOT_HERE, error.message)

    # -- beginning and end ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """All that runs here is known when this returns."""
        opened = asyncio.Event()
        self.hands.open(opened.set)
        await opened.wait()
        self.inputs.begin()

    def leave(self) -> None:
        """What runs goes on."""
        self.hands.leave()

    def close(self) -> None:
        self.inputs.close()

    async def end(self) -> None:
        """Nothing runs any more, and the supervisor is gone."""
        ended = asyncio.Event()
        self.hands.end(ended.set)
        try:
            await asyncio.wait_for(ended.wait(), END_S)
        except TimeoutError:
            _log.error("the process that runs jobs has not ended")

    # -- what happens --------------------------------------------------------------------------------------------------

    def _ended(self, has_freed: bool) -> None:
        self.trouble = ""
        self._on_end(has_freed)

    def _in_trouble(self, error: OdysseyError) -> None:
        _log.error("%s", error)
        self.trouble = error.message

    # -- for the counter -----------------------------------------------------------------------------------------------

    @property
    def pid(self) -> int | None:
        return self.hands.pid

    def here(self) -> Mapping[AttemptId, Here]:
        return self.hands.here()

    def stdin_grew(self, name: bytes, size: int, is_complete: bool) -> None:
        self.hands.stdin_grew(name, size, is_complete)

    def type(
        self, attempt: AttemptId, writer: int, offset: int, size: tuple[int, int], data: bytes,
        told: Callable[[int], None],
    ) -> None:  # fmt: skip
        self.hands.type(attempt, writer, offset, size, data, told)


def owners_path(home: Home, here: str, may_change: bool) -> bytes:
    """Where the owner's programs are. Service managers and cron start a daemon with a bare PATH, so what was there when
    a person started it is kept."""
    try:
        known = home.programs.read_bytes()
    except OSError:
        known = b""
    if known and not may_change:
        return known
    path = os.fsencode(here)
    if path != known:
        with suppress(OSError):  # it is asked for again next time
            write_whole(home.programs, path)
    return path


def _socket(home: Home, own: Path) -> Path:
    """Beside the journal, where nothing takes it away while jobs run; elsewhere only if no socket can be there."""
    path = own / "socket"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    return socket_path(home, {}).with_suffix(".hands")


def _user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        return None
