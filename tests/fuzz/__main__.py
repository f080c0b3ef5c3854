"""python -m tests.fuzz --count 2000 [--source aws_cur] [--seed 1]: many damaged deliveries, and a table of what became of them.

A single case again, with its traceback: python -m tests.fuzz --source aws_cur --case 123
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tests.fuzz.cases import Outcome, run_case
from tests.fuzz.deliveries import fixtures
from tests.fuzz.reading import READINGS


def main() -> int:
    """Run and print; the exit status is 1 when a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="cases per source")
    parser.add_argument("--source", action="append", help="a source; repeat for several (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="the first case's seed is seed × 1,000,000")
    parser.add_argument("--case", type=int, help="run this one case and say what happened")
    arguments = parser.parse_args()
    known = fixtures()
    chosen = {name: known[name] for name in arguments.source or known}
    if arguments.case is not None:
        for name, found in chosen.items():
            print(name, *vars(run_case(found, arguments.case)).values(), sep="\n  ")
        return 0
    failed: list[tuple[str, Outcome]] = []
    print("| Source | Format | Cases | Loaded | Refused | Failures | Total checked | Seconds | Refused by type |")
    print("|---|---|---:|---:|---:|---:|---|---:|---|")
    for name, found in chosen.items():
        begun = time.monotonic()
        outcomes = [run_case(found, arguments.seed * 1_000_000 + number) for number in range(arguments.count)]
        kinds = Counter(outcome.what for outcome in outcomes)
        failed += [(name, outcome) for outcome in outcomes if outcome.what == "FAILED"]
        refusals = {kind: count for kind, count in kinds.most_common() if kind not in ("loaded", "FAILED")}
        print(
            f"| {name} | {found[0].format} | {len(outcomes)} | {kinds['loaded']} | {sum(refusals.values())} | {kinds['FAILED']} "
            f"| {'yes' if name in READINGS else 'rows only'} | {time.monotonic() - begun:.0f} "
            f"| {', '.join(f'{kind} {count}' for kind, count in refusals.items())} |",
            flush=True,
        )
    for name, outcome in failed:
        print(f"\n{name} --case {outcome.seed}: {outcome.damage}\n{outcome.why}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
