"""The way to the daemon of this machine.

Promises: `ODYSSEY_SOCKET` is gone to as it stands; else the daemon of the home, which is started when the command asks
for that and none runs. What is imported for starting one is imported only then.
Never: keeps trying without an end.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from odyssey.api.client import Client
from odyssey.errors import Unreachable
from odyssey.paths import Home, find_home, known_socket


def connect(environment: Mapping[str, str], *, start: bool, say: Callable[[str], None]) -> Client:
    home = find_home(environment)
    if start:
        from odyssey.starting import ensure_running

        for note in ensure_running(home, environment=environment).notes:
            say(note)
    return Client(lambda: where(home, environment))


def where(home: Home, environment: Mapping[str, str]) -> str:
    path = known_socket(home, environment)
    if path is None:
        raise Unreachable("no daemon runs here", hint="start one: odyssey up, or odyssey run -- COMMAND")
    return os.fspath(path)
