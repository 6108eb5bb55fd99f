"""`python -m tests.chaos --minutes 3 --seed 7 --hosts 5 --keep DIR`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.chaos.run import main
from tests.lab.able import why_not

parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
parser.add_argument("--minutes", type=float, default=3.0)
parser.add_argument("--seed", type=int, default=int(time.time()))
parser.add_argument("--hosts", type=int, default=5)
parser.add_argument("--keep", type=Path, help="where the logs of the daemons go")
given = parser.parse_args()
if lacks := why_not():
    sys.exit(f"no lab here: {lacks}")
print(f"seed {given.seed}: {given.minutes:g} minutes, {given.hosts} machines")
sys.exit(main(given.seed, given.hosts, round(60 * given.minutes), given.keep))
