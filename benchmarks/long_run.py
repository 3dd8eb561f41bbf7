"""Whether steps grow longer as a run does: a real trainer at step 1,000,000 beside one at step 1,000, in turns.

python -m benchmarks long_run

Each resumes a checkpoint at its step, with the metrics of all steps before it; evaluations are configured away.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.interleaved import Contender, ratio, take_turns
from benchmarks.machine import described

MOST = 1.02
EARLY, LATE = 1_000, 1_000_000


def main() -> int:
    """Print a table; 1 where late steps take more than MOST times as long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    arguments = parser.parse_args()
    print(described())
    early, late = (
        Contender(
            f"at step {step:,}",
            "benchmarks.contenders.trainer",
            {"shape": {}, "seconds": arguments.seconds, "steps_before": step},
        )
        for step in (EARLY, LATE)
    )
    take_turns([early, late], arguments.rounds)
    for contender in (early, late):
        if contender.failure:
            print(f"the trainer {contender.name} failed: {contender.failure}")
            return 1
        print(f"{contender.name:<20}{contender.median:>10,.0f} tokens/s ± {contender.spread:.1%}")
    found = ratio(early, late)
    print(f"a step's time late over early: {found:.3f}; at most {MOST}, aim 1.00; {arguments.rounds} rounds")
    return 0 if found <= MOST else 1


if __name__ == "__main__":
    sys.exit(main())
