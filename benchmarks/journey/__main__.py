"""The rows of the journey, one after the other.

python -m benchmarks.journey
python -m benchmarks.journey first_frame again --rounds 3 --json figures.json
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path
from typing import Protocol, cast

import msgspec

from benchmarks.journey.conditions import conditions
from benchmarks.journey.findings import Finding
from benchmarks.journey.terminal import NotSeenError

ROWS = (
    "first_frame",
    "keys",
    "first_signs",
    "readable",
    "nothing_lost",
    "again",
    "keys_while_training",
    "attached",
    "first_letter",
)


class Row(Protocol):
    """A module with one measurement."""

    ROUNDS: int

    def measure(self, rounds: int) -> list[Finding]:
        """Do it, so many times."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the file for machines holds."""

    conditions: dict[str, str]
    findings: list[Finding]
    not_measured: dict[str, str]
    """Rows that ended in a failure, with its words."""


def main() -> int:
    """Measure and print; returns 1 where a row could not be measured or misses its aim."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.journey",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="rows: " + ", ".join(ROWS),
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="which rows; none means all")
    parser.add_argument("--rounds", type=int, help="how often instead of each row's own number")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    if unknown := set(arguments.rows) - set(ROWS):
        parser.error(f"no row is called {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    if arguments.rounds is not None and arguments.rounds < 1:
        parser.error("--rounds must be 1 or more")
    surroundings = conditions()
    print(", ".join(f"{name} {value}" for name, value in surroundings.items()), flush=True)
    findings: list[Finding] = []
    failures: dict[str, str] = {}
    for name in arguments.rows or ROWS:
        row = cast(Row, importlib.import_module(f"benchmarks.journey.{name}"))
        started = time.monotonic()
        try:
            found = row.measure(arguments.rounds or row.ROUNDS)
        except NotSeenError as error:
            failures[name] = str(error)
            print(f"{name:<22}not measured: {error}", flush=True)
            continue
        findings += found
        for finding in found:
            print("\n".join(finding.lines()), flush=True)
        print(f"{'':<22}({time.monotonic() - started:.0f} s)", flush=True)
    if arguments.json:
        report = Report(conditions=surroundings, findings=findings, not_measured=failures)
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return int(bool(failures) or any(finding.met is False for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
