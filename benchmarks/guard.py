"""How often the Python guard is right, on the questions of tests/data; and its weights, fitted to half of them.

python -m benchmarks.guard          # accuracy on both halves and the published questions
python -m benchmarks.guard --wrong  # with the questions of the tuning half that it gets wrong
python -m benchmarks.guard --fit    # writes weights and threshold into tui_gpt/core/guards/python.toml

The halves are made by a hash of each question. Weights, words and patterns are chosen on the tuning half alone; of the
untouched half only the figure is printed, never a question.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import re
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tui_gpt.core.guards.word_list import WordListGuard, load_word_list

ROOT = Path(__file__).resolve().parent.parent
GUARD_FILE = ROOT / "tui_gpt" / "core" / "guards" / "python.toml"
QUESTIONS = ROOT / "tests" / "data" / "guard_python"
LISTS = ("first", "second", "third", "fourth")
"""In the order in which they were written, each before the guard was measured on it."""
LATER = 3
"""How much a question of the later lists weighs, compared with one of the first."""
PULL = 0.02
"""How strongly a fitted weight is held to the one that was there."""


class Question(NamedTuple):
    """A prompt, and whether it is one for the Python assistant."""

    text: str
    accepted: bool

    @property
    def for_tuning(self) -> bool:
        """Which half it is in: by the first byte of its SHA-256, even or odd."""
        return hashlib.sha256(self.text.encode()).digest()[0] % 2 == 0


def read_questions(path: Path) -> list[Question]:
    """`accept` or `decline`, a tab, and the question on each line; a line feed in it is `\\n`."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return [Question(text.replace("\\n", "\n"), {"accept": True, "decline": False}[label]) for label, text in rows]


def halves(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """The half to tune on, and the untouched one."""
    return [q for q in questions if q.for_tuning], [q for q in questions if not q.for_tuning]


def wrong(guard: WordListGuard, questions: Sequence[Question]) -> list[Question]:
    """Those it decides otherwise."""
    return [question for question in questions if guard.check(question.text).accepted != question.accepted]


def fitted(guard: WordListGuard, questions: Sequence[Question], rounds: int = 8000) -> tuple[list[float], float]:
    """Weights and threshold by logistic regression, held to the guard's own; no weight changes its sign."""
    rules = guard.words.rules
    places = {id(rule): number for number, rule in enumerate(rules)}
    features = []
    for question in questions:
        counts: dict[int, int] = {}
        for finding in guard.findings(question.text):
            counts[places[id(finding.rule)]] = min(len(finding.found), finding.rule.most)
        features.append((counts, 1.0 if question.accepted else 0.0))
    before = [rule.weight for rule in rules]
    weights, threshold = list(before), guard.words.threshold
    for _ in range(rounds):
        slopes = [PULL * (now - old) for now, old in zip(weights, before, strict=True)]
        slope = 0.0
        for counts, wanted in features:
            score = sum(count * weights[number] for number, count in counts.items())
            miss = (1 / (1 + math.exp(threshold - score)) - wanted) / len(features)
            slope -= miss
            for number, count in counts.items():
                slopes[number] += miss * count
        weights = [weight - 0.5 * change for weight, change in zip(weights, slopes, strict=True)]
        weights = [max(0.1, w) if old > 0 else min(-0.1, w) for w, old in zip(weights, before, strict=True)]
        threshold -= 0.5 * slope
    return [round(weight, 1) for weight in weights], round(threshold, 1)


def write_weights(path: Path, weights: Sequence[float], threshold: float) -> None:
    """Put them into the file in the order of its rules, and leave the rest of it alone."""
    waiting = iter(weights)
    text = re.sub(r"(?m)^weight = .*$", lambda _: f"weight = {next(waiting)}", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    write_threshold(path, threshold)


def write_threshold(path: Path, threshold: float) -> None:
    """Put it into the file."""
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(?m)^threshold = .*$", f"threshold = {threshold}", text), encoding="utf-8")


def middle_threshold(guard: WordListGuard, questions: Sequence[Question]) -> float:
    """In the middle of those with the fewest mistakes, within 1 of the guard's own."""
    scores = [(guard.score(guard.findings(question.text)), question.accepted) for question in questions]
    near = [round(guard.words.threshold + step / 10, 1) for step in range(-10, 11)]
    mistakes = [sum((score >= threshold) != accepted for score, accepted in scores) for threshold in near]
    best = [threshold for threshold, wrong_ones in zip(near, mistakes, strict=True) if wrong_ones == min(mistakes)]
    return best[len(best) // 2]


def milliseconds(guard: WordListGuard, questions: Sequence[Question]) -> float:
    """Median time of a verdict."""
    times = []
    for question in questions:
        began = time.perf_counter()
        guard.check(question.text)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    """Print the figures, or fit the weights first."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--fit", action="store_true", help="fit the weights to the tuning half, and write them")
    parser.add_argument("--wrong", action="store_true", help="show what is wrong in the tuning half")
    chosen = parser.parse_args()
    lists = {name: halves(read_questions(QUESTIONS / f"{name}.tsv")) for name in LISTS}
    tuning = [question for half, _ in lists.values() for question in half]
    guard = load_word_list(GUARD_FILE, "python")
    if chosen.fit:
        # The words were written with the first list at hand, so that the later ones say more of what comes in.
        write_weights(GUARD_FILE, *fitted(guard, lists["first"][0] + LATER * tuning[len(lists["first"][0]) :]))
        guard = load_word_list(GUARD_FILE, "python")
        write_threshold(GUARD_FILE, middle_threshold(guard, tuning))
        guard = load_word_list(GUARD_FILE, "python")
    for name, (half, untouched) in lists.items():
        print(f"{name:<10} tuning half    {_figures(guard, half)}")
        print(f"{name:<10} untouched half {_figures(guard, untouched)}")
    print(f"all        untouched      {_figures(guard, [q for _, half in lists.values() for q in half])}")
    print(f"published                 {_figures(guard, read_questions(QUESTIONS / 'published.tsv'))}")
    print(f"median time of a verdict: {milliseconds(guard, tuning):.2f} ms")
    if chosen.wrong:
        for question in wrong(guard, tuning):
            wanted = "accept" if question.accepted else "decline"
            print(f"{wanted}: {question.text!r}: {guard.check(question.text).reason}")


def _figures(guard: WordListGuard, questions: Sequence[Question]) -> str:
    right = len(questions) - len(wrong(guard, questions))
    return f"{right:>4} of {len(questions):>3} right  {right / len(questions):.1%}"


if __name__ == "__main__":
    main()
