"""How many of the held-out questions of the built-in conversations a model answers in the right form, and truly.

python -m benchmarks.conversations MODEL [--questions N] [--seed S]
python -m benchmarks.conversations MODEL --wrong 3    # with three answers of a wrong form or untrue ones of each kind

MODEL is a name in the library, a run, or a folder. Answers are the likeliest ones (temperature 0), or drawn with
--temperature from --sample-seed on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui_gpt.engine.text.conversations import Case, Message, held_out

MOST_NEW_TOKENS = 220


@dataclass
class Score:
    """Of one kind of question: how many were asked, answered in the right form, and answered truly in that form."""

    asked: int = 0
    formed: int = 0
    true: int = 0
    wrong: list[tuple[Case, str]] = field(default_factory=list)

    def add(self, case: Case, answer: str) -> None:
        """Count one answer; one of a wrong form does not count as true."""
        formed = case.right_form(answer)
        true = formed and case.is_true(answer)
        self.asked += 1
        self.formed += formed
        self.true += true
        if not true:
            self.wrong.append((case, answer))


def examine(cases: Sequence[Case], answer: Callable[[Sequence[Message]], str]) -> dict[str, Score]:
    """The score of each kind, in the order in which the kinds were met."""
    scores: dict[str, Score] = {}
    for case in cases:
        scores.setdefault(case.kind, Score()).add(case, answer(case.prompt))
    return scores


def total(scores: dict[str, Score]) -> Score:
    """All kinds together, each question counting the same."""
    every = scores.values()
    return Score(sum(s.asked for s in every), sum(s.formed for s in every), sum(s.true for s in every))


def answerer(model: str, temperature: float, seed: int) -> Callable[[Sequence[Message]], str]:
    """What a model of the library replies to messages."""
    from tui_gpt.core.config import SampleConfig
    from tui_gpt.engine.generation import dialogue
    from tui_gpt.engine.generation.model_source import load_source

    _, loaded = load_source(model)
    config = SampleConfig(max_new_tokens=MOST_NEW_TOKENS, temperature=temperature, seed=seed)
    return lambda messages: dialogue.reply(loaded, messages, config)


def table(scores: dict[str, Score]) -> str:
    """The shares as a Markdown table."""
    rows = [*scores.items(), ("all", total(scores))]
    lines = ["| kind | asked | right form | and true |", "|---|---|---|---|"]
    lines += [f"| {kind} | {s.asked} | {s.formed / s.asked:.1%} | {s.true / s.asked:.1%} |" for kind, s in rows]
    return "\n".join(lines)


def as_json(scores: dict[str, Score]) -> dict[str, Any]:
    """The counts, by kind and in all."""
    rows = [*scores.items(), ("all", total(scores))]
    return {kind: {"asked": s.asked, "right_form": s.formed, "true": s.true} for kind, s in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name in the library, run, or folder")
    parser.add_argument("--questions", type=int, default=480, help="how many are asked, of all kinds (default 480)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of questions")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--sample-seed", type=int, default=1, help="of answers drawn at a temperature")
    parser.add_argument("--wrong", type=int, default=0, metavar="N", help="show N wrong answers of each kind")
    parser.add_argument("--json", action="store_true", help="print counts as JSON")
    arguments = parser.parse_args()

    cases = held_out(arguments.questions, arguments.seed)
    started = time.perf_counter()
    scores = examine(cases, answerer(arguments.model, arguments.temperature, arguments.sample_seed))
    if arguments.json:
        print(json.dumps(as_json(scores)))
        return
    print(f"{arguments.model}: {len(cases)} held-out questions, seed {arguments.seed}", end="")
    print(f", temperature {arguments.temperature:g}, {time.perf_counter() - started:.0f} s\n")
    print(table(scores))
    for kind, score in scores.items():
        for case, answer in score.wrong[: arguments.wrong]:
            fault = "untrue" if case.right_form(answer) else "wrong form"
            print(f"\n[{kind}, {fault}] {case.prompt[-1].content}\n  answered: {answer!r}\n  true:     {case.answer!r}")


if __name__ == "__main__":
    main()
