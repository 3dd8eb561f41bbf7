"""Training steps on this machine's processor: this program and transformers, the same GPT-2, in turns.

python -m benchmarks training
python -m benchmarks training small large-vocabulary --rounds 9

Of transformers every setting is tried alone first: float32, and bf16 by autocast where the processor is faster with
it; eager and compiled; with the allocator as a user starts it, and as this program starts its trainer. The fastest with
each allocator then takes turns with ours.
Both find the gradients of the mean loss, clip them and step by a fused AdamW, on random tokens.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch

from benchmarks.interleaved import Contender, ratio, take_turns
from benchmarks.machine import described, matrix_peak
from tui_gpt.core.config import ModelConfig
from tui_gpt.core.runs.child_process import trainer_environment
from tui_gpt.core.sizes import flops_per_token
from tui_gpt.engine.cores import physical_threads
from tui_gpt.engine.training.devices import bf16_gain

CASES: dict[str, dict[str, Any]] = {
    "small": {"layers": 4, "width": 128, "heads": 4, "context": 64, "vocabulary": 65, "batch": 12},
    "medium": {"layers": 6, "width": 384, "heads": 6, "context": 256, "vocabulary": 65, "batch": 16},
    "large-vocabulary": {"layers": 4, "width": 256, "heads": 4, "context": 512, "vocabulary": 50257, "batch": 8},
    "gpt2": {"layers": 12, "width": 768, "heads": 12, "context": 256, "vocabulary": 50257, "batch": 2},
}
AS_STARTED, KEPT = "as started", "allocator kept"


def own(case: dict[str, Any], precision: str, *, compiled: bool) -> Contender:
    """This program's step, in the environment that it gives its trainers."""
    name = f"tui-gpt {precision}" + (" compiled" if compiled else "")
    options = {**case, "precision": precision, "compiled": compiled}
    return Contender(name, "benchmarks.contenders.own_training", options, trainer_environment())


def peers(case: dict[str, Any], allocator: str) -> list[Contender]:
    """transformers in all its settings."""
    environment: dict[str, str] = {}
    if allocator == KEPT:
        environment = {name: value for name, value in trainer_environment().items() if name.startswith("MALLOC_")}
    return [
        Contender(
            f"transformers {precision}{' compiled' if compiled else ''}, {allocator}",
            "benchmarks.contenders.transformers_training",
            {**case, "precision": precision, "compiled": compiled},
            environment,
        )
        for precision in (("float32", "bf16") if bf16_gain("cpu") > 1 else ("float32",))
        for compiled in (False, True)
    ]


def best(contenders: list[Contender]) -> Contender:
    """The fastest of several, each tried alone; a fresh one of it."""
    for contender in contenders:
        take_turns([contender], 1)
        if not contender.failure:
            print(f"    {contender.name}: {max(contender.rounds):,.0f} tokens/s", flush=True)
    chosen = max((each for each in contenders if each.rounds and not each.failure), key=lambda each: max(each.rounds))
    return Contender(chosen.name, chosen.module, chosen.options, chosen.environment)


def compare(name: str, case: dict[str, Any], rounds: int) -> None:
    """Heats, then the final, printed as a table."""
    print(f"\n{name}: {case}")
    precisions = ["bf16", "float32"] if bf16_gain("cpu") > 1 else ["float32"]
    ours = [own(case, precision, compiled=compiled) for precision in precisions for compiled in (False, True)]
    theirs = [best(peers(case, AS_STARTED)), best(peers(case, KEPT))]
    take_turns([*ours, *theirs], rounds)
    model = ModelConfig(
        n_layer=case["layers"],
        n_embd=case["width"],
        n_head=case["heads"],
        n_positions=case["context"],
        vocab_size=case["vocabulary"],
    )
    kind = precisions[0]
    peak = matrix_peak(torch.bfloat16 if kind == "bf16" else torch.float32)
    print(f"{kind} matrix peak: {peak / 1e9:,.0f} GFLOP/s")
    print(f"{'':<44}{'tokens/s':>10}{'spread':>8}{'of peak':>9}{'memory':>9}  over each peer")
    for each in [*ours, *theirs]:
        if each.failure:
            print(f"{each.name:<44}{each.failure}")
            continue
        share = each.median * flops_per_token(model).training / peak
        over = "  ".join(f"{ratio(each, peer):.2f}" for peer in theirs)
        memory = each.notes["peak"] / 1e6
        print(f"{each.name:<44}{each.median:>10,.0f}{each.spread:>8.1%}{share:>9.1%}{memory:>6,.0f} MB  {over}")


def main() -> None:
    """Every case that was named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=", ".join(CASES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a round takes at least")
    arguments = parser.parse_args()
    for name in arguments.cases:
        if name not in CASES:
            parser.error(f"there is no case named {name}; there are {', '.join(CASES)}")
    torch.set_num_threads(physical_threads())
    print(described())
    for name in arguments.cases or CASES:
        compare(name, CASES[name] | {"seconds": arguments.seconds}, arguments.rounds)


if __name__ == "__main__":
    main()
