"""How soon the program is there: its first frame over a bare Textual app's, and `tui-gpt --help` beside Python alone.

python -m benchmarks startup

The app is started in a pseudo-terminal, from the making of its process to the frame with its tabs, in turns with the
bare app (benchmarks/journey/hello.py).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks.journey.first_frame import measure
from benchmarks.journey.home import Home
from benchmarks.machine import described

MOST, AIM = 1.5, 1.2
MOST_MILLISECONDS, AIM_MILLISECONDS = 150, 100


def main() -> int:
    """Print both; 1 where one takes longer than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    print(described())
    over, app, hello, form = measure(arguments.rounds)
    for title, times in (
        ("first frame", app.values),
        ("a bare Textual app's", hello.values),
        ("the form", form.values),
    ):
        print(_line(title, times))
    ratio = statistics.median(a / b for a, b in zip(app.values, hello.values, strict=True))
    print(f"first frame over a bare Textual app's: {ratio:.2f} within rounds, {over.value:.2f} of medians", end="")
    print(f"; at most {MOST}, aim {AIM}")
    wall = {"tui-gpt --help": ["-m", "tui_gpt", "--help"], "python -c pass": ["-c", "pass"]}
    helped, nothing = _walls(wall, arguments.rounds).values()
    print(_line("tui-gpt --help", helped))
    print(_line("python -c pass", nothing))
    milliseconds = 1000 * statistics.median(helped)
    print(f"tui-gpt --help: {milliseconds:.0f} ms; at most {MOST_MILLISECONDS}, aim {AIM_MILLISECONDS}")
    return 0 if ratio <= MOST and milliseconds <= MOST_MILLISECONDS else 1


def _walls(commands: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each command, in turns, the first round not counted."""
    found: dict[str, list[float]] = {name: [] for name in commands}
    with Home() as home:
        for _ in range(rounds + 1):
            for name, arguments in commands.items():
                began = time.perf_counter()
                subprocess.run(
                    [sys.executable, *arguments],
                    env=home.environment,
                    cwd=home.outside,
                    check=True,
                    capture_output=True,
                )
                found[name].append(time.perf_counter() - began)
    return {name: times[1:] for name, times in found.items()}


def _line(title: str, times: list[float]) -> str:
    milliseconds = sorted(1000 * seconds for seconds in times)
    return f"{title:<24}{statistics.median(milliseconds):>6.0f} ms  ({milliseconds[0]:.0f} to {milliseconds[-1]:.0f})"


if __name__ == "__main__":
    sys.exit(main())
