"""`python -m bench [NAME…] [--json FILE] [--quick] [--check]`: measure, print a table, write the figures down.

Promises: a line as soon as its figure is known; each measurement has a fresh process, so that none inherits the heap of
another; the JSON holds all that the table shows, and the machine it was run on.
Never: fails because something was slow, unless `--check` says so. What must be equal and is not always fails.
"""

import argparse
import importlib
import os
import platform
import sys
from pathlib import Path
from time import perf_counter

import msgspec

from bench.harness import REGISTER, Check, Effort, Figure, Result, chosen, heading, line, measured

AREAS = (
    "plan",
    "apply",
    "memory",
    "log",
    "wire",
    "replay",
    "store",
    "raft",
    "spine",
    "api",
    "shell",
    "daemon",
    "sim",
    "lab",
    "exec",
    "links",
    "mesh",
    "failover",
)


def main() -> int:
    options = _options()
    for area in AREAS:
        importlib.import_module(f"bench.{area}")  # its measurements enter themselves in the register
    benches, unknown = chosen(options.names)
    if unknown:
        print(f"error: there is no measurement called {', '.join(unknown)}", file=sys.stderr)
        print(f"hint: there are {', '.join(REGISTER)}", file=sys.stderr)
        return 2
    print(
        f"{_machine()['python']}, cpu time, gc on as in production, raw and real by turns, medians\n\n{heading()}",
        flush=True,
    )
    results: list[Result] = []
    begin = perf_counter()
    for name in benches:
        for result in measured(name, Effort(options.quick)):
            print(line(result), flush=True)
            results.append(result)
    print(f"\n{len(results)} results in {perf_counter() - begin:.0f} s, written to {options.json}")
    _write(options.json, options.quick, results)
    wrong = [one for one in results if isinstance(one, Check) and not one.ok]
    missed = [one for one in results if isinstance(one, Figure) and one.met is False]
    if missed:
        print(f"short of their target: {', '.join(one.name for one in missed)}")
    return 1 if wrong or (options.check and missed) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Figures of the real code beside their raw limits.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="an area (plan) or a measurement (plan.one_task)")
    parser.add_argument("--json", type=Path, default=Path("bench-results.json"), metavar="FILE")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and smaller states")
    parser.add_argument("--check", action="store_true", help="exit 1 when a figure is short of its target")
    return parser.parse_args()


def _machine() -> dict[str, object]:
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
    }


def _write(path: Path, quick: bool, results: list[Result]) -> None:
    figures = [{**msgspec.structs.asdict(one), "met": one.met} for one in results if isinstance(one, Figure)]
    checks = [one for one in results if isinstance(one, Check)]
    told = {"machine": _machine(), "quick": quick, "figures": figures, "checks": checks}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told)))


if __name__ == "__main__":
    sys.exit(main())
