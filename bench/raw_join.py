"""The raw limit of joining: `python -m bench.raw_join command|daemon KEY HOST PORT` in the host that is about to join.

The command only imports what `odyssey join` does; the daemon imports what it needs among others, and makes one CURVE
connection to the join socket.

Never: says anything on that connection.
"""

from __future__ import annotations

import sys
from typing import Final

PATIENCE_MS: Final = 5_000


def command() -> None:
    import odyssey.cli.joining  # noqa: F401


def daemon(key: bytes, host: str, port: int) -> None:
    import zmq

    import odyssey.daemon.joining
    import odyssey.daemon.lan
    import odyssey.daemon.process  # noqa: F401

    ctx = zmq.Context()
    socket = ctx.socket(zmq.DEALER)
    socket.linger = 0
    socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    socket.curve_serverkey = key
    watch = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    socket.connect(f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}")
    if not watch.poll(PATIENCE_MS):
        raise SystemExit("no handshake")
    ctx.destroy(linger=0)


def main(words: list[str]) -> None:
    what, key, host, port = words
    if what == "command":
        command()
    else:
        daemon(bytes.fromhex(key), host, int(port))


if __name__ == "__main__":
    main(sys.argv[1:])
