"""The most memory that each process takes while a text is prepared and learned from: a long one, and a short one.

python -m benchmarks memory                  # 20 MB and 2 GB, some minutes; needs 4 GB in the temporary folder
python -m benchmarks memory --megabytes 20 200 --rows

What is measured is the real command, `tui-gpt train FILE`, and every process that it starts, by their VmHWM, until the
first checkpoint: ten steps, an evaluation and a sample. What is left of the run would only take longer.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psutil

from benchmarks.journey.home import Home
from tui_gpt.engine.text.builtin import builtin_documents

SIZES = (20, 2000)
MOST = 1.1
AIM = 1.05
_POOL_MEGABYTES = 8
_LOOK_SECONDS = 0.02
_TRAINER = "the trainer"
_COMMAND = "the command, which prepares"


@dataclass(frozen=True)
class Taken:
    """What one run took."""

    peaks: dict[str, int]
    """Bytes at the most, by what the process does."""
    seconds: float

    @property
    def together(self) -> int:
        """Bytes, were all at their peak at once."""
        return sum(self.peaks.values())


def main() -> int:
    """Print both, and their ratio; 1 where it is more than MOST."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs=2, default=SIZES, metavar=("SHORT", "LONG"))
    parser.add_argument("--rows", action="store_true", help="many documents (JSON Lines) instead of one text")
    arguments = parser.parse_args()
    needed = 2_200_000 * max(arguments.megabytes)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < needed:
        print(f"{tempfile.gettempdir()} has {free / 1e9:.1f} GB free and needs {needed / 1e9:.1f}; set TMPDIR")
        return 1
    short, long = (_measured(size, rows=arguments.rows) for size in arguments.megabytes)
    titles = [f"{size:,} MB" for size in arguments.megabytes]
    print(f"{'peak of':<30}{titles[0]:>12}{titles[1]:>12}{'ratio':>8}")
    for what in short.peaks:
        print(_line(what, short.peaks[what], long.peaks[what]))
    print(_line("all together", short.together, long.together))
    print(f"{'seconds':<30}{short.seconds:>12.0f}{long.seconds:>12.0f}")
    ratio = long.together / short.together
    print(f"ratio {ratio:.3f}; at most {MOST}, aim {AIM}")
    return 0 if ratio <= MOST else 1


def _line(what: str, short: int, long: int) -> str:
    return f"{what:<30}{short / 1e6:>9,.0f} MB{long / 1e6:>9,.0f} MB{long / short:>8.3f}"


def write_text(path: Path, megabytes: int, *, rows: bool) -> None:
    """Stories of the built-in generator again and again, each time under another number, so that none is a copy."""
    stories = list(builtin_documents("stories", _POOL_MEGABYTES))
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for text in _numbered(stories):
            written += file.write(json.dumps({"text": text}) + "\n" if rows else text + "\n\n")
            if written >= megabytes * 1_000_000:
                return


def _numbered(stories: list[str]) -> Iterator[str]:
    for number in count():
        yield f"{number:x}. {stories[number % len(stories)]}"


def _measured(megabytes: int, *, rows: bool) -> Taken:
    print(f"{megabytes:,} MB …", file=sys.stderr, flush=True)
    with Home() as home:
        text = home.outside / f"text.{'jsonl' if rows else 'txt'}"
        write_text(text, megabytes, rows=rows)
        command = [sys.executable, "-m", "tui_gpt", "train", str(text), "--steps", "1000", "--tokenizer", "bpe"]
        began = time.perf_counter()
        with (home.outside / "output").open("wb") as output:
            process = psutil.Popen(command, env=home.environment, cwd=home.outside, stdout=output, stderr=output)
            peaks = _watched(process, home)
        if process.returncode is not None:
            raise SystemExit((home.outside / "output").read_text(encoding="utf-8", errors="replace")[-2000:])
        seconds = time.perf_counter() - began
        process.kill()
        process.wait()
        return Taken(peaks, seconds)


def _watched(process: psutil.Popen, home: Home) -> dict[str, int]:
    """The peaks of the process and all below it, until the first checkpoint is there or it has ended."""
    peaks: dict[str, int] = defaultdict(int)
    while process.poll() is None and not any((home.folder / "runs").glob("*/checkpoints/step-*")):
        # What has just ended, or is not yet what it will be, is not there to be asked.
        with suppress(psutil.Error, OSError, StopIteration):
            for each in (process, *process.children(recursive=True)):
                what = _COMMAND if each.pid == process.pid else _TRAINER
                peaks[what] = max(peaks[what], _peak_bytes(each.pid))
        time.sleep(_LOOK_SECONDS)
    return peaks


def _peak_bytes(pid: int) -> int:
    with Path(f"/proc/{pid}/status").open(encoding="ascii", errors="replace") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    sys.exit(main())
