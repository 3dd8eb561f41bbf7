"""How fast this machine trains, measured by the session, and what to train when so many minutes are all there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil

from tui_gpt.core.config import RunConfig, to_dict
from tui_gpt.core.config_loading import build_config
from tui_gpt.core.messages import Calibrate, Explored, Progress
from tui_gpt.core.planning import LONGEST_MINUTES, Plan, plan
from tui_gpt.core.presets import PRESETS
from tui_gpt.ui.configure.calibrations import Calibrations
from tui_gpt.ui.configure.form_state import DEFAULT_PRESET
from tui_gpt.ui.configure.weighing import with_known_vocabulary
from tui_gpt.ui.session_client import Session

CALIBRATION_SECONDS = 5.0
_PLAN_CALIBRATION_SECONDS = 3.0


class Speed:
    """Measurements by shape, and the one that is being made."""

    def __init__(self, session: Session, changed: Callable[[], None]) -> None:
        """`changed` is called whenever there is something new to show."""
        self._session = session
        self._changed = changed
        self.calibrations = Calibrations()
        self.doing = ""
        """What a measurement is at, or why there was none."""

    async def measure(self, config: RunConfig, facts: Explored | None, seconds: float = CALIBRATION_SECONDS) -> None:
        """Train for so long and keep how fast it went. Raises SessionError."""
        config = with_known_vocabulary(config, facts)
        self.say("measuring…")
        try:
            measured = await self._session.request(Calibrate(id=0, config=config, seconds=seconds), self._hear)
            self.calibrations.add(config, measured)
        finally:
            self.say("")

    def say(self, what: str) -> None:
        """Show another sentence."""
        self.doing = what
        self._changed()

    def _hear(self, event: object) -> None:
        if isinstance(event, Progress):
            self.say(f"{event.what} {event.share:.0%}")

    async def plan(self, minutes: float, config: RunConfig, facts: Explored | None) -> Plan:
        """A size and a recipe for the text and the machine of a configuration, after measuring if nothing was yet.

        Raises SessionError, and ConfigError where nothing fits.
        """
        text = {"data": to_dict(config.data), "train": machine_of(config)}
        reference = build_config(("preset", PRESETS[DEFAULT_PRESET].tree), ("form", text))
        if self.calibrations.speed(reference) is None:
            await self.measure(reference, facts, _PLAN_CALIBRATION_SECONDS)
        speed = self.calibrations.speed(reference)
        latest = self.calibrations.latest
        assert speed is not None
        assert latest is not None
        planned = plan(
            minutes,
            facts.train_tokens if facts is not None else None,
            speed,
            int(psutil.virtual_memory().available),
            vocab_size=with_known_vocabulary(reference, facts).model.vocabulary,
            precision="float32" if latest.precision == "float32" else "bf16",
            device=latest.kind,
        )
        planned.tree["train"].update(machine_of(config))
        return planned


def machine_of(config: RunConfig) -> dict[str, Any]:
    """What a configuration says of the machine."""
    return {name: getattr(config.train, name) for name in ("device", "precision", "compile", "threads")}


def minutes_problem(text: str) -> str:
    """What is wrong with a number of minutes, empty when nothing is."""
    try:
        minutes = float(text)
    except ValueError:
        return f"{text!r} is not a number of minutes" if text.strip() else "how many minutes?"
    return "" if 0 < minutes <= LONGEST_MINUTES else "give a number above 0, up to a year of minutes"
