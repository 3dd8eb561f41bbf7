"""What watching costs a run: its speed with the app attached over its speed alone, in turns, on one trainer."""

from __future__ import annotations

import time

import psutil

from benchmarks.journey.findings import Finding
from benchmarks.journey.home import Home, records, settings
from benchmarks.journey.numbers import median
from benchmarks.journey.screens import first_point, running, train_tab
from benchmarks.journey.terminal import Terminal
from tui_gpt.core.runs.child_process import STANDBY_MODULE, TRAINER_MODULE
from tui_gpt.core.runs.store import Run

ROUNDS = 5
AIM = 0.98
_SECONDS = 20.0
_SETTLE_SECONDS = 10.0
"""After the app's start, whose session loads torch once, and after its end."""


def measure(rounds: int) -> list[Finding]:
    """Each round 20 s with the app on its Train tab and 20 s without, which of them first changing."""
    attached: list[float] = []
    alone: list[float] = []
    starting: list[float] = []
    taken: list[float] = []
    with Home() as home:
        # No evaluations and checkpoints, which would fall into one of the two by chance; everything else as it comes.
        home.command(
            *("train", "stories", "--name", "watched", "--minutes", "600", "--detach"),
            *settings(train={"eval_interval": 10_000_000, "checkpoint_minutes": 0, "compile": "off"}),
        )
        run = home.await_run()
        home.remember(tab="train", run=run.name)
        time.sleep(_SETTLE_SECONDS)
        for number in range(rounds):
            for with_app in (True, False) if number % 2 else (False, True):
                if not with_app:
                    alone.append(_speed(run, _SECONDS))
                    continue
                with home.app() as terminal:
                    starting.append(_speed(run, _SETTLE_SECONDS))
                    _watch(terminal)
                    before, began = _processor_seconds(terminal.pid), time.perf_counter()
                    attached.append(_speed(run, _SECONDS))
                    spent = _processor_seconds(terminal.pid) - before
                    taken.append(100 * spent / (time.perf_counter() - began))
                time.sleep(1.0)
    ratio = median(attached) / median(alone)
    pairs = [with_app / without for with_app, without in zip(attached, alone, strict=True)]
    return [
        Finding(
            row="attached",
            what="training speed, app attached over alone",
            value=ratio,
            unit="times",
            aim="at least",
            bound=AIM,
            notes=[f"the ratio of the medians; by round: {', '.join(f'{pair:.3f}' for pair in pairs)}"],
        ),
        Finding(row="attached", what="steps per second, alone", value=median(alone), unit="1/s", values=alone),
        Finding(row="attached", what="steps per second, attached", value=median(attached), unit="1/s", values=attached),
        Finding(
            row="attached",
            what=f"steps per second, first {_SETTLE_SECONDS:.0f} s of the app",
            value=median(starting),
            unit="1/s",
            values=starting,
            notes=["while the session loads its libraries; not part of the ratio"],
        ),
        Finding(
            row="attached",
            what="processor time of app and session, of one core",
            value=median(taken),
            unit="%",
            values=taken,
        ),
    ]


def _watch(terminal: Terminal) -> None:
    terminal.until(lambda picture: running(picture) and train_tab(picture) and first_point(picture), "the curve")


def _processor_seconds(pid: int) -> float:
    """What the app and its children have computed so far."""
    app = psutil.Process(pid)
    times = [process.cpu_times() for process in (app, *app.children(recursive=True)) if not _is_trainer(process)]
    return float(sum(time.user + time.system for time in times))


def _is_trainer(process: psutil.Process) -> bool:
    return not {TRAINER_MODULE, STANDBY_MODULE}.isdisjoint(process.cmdline())


def _speed(run: Run, seconds: float) -> float:
    """Steps per second by the trainer's own clock, over about so many seconds from now on."""
    began = _newest(run)
    time.sleep(seconds)
    ended = _newest(run)
    times = {record.step: record.values["elapsed"] for record in records(run, "train") if began <= record.step <= ended}
    first, last = times[began], times[ended]
    assert isinstance(first, float) and isinstance(last, float)
    return (ended - began) / (last - first)


def _newest(run: Run) -> int:
    return records(run, "train")[-1].step
