"""The daemon as a program: `python -m odyssey.daemon --home DIR`. People use `odyssey up`.

Promises: without --foreground it leaves its caller behind before it does anything else.
Never: writes on the terminal of a caller that it has left.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(words: Sequence[str]) -> int:
    if "--foreground" not in words:
        if os.fork():
            os._exit(0)  # whoever waits for this one knows that the other is on its own
        os.setsid()
    from odyssey.daemon.process import run

    return run(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
