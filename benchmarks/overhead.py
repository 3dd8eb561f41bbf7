"""What a trainer does besides its steps: tokens per second of the real process over `Learner.train_step` in a loop.

python -m benchmarks overhead
python -m benchmarks overhead --compile auto --seconds 10

The trainer is the detached process, with its metrics, its status and its log. Evaluations, samples and checkpoints are
none of its steps, and are configured away. Both have the same environment and the same priority, and take turns.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benchmarks.interleaved import Contender, ratio, take_turns
from benchmarks.machine import described
from tui_gpt.core.runs.child_process import trainer_environment

LEAST = 0.97
AIM = 0.99
SHAPES: dict[str, dict[str, Any]] = {
    "quick": {},
    # Over characters, as it is mostly trained.
    "6x384": {"model": {"n_layer": 6, "n_embd": 384, "n_head": 6}, "data": {"tokenizer": "char"}},
}


def main() -> int:
    """Print a table; 1 where a ratio is below LEAST."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn")
    parser.add_argument("--compile", choices=("off", "on", "auto"), default="off")
    arguments = parser.parse_args()
    print(described())
    print(f"{'shape':<10}{'trainer, tokens/s':>20}{'bare steps, tokens/s':>22}{'ratio':>9}")
    worst = 1.0
    for name in arguments.shapes:
        shape = SHAPES[name] | {"train": {"compile": arguments.compile}}
        options = {"shape": shape, "seconds": arguments.seconds}
        trainer = Contender("trainer", "benchmarks.contenders.trainer", options | {"steps_before": 0})
        bare = Contender("bare steps", "benchmarks.contenders.steps", options, trainer_environment())
        take_turns([trainer, bare], arguments.rounds)
        for contender in (trainer, bare):
            if contender.failure:
                print(f"{name}: the {contender.name} failed: {contender.failure}")
                return 1
        found = ratio(trainer, bare)
        worst = min(worst, found)
        print(f"{name:<10}{_figure(trainer):>20}{_figure(bare):>22}{found:>9.3f}")
    print(f"at least {LEAST}, aim {AIM}; medians of {arguments.rounds} rounds, with half the distance of the quartiles")
    return 0 if worst >= LEAST else 1


def _figure(contender: Contender) -> str:
    return f"{contender.median:,.0f} ± {contender.spread:.1%}"


if __name__ == "__main__":
    sys.exit(main())
