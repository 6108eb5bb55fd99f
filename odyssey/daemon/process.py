"""From a command line to a daemon that serves, and to its end.

Promises: whoever waits for the start is told where the socket is, or an error and a hint; the end of this process at
any moment leaves nothing that stops the next one.
Never: ends what runs for others; that is the hands' business.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from odyssey import config, errors
from odyssey.daemon import logs
from odyssey.daemon.daemon import Daemon
from odyssey.daemon.lock import HomeLock, Occupied
from odyssey.daemon.options import Options, read
from odyssey.errors import OdysseyError
from odyssey.lasting import sync_above
from odyssey.mesh.sidefiles import refused
from odyssey.paths import Home, prepare

NICE: Final = 5
FILES_OPEN: Final = 8192
OF_THE_DISK: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS))
_STDERR_BYTES: Final = 1 << 20
_log: Final = logging.getLogger(__name__)


def run(words: Sequence[str]) -> int:
    options = read(words)
    home = Home(options.home)
    if _is_unwanted(options, home):
        return 0
    if options.ready >= 0:
        os.set_inheritable(options.ready, False)
    os.umask(0o077)
    try:
        return _serve(options, home)
    except OdysseyError as error:
        _tell_why(options, error)
        return error.exit_status
    except OSError as error:
        if error.errno not in OF_THE_DISK:
            raise
        refusal = refused(home.path, error)  # also of the first byte that the home was to hold
        _tell_why(options, refusal)
        return refusal.exit_status


def _serve(options: Options, home: Home) -> int:
    prepare(home)
    sync_above(home.path)
    home.logs.mkdir(mode=0o700, exist_ok=True)
    if not options.foreground:
        _leave_terminal(home)
    lock = HomeLock(home.daemon_lock)
    try:
        if _is_unwanted(options, home):
            return 0
        settings = config.read(home.config, os.environ)
        logs.begin(home.log, settings.text("log.level"), options.foreground)
        _be_modest()
        gc.disable()  # until it serves: a log that is read makes much, and all of it stays
        daemon = Daemon(options, home, settings)
        return asyncio.run(daemon.serve(lambda: _ready(options, daemon)))
    except OdysseyError as error:
        _log.error("%s", error)
        raise
    except Exception:
        _log.critical("the daemon ends: this is a bug in Odyssey", exc_info=True)
        raise
    finally:
        lock.release()


def _is_unwanted(options: Options, home: Home) -> bool:
    """Nobody waits for this one: the hands started it again, for a home that has gone meanwhile or is in no mesh any
    more."""
    return options.ready < 0 and not options.foreground and not home.mesh.exists()


def _ready(options: Options, daemon: Daemon) -> None:
    gc.freeze()  # what is here now stays: later collections need not look at it
    gc.enable()
    _tell(options, {"ready": os.fspath(daemon.socket)})


def _tell_why(options: Options, error: OdysseyError) -> None:
    if options.ready >= 0:
        status, occupied = int(error.exit_status), isinstance(error, Occupied)
        _tell(options, {"error": error.message, "hint": error.hint, "status": status, "occupied": occupied})
    elif options.foreground:
        sys.stderr.write("".join(f"{line}\n" for line in errors.lines(error) if line is not None))


def _tell(options: Options, what: dict[str, object]) -> None:
    """To whoever waits for the start, if somebody still does."""
    if options.ready >= 0:
        with suppress(OSError):
            os.write(options.ready, json.dumps(what).encode() + b"\n")
        with suppress(OSError):
            os.close(options.ready)


def _leave_terminal(home: Home) -> None:
    """What Python itself has to say when it dies goes into a file beside the log."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDWR)
    path = home.logs / "stderr"
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    if path.exists() and path.stat().st_size > _STDERR_BYTES:
        flags |= os.O_TRUNC
    complaints = os.open(path, flags, 0o600)
    for file, number in ((nothing, 0), (nothing, 1), (complaints, 2)):
        os.dup2(file, number)
    os.close(nothing)
    os.close(complaints)


def _be_modest() -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES_OPEN:
        wanted = FILES_OPEN if hard == resource.RLIM_INFINITY else min(FILES_OPEN, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
