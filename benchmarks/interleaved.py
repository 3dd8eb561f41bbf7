"""Contenders as processes of their own that take turns, so that a noisy machine is equally noisy to all of them.

Each contender is a module that calls `serve` with what it builds; it then waits, without taking any processor time,
until it is asked for a round. What is compared are medians over the rounds, and the ratio is taken within each round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Contender:
    """One way of doing the work, and what it took."""

    name: str
    module: str
    """Which module of the benchmarks does it."""
    options: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to this process' own."""
    rounds: list[float] = field(default_factory=list)
    """What each round gave, in the unit that the contender says."""
    notes: dict[str, Any] = field(default_factory=dict)
    """What it told about itself when it was ready and with its last answer."""
    failure: str = ""

    def start(self) -> None:
        """Begin, and wait until it is ready for its first round. Sets `failure` where it never is."""
        environment = os.environ | dict(self.environment)
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module, json.dumps(dict(self.options))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self._hear()

    def take_turn(self) -> None:
        """One round, unless it has failed."""
        if self.failure:
            return
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("round\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.failure = "it ended on its own"
            return
        answer = self._hear()
        if "value" in answer:
            self.rounds.append(answer["value"])

    def end(self) -> None:
        """Let it go."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)

    @property
    def median(self) -> float:
        """Over its rounds."""
        return statistics.median(self.rounds)

    @property
    def spread(self) -> float:
        """Half the distance between its first and third quartile, as a share of the median."""
        if len(self.rounds) < 4:
            return (max(self.rounds) - min(self.rounds)) / 2 / self.median
        first, _, third = statistics.quantiles(self.rounds, n=4)
        return (third - first) / 2 / self.median

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                answer: dict[str, Any] = json.loads(line)
                self.notes |= answer.get("notes", {})
                self.failure = answer.get("failure", "")
                return answer
        self.failure = f"it ended with {self._process.wait()}"
        return {}


def serve(build: Callable[[dict[str, Any]], Callable[[], float]], notes: Callable[[], dict[str, Any]] = dict) -> None:
    """What a contender's process does: build from the options it was given, then a round for each line that comes."""
    try:
        turn = build(json.loads(sys.argv[1]))
        _say({"notes": notes()})
        for _ in sys.stdin:
            _say({"value": turn(), "notes": notes()})
    except Exception as error:
        traceback.print_exc()
        _say({"failure": f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


def take_turns(contenders: Sequence[Contender], rounds: int) -> None:
    """Start all, one after the other, then let each have its turn in each round, the order reversed every time."""
    for contender in contenders:
        print(f"  {contender.name} …", end="", file=sys.stderr, flush=True)
        contender.start()
        print(" ready" if not contender.failure else f" {contender.failure}", file=sys.stderr)
    for number in range(rounds):
        for contender in contenders if number % 2 == 0 else reversed(contenders):
            contender.take_turn()
    for contender in contenders:
        contender.end()


def ratio(faster: Contender, other: Contender) -> float:
    """How many times as much `faster` did: the median over the rounds of the ratios within a round."""
    return statistics.median(a / b for a, b in zip(faster.rounds, other.rounds, strict=True))


def peak_bytes() -> int:
    """The most resident memory that this process has had."""
    with Path("/proc/self/status").open(encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))
