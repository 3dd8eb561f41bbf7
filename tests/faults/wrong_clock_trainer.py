"""The real trainer on a machine whose clock is set while it trains: `python -m wrong_clock_trainer --run FOLDER`.

CLOCK_SETTINGS is a list of [step, seconds]: before that step the time of day becomes `seconds` away from the true one.
Step -1 is before anything else. Time that only ever goes on (`time.monotonic`) is not touched, as on a real machine.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime, timedelta, tzinfo
from typing import Any

from tui_gpt.engine.training import learner, worker

_true_time, _true_time_ns = time.time, time.time_ns


class WrongClock:
    """The time of day, so many seconds away from the true one."""

    def __init__(self) -> None:
        self.offset = 0.0

    def time(self) -> float:
        """Instead of `time.time`."""
        return _true_time() + self.offset

    def time_ns(self) -> int:
        """Instead of `time.time_ns`."""
        return _true_time_ns() + int(self.offset * 1e9)


def put_in_place(clock: WrongClock) -> None:
    """Let this process tell the time by that clock, wherever it asks for it."""

    class Dated(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Dated:
            return super().now(tz) + timedelta(seconds=clock.offset)

    time.time, time.time_ns = clock.time, clock.time_ns
    for name, module in list(sys.modules.items()):
        if name.startswith("tui_gpt.") and getattr(module, "datetime", None) is datetime:
            setattr(module, "datetime", Dated)  # noqa: B010 - mypy knows of no such attribute


def main() -> int:
    """Set the clock, then do what the worker does."""
    clock = WrongClock()
    put_in_place(clock)
    settings = {int(step): float(seconds) for step, seconds in json.loads(os.environ["CLOCK_SETTINGS"])}
    clock.offset = settings.get(-1, 0.0)
    train_step = learner.Learner.train_step

    def stepping(self: learner.Learner, step: int, factor: float) -> Any:
        clock.offset = settings.get(step, clock.offset)
        return train_step(self, step, factor)

    learner.Learner.train_step = stepping  # type: ignore[method-assign]
    return worker.main()


if __name__ == "__main__":
    sys.exit(main())
