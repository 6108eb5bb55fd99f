"""The laboratory's door: reads options, prints the table, writes the drawing. The only file of it that does.

Promises: one option, one meaning; a mistake is told in one `error:` and one `hint:` line, exit status 2.
Never: simulates or measures anything itself.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

from odyssey.scheduler.lab.compare import POLICIES, Comparison, compare, simulate
from odyssey.scheduler.lab.drawing import drawing
from odyssey.scheduler.lab.kinds import HETEROGENEOUS, KINDS, draw
from odyssey.scheduler.lab.report import step, table
from odyssey.scheduler.lab.tune import descend
from odyssey.scheduler.policies import BUILT_IN
from odyssey.scheduler.policies.weighted import POLICY as WEIGHTED
from odyssey.scheduler.score import MAX_WEIGHT, TERMS


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        fail(message, f"see: {self.prog} --help")


def fail(error: str, hint: str) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    print(f"hint: {hint}", file=sys.stderr)
    sys.exit(2)


def parser() -> argparse.ArgumentParser:
    made = _Parser(prog="python -m odyssey.scheduler.lab", description="The real scheduler on pretend machines.")
    made.add_argument("--seeds", type=int, default=20, metavar="N", help="how many workloads (default 20)")
    made.add_argument("--seed", type=int, default=0, help="the first one's seed (default 0)")
    made.add_argument("--workload", default="all", metavar="KIND", help=f"all, or one of: {', '.join(KINDS)}")
    made.add_argument(
        "--policy", nargs="+", default=list(POLICIES), metavar="NAME", help="the first against the others"
    )
    made.add_argument("--machines", type=int, default=0, metavar="N", help="how many; drawn from the seed if left out")
    made.add_argument("--set", action="append", default=[], metavar="TERM=W", help="a weight of the first policy")
    made.add_argument(
        "--svg", type=Path, metavar="FILE", help="draw the first workload under each policy, and all as dots"
    )
    made.add_argument("--tune", action="store_true", help="search for weights of the default policy instead")
    made.add_argument("--json", action="store_true", help="all measures as one JSON document")
    return made


def checked(options: argparse.Namespace) -> tuple[str, ...]:
    """The kinds of workloads asked for; ends the program when an option makes no sense."""
    for policy in options.policy:
        if policy not in BUILT_IN:
            fail(f"there is no policy {policy!r}", f"use some of: {', '.join(BUILT_IN)}")
    if options.workload not in ("all", *KINDS):
        fail(f"there is no workload {options.workload!r}", f"use all, or one of: {', '.join(KINDS)}")
    if not 1 <= options.seeds <= 10_000:
        fail(f"--seeds {options.seeds} is out of range", "use 1 to 10000")
    if not 0 <= options.machines <= 1000:
        fail(f"--machines {options.machines} is out of range", "use 1 to 1000, or leave it out")
    return HETEROGENEOUS if options.workload == "all" else (options.workload,)


def weights(options: argparse.Namespace) -> dict[str, int]:
    chosen = {}
    for text in options.set:
        term, _, weight = text.partition("=")
        if term not in TERMS or not weight.isdecimal() or int(weight) > MAX_WEIGHT:
            fail(
                f"--set {text!r} is not a weight",
                f"write TERM=W with W from 0 to {MAX_WEIGHT}; terms: {', '.join(TERMS)}",
            )
        chosen[term] = int(weight)
    return chosen


def as_json(comparison: Comparison) -> str:
    trials = [
        {
            "workload": one.kind,
            "seed": one.seed,
            "policy": one.policy,
            "machines": one.machines,
            **one.measures._asdict(),
        }
        for one in comparison.trials
    ]
    against = [{**one._asdict(), "trials": one.trials, "won": one.won} for one in comparison.against]
    return json.dumps({"policy": comparison.policy, "against": against, "trials": trials}, indent=2)


def main() -> None:
    options = parser().parse_args()
    kinds, chosen = checked(options), weights(options)
    if options.tune:
        for tried in descend(options.seeds, options.seed, kinds, {**WEIGHTED.weights, **chosen}):
            print(step(tried), flush=True)
        return
    comparison = compare(options.seeds, options.policy, kinds, options.seed, options.machines, chosen)
    print(as_json(comparison) if options.json else table(comparison))
    if options.svg is not None:
        workload = draw(kinds[0], options.seed, options.machines)
        runs = [simulate(workload, name, chosen if name == options.policy[0] else None) for name in options.policy]
        try:
            options.svg.write_text(drawing(runs, comparison), encoding="utf-8")
        except OSError as error:
            fail(f"{options.svg} cannot be written: {error.strerror}", "name another file")


if __name__ == "__main__":
    main()
