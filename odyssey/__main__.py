"""The command `odyssey` (and `ody`, and `python -m odyssey`).

Promises: whatever happens ends with an exit status.
Never: imports more than it needs. Click is imported when the command runs, not when this module is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    from odyssey.cli.main import main as typed

    return typed(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
