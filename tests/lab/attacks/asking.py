"""Somebody at a member who asks the mesh again and again: `python -m tests.lab.attacks.asking SECONDS`

Prints when it begins, and at the end how long the answers took (ms), what failed, and which machines were not up.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Final

from odyssey.api.client import Client
from odyssey.api.requests import Nodes
from odyssey.errors import OdysseyError
from odyssey.paths import find_home, known_socket

EVERY_S: Final = 0.02


def main(seconds: str) -> None:
    socket = known_socket(find_home())
    assert socket is not None
    took: list[float] = []
    failed: list[str] = []
    not_up: set[str] = set()
    with Client(socket) as client:
        print("{}", flush=True)
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            began = time.monotonic()
            try:
                found: Any = client.call(Nodes())
                not_up |= {f"{one.name} {one.state}" for one in found.nodes if one.state != "up"}
            except OdysseyError as error:
                failed.append(error.message)
            took.append((time.monotonic() - began) * 1000)
            time.sleep(EVERY_S)
    took.sort()
    at = {f"p{part}": round(took[len(took) * part // 100], 1) for part in (50, 99)}
    print(
        json.dumps({"asked": len(took), **at, "worst": round(took[-1], 1), "failed": failed, "not_up": sorted(not_up)})
    )


if __name__ == "__main__":
    main(sys.argv[1])
