"""What a long run costs the screen: seconds until its whole curve is drawn, how long a key waits meanwhile, and the
share of a core that watching it takes while it grows.

python -m benchmarks.plot_cost --records 1000000 --seconds 20

The screen is a real Textual app without a terminal, 160x40, with the loss plot and four small ones. A key is an event
of its own thread, sent every 20 ms as a terminal would; its wait ends when the app has handled it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Horizontal

from tui_gpt.ui.curves.history import RunHistory
from tui_gpt.ui.widgets.loss_plot import LossPlot
from tui_gpt.ui.widgets.small_plot import TITLES, SmallPlot

POLL_SECONDS = 0.25
BUDGET_SECONDS = 0.1
GROW = """
import json, sys, time
step = int(sys.argv[2])
with open(sys.argv[1], "a", encoding="utf-8", buffering=1) as handle:
    while True:
        step += 1
        values = {"loss": 2.0 + step % 10 / 10, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens": 8192 * step,
                  "elapsed": 0.03 * step, "tokens_per_second": 49000.0, "memory": 5 * 10**8}
        handle.write(json.dumps({"kind": "train", "step": step, "values": values}) + "\\n")
        time.sleep(0.1)
"""


def write_run(folder: Path, records: int) -> Path:
    """A metrics file as a trainer writes it, with an evaluation and a sample each 200th part."""
    dice = random.Random(1)
    path = folder / "metrics-0001.jsonl"
    with path.open("w", encoding="utf-8") as handle:
        handle.write('{"kind":"start","step":0}\n')
        for step in range(1, records + 1):
            loss = 1.5 + 8 / (1 + step / 300) + dice.gauss(0, 0.1)
            rate, norm, speed = 3e-4 * (1 - step / records), abs(dice.gauss(1, 0.2)), dice.gauss(49000, 500)
            handle.write(
                f'{{"kind":"train","step":{step},"values":{{"loss":{loss!r},"learning_rate":{rate!r},"grad_norm":{norm!r},'
                f'"tokens":{8192 * step},"elapsed":{0.0301 * step:.3f},"tokens_per_second":{speed:.1f},'
                f'"memory":{512_000_000 + step}}}}}\n'
            )
            if step % max(1, records // 200) == 0:
                val = {"val_loss": loss, "bits_per_byte": 1.1, "whole": False, "best": True, "elapsed": 0.0301 * step}
                handle.write(json.dumps({"kind": "eval", "step": step, "values": val}) + "\n")
                text = {"text": "Once upon a time " * 12, "prompt": "Once", "seed": 1}
                handle.write(json.dumps({"kind": "sample", "step": step, "values": text}) + "\n")
    return path


class Watching(App[None]):
    """The loss plot and its companions over one run."""

    CSS = "Horizontal { height: 6; }"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.history = RunHistory(folder)
        self.waits: list[float] = []
        self.drawings: list[float] = []
        self.whole = asyncio.Event()

    def compose(self) -> ComposeResult:
        """A plot above four small ones."""
        yield LossPlot()
        with Horizontal():
            for column in TITLES:
                yield SmallPlot(id=column)

    def on_mount(self) -> None:
        """Begin to read at once, and look again four times a second."""
        self.query_one(LossPlot).show([("bard", self.history)])
        self.set_interval(POLL_SECONDS, self.poll)
        self.poll()

    def poll(self) -> None:
        """Read in a thread; the next look waits until this one is over."""
        if not any(worker.is_running for worker in self.workers):
            self.run_worker(self.read, thread=True)

    def read(self) -> None:
        """Read until nothing is left, and let the screen show it now and then."""
        while True:
            changed = self.history.poll(BUDGET_SECONDS)
            self.call_from_thread(self.look)
            if self.history.opened or not changed:
                return

    def look(self) -> None:
        """Draw what changed."""
        plot = self.query_one(LossPlot)
        plot.refresh_data()
        for small in self.query(SmallPlot):
            small.show(self.history, small.id, plot.view)  # type: ignore[arg-type]
        if self.history.opened and not self.whole.is_set():
            plot._redraw()
            self.call_after_refresh(self.whole.set)

    def on_key(self, event: events.Key) -> None:
        """A key carries the moment at which it was pressed."""
        self.waits.append(time.perf_counter() - float(event.character or 0))


def press_keys(app: Watching, ended: threading.Event) -> None:
    """Press a key every 20 ms, from outside of the app's thread."""
    loop = app._loop
    assert loop is not None
    while not ended.wait(0.02):
        key = events.Key("f20", repr(time.perf_counter()))
        loop.call_soon_threadsafe(app.post_message, key)


def report(what: str, waits: list[float]) -> None:
    """A line on the waits of keys."""
    waits = sorted(1000 * wait for wait in waits)
    if waits:
        p99 = waits[int(0.99 * (len(waits) - 1))]
        print(f"  {what}: median {statistics.median(waits):.1f} ms, p99 {p99:.1f} ms, longest {waits[-1]:.1f} ms")


async def measure(folder: Path, path: Path, records: int, seconds: float) -> None:
    """Open, watch, print."""
    app = Watching(folder)
    began = time.perf_counter()
    async with app.run_test(size=(160, 40)) as pilot:
        ended = threading.Event()
        keys = threading.Thread(target=press_keys, args=(app, ended))
        keys.start()
        await app.whole.wait()
        print(f"  app begun to whole curve drawn: {time.perf_counter() - began:.2f} s")
        report("keys while reading", app.waits)
        await pilot.pause(2 * POLL_SECONDS)
        for grows in (False, True):
            ended.set()
            keys.join()
            grower = None
            if grows:
                grower = subprocess.Popen([sys.executable, "-c", GROW, str(path), str(records)])
                await asyncio.sleep(0.5)
            cpu, wall = time.process_time(), time.perf_counter()
            await asyncio.sleep(seconds)
            share = (time.process_time() - cpu) / (time.perf_counter() - wall)
            print(f"  watching a run that {'grows' if grows else 'rests'}: {100 * share:.1f} % of a core")
            ended = threading.Event()
            keys = threading.Thread(target=press_keys, args=(app, ended))
            app.waits.clear()
            keys.start()
            await asyncio.sleep(min(seconds, 5))
            report("keys meanwhile", app.waits)
            if grower is not None:
                grower.kill()
                grower.wait()
        ended.set()
        keys.join()


def main() -> None:
    """Write a run, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        # A cache of its own, which each reading that is timed finds empty.
        os.environ["TUI_GPT_HOME"] = str(Path(name) / "home")
        path = write_run(Path(name), arguments.records)
        print(f"{arguments.records:,} train records, {path.stat().st_size / 1e6:.0f} MB")
        began = time.perf_counter()
        history = RunHistory(Path(name))
        history.poll()
        print(f"  read alone, in one go: {time.perf_counter() - began:.2f} s, {len(history):,} steps")
        del history
        shutil.rmtree(Path(name) / "home", ignore_errors=True)
        asyncio.run(measure(Path(name), path, arguments.records, arguments.seconds))


if __name__ == "__main__":
    main()
